"""From a configuration to terms and their weights."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from nstjax.config import ObjectiveConfig, StyleConfig
from nstjax.layers import CHANNELS
from nstjax.objective.terms import ContentTerm, LaplacianTerm, StyleTerm, Term, TotalVariationTerm
from nstjax.statistics import STATISTICS

LAYER_SCALINGS = {
    "equal": lambda layer: 1.0,
    "inverse_square": lambda layer: CHANNELS[layer] ** -2,  # 1 / C^2: Gatys' code, w_l = 1e3 / C_l^2
}


class Group(NamedTuple):
    """Styles that have one target together: their numbers, shares in it, and its weight beside other groups."""

    styles: tuple[int, ...]
    shares: tuple[float, ...]
    weight: float = 1.0


def terms_and_weights(config: ObjectiveConfig, style: StyleConfig) -> Iterator[tuple[Term, float]]:
    """Each term that a configuration names, with its weight: alpha, beta and the like times its layer's own."""
    content, laplacian, tv = config.content, config.laplacian, config.tv
    for layer, weight in content.weighted_layers():
        yield ContentTerm(layer, content.reduction), config.content_weight * weight
    for pool in laplacian.pools:
        yield LaplacianTerm(pool, laplacian.pixel_range), config.laplacian_weight
    for term, weight in _style_terms(config, style):
        yield term, config.style_weight * weight
    yield TotalVariationTerm(tv.form, tv.pixel_range), config.tv_weight


def _style_terms(config: ObjectiveConfig, style: StyleConfig) -> Iterator[tuple[StyleTerm, float]]:
    compared, groups = config.style, style_groups(style)
    named = Counter(compared.layers)
    scaling = LAYER_SCALINGS[compared.layer_scaling]
    for number, group in enumerate(groups):
        for (layer, weight), statistic in zip(compared.weighted_layers(), compared.statistics(), strict=True):
            name = f"style/{layer}" + (f"/{statistic}" if named[layer] > 1 else "")
            name += f"/{number}" if len(groups) > 1 else ""
            options = tuple((option, getattr(compared, option)) for option in STATISTICS[statistic].options)
            yield (
                StyleTerm(name, layer, statistic, options, group.styles, group.shares),
                group.weight * weight * scaling(layer),
            )


def style_groups(style: StyleConfig) -> tuple[Group, ...]:
    """One for all styles, whose statistics are blended; or one for each, whose losses are summed."""
    count = 1 + len(style.blend)
    shares = style.shares or (1.0,) * count
    if style.normalize_shares:
        shares = tuple(share / sum(shares) for share in shares)
    if style.combine == "statistics":
        return (Group(tuple(range(count)), shares),)
    return tuple(Group((number,), (1.0,), share) for number, share in enumerate(shares))
