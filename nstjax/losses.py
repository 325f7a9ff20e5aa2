"""Statistics of feature maps, and the losses that compare them.

F is a feature map of M = h * w positions and C channels, G its Gram matrix. A style statistic is a sum over positions
together with their count, so that statistics of parts of a picture add up to the statistics of the whole.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from nstjax.types import FeatureMap, Scalar


class Gram(NamedTuple):
    """Sums of products of every two channels, and the number of positions that were summed."""

    products: Float[Array, "c c"]
    positions: Scalar


def gram_matrix(feature_map: FeatureMap) -> Gram:
    """G = F^T F, not normalised, at full float32 precision. Source: Gatys et al. (2016), equation 3."""
    height, width, channels = feature_map.shape
    return Gram(_products(feature_map.reshape(-1, channels)), jnp.float32(height * width))


@jax.custom_vjp
def _products(f: Float[Array, "m c"]) -> Float[Array, "c c"]:
    return lax.dot_general(f, f, (((0,), (0,)), ((), ())), precision="highest")


def _products_forward(f: Array) -> tuple[Array, Array]:
    return _products(f), f


def _products_backward(f: Array, gradient: Float[Array, "c c"]) -> tuple[Float[Array, "m c"]]:
    return (jnp.matmul(f, gradient + gradient.T, precision="highest"),)


_products.defvjp(_products_forward, _products_backward)


def blend(grams: Sequence[Gram], weights: Sequence[float]) -> Gram:
    """One target from several styles: the weighted mean of their Grams per position; the weights are made to sum to 1.

    Source: jcjohnson/neural-style, `-style_blend_weights`.
    """
    shares = [weight / sum(weights) for weight in weights]
    positions = sum(share * gram.positions for share, gram in zip(shares, grams, strict=True))
    means = [share * gram.products / gram.positions for share, gram in zip(shares, grams, strict=True)]
    return Gram(positions * reduce(jnp.add, means), jnp.asarray(positions, jnp.float32))


GRAM_NORMALIZATIONS: Mapping[str, Callable[[Gram], Float[Array, "c c"]]] = {
    "none": lambda gram: gram.products,
    "per_position": lambda gram: gram.products / gram.positions,  # 1 / M: Gatys' code
    "per_element": lambda gram: gram.products / (gram.positions * len(gram.products)),  # 1 / (C M): neural-style
}

REDUCTIONS: Mapping[str, Callable[[Float[Array, "..."]], Scalar]] = {
    "mean": lambda difference: jnp.mean(difference**2),
    "sum": lambda difference: jnp.sum(difference**2),
    "half_sum": lambda difference: jnp.sum(difference**2) / 2,  # Gatys et al. (2016), equation 1
    "quarter_mean": lambda difference: jnp.mean(difference**2) / 4,  # with 1 / M: equation 4, 1 / (4 C^2 M^2) sum
}


def squared_error(value: Float[Array, "..."], target: Float[Array, "..."], *, reduction: str) -> Scalar:
    """The squared difference of two arrays of one shape, reduced as named in `REDUCTIONS`."""
    return REDUCTIONS[reduction](value - target)


def gram_loss(gram: Gram, target: Gram, *, normalization: str, reduction: str) -> Scalar:
    """The squared difference of two normalised Gram matrices. Source: Gatys et al. (2016), equation 4."""
    normalize = GRAM_NORMALIZATIONS[normalization]
    return squared_error(normalize(gram), normalize(target), reduction=reduction)


def _forward_differences(x: FeatureMap) -> tuple[Float[Array, "h-1 w c"], Float[Array, "h w-1 c"]]:
    return x[1:] - x[:-1], x[:, 1:] - x[:, :-1]


def half_sum_of_squares(x: FeatureMap) -> Scalar:
    """(1/2) sum (dx^2 + dy^2), without the last row and column. Source: Johnson et al. (2016); neural-style."""
    down, right = _forward_differences(x)
    return (jnp.sum(down[:, :-1] ** 2) + jnp.sum(right[:-1] ** 2)) / 2


def mean_of_squares(x: FeatureMap) -> Scalar:
    """Mean of dx^2 + dy^2, without the last row and column. Source: pystiche; style-transfer-pytorch before 2021."""
    down, right = _forward_differences(x)
    return jnp.mean(down[:, :-1] ** 2 + right[:-1] ** 2)


def sum_of_magnitudes(x: FeatureMap) -> Scalar:
    """sum |dx| + sum |dy|. Source: neural-style-pt."""
    down, right = _forward_differences(x)
    return jnp.sum(jnp.abs(down)) + jnp.sum(jnp.abs(right))


def mean_of_magnitudes(x: FeatureMap) -> Scalar:
    """(mean |dx| + mean |dy|) / 2. Source: pastiche 1.6.0."""
    down, right = _forward_differences(x)
    return (jnp.mean(jnp.abs(down)) + jnp.mean(jnp.abs(right))) / 2


TOTAL_VARIATIONS: Mapping[str, Callable[[FeatureMap], Scalar]] = {
    "half_sum_of_squares": half_sum_of_squares,
    "mean_of_squares": mean_of_squares,
    "sum_of_magnitudes": sum_of_magnitudes,
    "mean_of_magnitudes": mean_of_magnitudes,
}
