"""First and second moments of features over positions, and the distances that need no more than these."""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from nstjax.losses import squared_error
from nstjax.types import FeatureMap, Guide, Scalar


class Moments(NamedTuple):
    """Sums over positions, each counted by the square of its guide: moments of parts of a picture add up."""

    products: Float[Array, "c c"]  # of every two channels: F^T F, the Gram matrix
    sums: Float[Array, "c"]
    positions: Scalar  # how many were summed


def moments(feature_map: FeatureMap, guide: Guide | None = None) -> Moments:
    """At full float32 precision. Source: Gatys et al. (2016), equation 3; with a guide (2017), equation 6."""
    height, width, channels = feature_map.shape
    f = feature_map.reshape(-1, channels)
    if guide is None:
        return Moments(_products(f), f.sum(0), jnp.float32(height * width))
    g = guide.reshape(-1, 1)
    return Moments(_products(g * f), (g**2 * f).sum(0), (g**2).sum())


def mean_over_positions(x: Float[Array, "m c"], guide: Guide | None = None) -> Float[Array, "c"]:
    """The mean of rows; zero where the guide leaves nothing."""
    if guide is None:
        return x.mean(0)
    weights = jnp.square(guide.reshape(-1, 1))
    return (weights / jnp.maximum(weights.sum(), jnp.finfo(jnp.float32).tiny) * x).sum(0)


@jax.custom_vjp
def _products(f: Float[Array, "m c"]) -> Float[Array, "c c"]:
    return lax.dot_general(f, f, (((0,), (0,)), ((), ())), precision="highest")


def _products_forward(f: Array) -> tuple[Array, Array]:
    return _products(f), f


def _products_backward(f: Array, gradient: Float[Array, "c c"]) -> tuple[Float[Array, "m c"]]:
    return (jnp.matmul(f, gradient + gradient.T, precision="highest"),)


_products.defvjp(_products_forward, _products_backward)


def blend_moments(summaries: Sequence[Moments], shares: Sequence[float]) -> Moments:
    """The mean of several styles' moments per position, weighted by shares, as if of one picture.

    Shares that sum to 1 make a mixture of the styles. Source: jcjohnson/neural-style, `-style_blend_weights`.
    """
    return _blended(tuple(summaries), jnp.asarray(shares, jnp.float32))


@jax.jit  # by themselves, its operations would be compiled for every layer
def _blended(summaries: tuple[Moments, ...], shares: Float[Array, "n"]) -> Moments:
    positions = reduce(jnp.add, [share * each.positions for share, each in zip(shares, summaries, strict=True)])

    def mixed(*sums: Array) -> Array:
        means = [share * each / one.positions for share, each, one in zip(shares, sums, summaries, strict=True)]
        return positions * reduce(jnp.add, means)

    products, sums = (mixed(*(each[k] for each in summaries)) for k in (0, 1))
    return Moments(products, sums, positions)


def mix_moments(summaries: Sequence[Moments], shares: Sequence[float]) -> Moments:
    """A mixture, whatever the shares sum to: several times a mean and a second moment have no variance."""
    return blend_moments(summaries, proportions(shares))


def proportions(shares: Sequence[float]) -> list[float]:
    """Shares made to sum to 1."""
    return [share / sum(shares) for share in shares]


GRAM_NORMALIZATIONS: Mapping[str, Callable[[Moments], Float[Array, "c c"]]] = {
    "none": lambda each: each.products,
    "per_position": lambda each: each.products / each.positions,  # 1 / M: Gatys' code
    "per_element": lambda each: each.products / (each.positions * len(each.products)),  # 1 / (C M): neural-style
}


def gram_distance(value: Moments, target: Moments, *, normalization: str, reduction: str) -> Scalar:
    """The squared difference of two normalised Gram matrices. Source: Gatys et al. (2016), equation 4."""
    normalize = GRAM_NORMALIZATIONS[normalization]
    return squared_error(normalize(value), normalize(target), reduction=reduction)


def covariance(each: Moments) -> Float[Array, "c c"]:
    """Of features over positions: the Gram matrix about the mean, 1 / M."""
    mean = each.sums / each.positions
    return each.products / each.positions - mean[:, None] * mean[None, :]


def covariance_distance(value: Moments, target: Moments, *, reduction: str) -> Scalar:
    """The squared difference of two covariances, blind to means. Source: Li et al. (2017), "Universal style transfer".

    Differs from Li et al.: matched by optimisation, as a Gram matrix is, not by whitening and coloring.
    """
    return squared_error(covariance(value), covariance(target), reduction=reduction)
