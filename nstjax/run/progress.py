"""The progress of a run on a terminal; nothing elsewhere."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from nstjax.config import ScheduleConfig

_FORMAT = "{desc} {percentage:3.0f}%|{bar:5}| {elapsed}<{remaining}{postfix}"  # all of it in 100 columns


@runtime_checkable
class Show(Protocol):
    """Shows how far a run is, by the last row of its history."""

    def __call__(self, row: Mapping[str, float]) -> None: ...


@contextmanager
def progress_bar(schedule: ScheduleConfig, scale: int = 0, done: int = 0) -> Iterator[Show]:
    """A bar that counts evaluations by their pixels, so that the time left is right across scales.

    A run that is resumed has `done` evaluations of a scale behind it. Scales and steps count from 0, as everywhere.
    """
    costs = [share**2 for share in schedule.scales]
    works = [cost * (steps + 1) for cost, steps in zip(costs, schedule.steps, strict=True)]
    before = sum(works[:scale]) + costs[scale] * done
    with (
        logging_redirect_tqdm(),
        tqdm(total=sum(works), initial=before, bar_format=_FORMAT, disable=None, leave=False) as bar,
    ):

        def show(row: Mapping[str, float]) -> None:
            scale, step = int(row["scale"]), int(row["step"])
            speed = row["evaluations"] / max(row["seconds"], 1e-9)
            bar.set_description_str(f"scale {scale}/{len(costs) - 1} step {step}/{schedule.steps[scale]}")
            losses = " ".join(f"{name} {_short(row[name])}" for name in ("total", "content", "style"))
            bar.set_postfix_str(f"{speed:.1f}/s {losses}", refresh=False)
            bar.update(sum(works[:scale]) + costs[scale] * (step + 1) - bar.n)

        yield show


def _short(loss: float) -> str:
    return f"{loss:.3g}".replace("e+0", "e").replace("e+", "e")
