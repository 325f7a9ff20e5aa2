"""Statistics of feature maps: what style is, blind to where things are; and the distances between them.

F is a feature map of M = h * w positions and C channels. A summary is what is kept of it: sums over positions together
with their count, or all positions, so that summaries of several pictures blend into one. A distance compares the
summary of the image with its target. To add a statistic, write its distance and give it a line in `STATISTICS`.

Positions may have a guide: a number each, by which their features are multiplied, so that a summary weighs a position
by the guide's square. Source: Gatys et al. (2017), equation 6.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from nstjax.statistics.moments import GRAM_NORMALIZATIONS, Moments, blend_moments, gram_distance, moments
from nstjax.types import Scalar

__all__ = ["GRAM_NORMALIZATIONS", "STATISTICS", "Moments", "Statistic", "blend_moments", "gram_distance", "moments"]


class Statistic(NamedTuple):
    """How a feature map is summarised, how summaries are blended, and how two of them are compared.

    Attributes:
        summarize: of a feature map and a guide (or None), a pytree.
        blend: of several styles' summaries and their shares, one summary.
        distance: of the image's summary and the target's; zero where the two are the same.
        options: the settings that `distance` takes, by name: fields of `StyleTermsConfig`.
        random: whether `distance` also takes a `key`, which is another one at every evaluation.
    """

    summarize: Callable[..., Any]
    blend: Callable[..., Any]
    distance: Callable[..., Scalar]
    options: tuple[str, ...]
    random: bool = False


STATISTICS: Mapping[str, Statistic] = {
    "gram": Statistic(moments, blend_moments, gram_distance, ("normalization", "reduction")),
}
