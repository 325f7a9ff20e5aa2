"""From a configuration to terms and their weights."""

from collections import Counter
from collections.abc import Iterator

from nstjax.config import ObjectiveConfig, StyleConfig, each
from nstjax.layers import CHANNELS
from nstjax.objective.terms import ContentTerm, LaplacianTerm, StyleTerm, Term, TotalVariationTerm
from nstjax.statistics import STATISTICS

LAYER_SCALINGS = {
    "equal": lambda layer: 1.0,
    "inverse_square": lambda layer: CHANNELS[layer] ** -2,  # 1 / C^2: Gatys' code, w_l = 1e3 / C_l^2
}


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
    """Of each group a term at each layer that any of its styles is compared at; it weighs the sum of their shares."""
    compared, groups, shares = config.style, style_groups(style), style_shares(style)
    named, scaling = Counter(compared.layers), LAYER_SCALINGS[compared.layer_scaling]
    for group in groups:
        for (layer, weight), statistic in zip(compared.weighted_layers(), compared.statistics(), strict=True):
            styles = tuple(i for i in group if shares[i] and layer in style.layers_of(i, compared.layers))
            if not styles:
                continue
            name = f"style/{layer}" + (f"/{statistic}" if named[layer] > 1 else "")
            name += f"/{group[0]}" if len(groups) > 1 else ""
            options = tuple((option, getattr(compared, option)) for option in STATISTICS[statistic].options)
            share = sum(shares[i] for i in styles)
            mixture = tuple(shares[i] / share for i in styles)
            yield StyleTerm(name, layer, statistic, options, styles, mixture), share * weight * scaling(layer)


def style_groups(style: StyleConfig) -> list[tuple[int, ...]]:
    """The styles, by number, that have a target together: those of one region; or each has its own."""
    if style.combine == "losses":
        return [(number,) for number in range(style.count)]
    regions = each(style.region or (None,), style.count)
    return [tuple(i for i, other in enumerate(regions) if other == region) for region in dict.fromkeys(regions)]


def style_shares(style: StyleConfig) -> tuple[float, ...]:
    """Of the style's weight, each style's."""
    shares = each(style.shares or (1.0,), style.count)
    return tuple(share / sum(shares) for share in shares) if style.normalize_shares else shares
