"""Fine strokes of one picture on the forms of another: the style picture of a run, made by a run of its own."""

from dataclasses import replace

from nstjax import assets
from nstjax.config import (
    MAX_SIZE,
    ColorConfig,
    Config,
    ContentConfig,
    FineConfig,
    InitConfig,
    LaplacianConfig,
    OutputConfig,
    StyleConfig,
    StyleTermsConfig,
)


def painting(config: Config) -> Config:
    """The run that paints the style picture in the strokes of `style.fine.picture`, which only shallow layers see.

    Source: Gatys et al. (2017), section 6, "Scale control": it begins with the coarse style's picture and, unless
    `style.fine.content_weight` says otherwise, has no content loss.
    Differs from Gatys et al. (2017): layers are the same at every scale; their code goes up to relu4_1 at the second.
    """
    style, fine, compared = config.style, config.style.fine, config.objective
    if not fine.content_weight:
        nothing = replace(compared.content, layers=(), layer_weights=())
        compared = replace(compared, content=nothing, laplacian=LaplacianConfig())
    return replace(
        config,
        content=ContentConfig(style.name, style.path),
        style=StyleConfig(name=fine.picture) if fine.picture in assets.names() else StyleConfig(path=fine.picture),
        init=InitConfig(kind="content"),
        color=ColorConfig(),
        output=OutputConfig(bits=16),
        preview_every=0,
        size=style.size or min(round(config.size * style.scale[0]), MAX_SIZE),
        objective=replace(compared, content_weight=fine.content_weight, style=_only(compared.style, fine.layers)),
    )


def painted(config: Config, picture: str) -> Config:
    """The run itself, with the style picture that the other run has left."""
    return replace(config, style=replace(config.style, path=picture, fine=FineConfig()))


def _only(compared: StyleTermsConfig, layers: tuple[str, ...]) -> StyleTermsConfig:
    """Of what is compared, these layers, each with its statistic and its weight."""
    entries = zip(compared.weighted_layers(), compared.statistics(), strict=True)
    kept = [(*weighted, statistic) for weighted, statistic in entries if weighted[0] in layers]
    names, weights, statistics = zip(*kept, strict=True)
    return replace(compared, layers=names, layer_weights=weights, statistic=statistics)
