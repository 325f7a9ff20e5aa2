"""Optimal transport of features along directions: sorted, the k-th value belongs where the target's k-th is.

Along one direction positions are only numbers, and the cheapest way to turn some numbers into others keeps their order.
Values are compared at equal levels, shares of all weight from 0 to 1, between which the target is interpolated: so
pictures may differ in size, and positions in weight. Of one size and without guides this is sorted values' difference.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from nstjax.statistics.moments import proportions
from nstjax.types import FeatureMap, Guide, Scalar


class Positions(NamedTuple):
    """All features, and how much each position counts: shares of 1, or zeros where a guide leaves nothing at all."""

    features: Float[Array, "m c"]
    weights: Float[Array, "m"] | None  # None: all the same


class Quantiles(NamedTuple):
    """Values along each direction in ascending order, each at the middle of its share of all weight."""

    values: Float[Array, "d n"]
    levels: Float[Array, "d n"] | None  # None: of n equal shares


def positions(feature_map: FeatureMap, guide: Guide | None = None) -> Positions:
    """Each position counts by the square of its guide."""
    f = feature_map.reshape(-1, feature_map.shape[2])
    if guide is None:
        return Positions(f, None)
    weights = jnp.square(guide.reshape(-1))
    return Positions(f, weights / jnp.maximum(weights.sum(), jnp.finfo(jnp.float32).tiny))


def join(summaries: Sequence[Positions], shares: Sequence[float]) -> Positions:
    """All pictures' positions, each picture counted by its share whatever its size. Shares are made to sum to 1."""
    if len(summaries) == 1:
        return summaries[0]
    parts = zip(proportions(shares), summaries, strict=True)
    weights = [part * (_equal(len(each.features)) if each.weights is None else each.weights) for part, each in parts]
    return Positions(jnp.concatenate([each.features for each in summaries]), jnp.concatenate(weights))


def _equal(count: int) -> Float[Array, "m"]:
    return jnp.full(count, 1 / count)


def histogram_target(target: Positions) -> Quantiles:
    """Of each channel, sorted once."""
    return _quantiles(target.features.T, target.weights)


def histogram_distance(value: Positions, target: Quantiles) -> Scalar:
    """How far features are from a picture that has the target's histogram in each channel, mean squared.

    Source: Risser et al. (2017), "Stable and controllable neural texture synthesis", equation 6.
    Differs from Risser et al.: exact quantiles instead of histograms of 256 bins.
    """
    return _transport(value.features.T, value.weights, target)


def sliced_wasserstein_distance(value: Positions, target: Positions, *, key: PRNGKeyArray, directions: int) -> Scalar:
    """The same along unit vectors that are drawn anew from each `key`; `directions`: how many, 0: one a channel.

    Source: Heitz et al. (2021), "A sliced Wasserstein loss for neural texture synthesis", equation 7.
    Differs from Heitz et al.: pictures of different sizes are compared by interpolating, not by repeating pixels.
    """
    channels = value.features.shape[1]
    drawn = jax.random.normal(key, (directions or channels, channels))
    drawn = drawn / jnp.linalg.norm(drawn, axis=1, keepdims=True)
    of_value, of_target = (jnp.matmul(drawn, each.features.T, precision="highest") for each in (value, target))
    return _transport(of_value, value.weights, _quantiles(of_target, target.weights))


def _transport(values: Float[Array, "d m"], weights: Float[Array, "m"] | None, target: Quantiles) -> Scalar:
    """Where each value belongs is a constant to the gradient."""
    order = _ascending(values)
    belongs = _at_levels(target, _levels(order, weights), values.shape)
    belongs = jnp.put_along_axis(jnp.zeros_like(values), order, belongs, axis=1, inplace=False)
    weights = _equal(values.shape[1]) if weights is None else weights
    return jnp.mean(jnp.sum(weights[None, :] * (values - belongs) ** 2, 1))


def _quantiles(values: Float[Array, "d m"], weights: Float[Array, "m"] | None) -> Quantiles:
    """What weighs nothing comes last, as the largest value of what counts: it is between no two others."""
    if weights is None:
        order = _ascending(values)
        return Quantiles(jnp.take_along_axis(values, order, 1), _levels(order, weights))
    counts = weights[None, :] > 0
    order = _ascending(jnp.where(counts, values, jnp.inf))
    largest = jnp.max(values, 1, keepdims=True, where=counts, initial=-jnp.inf)
    values = jnp.where(counts, values, jnp.where(jnp.isfinite(largest), largest, 0))
    return Quantiles(jnp.take_along_axis(values, order, 1), _levels(order, weights))


def _levels(order: Int[Array, "d m"], weights: Float[Array, "m"] | None) -> Float[Array, "d m"] | None:
    if weights is None:
        return None
    in_order = weights[order]
    return jnp.cumsum(in_order, 1) - in_order / 2


def _at_levels(of: Quantiles, levels: Float[Array, "d m"] | None, shape: tuple[int, ...]) -> Float[Array, "d m"]:
    if levels is None and of.levels is None and of.values.shape == shape:
        return of.values
    at = _middles(shape[1]) if levels is None else levels
    known = _middles(of.values.shape[1]) if of.levels is None else of.levels
    axes = (None if levels is None else 0, None if of.levels is None else 0, 0)
    interpolated: Array = jax.vmap(jnp.interp, in_axes=axes)(at, known, of.values)
    return interpolated


def _middles(count: int) -> Float[Array, "n"]:
    return (jnp.arange(count) + 0.5) / count


def _ascending(values: Float[Array, "d m"]) -> Int[Array, "d m"]:
    """The places of each row's values from the least to the largest.

    One 64-bit key holds the bits of a value, made to compare as whole numbers do, and its place: on CPUs, XLA sorts
    whole numbers 5 times as fast as it sorts floats with their places beside them.
    """
    bits = lax.bitcast_convert_type(lax.stop_gradient(values), jnp.int32)
    comparable = jnp.where(bits < 0, bits ^ jnp.int32(0x7FFFFFFF), bits)
    with jax.enable_x64(True):
        keys = (comparable.astype(jnp.int64) << 32) | lax.broadcasted_iota(jnp.int64, values.shape, 1)
        places = lax.sort(keys, dimension=1, is_stable=False) & 0xFFFFFFFF
        return places.astype(jnp.int32)
