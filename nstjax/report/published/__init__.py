"""Logs that somebody else has published of the same run, for a report to show beside ours."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nstjax.report.reading import Run

TITLES = {"neckarfront": "Gatys' notebook (2017)"}


class Published(NamedTuple):
    """A log: who says it, and the total loss of some evaluations, which count from 1."""

    title: str
    evaluations: list[int]
    totals: list[float]


def published(runs: Sequence[Run]) -> list[Published]:
    """The logs that runs name in their configurations, each once."""
    named = dict.fromkeys(str(run.manifest["config"].get("published")) for run in runs)
    return [_read(name) for name in named if name in TITLES]


def beside(log: Published, run: Run) -> list[tuple[int, float, float]]:
    """Of the evaluations that are in both, the number, the log's total and the run's."""
    recorded = run.history["evaluations"]
    return [
        (evaluation, total, float(run.history["total"][np.flatnonzero(recorded == evaluation)[0]]))
        for evaluation, total in zip(log.evaluations, log.totals, strict=True)
        if evaluation in recorded
    ]


def markdown(runs: Sequence[Run]) -> str:
    """A table of each log with each run, and the ratio of ours to theirs."""
    return "".join(_markdown(log, run) for log in published(runs) for run in runs if beside(log, run))


def _markdown(log: Published, run: Run) -> str:
    head = f"\n| evaluation | {log.title} | run {run.name} | ratio |\n| ---: | ---: | ---: | ---: |\n"
    rows = (f"| {k} | {theirs:,.0f} | {ours:,.0f} | {ours / theirs:.3f} |\n" for k, theirs, ours in beside(log, run))
    return head + "".join(rows)


def _read(name: str) -> Published:
    with open(Path(__file__).with_name(f"{name}.csv"), newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return Published(TITLES[name], [int(row["evaluation"]) for row in rows], [float(row["total"]) for row in rows])
