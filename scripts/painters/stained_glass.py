"""A stained-glass window: panes of streaked glass, held by lead, against the light."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from .canvas import SUPERSAMPLE, Color, Floats, Palette, Point, Random, curve, noise, reduced, ribbon, streaks, unit

# A pane fades from one color of its palette to the next.
INDIGO: Palette = [(24, 34, 138), (70, 36, 148), (22, 78, 186), (128, 40, 140)]
AZURE: Palette = [(20, 92, 196), (44, 158, 214), (30, 62, 168), (110, 208, 212)]
FLAME: Palette = [(204, 22, 40), (238, 86, 30), (168, 16, 74), (246, 132, 30)]
AMBER: Palette = [(255, 184, 36), (255, 222, 96), (252, 150, 28), (255, 240, 168)]
EMERALD: Palette = [(16, 128, 74), (112, 190, 64), (8, 92, 88), (190, 214, 80)]
TEAL: Palette = [(12, 104, 116), (60, 172, 160), (10, 66, 110), (34, 132, 96)]
WATER: Palette = [(120, 214, 226), (220, 244, 236), (62, 160, 214), (170, 228, 224)]
BARK: Palette = [(96, 44, 26), (160, 88, 36), (74, 26, 38)]
RUBY: Palette = [(210, 14, 44), (250, 70, 70), (150, 8, 60)]
JEWELS: Palette = [(200, 18, 46), (242, 150, 28), (24, 60, 170), (20, 126, 88)]
LEAD: Color = (13, 12, 17)

WIDTH = 0.79
SUN: Point = (0.45, 0.335)


class Window:
    """A window of numbered panes; a pane is cut out of those before it, and runs from one color to another."""

    def __init__(self, size: int, rng: Random) -> None:
        self.rng = rng
        self.scale = size * SUPERSAMPLE
        self.labels = Image.new("I", (round(size * WIDTH) * SUPERSAMPLE, self.scale), 0)
        self.colors: list[tuple[Color, Color]] = [(LEAD, LEAD)]
        self._cutter = ImageDraw.Draw(self.labels)

    def pane(self, corners: Floats, glass: Palette) -> None:
        """Cuts one pane with `corners` (n 2) from a sheet of `glass`."""
        first = int(self.rng.integers(len(glass)))
        self._cutter.polygon((corners * self.scale).ravel().tolist(), fill=len(self.colors))
        self.colors.append((glass[first], glass[(first + 1) % len(glass)]))

    def strip(self, upper: Floats, lower: Floats, count: int, glass: Palette) -> None:
        """Cuts the strip between two paths of equally many points (n 2) into `count` panes, somewhat aslant."""
        cuts = np.linspace(0, len(upper) - 1, count + 1)
        slant = cuts + self.rng.uniform(-0.35, 0.35, count + 1) * len(upper) / count
        slant[[0, -1]] = cuts[[0, -1]]
        for (left, right), (low_left, low_right) in zip(pairwise(cuts), pairwise(slant), strict=True):
            above, below = upper[round(left) : round(right) + 1], lower[round(low_left) : round(low_right) + 1]
            self.pane(np.concatenate([above, below[::-1]]), glass)


# ---------------------------------------------------------------- the cartoon


def arc(radius: float, start: float, stop: float, center: Point = SUN) -> Floats:
    """An arc around `center` between two angles in radians."""
    angles = np.linspace(start, stop, 16)
    return np.stack([center[0] + radius * np.cos(angles), center[1] + radius * np.sin(angles)], -1)


def sky(window: Window) -> None:
    """Rings of wedges around the sun, ruby to cobalt, each ring laid over the one outside it."""
    rings = [(1.2, 0.66, INDIGO, 34), (0.68, 0.51, AZURE, 32), (0.51, 0.38, INDIGO, 28), (0.38, 0.275, AZURE, 24)]
    for ring, (outer, inner, glass, count) in enumerate([*rings, (0.275, 0.19, INDIGO, 20), (0.2, 0.09, FLAME, 18)]):
        for start, stop in pairwise((np.arange(count + 1) + ring % 2 / 2) * 2 * np.pi / count):
            rim = arc(outer * window.rng.uniform(0.96, 1.05), start, stop)
            window.pane(np.concatenate([arc(inner * 0.85, start, stop), rim[::-1]]), glass)


def sun(window: Window) -> None:
    """Twelve short rays behind twelve long ones, a ring, and a disc."""
    for reach, half, turn, glass in ((0.175, 0.2, np.pi / 12, RUBY), (0.235, 0.2, 0.0, AMBER)):
        for middle in turn + np.arange(12) * np.pi / 6:
            tip = arc(reach, middle, middle)[:1]
            window.pane(np.concatenate([arc(0.08, middle - half, middle + half), tip]), glass)
    for start, stop in pairwise(np.linspace(0, 2 * np.pi, 9)):
        window.pane(np.concatenate([arc(0.1, start, stop), arc(0.04, stop, start)]), AMBER)
    window.pane(arc(0.058, 0, 2 * np.pi), FLAME)
    window.pane(arc(0.04, 0, 2 * np.pi), AMBER)


def land(window: Window) -> None:
    """Three hills in two courses each, and a river that winds down between them."""
    x = np.linspace(0, WIDTH, 200)
    tops = [0.63 + 0.05 * np.sin(7 * x + 0.5), 0.73 + 0.05 * np.sin(8 * x + 3.6), 0.86 + 0.04 * np.sin(6 * x + 1)]
    for top, glass, count in zip(tops, (TEAL, EMERALD, TEAL), (9, 8, 7), strict=True):
        for course in range(3):
            upper, lower = (np.stack([x, top + 0.057 * (course + step)], -1) for step in (0, 1.4))
            window.strip(upper, lower, count, glass)
    banks = curve([(0.56, 0.655), (0.50, 0.70), (0.62, 0.77), (0.50, 0.86), (0.58, 0.94), (0.54, 1.02)], 30)
    breadth = np.linspace(0.01, 0.075, len(banks))[:, None] * [1, 0]
    window.strip(banks - breadth, banks, 11, WATER)
    window.strip(banks, banks + breadth, 10, AZURE)


def leaf(window: Window, stem: Point, angle: float, length: float, glass: Palette) -> None:
    """A pointed leaf in two halves."""
    along = np.linspace(0, length, 14)[:, None] * [np.cos(angle), np.sin(angle)] + stem
    bulge = 0.27 * length * np.sin(np.linspace(0, np.pi, 14)) ** 0.8
    for side in (-1, 1):
        edge = along + side * bulge[:, None] * [-np.sin(angle), np.cos(angle)]
        window.pane(np.concatenate([along, edge[::-1]]), glass)


def tree(window: Window) -> None:
    """A tree whose boughs reach across the sky, with leaves to either side and ruby fruit at the tips."""
    boughs = [
        [(0.165, 0.60), (0.12, 0.47), (0.13, 0.34), (0.09, 0.21), (0.16, 0.10)],
        [(0.16, 0.62), (0.22, 0.53), (0.235, 0.42), (0.22, 0.35), (0.28, 0.27)],
        [(0.17, 0.66), (0.28, 0.58), (0.40, 0.60), (0.50, 0.565)],
        [(0.165, 0.63), (0.10, 0.58), (0.07, 0.50)],
    ]
    for points in boughs:
        path = curve(points, 12)
        outline = ribbon(path, np.linspace(0.026, 0.008, len(path)))
        window.strip(outline[: len(path)], outline[: len(path) - 1 : -1], len(points), BARK)
        for index in range(9, len(path), 6):
            heading = np.arctan2(*(path[index] - path[index - 1])[::-1])
            for side in (-1, 1):
                length = window.rng.uniform(0.072, 0.098)
                leaf(window, tuple(path[index]), heading + side * window.rng.uniform(0.7, 1.1), length, EMERALD)
        window.pane(arc(0.024, 0, 2 * np.pi, tuple(path[-1])), RUBY)
    trunk = curve([(0.13, 1.02), (0.165, 0.88), (0.15, 0.74), (0.165, 0.60)], 16)
    outline = ribbon(trunk, np.linspace(0.10, 0.03, len(trunk)))
    window.strip(outline[: len(trunk)], trunk, 6, BARK)
    window.strip(trunk, outline[: len(trunk) - 1 : -1], 5, BARK)


def border(window: Window) -> None:
    """A frame of small jewels."""
    deep = 0.034
    for near, far in ((0.0, deep), (1.0, 1 - deep)):
        run = np.linspace(0, WIDTH, 113)
        window.strip(np.stack([run, 0 * run + near], -1), np.stack([run, 0 * run + far], -1), 16, JEWELS)
    for near, far in ((0.0, deep), (WIDTH, WIDTH - deep)):
        run = np.linspace(deep, 1 - deep, 141)
        window.strip(np.stack([0 * run + near, run], -1), np.stack([0 * run + far, run], -1), 20, JEWELS)


# ---------------------------------------------------------------- glass and lead


def blurred(values: Floats, sigma: float) -> Floats:
    """A Gaussian blur of about `sigma` pixels (three box blurs), in full precision."""
    reach = max(1, round(sigma - 0.5))
    for axis in (0, 1) * 3:
        rows = np.moveaxis(values, axis, 0)
        total = np.cumsum(np.pad(rows, ((reach + 1, reach), (0, 0)), mode="edge"), axis=0)
        values = np.moveaxis((total[2 * reach + 1 :] - total[: -2 * reach - 1]) / (2 * reach + 1), 0, axis)
    return values


def opalescence(rng: Random, ids: NDArray[np.int32]) -> Floats:
    """Streaks from 0 to 1 as in drawn glass, from another part of the sheet for every pane."""
    height, width = (side // SUPERSAMPLE for side in ids.shape)
    angle = 7 * noise(rng, (height, width), max(2, height // 6))
    sheet = streaks(unit(np.cos(angle), np.sin(angle)), noise(rng, angle.shape, 5), 16)
    large = Image.fromarray(sheet.astype(np.float32)).resize(ids.shape[::-1], Image.Resampling.BICUBIC)
    shifted = np.indices(ids.shape) + rng.integers(0, min(ids.shape), (2, ids.max() + 1))[:, ids]
    row, column = (np.minimum(at, 2 * side - 1 - at) for at, side in zip(shifted, ids.shape, strict=True))
    return np.asarray(np.asarray(large, float)[row, column])


def slopes(rng: Random, ids: NDArray[np.int32]) -> Floats:
    """A ramp across every pane in a direction of its own, about -0.5 to 0.5."""
    area = np.maximum(np.bincount(ids.ravel()), 1)
    angle = rng.uniform(0, 2 * np.pi, len(area))
    total = np.zeros(ids.shape)
    for at, direction in zip(np.indices(ids.shape), (np.sin(angle), np.cos(angle)), strict=True):
        middle = np.bincount(ids.ravel(), at.ravel()) / area
        total += (at - middle[ids]) * (direction / np.sqrt(area))[ids]
    return total


def cames(ids: NDArray[np.int32], width: float) -> Floats:
    """How much of the lead along every cut lies over each pixel; it passes 0.5 at `width` from side to side."""
    cut = (ids != np.roll(ids, 1, 0)) | (ids != np.roll(ids, 1, 1))
    sigma = width / 2.355
    return np.asarray(blurred(cut.astype(float), sigma) * sigma * np.sqrt(2 * np.pi))


def lit(window: Window) -> Image.Image:
    """The window against the light: bright streaked glass that darkens towards black lead with a faint shine."""
    ids = np.asarray(window.labels)
    streak, slope = opalescence(window.rng, ids), slopes(window.rng, ids)
    blend = np.clip(0.5 + 0.6 * slope + 0.8 * (streak - 0.5), 0, 1)[..., None]
    first, second = np.array(window.colors, float).transpose(1, 0, 2)
    glass = first[ids] * (1 - blend) + second[ids] * blend
    px = window.scale / 768  # lead shrinks with the plate, unlike a brush
    lead = cames(ids, 4.4 * px)
    solid = np.clip((lead - 0.4) * 6, 0, 1)[..., None]
    grime = blurred(solid[..., 0], 6 * px)
    glass *= ((0.9 + 0.36 * streak + 0.3 * slope) * (1.15 - 0.6 * grime))[..., None]
    shine = np.clip(np.gradient(lead, axis=0) + np.gradient(lead, axis=1), 0, 1)[..., None] * 170
    picture = glass * (1 - solid) + (np.array(LEAD) + shine) * solid
    return reduced(Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)))


def stained_glass(size: int) -> Image.Image:
    """A stained-glass window: the sun over hills, a river and a tree with ruby fruit."""
    window = Window(size, np.random.default_rng(1130))
    parts: list[Callable[[Window], None]] = [sky, sun, land, tree, border]
    for part in parts:
        part(window)
    return lit(window)
