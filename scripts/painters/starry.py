"""A starry night after van Gogh: oil strokes that follow a flow.

Brushes keep their width in pixels whatever the plate's size, so a small plate is a quick sketch with the same brush.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .canvas import Canvas, Floats, Palette, Point, Random, curve, mix, noise, ribbon, sample, streaks, unit

NIGHT: Palette = [(10, 18, 58), (22, 38, 110), (32, 66, 158), (58, 108, 190), (112, 168, 204), (178, 214, 206)]
GLOW: Palette = [(44, 92, 172), (98, 164, 190), (168, 206, 168), (247, 200, 38), (253, 226, 110), (255, 246, 214)]
MOONLIGHT: Palette = [(196, 96, 26), (236, 140, 30), (250, 170, 30)]
FAR_HILLS: Palette = [(18, 28, 92), (30, 58, 128), (46, 92, 152), (84, 136, 176), (140, 182, 190)]
MID_HILLS: Palette = [(10, 22, 58), (20, 50, 84), (30, 82, 98), (60, 122, 112), (140, 168, 120)]
FIELDS: Palette = [(8, 24, 38), (18, 54, 58), (36, 88, 70), (84, 124, 72), (172, 156, 66), (222, 184, 90)]
BUSHES: Palette = [(6, 18, 30), (14, 42, 44), (30, 76, 54), (78, 118, 60), (150, 156, 74)]
WALLS: Palette = [(36, 58, 108), (88, 122, 156), (178, 186, 164)]
ROOFS: Palette = [(24, 28, 66), (52, 50, 84), (166, 88, 48), (206, 138, 66)]
LAMPS: Palette = [(248, 186, 36), (255, 232, 130)]
CYPRESS: Palette = [(6, 10, 16), (12, 30, 26), (28, 56, 34), (66, 80, 34), (122, 96, 44)]
TAPER = np.array([0.35, 0.8, 1.0, 1.0, 1.0, 0.95, 0.85, 0.6, 0.2])  # how wide a stroke is, from start to end


STARS = [  # x, y, radius of the halo
    (0.05, 0.085, 0.062),
    (0.245, 0.05, 0.038),
    (0.385, 0.085, 0.064),
    (0.59, 0.06, 0.034),
    (0.685, 0.115, 0.042),
    (0.045, 0.30, 0.04),
    (0.255, 0.20, 0.044),
    (0.635, 0.325, 0.045),
    (0.80, 0.315, 0.034),
    (0.95, 0.30, 0.046),
    (0.295, 0.385, 0.082),
]
MOON = (0.88, 0.13, 0.112)
SWIRLS = [  # x, y, radius, sense of rotation (1 clockwise)
    (0.43, 0.26, 0.125, 1),
    (0.56, 0.215, 0.085, -1),
    (0.17, 0.41, 0.07, 1),
    (0.745, 0.235, 0.06, 1),
]
RIDGES = [  # far to near
    [(0, 0.50), (0.12, 0.53), (0.3, 0.515), (0.5, 0.50), (0.63, 0.47), (0.75, 0.455), (0.86, 0.41), (1, 0.37)],
    [(0, 0.56), (0.15, 0.585), (0.35, 0.56), (0.52, 0.575), (0.7, 0.535), (0.85, 0.515), (1, 0.47)],
    [(0, 0.66), (0.2, 0.635), (0.4, 0.65), (0.6, 0.665), (0.8, 0.63), (1, 0.61)],
]


@dataclass
class Brush:
    """A pass over a region: width and length of its strokes in pixels, and how often they cover the region."""

    width: float
    length: float
    cover: float


@dataclass
class Region:
    """What one kind of paint covers, pixel by pixel: where, along which flow (h w 2), in which tones of a palette."""

    mask: NDArray[np.bool_]
    flow: Floats
    tone: Floats
    palette: Palette
    brushes: Sequence[Brush]
    broken: float = 0.07  # how far neighboring strokes differ in tone


def traced(flow: Floats, middles: Floats, lengths: Floats) -> Floats:
    """Paths (n s 2) that follow `flow` for `lengths` (n), half to either side of `middles` (n 2), in pixels."""
    steps = len(TAPER) // 2
    halves = []
    for direction in (-1, 1):
        stride = direction * lengths[:, None] / (2 * steps)
        path = [middles]
        for _ in range(steps):
            halfway = path[-1] + sample(flow, path[-1]) * stride / 2
            path.append(path[-1] + sample(flow, halfway) * stride)
        halves.append(path)
    return np.stack(halves[0][:0:-1] + halves[1], axis=1)


def paint(canvas: Canvas, rng: Random, region: Region) -> None:
    """Covers `region` with strokes, brush by brush; each stroke is a ribbon of bristles in slightly different paint."""
    inside = np.argwhere(region.mask)[:, ::-1]
    for brush in region.brushes:
        count = int(brush.cover * len(inside) / (brush.width * brush.length)) + 1
        middles = rng.choice(inside, count) + rng.random((count, 2))
        paths = traced(region.flow, middles, brush.length * rng.uniform(0.5, 1.3, count))
        tones = sample(region.tone, middles) + rng.normal(0, region.broken, count)
        colors = mix(region.palette, tones) + rng.normal(0, 6, (count, 3))
        widths = brush.width * rng.uniform(0.6, 1.25, count) / canvas.size
        for path, width, color in zip(paths / canvas.size, widths, colors, strict=True):
            stroke(canvas, rng, path, width, color)


def stroke(canvas: Canvas, rng: Random, path: Floats, width: float, color: Floats) -> None:
    """One loaded brush along `path`: a body of paint, streaked by bristles that differ in color and thickness."""
    outline = ribbon(path, width * TAPER)
    canvas.polygon(outline, color, 110)
    left, right = outline[: len(TAPER)], outline[: len(TAPER) - 1 : -1]
    bristles = max(2, round(width * canvas.size / 1.7))
    across = rng.permutation(np.linspace(0.1, 0.9, bristles))
    hairs = left + (right - left) * across[:, None, None]
    for hair in ribbon(hairs, width / bristles * 1.1 * TAPER[None]):
        canvas.polygon(hair, color + rng.normal(0, 11), int(rng.integers(60, 230)))


def around(x: Floats, y: Floats, center: Point, radius: float) -> tuple[Floats, Floats]:
    """The flow that circles `center` clockwise, and the distance from it in radii."""
    dx, dy = x - center[0], y - center[1]
    return unit(-dy, dx), np.hypot(dx, dy) / radius


def sky_flow(x: Floats, y: Floats, rng: Random) -> Floats:
    """A wind from the left that coils into the swirls and rings every star."""
    bend = noise(rng, x.shape, max(8, len(x) // 6)) - 0.5
    flow = unit(np.ones_like(x), 0.5 * np.sin(9 * x + 5 * y) + 1.6 * bend)
    for cx, cy, radius, turn in SWIRLS:
        ring, distance = around(x, y, (cx, cy), radius)
        inward = -turn * 0.18 * np.stack([-ring[..., 1], ring[..., 0]], -1)
        flow += (turn * (ring + inward) - flow) * np.exp(-((distance / 1.15) ** 4))[..., None]
    for cx, cy, radius in [*STARS, MOON]:
        ring, distance = around(x, y, (cx, cy), radius)
        flow += (ring - flow) * np.exp(-((distance / 1.35) ** 4))[..., None]
    return unit(flow[..., 0], flow[..., 1])


def sky(canvas: Canvas, rng: Random) -> None:
    """The wind in bands of blue, paler in the swirls and in the mist over the hills."""
    x, y = canvas.grid()
    flow = sky_flow(x, y, rng)
    bands = streaks(flow, noise(rng, x.shape, 7) + noise(rng, x.shape, 20))
    mist = np.exp(-(((y - 0.45 + 0.07 * x + 0.02 * np.sin(11 * x)) / 0.04) ** 2))
    swirl = sum(np.exp(-((np.hypot(x - cx, y - cy) / radius) ** 4)) for cx, cy, radius, _ in SWIRLS)
    tone = (0.62 + 0.35 * swirl) * bands + 0.22 * y + 0.4 * mist
    brushes = [Brush(13, 60, 2.5), Brush(8, 46, 1.6), Brush(5, 34, 1.3), Brush(3, 24, 0.5)]
    paint(canvas, rng, Region(y < 0.62, flow, tone, NIGHT, brushes, 0.1))
    lights(canvas, rng, flow, bands)


def lights(canvas: Canvas, rng: Random, flow: Floats, bands: Floats) -> None:
    """Rings of dashes around the stars and the moon, from blue through chrome yellow to cream, and the crescent."""
    x, y = canvas.grid()
    glow = np.zeros_like(x)
    for cx, cy, radius in [*STARS, MOON]:
        distance = np.hypot(x - cx, y - cy) / radius
        glow = np.maximum(glow, 1.12 - 0.8 * distance + 0.13 * np.cos(13 * distance))
    ripple = glow + 0.25 * (bands - 0.5)
    dashes = [Brush(8, 30, 0.8), Brush(5, 30, 1.2), Brush(5, 26, 1.2), Brush(3, 20, 0.7)]
    paint(canvas, rng, Region(rng.random(x.shape) < 1.5 * glow, flow, ripple, GLOW, dashes, 0.1))
    cx, cy, radius = MOON
    crescent = np.hypot(x - cx, y - cy) < 0.46 * radius
    crescent &= np.hypot(x - cx + 0.24 * radius, y - cy + 0.1 * radius) > 0.4 * radius
    paint(canvas, rng, Region(crescent, flow, bands, MOONLIGHT, [Brush(5, 20, 4), Brush(3, 14, 2)]))


def hills(canvas: Canvas, rng: Random) -> None:
    """Three ridges, far to near: blue, then green with ochre fields, each with a dark contour."""
    x, y = canvas.grid()
    for index, (points, palette) in enumerate(zip(RIDGES, (FAR_HILLS, MID_HILLS, FIELDS), strict=True)):
        ridge = np.interp(x[0], *curve(points).T)
        slope = np.broadcast_to(np.gradient(ridge, x[0]), x.shape)
        folds = 0.3 * np.sin(x * 23 + 2 * index) + 1.6 * (noise(rng, x.shape, 40) - 0.5)
        flow = unit(np.ones_like(x), slope + folds * np.minimum(1, 12 * (y - ridge)))
        tone = 0.95 * streaks(flow, noise(rng, x.shape, 8)) + 2.5 * np.clip(ridge + 0.03 - y, 0, 0.06)
        brushes = [Brush(11, 50, 2.5), Brush(6, 34, 1.6), Brush(3.5, 22, 0.8)]
        paint(canvas, rng, Region(y > ridge, flow, tone, palette, brushes, 0.12))
        edge = np.abs(y - ridge) < 1.5 / canvas.size
        paint(canvas, rng, Region(edge, unit(np.ones_like(x), slope), 0 * x, NIGHT, [Brush(5, 50, 5)]))


def hatch(canvas: Canvas, rng: Random, corners: Sequence[Point], palette: Palette, tone: float = 0.5) -> None:
    """Fills the quadrilateral a b c d with strokes from edge a-b to edge d-c, in the palette's colors."""
    a, b, c, d = np.array(corners)
    count = max(2, round(float(np.hypot(*(b - a))) * canvas.size / 4))
    along = np.linspace(0, 1, len(TAPER))[:, None]
    for t in (np.arange(count) + 0.5) / count:
        path = (a + (b - a) * t) * (1 - along) + (d + (c - d) * t) * along
        path += rng.normal(0, 0.4 / canvas.size, path.shape)
        width = 1.5 * max(np.hypot(*(b - a)), np.hypot(*(c - d))) / count
        stroke(canvas, rng, path, width, mix(palette, np.array(tone + rng.normal(0, 0.17))))


def house(canvas: Canvas, rng: Random, x: float, y: float, width: float, height: float) -> None:
    """A gabled house whose wall stands on (x, y), with a steep roof and a lit window."""
    eaves, top = y - height, y - height - 0.8 * width
    hatch(canvas, rng, [(x, y), (x, eaves), (x + width, eaves), (x + width, y)], WALLS)
    gutter = eaves + 0.003
    roof = [(x + 0.3 * width, top), (x + 0.85 * width, top), (x + width + 0.005, gutter), (x - 0.005, gutter)]
    hatch(canvas, rng, roof, ROOFS, rng.uniform(0.2, 0.9))
    for ends in ([(x, y), (x, eaves)], [roof[3], roof[3], roof[0], roof[0], roof[1], roof[1]]):
        outline = curve(ends, 4)
        canvas.polygon(ribbon(outline, np.full(len(outline), 2.2 / canvas.size)), NIGHT[0], 60)
    left, sill = x + width * rng.uniform(0.2, 0.6), y - 0.25 * height
    hatch(canvas, rng, [(left, sill), (left, sill - 0.011), (left + 0.01, sill - 0.011), (left + 0.01, sill)], LAMPS)


def village(canvas: Canvas, rng: Random) -> None:
    """A church and a dozen houses with lit windows, among round dark bushes."""
    hatch(canvas, rng, [(0.515, 0.66), (0.515, 0.60), (0.532, 0.60), (0.532, 0.66)], WALLS)
    for spread, color in ((0.014, NIGHT[0]), (0.005, ROOFS[1])):
        canvas.polygon(np.array([(0.5235, 0.47), (0.5235 + spread, 0.602), (0.5235 - spread, 0.602)]), color, 60)
    for row, low in enumerate((0.655, 0.69)):
        for left in np.arange(0.30 + 0.03 * row, 0.93, 0.066):
            width, height = rng.uniform(0.034, 0.05), rng.uniform(0.018, 0.03)
            house(canvas, rng, left + rng.uniform(-0.012, 0.012), low + rng.uniform(-0.008, 0.008), width, height)
    x, y = canvas.grid()
    for low in np.sort(rng.uniform(0.695, 0.75, 26)):
        center, radius = (rng.uniform(0.25, 1.0), low), rng.uniform(0.014, 0.03)
        ring, distance = around(x, (y - low) * 1.25 + low, center, radius)
        tone = 0.62 - 0.5 * distance + 0.5 * (low - y) / radius
        paint(canvas, rng, Region(distance < 1, ring, tone, BUSHES, [Brush(6, 26, 3), Brush(3.5, 16, 1.5)], 0.17))


def cypress(canvas: Canvas, rng: Random) -> None:
    """Two dark flames that lick up the whole height of the plate."""
    x, y = canvas.grid()
    for foot, tip, girth in ((0.215, 0.36, 0.045), (0.14, 0.06, 0.075)):
        rise = np.clip((0.80 - y) / (0.80 - tip), 0, 1)
        axis = foot + 0.018 * np.sin(9 * rise + foot * 40) * rise
        width = girth * (1 - rise) ** 0.75 * (1 + 0.18 * np.sin(21 * rise)) + 0.002
        across = (x - axis) / width
        flow = unit(-0.35 * across + 0.6 * np.sin(26 * rise + 3 * across), -np.ones_like(x))
        tone = 0.75 * streaks(flow, noise(rng, x.shape, 6)) - 0.05
        body = (np.abs(across) < 1) & (y > tip)
        brushes = [Brush(9, 46, 3), Brush(5, 38, 2), Brush(3, 26, 0.8)]
        paint(canvas, rng, Region(body, flow, tone, CYPRESS, brushes, 0.12))


def starry(size: int) -> Image.Image:
    """A starry night after van Gogh: swirling strokes, halos, cypresses, hills and a village."""
    rng = np.random.default_rng(1889)
    canvas = Canvas(size, 0.79, NIGHT[1])
    for part in (sky, hills, village, cypress):
        part(canvas, rng)
    return canvas.finished(impasto=1.2)
