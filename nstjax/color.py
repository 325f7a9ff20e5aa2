"""Color: a picture in the colors of another one, and spaces that part luminance from chroma.

Pictures are NumPy float32, `h w 3`, sRGB in [0, 1]; what comes back is clipped to that. All statistics, and what is
between pictures, are float64. A picture without contrast is regularised by `EPSILON`, so that nothing becomes NaN.

Source: Gatys, Bethge, Hertzmann & Shechtman, "Preserving Color in Neural Artistic Style Transfer" (2016), and "the
notebook" of its authors, ColourControl.ipynb in leongatys/NeuralImageSynthesis.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Float64, Int

Pixels = Float32[np.ndarray, "h w 3"]
AnyPixels = Float32[np.ndarray, "_ _ 3"]  # a picture whose size has nothing to do with another's
Plane = Float[np.ndarray, "h w"]
Coordinates = Float64[np.ndarray, "h w 3"]  # of pixels in a `Space`
Values = Float[np.ndarray, "..."]
Matrix = Float64[np.ndarray, "3 3"]

EPSILON = 1e-5  # added to variances of values in [0, 1]; the notebook's


def to_light(pixels: Values) -> Values:
    """sRGB to linear light (IEC 61966-2-1), in the type of its argument."""
    return np.where(pixels <= 0.04045, pixels / 12.92, ((pixels + 0.055) / 1.055) ** 2.4)


def from_light(light: Values) -> Values:
    """Linear light, not below 0, to sRGB (IEC 61966-2-1), in the type of its argument."""
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


# Luminance and chroma


class Space(NamedTuple):
    """Coordinates of colors: first luminance, from 0 (black) to 1 (white); then two of chroma, 0 in grays."""

    of_srgb: Callable[[Coordinates], Coordinates]
    to_srgb: Callable[[Coordinates], Coordinates]  # what has no color in sRGB is cut off, or left outside [0, 1]


def gray(pixels: Pixels, space: str) -> Pixels:
    """A picture's luminance alone."""
    return _gray(_coordinates(pixels, space)[..., 0], space)


def gray_like(pixels: Pixels, like: AnyPixels, space: str) -> Pixels:
    """A picture's luminance alone, with the mean and standard deviation of the luminance of another.

    Source: Gatys et al. (2016), luminance-only transfer: L' = sigma_C / sigma_S (L - mu_S) + mu_C.
    Differs from the notebook, which shifts the mean only.
    """
    luminance, other = _coordinates(pixels, space)[..., 0], _coordinates(like, space)[..., 0]
    gain = np.sqrt((other.var() + EPSILON) / (luminance.var() + EPSILON))
    return _gray(gain * (luminance - luminance.mean()) + other.mean(), space)


def recombined(image: Pixels, colors: Pixels, space: str) -> Pixels:
    """The luminance of an image, whose pixels may be beyond [0, 1], with the chroma of another picture.

    Source: jcjohnson/neural-style, `-original_colors`, in YUV.
    Differs from the notebook, which takes the mean of the image's channels for its luminance.
    """
    luminance, chroma = _coordinates(image.clip(0, 1), space)[..., :1], _coordinates(colors, space)[..., 1:]
    return _pixels(SPACES[space].to_srgb(np.concatenate([luminance, chroma], axis=-1)))


def _gray(luminance: Plane, space: str) -> Pixels:
    nothing = np.zeros_like(luminance)
    return _pixels(SPACES[space].to_srgb(np.stack([luminance.clip(0, 1), nothing, nothing], axis=-1)))


def _coordinates(pixels: AnyPixels, space: str) -> Coordinates:
    return SPACES[space].of_srgb(pixels.astype(np.float64))


def _pixels(values: Values) -> Pixels:
    return values.clip(0, 1).astype(np.float32)


# The colors of another picture, as statistics


def matched(style: Pixels, content: AnyPixels, map_name: str) -> Pixels:
    """A style with the mean color and the covariance of a content, by a linear map of its colors: one of `MAPS`.

    Source: Gatys et al. (2016), color matching before the transfer. Each map A has A Cov_S A^T = Cov_C.
    """
    (mean, covariance), (new_mean, new_covariance) = _statistics(style), _statistics(content)
    linear = MAPS[map_name](covariance, new_covariance)
    return _pixels((style - mean) @ linear.T + new_mean)


def histogram_matched(style: Pixels, content: AnyPixels) -> Pixels:
    """A style whose channels have, one by one, the values of a content's at the same quantiles.

    Equal values stay equal, and stand in the middle of their ranks; so a style of one color gets the content's medians.
    """
    channels = zip(np.moveaxis(style, -1, 0), np.moveaxis(content, -1, 0), strict=True)
    return _pixels(np.stack([_at_quantiles(mine, theirs) for mine, theirs in channels], axis=-1))


def cholesky(covariance: Matrix, wanted: Matrix) -> Matrix:
    """L_C L_S^-1, of the triangular roots. Source: Gatys et al. (2016); the notebook's "chol"."""
    return np.linalg.cholesky(wanted) @ np.linalg.inv(np.linalg.cholesky(covariance))


def pca(covariance: Matrix, wanted: Matrix) -> Matrix:
    """Cov_C^1/2 Cov_S^-1/2, of the symmetric roots. Source: Gatys et al. (2016); the notebook's own choice."""
    return _root(wanted) @ np.linalg.inv(_root(covariance))


def monge_kantorovich(covariance: Matrix, wanted: Matrix) -> Matrix:
    """The map that moves colors the least: Cov_S^-1/2 (Cov_S^1/2 Cov_C Cov_S^1/2)^1/2 Cov_S^-1/2.

    Source: Pitié & Kokaram, "The linear Monge-Kantorovitch linear colour mapping for example-based colour transfer"
    (2007); the notebook's "sym". Symmetric and positive definite: no color turns into its opposite.
    """
    root = _root(covariance)
    back = np.linalg.inv(root)
    return back @ _root(root @ wanted @ root) @ back


def _statistics(pixels: AnyPixels) -> tuple[Float64[np.ndarray, "3"], Matrix]:
    mean = pixels.mean((0, 1), dtype=np.float64)
    centered = (pixels - mean).reshape(-1, 3)
    covariance = np.einsum("ni,nj->ij", centered, centered) / len(centered)  # in one order, unlike BLAS
    return mean, covariance + EPSILON * np.eye(3)


def _root(matrix: Matrix) -> Matrix:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(values)) @ vectors.T


def _at_quantiles(channel: Plane, other: Float[np.ndarray, "_ _"]) -> Plane:
    (_, places, quantiles), (values, _, known) = _quantiles(channel), _quantiles(other)
    return np.interp(quantiles, known, values)[places].reshape(channel.shape)


def _quantiles(channel: Plane) -> tuple[Float[np.ndarray, "n"], Int[np.ndarray, "..."], Float[np.ndarray, "n"]]:
    """The values that occur, where each pixel's is among them, and the quantile of each."""
    values, places, counts = np.unique(channel, return_inverse=True, return_counts=True)
    return values, places, (np.cumsum(counts) - counts / 2) / channel.size


MAPS: Mapping[str, Callable[[Matrix, Matrix], Matrix]] = {
    "pca": pca,
    "cholesky": cholesky,
    "monge_kantorovich": monge_kantorovich,
}

# The spaces' own numbers: matrices by rows, as published


def _linear(matrix: Matrix) -> Space:
    """A space whose coordinates are sums of sRGB's encoded values."""
    return Space(lambda pixels: pixels @ matrix.T, lambda coordinates: coordinates @ np.linalg.inv(matrix).T)


def _of_light(cones: Matrix, root: Callable[[Values], Values], cube: Callable[[Values], Values], axes: Matrix) -> Space:
    """A space as the eye has it: light on three kinds of cones, a root of each, and the `axes` of these three."""

    def of_srgb(pixels: Coordinates) -> Coordinates:
        return root(to_light(pixels) @ cones.T) @ axes.T

    def to_srgb(coordinates: Coordinates) -> Coordinates:
        light = cube(coordinates @ np.linalg.inv(axes).T) @ np.linalg.inv(cones).T
        return from_light(light.clip(0, 1))

    return Space(of_srgb, to_srgb)


def _lab_root(values: Values) -> Values:
    """CIELAB's cube root, straight near black, less its value there."""
    return np.where(values > _KNEE**3, np.cbrt(values) - _BLACK, values / (3 * _KNEE**2))


def _lab_cube(roots: Values) -> Values:
    return np.where(roots > _KNEE - _BLACK, (roots + _BLACK) ** 3, 3 * _KNEE**2 * roots)


_KNEE, _BLACK = 6 / 29, 4 / 29

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601; YUV, YIQ and YCbCr differ in how they write the same chroma
_YUV = np.stack([_LUMA, 0.492 * ([0, 0, 1] - _LUMA), 0.877 * ([1, 0, 0] - _LUMA)])

# IEC 61966-2-1, over its own white: so grays are exactly gray. CIE 15: L*, a* and b* over 100.
_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
_LAB = np.array([[0, 1.16, 0], [5, -5, 0], [0, 2, -2]])

# Björn Ottosson, "A perceptual color space for image processing" (2020)
_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)

SPACES: Mapping[str, Space] = {
    "yuv": _linear(_YUV),
    "lab": _of_light(_XYZ / _XYZ.sum(1, keepdims=True), _lab_root, _lab_cube, _LAB),
    "oklab": _of_light(_LMS, np.cbrt, lambda roots: roots**3, _OKLAB),
}
