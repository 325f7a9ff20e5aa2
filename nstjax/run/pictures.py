"""The pictures of a run: opened as its configuration names them, and sized for each scale."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from nstjax import assets, images
from nstjax.config import MAX_SIZE, Config
from nstjax.errors import UserError
from nstjax.layers import smallest_side
from nstjax.outputs import RESULT
from nstjax.types import Image


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
    for text in (config.content.path, config.style.path, *config.style.blend, config.init.path, config.content.keep):
        real = Path(os.path.realpath(path_of(text) or ""))
        if real == own / RESULT or real.parent == own / "previews":
            raise UserError(f"{text} is of an earlier run in this run's folder; choose another hydra.run.dir")


def open_picture(config: Config, name: str | None, path: str | None) -> Source:
    if not (name or path):
        raise UserError("a picture has neither a name nor a path; give content or style, =NAME or .path=FILE")
    file = path_of(path) or assets.resolve(name or "")
    return Source(file, images.load(file, config.background))


def open_mask(key: str, path: str, of: Source) -> Source:
    """A mask for a picture, from the setting `key`; what is transparent in it is black.

    Raises:
        UserError: it isn't the picture's shape, to within one of its own pixels.
    """
    file = Path(os.path.expanduser(path))
    mask = Source(file, images.load(file, background=(0, 0, 0)))
    (height, width), (of_height, of_width) = _sides(mask), _sides(of)
    if min(abs(height - of_height * width / of_width), abs(width - of_width * height / of_height)) > 1:
        shapes = f"{width}x{height} pixels, not of the shape of {of.path} with {of_width}x{of_height}"
        raise UserError(f"{key}={path} is {shapes}; give a mask that is, of any size")
    return mask


def open_name_or_path(config: Config, text: str) -> Source:
    return open_picture(config, text, None) if text in assets.names() else open_picture(config, None, text)


def path_of(text: str | None) -> Path | None:
    return Path(os.path.expanduser(text)) if text else None  # unlike Path's, leaves `~photo.jpg` as it is


def content_shape(config: Config, content: Source, share: float) -> tuple[int, int]:
    try:
        return images.fitted(*_sides(content), round(config.size * share), config.sizing.edge)
    except UserError as error:
        raise UserError(f"{error} (size={config.size} times {share:g} of schedule.scales)") from error


def style_shape(config: Config, style: Source, of_content: tuple[int, int]) -> tuple[int, int]:
    """The style's size is what the content's came to, by the same measure: with rounding, an area isn't size * size."""
    if config.sizing.style == "content":
        return of_content
    size = images.measured(*of_content, config.sizing.edge)
    return images.fitted(*_sides(style), size, config.sizing.edge)


def _sides(source: Source) -> tuple[int, int]:
    height, width, _ = source.picture.pixels.shape
    return height, width


def resized(config: Config, source: Source, shape: tuple[int, ...]) -> Image:
    height, width = shape
    sizing = config.sizing
    return jnp.asarray(
        images.resize(source.picture.pixels, height, width, resample=sizing.resample, space=sizing.space)
    )


def resized_mask(mask: Source, shape: tuple[int, ...]) -> Float[Array, "h w"]:
    """The mask's gray, of a size that is a picture's; averaged, so that edges don't ring, and white stays 1."""
    height, width = shape
    return jnp.asarray(images.resize(mask.picture.pixels, height, width).mean(2))


def check_sizes(config: Config, content: Source, styles: Sequence[Source]) -> None:
    """Refuses a size at which a picture, or a layer's map of one, is too small at one of the scales."""
    if wrong := _empty_map(config, content, styles):
        larger = (replace(config, size=size) for size in range(config.size + 1, MAX_SIZE + 1))
        enough = next((each.size for each in larger if not _empty_map(each, content, styles)), None)
        remedy = f"give size={enough} or more" if enough else "crop the picture"
        raise UserError(f"{wrong}; {remedy}, or a layer before it")


def _empty_map(config: Config, content: Source, styles: Sequence[Source]) -> str | None:
    """The first layer that a picture is too small for, in words."""
    of_styles = config.objective.style.layers
    for number, share in enumerate(config.schedule.scales):
        shape = content_shape(config, content, share)
        needed = [("content", shape, (*config.objective.content.layers, *of_styles))]
        needed += [("style", style_shape(config, style, shape), of_styles) for style in styles]
        for name, (height, width), layers in needed:
            for layer in layers:
                if min(height, width) < smallest_side(layer, config.network.pool_edges):
                    return f"{layer} has nothing left of the {name} picture's {width}x{height} pixels at scale {number}"
    return None
