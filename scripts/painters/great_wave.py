"""A great wave after Hokusai: flat printed blues, contour lines and clawed foam on cream paper."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from .canvas import (
    Canvas,
    Color,
    Floats,
    Paint,
    Palette,
    Point,
    Random,
    curve,
    mix,
    noise,
    normals,
    ribbon,
    streaks,
    unit,
)

PRUSSIAN: Palette = [(16, 32, 66), (30, 62, 112), (66, 110, 152), (132, 168, 184), (196, 208, 200)]
SKY: Palette = [(70, 90, 112), (166, 168, 156), (232, 216, 180), (246, 233, 200), (226, 206, 168)]
INK: Color = (18, 30, 56)
FOAM: Color = (244, 238, 218)
SHADE: Color = (164, 194, 202)
VERMILION: Palette = [(190, 62, 40), (222, 104, 60)]
WOOD: Palette = [(120, 84, 52), (206, 168, 106), (232, 206, 150)]

HEIGHT = 0.68
LINE = 0.0032  # the width of a contour

FAR_SEA = [(-0.05, 0.47), (0.14, 0.495), (0.33, 0.475), (0.52, 0.51), (0.75, 0.5), (1.05, 0.5)]
NEAR_SEA = [(-0.05, 0.385), (0.05, 0.45), (0.15, 0.555), (0.32, 0.61), (0.52, 0.60), (0.76, 0.64), (1.05, 0.66)]
SHORE = [(-0.05, 0.60), (0.15, 0.63), (0.4, 0.665), (0.68, 0.64), (0.86, 0.57), (1.05, 0.56)]


def filled(canvas: Canvas, outline: Floats, color: Paint, line: float = LINE) -> None:
    """A flat shape with a contour."""
    closed = np.concatenate([outline, outline[:1]])
    canvas.polygon(outline, color)
    canvas.polygon(ribbon(closed, np.full(len(closed), line)), INK)


def drawn(canvas: Canvas, path: Floats, color: Paint, width: float) -> None:
    """A line along `path` that thins towards both ends."""
    canvas.polygon(ribbon(path, width * bow(len(path))), color)


def bow(points: int) -> Floats:
    """The relative width of a line that thins towards both ends."""
    return np.asarray(np.sin(np.linspace(0.12, np.pi - 0.12, points)) ** 0.5)


def discs(middles: Floats, radii: Floats) -> Floats:
    """The outlines of discs around `middles` (n 2)."""
    angle = np.linspace(0, 2 * np.pi, 48)
    return np.asarray(middles[:, None] + radii[:, None, None] * unit(np.cos(angle), np.sin(angle)))


def dot(canvas: Canvas, at: Floats, radius: float, color: Paint) -> None:
    """A filled disc."""
    canvas.polygon(discs(at[None], np.array([radius]))[0], color)


# ---------------------------------------------------------------- foam


def claws(rng: Random, start: Floats, angle: float, length: float, curl: float) -> tuple[Floats, Floats]:
    """A curled finger of foam from `start`, its 3 branches and their 9: paths (13 s 2) and widths at the root (13)."""
    roots, angles, lengths, curls = start[None], np.array([angle]), np.array([length]), np.array([curl])
    steps, branches, turns = np.linspace(0, 1, 9), [2, 4, 6], np.array([-0.8, 0.7, -0.7]) * np.sign(curl)
    paths, widths = [], []
    for _ in range(3):
        heading = angles[:, None] + curls[:, None] * steps**1.4
        strides = unit(np.cos(heading), np.sin(heading)) * lengths[:, None, None] / len(steps)
        paths.append(roots[:, None] + np.cumsum(strides, axis=1))
        widths.append(0.36 * lengths)
        roots, angles = paths[-1][:, branches].reshape(-1, 2), (heading[:, branches] + turns).ravel()
        lengths = np.repeat(lengths, 3) * rng.uniform(0.42, 0.6, len(roots))
        curls = np.repeat(curls, 3) * rng.uniform(0.9, 1.4, len(roots))
    return np.concatenate(paths), np.concatenate(widths)


def foam(canvas: Canvas, paths: Floats, widths: Floats) -> None:
    """Fingers of foam as one shape: ink below, then cream, then a shaded side."""
    taper = widths[:, None] * np.linspace(1, 0.12, paths.shape[1]) ** 0.8
    for grow, color in ((2 * LINE, INK), (0.0, FOAM)):
        for outline in (*ribbon(paths, taper + grow), *discs(paths[:, -1], 0.16 * widths + grow / 2)):
            canvas.polygon(outline, color)
    shaded = (paths + normals(paths) * 0.2 * taper[..., None])[:, :-1]
    for outline in ribbon(shaded, 0.16 * widths[:, None] * bow(shaded.shape[1])):
        canvas.polygon(outline, SHADE)


def crest(canvas: Canvas, rng: Random, path: Floats, sizes: tuple[float, float], lean: float, curl: float) -> None:
    """Foam along the crest `path`, with claws between the two `sizes`, that leans off the path and curls."""
    heading = np.unwrap(np.arctan2(*np.gradient(path, axis=0).T[::-1]))
    length = float(np.hypot(*np.diff(path, axis=0).T).sum())
    count = max(3, int(length / (0.45 * sum(sizes) / 2)))
    for index in np.linspace(0, len(path) - 1, count).astype(int):
        size = rng.uniform(*sizes)
        foam(canvas, *claws(rng, path[index], heading[index] + lean + rng.normal(0, 0.15), size, curl))


def spray(canvas: Canvas, rng: Random, middle: Point, spread: Point, count: int) -> None:
    """Drops thrown off a crest."""
    for at in rng.normal(middle, spread, (count, 2)):
        radius = rng.uniform(0.0012, 0.0042)
        dot(canvas, at, radius + LINE / 2.5, INK)
        dot(canvas, at, radius, FOAM)


# ---------------------------------------------------------------- the print


def between(a: Floats, b: Floats, share: float | Floats) -> Floats:
    """The path a share of the way from path `a` to path `b`."""
    return a * (1 - share) + b * share


def resampled(path: Floats, count: int = 160) -> Floats:
    """`path` as `count` points at equal distances."""
    run = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
    at = np.linspace(0, run[-1], count)
    return np.stack([np.interp(at, run, column) for column in path.T], -1)


def sky(canvas: Canvas) -> None:
    """A graded sky, a low sun, and clouds in bands."""
    for row in np.arange(0, HEIGHT, 0.5 / canvas.size):
        band = np.array([[0, row], [1, row], [1, row + 0.01], [0, row + 0.01]])
        canvas.polygon(band, mix(SKY, np.array((row / 0.52) ** 0.6)))
    for radius in np.linspace(0.068, 0.0, 20):
        dot(canvas, np.array([0.24, 0.20]), radius, mix(VERMILION, np.array(1 - radius / 0.068)))


def clouds(canvas: Canvas) -> None:
    """Long bars of mist."""
    bars = [(-0.1, 0.30, 0.075, 0.02), (0.12, 0.44, 0.105, 0.016), (-0.1, 0.17, 0.355, 0.02), (0.0, 0.33, 0.39, 0.014)]
    for left, right, y, width in bars:
        bar = np.linspace((left, y), (right, y), 40)
        drawn(canvas, bar, PRUSSIAN[3], width + LINE)
        drawn(canvas, bar, PRUSSIAN[4], width - LINE / 2)


def mountain(canvas: Canvas) -> None:
    """A far snow-capped cone."""
    left, right = (
        curve([(0.06, 0.50), (0.2, 0.46), (0.29, 0.365)]),
        curve([(0.315, 0.365), (0.40, 0.455), (0.55, 0.50)]),
    )
    filled(canvas, np.concatenate([left, right]), PRUSSIAN[2])
    teeth = [(0.365, 0.425), (0.345, 0.41), (0.335, 0.435), (0.315, 0.405), (0.30, 0.44), (0.285, 0.41), (0.265, 0.43)]
    snow = np.concatenate(
        [left[left[:, 1] < 0.42], right[right[:, 1] < 0.42], np.array(teeth), np.array([(0.245, 0.418)])]
    )
    filled(canvas, snow, FOAM, 0.002)


def swell(canvas: Canvas, rng: Random, points: Sequence[Point], sizes: tuple[float, float], stripes: int = 9) -> None:
    """A lesser wave: stripes that follow its crest through `points` and flatten downwards, under a line of foam."""
    top = resampled(curve(points))
    deep = np.stack([top[:, 0], 0 * top[:, 1] + HEIGHT + 0.03], -1)
    floor = np.array([(1.1, 0.75), (-0.1, 0.75)])
    for index, share in enumerate(np.linspace(0, 0.9, stripes)):
        wavy = between(top, deep, share**1.2)
        wavy[:, 1] += 0.006 * np.sin(22 * wavy[:, 0] + 2.4 * index)
        filled(canvas, np.concatenate([wavy, floor]), PRUSSIAN[(1, 3, 0, 2, 4, 1, 0)[index % 7]], 0.002)
    crest(canvas, rng, top[::-1], sizes, 0.7, -1.5)


def boat(canvas: Canvas, points: Sequence[Point]) -> None:
    """A slender boat along `points`, with its rowers bent over the side."""
    keel = curve(points)
    upper = ribbon(keel, 0.02 * np.sin(np.linspace(0.25, np.pi - 0.1, len(keel))) + 0.004)
    for at in keel[14:-14:5]:
        for up, radius, color in ((0.013, 0.010, PRUSSIAN[2]), (0.026, 0.0055, WOOD[2])):
            dot(canvas, at - np.array([up / 4, up]), radius, INK)
            dot(canvas, at - np.array([up / 4, up]), radius - LINE / 2, color)
    filled(canvas, upper, WOOD[1])
    drawn(canvas, keel, WOOD[0], 0.0035)


def breaker(canvas: Canvas, rng: Random) -> None:
    """The great wave: stripes that sweep up its hollow face, and foam that claws over its crest."""
    tip = (0.41, 0.25)
    back = resampled(curve([(1.08, 0.30), (0.94, 0.125), (0.80, 0.06), (0.65, 0.06), (0.51, 0.13), tip]))
    top = resampled(curve([(1.08, 0.74), (1.0, 0.46), (0.91, 0.27), (0.79, 0.165), (0.64, 0.145), (0.52, 0.18), tip]))
    face = resampled(curve([(0.60, 0.74), (0.70, 0.62), (0.74, 0.50), (0.72, 0.37), (0.64, 0.28), (0.52, 0.245), tip]))
    filled(canvas, np.concatenate([back, top[::-1]]), PRUSSIAN[0])
    for index, share in enumerate(np.linspace(0, 1, 15)[:-1]):
        stripe = np.concatenate([between(top, face, share), between(top, face, share + 1 / 14)[::-1]])
        filled(canvas, stripe, PRUSSIAN[(0, 3, 1, 0, 4, 2)[index % 6]], 0.002)
    for share, sizes in ((0.75, (0.05, 0.085)), (0.45, (0.035, 0.06)), (0.2, (0.03, 0.05))):
        inner = between(back, top, share * np.linspace(0.35, 1, len(back))[:, None])
        crest(canvas, rng, inner[15:150], sizes, -1.35, 1.5)
        canvas.polygon(np.concatenate([back, inner[::-1]]), FOAM)
    crest(canvas, rng, face[:76:-1], (0.045, 0.075), 1.7, 1.2)
    crest(canvas, rng, back[5:], (0.04, 0.075), 0.35, -1.9)
    spray(canvas, rng, (0.365, 0.23), (0.05, 0.085), 75)


def printed(picture: Image.Image, rng: Random) -> Image.Image:
    """The picture as ink from a plank of wood on laid paper: grain shows through where the ink is dark."""
    pixels = np.asarray(picture, float) / 255
    height, width = pixels.shape[:2]
    x, y = np.meshgrid(np.arange(width) / width, np.arange(height) / height)
    knots = noise(rng, (height, width), max(2, width // 5)) - 0.5
    grain = (
        streaks(unit(np.ones_like(x), 0.5 * knots + 0.03 * np.sin(9 * x + 4 * y)), noise(rng, (height, width), 3), 40)
        - 0.5
    )
    fiber = noise(rng, (height, width), 2) - 0.5
    ink = 1 - pixels.mean(axis=-1, keepdims=True)
    paper = np.array(FOAM) / 255
    worn = pixels + (paper - pixels) * np.clip(0.3 * grain + 0.25 * fiber, 0, 1)[..., None] * ink
    worn *= 1 + (0.1 * grain + 0.08 * fiber)[..., None]
    return Image.fromarray(np.clip(worn * 255, 0, 255).astype(np.uint8))


def great_wave(size: int) -> Image.Image:
    """A great wave after Hokusai, from the right, over boats and a far mountain with a low sun."""
    rng = np.random.default_rng(1831)
    canvas = Canvas(size, HEIGHT, SKY[2])
    sky(canvas)
    clouds(canvas)
    mountain(canvas)
    swell(canvas, rng, FAR_SEA, (0.014, 0.022))
    boat(canvas, [(0.33, 0.515), (0.46, 0.565), (0.60, 0.555), (0.70, 0.50)])
    breaker(canvas, rng)
    swell(canvas, rng, NEAR_SEA, (0.034, 0.055))
    boat(canvas, [(0.10, 0.565), (0.22, 0.635), (0.38, 0.64), (0.48, 0.60)])
    swell(canvas, rng, SHORE, (0.024, 0.038), 5)
    return printed(canvas.finished(), rng)
