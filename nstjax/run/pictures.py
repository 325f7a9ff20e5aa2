"""The pictures of a run: opened as its configuration names them, and sized for each scale."""

import os
from bisect import bisect
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from nstjax import assets, images
from nstjax.config import MAX_SIZE, Config, each
from nstjax.errors import UserError
from nstjax.layers import smallest_side
from nstjax.outputs import RESULT


class Source(NamedTuple):
    """A picture of the run, as large as its file has it."""

    path: Path
    picture: images.Picture

    def facts(self) -> dict[str, Any]:
        """What the manifest says of it."""
        height, width, _ = self.picture.pixels.shape
        file = {"path": str(self.path.absolute()), "sha256": self.picture.sha256, "bytes": self.path.stat().st_size}
        return file | {"width": width, "height": height, "notes": list(self.picture.notes)}


def check_inputs(config: Config, folder: Path) -> None:
    """Refuses a picture that the run would remove before it reads it: what an earlier one left in the same folder."""
    own = folder.resolve()
    content, style = config.content, config.style
    masks = (content.keep, *style.mask, *style.region)
    for text in (content.path, style.path, *style.blend, style.fine.picture, config.init.path, *masks):
        real = Path(os.path.realpath(path_of(text) or ""))
        if real == own / RESULT or real.parent == own / "previews":
            raise UserError(f"{text} is of an earlier run in this run's folder; choose another hydra.run.dir")


def open_picture(config: Config, name: str | None, path: str | None) -> Source:
    if not (name or path):
        raise UserError("a picture has neither a name nor a path; give content or style, =NAME or .path=FILE")
    file = path_of(path) or assets.resolve(name or "")
    return Source(file, images.load(file, config.background))


def open_name_or_path(config: Config, text: str) -> Source:
    return open_picture(config, text, None) if text in assets.names() else open_picture(config, None, text)


def path_of(text: str | None) -> Path | None:
    return Path(os.path.expanduser(text)) if text else None  # unlike Path's, leaves `~photo.jpg` as it is


def content_shape(config: Config, content: Source, share: float) -> tuple[int, int]:
    try:
        return images.fitted(*sides(content), round(config.size * share), config.sizing.edge)
    except UserError as error:
        raise UserError(f"{error} (size={config.size} times {share:g} of schedule.scales)") from error


def style_shape(config: Config, number: int, style: Source, of_content: tuple[int, int]) -> tuple[int, int]:
    """The height and width of a style, by its number.

    Its size is what the content's came to, by the same measure: with rounding, an area isn't size * size.
    """
    sizing, scale = config.sizing, each(config.style.scale, config.style.count)[number]
    if sizing.style == "content":
        return _stretched(config, style, scale, of_content)
    edge = sizing.edge if sizing.style == "own" else sizing.style
    size = scale * (config.style.size or images.measured(*of_content, edge))
    if not sizing.enlarge_style:
        size = min(size, images.measured(*sides(style), edge))
    try:
        return images.fitted(*sides(style), size, edge)
    except UserError as error:
        raise UserError(f"{error} (of the style picture {style.path.name}, style.scale={scale:g})") from error


def _stretched(config: Config, style: Source, scale: float, of_content: tuple[int, int]) -> tuple[int, int]:
    height, width = (round(scale * side) for side in of_content)
    if not config.sizing.enlarge_style:
        height, width = (min(pair) for pair in zip((height, width), sides(style), strict=True))
    if min(height, width) < images.MIN_SIDE:
        raise UserError(
            f"the style picture {style.path.name} becomes {width}x{height} at style.scale={scale:g}, but no side may "
            f"be below {images.MIN_SIDE} pixels; give a larger style.scale"
        )
    return height, width


def sides(source: Source) -> tuple[int, int]:
    """Height and width."""
    height, width, _ = source.picture.pixels.shape
    return height, width


def resized(config: Config, source: Source, shape: tuple[int, ...]) -> images.Pixels:
    height, width = shape
    sizing = config.sizing
    return images.resize(source.picture.pixels, height, width, resample=sizing.resample, space=sizing.space)


def check_sizes(config: Config, content: Source, styles: Sequence[Source]) -> None:
    """Refuses a size at which a picture, or a layer's map of one, is too small at one of the scales."""
    if wrong := _empty_map(config, content, styles):
        sizes = range(config.size + 1, MAX_SIZE + 1)
        enough = bisect(sizes, 0, key=lambda size: not _empty_map(replace(config, size=size), content, styles))
        hopeless = "give a larger style.size" if config.style.size else "crop the picture"
        remedy = f"give size={sizes[enough]} or more" if enough < len(sizes) else hopeless
        raise UserError(f"{wrong}; {remedy}, or a layer before it")


def _empty_map(config: Config, content: Source, styles: Sequence[Source]) -> str | None:
    """The first of the things that are compared that a picture is too small for, in words."""
    compared, edges = config.objective, config.network.pool_edges
    of_styles = {layer: smallest_side(layer, edges) for layer in compared.style.layers}
    of_content = {layer: smallest_side(layer, edges) for layer in compared.content.layers}
    of_content |= {f"objective.laplacian.pools={pool}": 3 * pool for pool in compared.laplacian.pools}  # inner pixels
    for number, share in enumerate(config.schedule.scales):
        shape = content_shape(config, content, share)
        needed = [("content", shape, of_content | of_styles)]
        for i, style in enumerate(styles):
            looked_at = config.style.layers_of(i, compared.style.layers)
            least = {layer: of_styles[layer] for layer in looked_at}
            needed.append(("style", style_shape(config, i, style, shape), least))
        for name, (height, width), least in needed:
            for what, side in least.items():
                if min(height, width) < side:
                    return f"{what} has nothing left of the {name} picture's {width}x{height} pixels at scale {number}"
    return None
