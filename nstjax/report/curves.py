"""Loss curves: of each run and group of terms, for the page as SVG and as a picture of its own."""

import math
import statistics
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nstjax import files
from nstjax.outputs import GROUPS
from nstjax.report.axes import Axis
from nstjax.report.published import Published, published
from nstjax.report.reading import Run

CURVES = "curves.png"
COLORS = "#3b6fd4", "#d9622b", "#2f9d6a", "#b04fc0", "#c79a12", "#1f9fb5", "#d4447c", "#7a7f2a", "#7b61d9", "#8a6a4f"
WIDTH, HEIGHT = 400, 230  # of a chart of the page, in its own units
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 8, 24  # around its curves
_POINTS = 48_000  # of all curves of a chart together, so that the page stays small


class Chart(NamedTuple):
    """A chart of the page: SVG paths by the runs' numbers, and its ticks, each a place and a text."""

    name: str
    paths: list[tuple[int, str]]
    across: list[tuple[float, str]]
    up: list[tuple[float, str]]


class Ink(NamedTuple):
    """The color of a run's curve, as a place in `COLORS`, and what has it."""

    color: int
    label: str


class Points(NamedTuple):
    """Some of the evaluations of a run, the first and last among them: when they were, and each group's weighted loss.

    Of a published log only the evaluations and totals are known.
    """

    evaluations: list[int]
    seconds: list[float] | None
    losses: dict[str, list[float | None]]


def points(runs: Sequence[Run]) -> list[Points]:
    """Of each run as many evaluations as a chart of so many can show, closer to each other where losses fall faster.

    After the runs come the logs that are published of them.
    """
    count = max(24, min(400, _POINTS // max(1, len(runs))))
    return [_points(run, count) for run in runs] + [_published(log) for log in published(runs)]


def charts(drawn: Sequence[Points]) -> list[Chart]:
    """A chart for the total, and for each group that is not zero throughout."""
    return [chart for name in ("total", *GROUPS) if (chart := _chart(name, drawn))]


def inks(axes: Sequence[Axis], names: Sequence[str], logs: Sequence[str] = ()) -> list[Ink]:
    """Each run's color and what it stands for: the run itself; where they are many, a value of the longest axis that
    has colors enough. Then those of published logs, by their titles."""
    return _inks(axes, names) + [Ink(len(COLORS) - 1 - number, title) for number, title in enumerate(logs)]


def _inks(axes: Sequence[Axis], names: Sequence[str]) -> list[Ink]:
    if len(names) <= len(COLORS):
        return [Ink(run, name) for run, name in enumerate(names)]
    fitting = [axis for axis in axes if len(axis.values) <= len(COLORS)]
    if not fitting:
        return [Ink(0, "") for _ in names]
    axis = max(fitting, key=lambda axis: len(axis.values))
    return [Ink(axis.place[run], axis.label(run)) for run in range(len(names))]


def save_curves(folder: Path, drawn: Sequence[Points], ink: Sequence[Ink]) -> Path | None:
    """Saves the curves of all runs side by side as `folder/curves.png`; None where no run has recorded a loss."""
    shown = [chart.name for chart in charts(drawn)]
    if not shown:
        return None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # of names that the font doesn't have
        panels = [*((name, "evaluations") for name in shown), ("total", "seconds")]
        figure = Figure(figsize=(4.2 * len(panels), 3.6), layout="constrained")
        for place, (name, by) in enumerate(panels, 1):
            axes = figure.add_subplot(1, len(panels), place, title=name, xlabel=by, yscale="log")
            axes.grid(True, alpha=0.25)
            _draw(axes, name, by, drawn, ink)
            axes.set_ylim(*(10**exponent for exponent in _bounds(name, drawn) or ()))
        _legend(figure)
        with files.atomic(folder / CURVES) as temporary:
            figure.savefig(temporary, format="png", dpi=150)
    return folder / CURVES


def _draw(axes: Axes, name: str, by: str, drawn: Sequence[Points], ink: Sequence[Ink]) -> None:
    width = 1.2 if len(drawn) < 30 else 0.6
    for (color, label), each in zip(ink, drawn, strict=True):
        values = [value if value and value > 0 else math.nan for value in each.losses[name]]
        across = each.evaluations if by == "evaluations" else each.seconds
        if across and np.isfinite(values).any():
            # The space: what begins with _ has no place in a legend. The backslash: a pair of $ would be mathematics.
            text = " " + label.replace("$", r"\$")
            axes.plot(across, values, color=COLORS[color], linewidth=width, label=text)


def _legend(figure: Figure) -> None:
    handles, texts = figure.axes[0].get_legend_handles_labels()
    entries = dict(zip(texts, handles, strict=True))  # one of each
    if 1 < len(entries) <= 24:
        figure.legend(
            entries.values(), entries.keys(), loc="outside lower center", ncols=min(3, len(entries)), fontsize=8
        )


def _points(run: Run, count: int) -> Points:
    evaluations = run.history["evaluations"]
    where = _thinned(len(evaluations), count)
    finite = np.isfinite(evaluations[where])
    return Points(
        [int(each) for each in evaluations[where][finite]],
        [round(float(each), 3) for each in run.history["seconds"][where][finite]],
        {name: [_or_none(each) for each in run.history[name][where][finite]] for name in ("total", *GROUPS)},
    )


def _published(log: Published) -> Points:
    losses: dict[str, list[float | None]] = {group: [None] * len(log.totals) for group in GROUPS}
    return Points(log.evaluations, None, losses | {"total": [*log.totals]})


def _thinned(length: int, count: int) -> np.ndarray:
    """At most `count` places among `length`, with the ends: half of them even, half of them closer at the beginning."""
    if length <= count:
        return np.arange(length)
    even = np.linspace(0, length - 1, count // 2)
    early = np.geomspace(1, length, count // 2) - 1
    return np.unique(np.concatenate([even, early]).round().astype(int))


def _or_none(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _chart(name: str, drawn: Sequence[Points]) -> Chart | None:
    bounds = _bounds(name, drawn)
    if bounds is None:
        return None
    low, high = bounds
    last = max(2, *(each.evaluations[-1] for each in drawn if each.evaluations))
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x(evaluation: float) -> float:
        return round(LEFT + width * (evaluation - 1) / (last - 1), 1)

    def y(exponent: float) -> float:
        return round(TOP + height * (high - exponent) / (high - low), 1)

    def places(each: Points) -> Iterator[tuple[float, float | None]]:
        for evaluation, loss in zip(each.evaluations, each.losses[name], strict=True):
            yield x(evaluation), y(math.log10(loss)) if loss and loss > 0 else None

    return Chart(
        name,
        [(run, path) for run, each in enumerate(drawn) if (path := _path(places(each)))],
        [(x(each), f"{each:,}") for each in _even_ticks(last)],
        [(y(math.log10(each)), _number(each)) for each in _log_ticks(low, high)],
    )


def _bounds(name: str, drawn: Sequence[Points]) -> tuple[float, float] | None:
    """The decimal exponents from which to which an axis goes; None where nothing is to be seen.

    The beginnings of runs don't count at the lower end: those from the content picture have nearly no content loss.
    Nor do at the upper end losses of a thousand times what they are mostly: L-BFGS' second step may come to one.
    """
    if not (found := [loss for each in drawn for _, loss in _positive(name, each)]):
        return None
    later = [loss for each in drawn for evaluation, loss in _positive(name, each) if evaluation > _beginning(each)]
    medians = [statistics.median(losses) for each in drawn if (losses := [loss for _, loss in _positive(name, each)])]
    low, high = math.log10(min(later or found)), math.log10(min(max(found), 1000 * max(medians)))
    return low - 0.03, max(high, low + 0.05) + 0.03


def _beginning(each: Points) -> float:
    """The last of the evaluations that are a run's beginning."""
    return 1 + max(each.evaluations, default=0) / 40


def _positive(name: str, each: Points) -> list[tuple[int, float]]:
    """The evaluations whose loss a logarithmic axis has a place for, and these losses."""
    pairs = zip(each.evaluations, each.losses[name], strict=True)
    return [(evaluation, loss) for evaluation, loss in pairs if loss is not None and loss > 0]


def _number(value: float) -> str:
    """Of a tick: 0.3, 50, 10⁶, 2·10⁶."""
    if 0.001 <= value < 10_000:
        return f"{value:g}"
    factor, _, exponent = f"{value:.1e}".partition("e")
    power = f"10{str(int(exponent)).translate(_SUPERSCRIPTS)}"
    return power if float(factor) == 1 else f"{float(factor):g}·{power}"


_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _path(places: Iterable[tuple[float, float | None]]) -> str:
    """SVG's path through the points, broken where there is none."""
    parts, pen = [], "M"
    for x, y in places:
        parts += [] if y is None else [f"{pen}{x:g} {y:g}"]
        pen = "M" if y is None else "L"
    return "".join(parts)


def _even_ticks(last: int) -> list[int]:
    """A few round numbers up to the last one, and 1."""
    raw = max(1.0, last / 4)
    power = 10 ** math.floor(math.log10(raw))
    step = max(1, int(next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw)))
    return [1, *range(step, last + 1, step)] if step > 1 else list(range(1, last + 1))


def _log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten from 10^low to 10^high, or where there are few, numbers between them, too."""
    for factors in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8)):
        exponents = range(math.floor(low), math.ceil(high) + 1)
        ticks = [factor * 10.0**e for e in exponents for factor in factors if low <= math.log10(factor) + e <= high]
        if len(ticks) > 2:
            break
    skip = max(1, -(-len(ticks) // 7))
    return ticks[::skip]
