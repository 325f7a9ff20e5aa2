"""Octaves of an image's frequencies: how much of it is in each, and the image with each of them scaled.

They are counted from above: the first has waves of 1.4 pixels (a chessboard's) to 2.8, each other one waves twice as
long, and the last all that are longer. Together they are the whole image.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from nstjax.types import Image, Variable

_AXES = (0, 1)
_HIGHEST = np.sqrt(0.5)  # cycles a pixel, of a chessboard
_TINY = 1e-37  # keeps nothing from being divided by zero


def norms(image: Variable, count: int) -> Float[Array, "{count}"]:
    """The 2-norm of each octave, over all channels. Of one octave: anything's, whatever its shape."""
    image = image.astype(jnp.promote_types(image.dtype, jnp.float32))
    largest = jnp.max(jnp.abs(image), initial=_TINY)
    image = image / largest  # gradients of heavy losses have squares beyond float32
    if count == 1:
        return largest * jnp.sqrt(jnp.sum(image**2)).reshape(1)
    height, width, _ = image.shape
    power = (jnp.abs(_spectrum(image)) ** 2).sum(2) * _occurrences(height, width)
    octave = _octaves(height, width, count)
    return largest * jnp.sqrt(jnp.stack([jnp.sum(power, where=octave == number) for number in range(count)]))


def scaled(image: Variable, factors: Float[Array, "b"]) -> Variable:
    """The image with its octaves, as many as there are factors, multiplied by them."""
    if len(factors) == 1:
        return image * factors[0]
    height, width, _ = image.shape
    by_frequency = factors[_octaves(height, width, len(factors))][..., None]
    return jnp.fft.irfft2(_spectrum(image) * by_frequency, (height, width), _AXES, "ortho")


def _spectrum(image: Image) -> Array:
    return jnp.fft.rfft2(image, axes=_AXES, norm="ortho")


def _octaves(height: int, width: int, count: int) -> Int[np.ndarray, "{height} {width//2+1}"]:
    """The number of each frequency's octave."""
    frequencies = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    halvings = np.log2(_HIGHEST / np.maximum(frequencies, 1e-9))
    return np.clip(halvings.astype(int), 0, count - 1)


def _occurrences(height: int, width: int) -> Int[np.ndarray, "{height} {width//2+1}"]:
    """How often each frequency is in the whole spectrum, whose other half is its mirror image."""
    columns = np.arange(width // 2 + 1)
    return np.tile(np.where((columns == 0) | (2 * columns == width), 1, 2), (height, 1))
