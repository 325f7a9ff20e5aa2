"""The table of runs: what differs, how each ended, its final losses; as CSV and as Markdown."""

import csv
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from nstjax import files
from nstjax.errors import printable
from nstjax.outputs import GROUPS
from nstjax.report.axes import Axis, text
from nstjax.report.reading import Run

CSV, MARKDOWN = "table.csv", "table.md"

_NOTES = {  # docs/metrics.md, in short
    "content_distance": "of features from the photograph's; 0: the same",
    "perceptual": "of features' directions from the photograph's, as LPIPS without learned weights; 0: the same",
    "ssim": "structural similarity to the photograph; 1: the same",
    "color_shift": "of colors from the photograph's, in Delta E; 0: the same",
    "style_gram": "of Gram matrices from the painting's; 0: the same",
    "style_moments": "of channels' means and deviations from the painting's; 0: the same",
    "style_sliced": "sliced Wasserstein distance from the painting's features; 0: the same",
    "optimized": "layers of the metrics that the run's own loss has seen: there its numbers say little",
}

Value = str | float | int | None


class Column(NamedTuple):
    """A column: its key (in the CSV), its name (where space is short), a value by run, how it is shown, and a note."""

    key: str
    name: str
    values: list[Value]
    shown: Callable[[Value], str] = text
    note: str = ""

    @property
    def texts(self) -> list[str]:
        return ["" if value is None else self.shown(value) for value in self.values]

    @property
    def numeric(self) -> bool:
        return all(value is None or isinstance(value, int | float) for value in self.values)


def columns(runs: Sequence[Run], axes: Sequence[Axis]) -> list[Column]:
    """The whole table, with the settings that tell runs apart after their names; no column without a value."""
    differing = [
        Column(key, name, [_setting(run, key) for run in runs])
        for axis in axes
        for key, name in zip(axis.keys, axis.names, strict=True)
    ]
    finals = [run.final for run in runs]
    losses = [Column(name, name, [final.get(name) for final in finals], grouped) for name in ("total", *GROUPS)]
    measured = [run.metrics for run in runs]
    names = dict.fromkeys(name for metrics in measured for name in metrics)
    found = [
        *losses,
        *(
            Column(f"metrics.{name}", name, [each.get(name) for each in measured], _rounded, _NOTES.get(name, ""))
            for name in names
        ),
        Column("metrics.optimized", "optimized", [_optimized(run) for run in runs], note=_NOTES["optimized"]),
        Column("evaluations", "evaluations", [run.evaluations for run in runs], grouped),
        Column("seconds", "seconds", [run.seconds for run in runs], grouped),
        Column("device", "device", [printable(str(run.manifest.get("device", ""))) or None for run in runs]),
        Column("reason", "reason", [run.reason or None for run in runs]),
    ]
    head = [
        Column("run", "run", [run.name for run in runs]),
        *differing,
        Column("status", "status", [run.status for run in runs]),
    ]
    return head + [column for column in found if any(value not in (None, 0) for value in column.values)]


def _optimized(run: Run) -> Value:
    """The metrics' layers that the run's own loss has seen."""
    match run.manifest.get("metrics"):
        case {"optimized": [_, *_] as layers}:
            return printable(", ".join(map(str, layers)))
    return None


def _rounded(value: Value) -> str:
    """A number to three digits."""
    return f"{value:.3g}" if isinstance(value, int | float) else value or ""


def grouped(value: Value) -> str:
    """A number to six digits, one below the other: 1,030,600."""
    if not isinstance(value, int | float):
        return value or ""
    return f"{float(f'{value:.6g}'):,.12g}"


def save_csv(folder: Path, table: Sequence[Column]) -> Path:
    """Saves `folder/table.csv`, numbers to their last digit."""
    with (
        files.atomic(folder / CSV) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(column.key for column in table)
        writer.writerows(zip(*(column.values for column in table), strict=True))
    return folder / CSV


def save_markdown(folder: Path, table: Sequence[Column], more: str = "") -> Path:
    """Saves `folder/table.md`, and `more` of the kind after it."""
    with files.atomic(folder / MARKDOWN) as temporary:
        temporary.write_text(markdown(table) + more, encoding="utf-8")
    return folder / MARKDOWN


def markdown(table: Sequence[Column]) -> str:
    """A table of GitHub's Markdown."""
    lines = [
        [_markdown(column.name) for column in table],
        ["---:" if column.numeric else "---" for column in table],
        *([_markdown(each) for each in row] for row in zip(*(column.texts for column in table), strict=True)),
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _setting(run: Run, key: str) -> Value:
    value = run.settings.get(key)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if number or key not in run.settings else text(value)


def _markdown(plain: str) -> str:
    """The text as it is, whatever it holds of Markdown's or HTML's own signs."""
    escaped = plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", escaped)
