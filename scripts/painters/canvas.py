"""Paint's common ground: the canvas, palettes, noise, curves and flows that every painter uses.

Lengths are in units of the plate's long edge: x runs right from 0, y down from 0. Colors are sRGB, 0 to 255;
palettes run from shadow to light. A flow is a field (h w 2) of unit vectors x, y.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Floats = NDArray[np.float64]
Random = np.random.Generator
Color = tuple[int, int, int]
Palette = Sequence[Color]
Paint = Color | Floats
Point = tuple[float, float]

SUPERSAMPLE = 3  # every edge is drawn three times too large, then reduced


class Canvas:
    """A picture and its relief (how thick the paint is), drawn too large."""

    def __init__(self, size: int, height: float, ground: Color) -> None:
        self.size = size
        self.shape = (round(size * height), size)
        self.scale = size * SUPERSAMPLE
        large = (self.shape[1] * SUPERSAMPLE, self.shape[0] * SUPERSAMPLE)
        self.image, self.thickness = Image.new("RGB", large, ground), Image.new("L", large, 128)
        self._ink, self._paste = ImageDraw.Draw(self.image), ImageDraw.Draw(self.thickness)

    def polygon(self, points: Floats, color: Paint, thickness: int = 128) -> None:
        """Fills the polygon `points` (n x 2)."""
        corners = (points * self.scale).ravel().tolist()
        self._ink.polygon(corners, fill=tuple(min(max(int(level), 0), 255) for level in color))
        self._paste.polygon(corners, fill=thickness)

    def grid(self) -> tuple[Floats, Floats]:
        """The coordinates x and y of every pixel of the finished plate."""
        y, x = np.mgrid[0 : self.shape[0], 0 : self.shape[1]] / self.size
        return x, y

    def finished(self, impasto: float = 0.0) -> Image.Image:
        """The plate at its own size, lit from the upper left across the relief of its paint."""
        relief = np.asarray(self.thickness.filter(ImageFilter.GaussianBlur(SUPERSAMPLE / 2)), float)
        light = 1 + impasto * (np.gradient(relief, axis=0) + np.gradient(relief, axis=1)) / 255
        lit = Image.fromarray(np.clip(np.asarray(self.image) * light[..., None], 0, 255).astype(np.uint8))
        return reduced(lit)


def reduced(picture: Image.Image) -> Image.Image:
    """The picture drawn too large, at its own size."""
    size = (picture.width // SUPERSAMPLE, picture.height // SUPERSAMPLE)
    return picture.resize(size, Image.Resampling.LANCZOS)


def mix(palette: Palette, tone: Floats) -> Floats:
    """The palette's colors at `tone` in [0, 1], blended between neighbors."""
    stops = np.linspace(0, 1, len(palette))
    return np.stack([np.interp(tone, stops, channel) for channel in np.array(palette, float).T], axis=-1)


def noise(rng: Random, shape: tuple[int, int], cell: int) -> Floats:
    """Smooth noise from 0 to 1 that changes over about `cell` pixels."""
    coarse = rng.random((shape[0] // cell + 3, shape[1] // cell + 3)).astype(np.float32)
    fine = np.asarray(Image.fromarray(coarse).resize(shape[::-1], Image.Resampling.BICUBIC), float)
    return np.asarray((fine - fine.min()) / np.ptp(fine))


def curve(points: Sequence[Point], samples: int = 24) -> Floats:
    """A smooth path through `points` (Catmull-Rom), `samples` points to a stretch."""
    p = np.array([points[0], *points, points[-1]])
    t = np.linspace(0, 1, samples, endpoint=False)[:, None]
    a, b, c, d = (p[i : len(p) - 3 + i, None] for i in range(4))
    bends = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    return np.concatenate([bends.reshape(-1, 2), p[-1:]])


def normals(path: Floats) -> Floats:
    """Unit vectors across `path` (... s 2), to its right."""
    along = np.gradient(path, axis=-2)
    return unit(-along[..., 1], along[..., 0])


def ribbon(path: Floats, widths: Floats) -> Floats:
    """The outline of a stroke along `path` (... s 2) with the full `widths` (... s)."""
    side = normals(path) * widths[..., None] / 2
    return np.concatenate([path + side, (path - side)[..., ::-1, :]], axis=-2)


def unit(x: Floats, y: Floats) -> Floats:
    """Unit vectors (... 2) in the directions x, y."""
    vectors = np.stack([x, y], -1)
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9))


def sample(pixels: NDArray[np.generic], at: Floats) -> Floats:
    """`pixels` (h w ...) at the pixel coordinates `at` (n 2: x, y), held at the borders."""
    height, width = pixels.shape[:2]
    x, y = at.T.astype(int)
    return np.asarray(pixels[y.clip(0, height - 1), x.clip(0, width - 1)], float)


def streaks(flow: Floats, texture: Floats, steps: int = 24) -> Floats:
    """`texture` smeared along `flow` (line integral convolution), stretched back to 0 to 1."""
    height, width = texture.shape
    start = np.indices((width, height), float).T.reshape(-1, 2)
    total = np.zeros(len(start))
    for direction in (1.0, -1.0):
        at = start.copy()
        for _ in range(steps):
            at += direction * sample(flow, at)
            total += sample(texture, at)
    low, high = np.quantile(total, (0.02, 0.98))
    return np.asarray(np.clip((total.reshape(height, width) - low) / (high - low), 0, 1))
