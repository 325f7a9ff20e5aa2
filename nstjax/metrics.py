"""What a finished picture is measured by, whatever it was optimised for: so that runs of other losses can be compared.

Pictures are NumPy float32, `h w 3`, sRGB in [0, 1]. Features are those of VGG19 at `PROBES`, with max pooling: layers
between those that the presets compare, so that what is measured is not what was minimized. `docs/metrics.md` has each
definition. All are 0 for a picture compared with itself, but SSIM, which is 1.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Float64

from nstjax import color
from nstjax.convolution import COMPILER
from nstjax.features import extractor
from nstjax.layers import CHANNELS
from nstjax.types import Image, Network

PROBES = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
SMALLEST = 11  # pixels a side: SSIM's window; the deepest probe needs 8
DIRECTIONS, LEVELS = 32, 256  # of the sliced distance: as many directions, and as many quantiles along each

Picture = Float32[np.ndarray, "h w 3"]
AnyPicture = Float32[np.ndarray, "_ _ 3"]
Features = Float32[np.ndarray, "h w c"]


class Style(NamedTuple):
    """What a layer says of style: F^T F / M, each channel's mean and deviation, quantiles along fixed directions."""

    gram: Float32[np.ndarray, "c c"]
    moments: Float32[np.ndarray, "2 c"]
    quantiles: Float32[np.ndarray, "d q"]


def measured(
    network: Network, result: Picture, content: Picture, styles: Sequence[AnyPicture], shares: Sequence[float]
) -> dict[str, float]:
    """All metrics of a result, by name, to the content picture of its size, and to style pictures of any size.

    Several styles' distances are averaged by their shares. There are none where a picture is not `SMALLEST` a side, or
    the result has a pixel that isn't a number.
    """
    if min(side for picture in (result, *styles) for side in picture.shape[:2]) < SMALLEST:
        return {}
    if not np.isfinite(result).all():
        return {}
    of_result, of_content = _features(network, result), _features(network, content)
    ours = {layer: _style(of_result[layer]) for layer in PROBES}
    parts = [_style_distances(ours, _styles(network, picture)) for picture in styles]
    averaged = {
        name: sum(share * part[name] for share, part in zip(shares, parts, strict=True)) / max(sum(shares), 1e-30)
        for name in parts[0]
    }
    content_distance, perceptual = _content_distances(of_result, of_content)
    return {
        "content_distance": content_distance,
        "perceptual": perceptual,
        "ssim": ssim(result, content),
        "color_shift": color_shift(result, content),
        **averaged,
    }


def ssim(picture: Picture, other: Picture) -> float:
    """Structural similarity of two pictures' luma, in [-1, 1], the mean of all windows that fit.

    Source: Wang, Bovik, Sheikh & Simoncelli, "Image quality assessment: from error visibility to structural similarity"
    (2004), equation 13: Gaussian windows of 11 x 11, sigma 1.5, K1 = 0.01, K2 = 0.03.
    """
    x, y = (each.astype(np.float64) @ _LUMA for each in (picture, other))
    mean_x, mean_y = _blurred(x), _blurred(y)
    var_x, var_y = _blurred(x * x) - mean_x**2, _blurred(y * y) - mean_y**2
    covariance = _blurred(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    numerator = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return float(np.mean(numerator / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))))


def color_shift(picture: AnyPicture, other: AnyPicture) -> float:
    """The distance of two pictures' colors, wherever these are: of Gaussians of their means and covariances in CIELAB.

    In units of Delta E (CIE 1976): 2 is just seen. sqrt(|m1 - m2|^2 + tr(S1 + S2 - 2 (S1^(1/2) S2 S1^(1/2))^(1/2))).
    Source: Dowson & Landau, "The Fréchet distance between multivariate normal distributions" (1982).
    """
    (mean, covariance), (other_mean, other_covariance) = (_lab_statistics(each) for each in (picture, other))
    root = _root(covariance)
    spread = np.trace(covariance + other_covariance - 2 * _root(root @ other_covariance @ root))
    return float(np.sqrt(np.sum((mean - other_mean) ** 2) + max(float(spread), 0.0)))


@partial(jax.jit, static_argnames="layers", compiler_options=COMPILER)
def _extracted(network: Network, picture: Image, layers: tuple[str, ...] = PROBES) -> dict[str, Array]:
    return extractor()(network, picture, layers)


def _features(network: Network, picture: AnyPicture) -> dict[str, Features]:
    """The only program of this room: what is done with features once takes longer to compile than NumPy to do."""
    return {layer: np.asarray(found) for layer, found in _extracted(network, jnp.asarray(picture)).items()}


def _styles(network: Network, picture: AnyPicture) -> dict[str, Style]:
    return {layer: _style(features) for layer, features in _features(network, picture).items()}


def _style(features: Features) -> Style:
    f = features.reshape(-1, features.shape[2])
    moments = np.stack([f.mean(0, dtype=np.float64), f.std(0, dtype=np.float64)])  # a sum of 250,000 numbers
    return Style(f.T @ f / len(f), moments.astype(np.float32), _quantiles(f @ _directions(f.shape[1])))


def _directions(channels: int) -> Float32[np.ndarray, "c d"]:
    """Of unit length, the same for every picture."""
    drawn = _drawn()[:channels]
    return drawn / np.linalg.norm(drawn, axis=0, keepdims=True)


@lru_cache
def _drawn() -> Float32[np.ndarray, "c d"]:
    """Normal numbers for the widest layer; the first rows are those of a draw for fewer channels.

    Drawn once: of all that is compiled here, this takes longest.
    """
    widest = max(CHANNELS[layer] for layer in PROBES)
    return np.asarray(jax.random.normal(jax.random.key(0), (widest, DIRECTIONS)))


def _quantiles(along: Float32[np.ndarray, "m d"]) -> Float32[np.ndarray, "d q"]:
    values = np.sort(along.T, axis=1)
    places = (np.arange(LEVELS) + 0.5) / LEVELS * (values.shape[1] - 1)
    whole = np.arange(values.shape[1])
    return np.stack([np.interp(places, whole, row) for row in values]).astype(np.float32)


def _style_distances(ours: Mapping[str, Style], theirs: Mapping[str, Style]) -> dict[str, float]:
    pairs = [zip(ours[layer], theirs[layer], strict=True) for layer in PROBES]
    distances = np.array([[_relative(value, target) for value, target in pair] for pair in pairs])
    return dict(zip(("style_gram", "style_moments", "style_sliced"), map(float, distances.mean(0)), strict=True))


def _content_distances(result: Mapping[str, Features], content: Mapping[str, Features]) -> tuple[float, float]:
    """The mean of all layers' relative distances, and the sum of their perceptual ones."""
    pairs = [(result[layer], content[layer]) for layer in PROBES]
    relative, perceptual = ([distance(*pair) for pair in pairs] for distance in (_relative, _perceptual))
    return float(np.mean(relative)), float(np.sum(perceptual))


def _relative(value: Float32[np.ndarray, "*s"], target: Float32[np.ndarray, "*s"]) -> float:
    """|value - target|^2 / |target|^2."""
    return float(np.square(value - target).sum() / max(np.square(target).sum(), 1e-10))


def _perceptual(value: Features, target: Features) -> float:
    """Mean over positions of the squared distance of features of unit length. Zhang et al. (2018), equation 1."""
    a, b = (f / (np.sqrt(np.einsum("hwc,hwc->hw", f, f)) + 1e-10)[..., None] for f in (value, target))
    return float(np.square(a - b).sum(2).mean())


_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
_WINDOW = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
_WINDOW /= _WINDOW.sum()


def _blurred(plane: Float64[np.ndarray, "_ _"]) -> Float64[np.ndarray, "_ _"]:
    for axis in (0, 1):
        plane = np.lib.stride_tricks.sliding_window_view(plane, len(_WINDOW), axis) @ _WINDOW
    return plane


def _lab_statistics(picture: AnyPicture) -> tuple[Float64[np.ndarray, "3"], Float64[np.ndarray, "3 3"]]:
    lab = 100 * color.SPACES["lab"].of_srgb(picture.astype(np.float64)).reshape(-1, 3)
    mean = lab.mean(0)
    return mean, (lab - mean).T @ (lab - mean) / len(lab)


def _root(matrix: Float64[np.ndarray, "3 3"]) -> Float64[np.ndarray, "3 3"]:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(values.clip(0))) @ vectors.T
