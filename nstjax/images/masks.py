"""Masks: pictures that say by their brightness how much of another picture counts."""

from pathlib import Path

from nstjax.images.contract import refusal
from nstjax.images.reading import Picture, load

_COLORED = 0.1  # more than what JPEG leaves of gray


def load_mask(path: Path) -> Picture:
    """Reads a gray picture of any kind that `load` reads: black doesn't count, white does, gray partly.

    What is transparent doesn't count either.

    Raises:
      UserError: as `load`; or it has colors, or is black all over.
    """
    mask = load(path, background=(0, 0, 0))
    if (mask.pixels.max(2) - mask.pixels.min(2)).max() > _COLORED:
        raise refusal(path, "it has colors, and a mask is gray", "give one that is white where the picture counts")
    if not mask.pixels.any():
        raise refusal(path, "the mask is black all over, so that nothing counts", "paint white what shall count")
    return mask


def check_mask(path: Path, mask: Picture, of: Path, picture: Picture) -> None:
    """Refuses a mask that isn't as large as its picture, nor, to a pixel of the smaller one, of its shape.

    Raises:
      UserError: it isn't.
    """
    (height, width), (picture_height, picture_width) = mask.pixels.shape[:2], picture.pixels.shape[:2]
    larger = max(height, width, picture_height, picture_width)
    if abs(width * picture_height - picture_width * height) > larger:
        wrong = f"the mask has {width}x{height} pixels, but {of.name} {picture_width}x{picture_height}"
        raise refusal(path, wrong, "make it as large, or of the same shape")
