"""The painters of nstjax's plates: each paints one picture, and is a pure function of its long edge in pixels."""

from collections.abc import Callable

from PIL import Image

from .great_wave import great_wave
from .stained_glass import stained_glass
from .starry import starry

PAINTERS: dict[str, Callable[[int], Image.Image]] = {
    "starry": starry,
    "stained_glass": stained_glass,
    "great_wave": great_wave,
}
