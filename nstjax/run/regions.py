"""The masks of a run: which part of a painting counts, and where in the photograph it goes."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nstjax import assets, guides, images
from nstjax.config import REST, Config, each
from nstjax.errors import UserError
from nstjax.guides import AnyMask
from nstjax.objective import Guides
from nstjax.run.pictures import Source, content_shape, path_of, sides, style_shape


class Mask(NamedTuple):
    """A mask as large as its file has it, and the file; `rest` has none, and is as large as the photograph."""

    key: str
    text: str
    plane: AnyMask
    source: Source | None

    def resized(self, height: int, width: int) -> AnyMask:
        """For a picture of that size: values are averaged or interpolated, and stay in [0, 1]."""
        return images.resize(self.plane[..., None], height, width, resample="bilinear")[..., 0]


class Masks(NamedTuple):
    """Of each style, the part of it that counts, and that of the content which gets it; None: all of it.

    And what stays of the content; None: nothing does.
    """

    of_styles: tuple[Mask | None, ...]
    of_content: tuple[Mask | None, ...]
    keep: Mask | None

    def sources(self) -> dict[str, Source]:
        """The files, by the first key that names each."""
        masks = (mask for mask in (*self.of_styles, *self.of_content, self.keep) if mask)
        return {mask.key: mask.source for mask in masks if mask.source}

    def kept(self, shape: tuple[int, int]) -> Float[Array, "h w"] | None:
        """How much stays of each pixel of a content picture of that height and width, from 0 to 1."""
        return jnp.asarray(self.keep.resized(*shape)) if self.keep else None


def open_masks(config: Config, content: Source, styles: Sequence[Source]) -> Masks:
    """Opens the masks of a run.

    Raises:
        UserError: one can't be read, is no mask, isn't of its picture's shape, or has nothing left at a layer.
    """
    style = config.style
    of_styles = tuple(
        _open(f"style.mask[{number}]", text, painting) if text else None
        for number, (text, painting) in enumerate(zip(each(style.mask or (None,), style.count), styles, strict=True))
    )
    texts = each(style.region or (None,), style.count)
    keys = {text: f"style.region[{texts.index(text)}]" for text in texts if text}
    regions = {text: _open(key, text, content) for text, key in keys.items() if text != REST}
    if REST in keys:
        regions[REST] = _rest(keys[REST], content, regions.values())
    masks = Masks(of_styles, tuple(regions[text] if text else None for text in texts), _open_keep(config, content))
    for share in config.schedule.scales:
        shape = content_shape(config, content, share)
        of_scale = [style_shape(config, number, painting, shape) for number, painting in enumerate(styles)]
        guides_at(config, masks.of_styles, of_scale)
        guides_at(config, masks.of_content, [shape] * style.count)
    return masks


def _open(key: str, text: str, of: Source) -> Mask:
    path = assets.resolve(text) if text in assets.names() else path_of(text) or Path(text)
    picture = images.load_mask(path)
    images.check_mask(path, picture, of.path, of.picture)
    return Mask(key, text, picture.pixels.mean(2), Source(path, picture))


def _open_keep(config: Config, content: Source) -> Mask | None:
    """The mask of what stays of the content."""
    if config.content.keep is None:
        return None
    mask = _open("content.keep", config.content.keep, content)
    if mask.plane.min() == 1:
        raise UserError(f"{mask.key}={mask.text} is all white, and keeps everything; paint some of it black")
    return mask


def _rest(key: str, content: Source, regions: Iterable[Mask]) -> Mask:
    """What no other region covers."""
    plane = 1 - np.sum([region.resized(*sides(content)) for region in regions], axis=0)
    if plane.max() < guides.FAINT:
        raise UserError(f"{key}={REST} is nothing: the other regions cover all of {content.path}; leave that style out")
    return Mask(key, REST, plane.clip(0, 1), None)


def guides_at(config: Config, masks: Sequence[Mask | None], shapes: Sequence[tuple[int, int]]) -> list[Guides]:
    """By style, the guide at each layer that it is compared at, of pictures of these heights and widths.

    Raises:
        UserError: a mask has nothing left at a layer.
    """
    return [
        _guides(config, mask, shape, config.style.layers_of(number, config.objective.style.layers)) if mask else {}
        for number, (mask, shape) in enumerate(zip(masks, shapes, strict=True))
    ]


def _guides(config: Config, mask: Mask, shape: tuple[int, int], layers: Sequence[str]) -> Guides:
    style = config.style
    found = guides.propagated(
        mask.resized(*shape), layers,
        propagation=style.propagation, pool_edges=config.network.pool_edges, extend=style.extend,
    )  # fmt: skip
    for layer, guide in found.items():
        if guide.max(initial=0) < guides.FAINT:
            remedy = "style.propagation=simple" if style.propagation == "inside" else "paint a larger region"
            raise UserError(
                f"{mask.key}={mask.text} leaves nothing at {layer} of {shape[1]}x{shape[0]} pixels with "
                f"style.propagation={style.propagation}; {remedy}, give a larger size= or schedule.scales, or leave "
                f"that layer out of style.layers"
            )
    return {layer: jnp.asarray(guide) for layer, guide in found.items()}
