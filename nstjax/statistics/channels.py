"""Mean and variance of each channel alone: a tiny part of the work of all products."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from nstjax.losses import squared_error
from nstjax.statistics.moments import mean_over_positions, proportions
from nstjax.types import FeatureMap, Guide, Scalar


class Channels(NamedTuple):
    """Over positions, each counted by the square of its guide; of parts of a picture, `mix_channels` makes the whole.

    Variances are about the mean: as a difference of sums, a channel that hardly varies would keep no digit of its own.
    """

    mean: Float[Array, "c"]
    variance: Float[Array, "c"]


def channels(feature_map: FeatureMap, guide: Guide | None = None) -> Channels:
    f = feature_map.reshape(-1, feature_map.shape[2])
    mean = mean_over_positions(f, guide)
    return Channels(mean, mean_over_positions((f - mean[None, :]) ** 2, guide))


def mix_channels(summaries: Sequence[Channels], shares: Sequence[float]) -> Channels:
    """Of a mixture: variance within each picture, and of the pictures' means. Shares are made to sum to 1."""
    parts = jnp.asarray(proportions(shares))[:, None]
    means, variances = (jnp.stack(each) for each in zip(*summaries, strict=True))
    mean = (parts * means).sum(0)
    return Channels(mean, (parts * (variances + (means - mean[None, :]) ** 2)).sum(0))


_LEAST_VARIANCE = 1e-5  # keeps the slope of the root finite where a channel is constant; as AdaIN's code has it


def mean_variance_distance(value: Channels, target: Channels, *, reduction: str) -> Scalar:
    """Squared differences of means and of standard deviations, channel by channel.

    Source: Li et al. (2017), "Demystifying neural style transfer", batch-norm statistics: `reduction="mean"`;
    Huang & Belongie (2017), equation 13.
    Differs from Huang & Belongie: squared norms, not norms; variance is 1 / M, not 1 / (M - 1) as in their code.
    """
    deviations = (jnp.sqrt(each.variance + _LEAST_VARIANCE) for each in (value, target))
    of_means = squared_error(value.mean, target.mean, reduction=reduction)
    return of_means + squared_error(*deviations, reduction=reduction)
