"""Statistics of feature maps: what style is, blind to where things are; and the distances between them.

F is a feature map of M = h * w positions and C channels. A summary is what is kept of it: sums over positions together
with their count, or all positions, so that summaries of several pictures blend into one. A distance compares the
summary of the image with its target. To add a statistic, write its distance and give it a line in `STATISTICS`.

Positions may have a guide: a number each, by which their features are multiplied, so that a summary weighs a position
by the guide's square. Source: Gatys et al. (2017), equation 6.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from nstjax.statistics.channels import Channels, channels, mean_variance_distance, mix_channels
from nstjax.statistics.moments import (
    GRAM_NORMALIZATIONS,
    Moments,
    blend_moments,
    covariance_distance,
    gram_distance,
    mix_moments,
    moments,
)
from nstjax.statistics.wasserstein import Gaussian, gaussian, mix, wasserstein_distance, wasserstein_target
from nstjax.types import Scalar

__all__ = [
    "GRAM_NORMALIZATIONS", "STATISTICS", "Channels", "Gaussian", "Moments", "Statistic", "blend_moments", "channels",
    "covariance_distance", "gaussian", "gram_distance", "mean_variance_distance", "mix", "mix_channels", "mix_moments",
    "moments", "wasserstein_distance", "wasserstein_target",
]  # fmt: skip


def as_it_is(target: Any, **options: Any) -> Any:
    """What most statistics prepare of a target."""
    return target


class Statistic(NamedTuple):
    """How a feature map is summarised, how summaries are blended, and how two of them are compared.

    Attributes:
        summarize: of a feature map and a guide (or None), a pytree.
        blend: of several styles' summaries and their shares, one summary.
        distance: of the image's summary and the prepared target; zero where the image is the target's picture.
        options: the settings that `distance` and `prepare` take, by name: fields of `StyleTermsConfig`.
        prepare: of the blend, what `distance` shall not compute of it again at every evaluation.
        random: whether `distance` also takes a `key`, which is another one at every evaluation.
    """

    summarize: Callable[..., Any]
    blend: Callable[..., Any]
    distance: Callable[..., Scalar]
    options: tuple[str, ...]
    prepare: Callable[..., Any] = as_it_is
    random: bool = False


STATISTICS: Mapping[str, Statistic] = {
    "gram": Statistic(moments, blend_moments, gram_distance, ("normalization", "reduction")),
    "covariance": Statistic(moments, mix_moments, covariance_distance, ("reduction",)),
    "mean_variance": Statistic(channels, mix_channels, mean_variance_distance, ("reduction",)),
    "wasserstein": Statistic(gaussian, mix, wasserstein_distance, ("epsilon",), wasserstein_target),
}
