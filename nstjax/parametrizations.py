"""Parametrizations of the image: the numbers that an optimizer moves, and the image that they stand for.

Each is linear, and loses nothing: `decode(encode(image)) == image`. It changes no minimum of the loss, but the way
there: what is steep, and how far one step changes large shapes and small ones. Source: Mordvintsev et al. (2018),
"Differentiable Image Parameterizations", and for style transfer Kolkin et al. (2019), STROTSS.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nstjax.types import AnyImage, Image, Variable


@runtime_checkable
class Parametrization(Protocol):
    """Two linear functions, hashable so that an optimizer with one can be a static argument of `jax.jit`."""

    def encode(self, image: Image) -> Variable: ...
    def decode(self, variable: Variable, height: int, width: int) -> Image: ...
    def __hash__(self) -> int: ...


@dataclass(frozen=True)
class Pixels:
    """The image itself."""

    def encode(self, image: Image) -> Image:
        return image

    def decode(self, variable: Image, height: int, width: int) -> Image:
        return variable


@dataclass(frozen=True)
class Laplacian:
    """A pyramid: what each halving loses, finest first, and what is left after `levels` of them, in one vector.

    The image is the sum of the levels, each enlarged, so that a step of equal length in all of them moves large shapes
    as fast as small ones. STROTSS has 5 levels, NNST 8.
    Differs from STROTSS: halved by averages, and enlarged about the pixels' centers, not with corners aligned.
    """

    levels: int = 5

    def shapes(self, height: int, width: int) -> list[tuple[int, int, int]]:
        """Of the levels and what is left; a side of one pixel is not halved."""
        return [(max(height >> level, 1), max(width >> level, 1), 3) for level in range(self.levels + 1)]

    def encode(self, image: Image) -> Float[Array, "v"]:
        losses = []
        for shape in self.shapes(*image.shape[:2])[1:]:
            smaller = _resized(image, shape)
            losses.append(image - _resized(smaller, image.shape))
            image = smaller
        return jnp.concatenate([level.ravel() for level in (*losses, image)])

    def decode(self, variable: Float[Array, "v"], height: int, width: int) -> Image:
        shapes = self.shapes(height, width)
        ends = np.cumsum([np.prod(shape) for shape in shapes])
        *levels, image = (level.reshape(s) for level, s in zip(jnp.split(variable, ends[:-1]), shapes, strict=True))
        for level in reversed(levels):
            image = level + _resized(image, level.shape)
        return image


def _resized(image: AnyImage, shape: tuple[int, ...]) -> AnyImage:
    return jax.image.resize(image, shape, "linear")


# lucid's `color_correlation_svd_sqrt`: a square root of the correlation of colors in ImageNet. Its columns are
# brightness, orange to blue, and green to purple.
_COLORS = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])


@dataclass(frozen=True)
class Fourier:
    """Frequencies of decorrelated colors, the lower the farther a step moves them: as frequency to the power -decay.

    Frequencies are Hartley's, cos + sin, which are as many real numbers as there are pixels. Amplitudes and colors are
    scaled so that noise in the variable has the same root mean square in pixels, at any size.
    Differs from lucid: Hartley's in place of the Fourier transform's real and imaginary parts, this scale in place of
    1/4, and no sigmoid: an image from anywhere has its variable, and what leaves [0, 1] is clipped when it is written.
    """

    decay: float = 1.0

    def encode(self, image: Image) -> Image:
        return _hartley(_mixed(image, np.linalg.inv(decorrelation()))) / self.amplitudes(*image.shape[:2])

    def decode(self, variable: Image, height: int, width: int) -> Image:
        return _mixed(_hartley(variable * self.amplitudes(height, width)), decorrelation())

    def amplitudes(self, height: int, width: int) -> Float[Array, "{height} {width} 1"]:
        """Of each frequency; the mean of their squares is 1. A frequency of 0 has the amplitude of the lowest other."""
        vertical, horizontal = jnp.fft.fftfreq(height)[:, None], jnp.fft.fftfreq(width)[None, :]
        frequencies = jnp.maximum(jnp.hypot(vertical, horizontal), 1 / max(height, width))
        amplitudes = frequencies**-self.decay
        return (amplitudes / jnp.sqrt(jnp.mean(amplitudes**2)))[..., None]


def decorrelation() -> Float[np.ndarray, "3 3"]:
    """From decorrelated colors to RGB; the squares in it sum to 3, as those of a rotation do."""
    return _COLORS * np.sqrt(3 / np.sum(_COLORS**2))


def _mixed(image: Image, matrix: Float[np.ndarray, "3 3"]) -> Image:
    return jnp.einsum("hwi,oi->hwo", image, jnp.asarray(matrix, image.dtype), precision="highest")


def _hartley(image: Image) -> Image:
    """The discrete Hartley transform of each channel: orthonormal, symmetric, its own inverse."""
    spectrum = jnp.fft.fft2(image, axes=(0, 1), norm="ortho")
    return spectrum.real - spectrum.imag


PARAMETRIZATIONS: Mapping[str, Callable[[int, float], Parametrization]] = {
    "pixels": lambda levels, decay: Pixels(),
    "laplacian": lambda levels, decay: Laplacian(levels),
    "fourier": lambda levels, decay: Fourier(decay),
}


def create(name: str, levels: int, decay: float) -> Parametrization:
    """The named parametrization; equal ones compare as equal."""
    return PARAMETRIZATIONS[name](levels, decay)
