"""VGG19 features of a picture: a Flax module, applied as a pure function of its parameters.

Images are `h w 3`, sRGB in [0, 1] in RGB order; feature maps are `h w c`, halved in size by each pooling before them.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from nstjax import winograd
from nstjax.convolution import frozen
from nstjax.layers import CHANNELS
from nstjax.types import FeatureMap, Features, Image, Network, Preprocessing

Extract = Callable[[Network, Image, tuple[str, ...]], Features]

_PAD_MODES = {"reflect": "reflect", "replicate": "edge"}


class VGG19(nn.Module):
    """The convolutional part of VGG19, computed no further than the deepest requested layer.

    Attributes:
        layers: names of the layers to return (`nstjax.layers.CHANNELS`).
        pooling: "max", as the network was trained, or "average" (Gatys et al. 2015: "slightly more appealing").
        pool_edges: "floor" drops an odd last row or column (Caffe, PyTorch), "ceil" pools it alone (TensorFlow's SAME).
        padding: what lies beyond the border of every convolution's input: "zero", "reflect" or "replicate"; with
            "replicate_first" that of the picture is repeated, and those of feature maps are surrounded by zeros.
        dtype: of the computation; the parameters stay float32.
        convolution: a drop-in for `lax.conv_general_dilated`, such as that itself, for layers that aren't in the
            variable collection `prepared` (`nstjax.convolution.prepare`): Winograd's algorithm has those.
    """

    layers: tuple[str, ...]
    pooling: str = "max"
    pool_edges: str = "floor"
    padding: str = "zero"
    dtype: Any = jnp.float32
    convolution: Callable[..., Any] = frozen

    @nn.compact
    def __call__(self, x: Float[Array, "h w 3"]) -> Features:
        features = {}
        for names in _in_between(up_to_deepest(self.layers), self.layers):
            x = self._through(names, x)
            if names[-1] in self.layers:
                features[names[-1]] = x
        return features

    def _through(self, names: tuple[str, ...], x: FeatureMap) -> Float[Array, "h2 w2 c2"]:
        """Layers in a row, of which only the last one's output is wanted."""
        prepared = self.variables.get("prepared", {}).get(names[0])
        if prepared is not None:
            relu, pool = len(names) > 1, len(names) > 2 and self._pools_windows_only(x)
            padded, border = self._padded(names[0], x)
            x = winograd.convolve(padded.astype(self.dtype), prepared, border, relu, self.pooling if pool else "")
            names = names[1 + relu + pool :]
        for name in names:
            x = self._layer(name, x)
        return x

    def _layer(self, name: str, x: FeatureMap) -> Float[Array, "h2 w2 c2"]:
        if name.startswith("relu"):
            return nn.relu(x)
        if name.startswith("pool"):
            return POOLINGS[self.pooling](even_sides(x, self.pool_edges))
        x, border = self._padded(name, x)
        conv = nn.Conv(
            CHANNELS[name], (3, 3), padding="SAME" if border else "VALID", dtype=self.dtype,
            conv_general_dilated=self.convolution, name=name,
        )  # fmt: skip
        return conv(x)

    def _pools_windows_only(self, x: FeatureMap) -> bool:
        """No row or column is pooled alone, and there is something to pool."""
        odd = any(side % 2 for side in x.shape[:2])
        return min(x.shape[:2]) > 1 and not (odd and self.pool_edges == "ceil")

    def _padded(self, name: str, x: FeatureMap) -> tuple[Float[Array, "_ _ c"], int]:
        """What a convolution reads: its input with what surrounds it, or else the width of the border of zeros."""
        mode = self._padding_of(name)
        if mode == "zero":
            return x, 1
        return jnp.pad(x, ((1, 1), (1, 1), (0, 0)), _PAD_MODES[mode]), 0

    def _padding_of(self, name: str) -> str:
        if self.padding == "replicate_first":
            return "replicate" if name == "conv1_1" else "zero"
        return self.padding


def extract(
    network: Network,
    image: Image,
    layers: tuple[str, ...],
    dtype: str = "float32",
    preprocessing: str = "own",
    **settings: Any,
) -> Features:
    """Feature maps of an image at the named layers; float32 whatever `dtype` is.

    `settings` are VGG19's: pooling, pool_edges, padding. Source: Simonyan & Zisserman (2015), table 1, column E.

    Args:
        preprocessing: the network's "own"; or "levels", pixels from 0 to 255 less its mean color, as Simonyan &
            Zisserman's own weights want it. Source: gordicaleksa/pytorch-neural-style-transfer, for torchvision's.
    """
    input_of = network.preprocessing if preprocessing == "own" else _levels(network.preprocessing)
    scale, mean, std = (jnp.broadcast_to(value, image.shape) for value in input_of)
    vgg19 = VGG19(layers, dtype=jnp.dtype(dtype), **settings)
    variables = {"params": network.params, "prepared": network.prepared}
    features: Features = vgg19.apply(variables, (image * scale - mean) / std)  # type: ignore[assignment]
    return {name: feature_map.astype(jnp.float32) for name, feature_map in features.items()}


def _levels(own: Preprocessing) -> Preprocessing:
    return Preprocessing(jnp.full_like(own.scale, 255), own.mean / own.scale * 255, jnp.ones_like(own.std))


def extractor(
    pooling: str = "max",
    pool_edges: str = "floor",
    padding: str = "zero",
    preprocessing: str = "own",
    dtype: str = "float32",
) -> Extract:
    """`extract` with its settings bound: one object for each setting, so that jobs of a sweep share a compilation."""
    return _extractor(pooling, pool_edges, padding, preprocessing, dtype)


@lru_cache
def _extractor(pooling: str, pool_edges: str, padding: str, preprocessing: str, dtype: str) -> Extract:
    return partial(
        extract, pooling=pooling, pool_edges=pool_edges, padding=padding, preprocessing=preprocessing, dtype=dtype
    )


def up_to_deepest(layers: tuple[str, ...]) -> tuple[str, ...]:
    """The layers to compute, in order, to reach every named one. Raises KeyError for a name that VGG19 doesn't have."""
    order = {name: depth for depth, name in enumerate(CHANNELS)}
    depth = max((order[name] for name in layers), default=-1)
    return tuple(CHANNELS)[: depth + 1]


def _in_between(names: tuple[str, ...], wanted: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Each convolution with the ReLU and the pooling after it, parted behind every layer that is wanted."""
    group: list[str] = []
    for name in names:
        if group and (name.startswith("conv") or group[-1] in wanted):
            yield tuple(group)
            group = []
        group.append(name)
    if group:
        yield tuple(group)


def even_sides(x: FeatureMap, edges: str) -> Float[Array, "h2 w2 c"]:
    """Crops an odd last row or column ("floor") or repeats it ("ceil"), which pools it alone: max and mean agree."""
    height, width, _ = x.shape
    if edges == "floor":
        return x[: height // 2 * 2, : width // 2 * 2]
    return jnp.pad(x, ((0, height % 2), (0, width % 2), (0, 0)), "edge")


def _windows(x: FeatureMap) -> Float[Array, "h/2 2 w/2 2 c"]:
    height, width, channels = x.shape
    return x.reshape(height // 2, 2, width // 2, 2, channels)


POOLINGS = {
    "max": lambda x: _windows(x).max((1, 3)),
    "average": lambda x: _windows(x).mean((1, 3)),
}
