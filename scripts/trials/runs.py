"""Tiny runs of the real command, what they have left, and a table of what became of them."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

TINY = ("size=48", "objective.content.layers=[relu2_1]", "objective.style.layers=[relu1_1,relu2_1]")
RUNS = {
    "lbfgs, one scale": ("optimizer=lbfgs", "schedule=single", "schedule.steps=[400]", "preview_every=50"),
    "lbfgs, two scales": ("optimizer=lbfgs", "schedule.scales=[0.8,1]", "schedule.steps=[200,200]"),
    "adam, one scale": ("optimizer=adam", "schedule=single", "schedule.steps=[500]"),
    "adam, two scales, averaged": (
        "optimizer=adam", "optimizer.average=0.9", "schedule.scales=[0.8,1]", "schedule.steps=[200,300]"
    ),
}  # fmt: skip


def start(*arguments: object, largest_file: int | None = None) -> subprocess.Popen:
    """A command line of nstjax.train on tiny pictures; what XLA compiles is kept, so that a restart is quick.

    No file may become larger than `largest_file` KiB.
    """
    limited = ("bash", "-c", f'ulimit -f {largest_file}; exec "$@"', "limited") if largest_file else ()
    return subprocess.Popen(
        [*limited, sys.executable, "-m", "nstjax.train", *map(str, arguments), *TINY],
        env={**os.environ, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def history(folder: Path) -> list[dict[str, str]]:
    """The rows of a run's history, but for their seconds."""
    with open(folder / "history.csv", newline="", encoding="utf-8") as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def status(folder: Path) -> str:
    """What a run's manifest says of it; `none` where there is no manifest."""
    try:
        return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["status"]
    except FileNotFoundError:
        return "none"


def same_picture(folder: Path, other: Path) -> bool:
    """Whether two runs have left the same picture, byte for byte."""
    return (folder / "result.png").read_bytes() == (other / "result.png").read_bytes()


def modified(path: Path) -> int:
    """When a file was last written, in ns; 0 where there is none."""
    return path.stat().st_mtime_ns if path.exists() else 0


def as_table(rows: Sequence[dict[str, object]]) -> str:
    """Rows of the same keys as a table in Markdown."""
    lines = [[*rows[0]], ["---"] * len(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
