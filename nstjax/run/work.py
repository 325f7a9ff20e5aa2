"""A run that is going on: what becomes of each chunk of its evaluations, and of the last one."""

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from nstjax import images, optimize
from nstjax.config import Config
from nstjax.errors import Interrupted, UserError
from nstjax.outputs import Place, RunFolder
from nstjax.run import coloring
from nstjax.run.compilation import timed_and_kept
from nstjax.run.environment import environment
from nstjax.run.problem import Problem, Stage, alpha, measured
from nstjax.run.signals import StopRequest
from nstjax.types import Image

log = logging.getLogger("nstjax.run")


class Chunk(NamedTuple):
    """A few evaluations at one scale: the first one's step, the state after them, and what they recorded."""

    stage: Stage
    first_step: int
    state: optimize.State
    records: optimize.Records
    lost: bool  # the loss isn't finite any more, from the last record on
    last: bool  # of the whole run

    def end(self, setup: float, compiling: float) -> Place:
        """Where a run that is resumed after this chunk begins."""
        return Place(self.stage.number, self.first_step + len(self.records["total"]), setup, compiling)

    def shown(self, config: Config, image: Image) -> images.Pixels:
        """An image of this scale as one looks at it."""
        return coloring.shown(config.color, np.asarray(image), self.stage.photo)


class Work:
    """A run between its beginning and its end, in its folder."""

    def __init__(self, config: Config, out: RunFolder, problem: Problem, place: Place, clock: Any) -> None:
        self.config, self.problem, self.place = config, problem, place
        self._out, self._clock, self._setup = out, clock, place.setup
        self._before = place.compile

    @property
    def compiling(self) -> float:
        """Seconds, those before the run was resumed too."""
        return self._before + self._clock.seconds

    def take(self, chunk: Chunk, stop: StopRequest) -> Mapping[str, float]:
        """Records a chunk, and saves what is to be saved after it; returns the last row of the history."""
        rows = self._out.record(chunk.records, scale=chunk.stage.number, first_step=chunk.first_step)
        if not chunk.lost:
            self._preview(chunk, rows[-1])
            if not chunk.last:
                self._out.checkpoint(chunk.state, chunk.end(self._setup, self.compiling), now=stop.requested)
        return rows[-1]

    def finish(self, chunk: Chunk, row: Mapping[str, float], stop: StopRequest) -> Path:
        """Saves the picture of the last chunk that there is, and the rest of the manifest.

        Raises:
            UserError: the loss isn't finite any more.
            Interrupted: it was not the last of the run.
        """
        for remembered in jax.tree.leaves(chunk.state.optimizer):
            remembered.delete()  # L-BFGS' pairs are most of a run's memory, which measuring needs
        manifest = self._out.manifest
        manifest |= _outcome(self.config, self.problem, chunk)
        result = chunk.shown(self.config, chunk.state.result)
        if self.config.output.metrics:
            manifest["metrics"] = measured(self.config, self.problem, chunk.stage, result)
        path = self._out.result(result, alpha(self.config, self.problem, chunk.stage.content))
        manifest["seconds"] = _seconds(self._setup, self.compiling, self._out.seconds())
        if chunk.lost:
            raise UserError(_loss_of(row))
        if not chunk.last:
            log.info("the best picture so far is %s", path)
            raise Interrupted(stop.number, path)
        log.info(_summary(manifest))
        return path

    def _preview(self, chunk: Chunk, row: Mapping[str, float]) -> None:
        if self.config.preview_every and row["step"] % self.config.preview_every == 0:
            self._out.preview(chunk.shown(self.config, chunk.state.image), chunk.stage.number, int(row["step"]))
            log.info(
                "step %d: total %.6g, content %.6g, style %.6g",
                *(row[n] for n in ("step", "total", "content", "style")),
            )


@contextmanager
def working(config: Config, folder: Path, stop: StopRequest, prepared: Callable[[], Problem]) -> Iterator[Work]:
    """A run in its folder, with all that it needs at hand, whose manifest says in the end how it ended."""
    with RunFolder(folder, config) as out, timed_and_kept() as clock:
        problem = prepared()
        out.manifest |= problem.facts() | {"device": _device(), "environment": environment()}
        setup, place = out.seconds() - clock.seconds, out.begin()
        if stop.requested:  # the next look is after the first chunk's compilation
            raise Interrupted(stop.number, None)
        yield Work(config, out, problem, place._replace(setup=setup + place.setup), clock)


def chunk_of(stage: Stage, step: int, state: optimize.State, records: optimize.Records, scales: int) -> Chunk:
    """What `optimize` yields, as a chunk of a stage that begins at a step, of a run of so many scales."""
    lost = _lost_at(state, records["total"])
    last = step + len(records["total"]) > stage.steps and stage.number + 1 == scales
    kept = {name: values[: lost + 1] for name, values in records.items()}
    return Chunk(stage, step, state, kept, lost < len(records["total"]), last)


def _lost_at(state: optimize.State, totals: np.ndarray) -> int:
    """The first of the evaluations from which no way leads back to numbers; how many there are, if there is none.

    A loss that isn't finite is not lost yet: L-BFGS undoes the step. It is when the next image won't be finite either,
    or when no loss ever was.
    """
    if np.isfinite(state.lowest) and np.isfinite(np.asarray(state.image + state.pending)).all():
        return len(totals)
    return int(np.flatnonzero(np.isfinite(totals)).max(initial=-1)) + 1


def _loss_of(row: Mapping[str, float]) -> str:
    name = next(name for name, value in reversed(list(row.items())) if not math.isfinite(value))
    where = f"{name} became {row[name]} at scale {row['scale']}, step {row['step']}"
    return f"{where}; the picture before it is kept; lower optimizer.learning_rate or the weights of objective"


def _outcome(config: Config, problem: Problem, chunk: Chunk) -> dict[str, Any]:
    """The result's terms, and to compare it with, the total of the content picture itself at the same size."""

    def measure(image: jax.Array) -> tuple[float, dict[str, float]]:
        key, objective = jax.random.key(config.seed), problem.objective
        total, terms = optimize.measure(
            image, problem.plain_network, chunk.stage.targets, problem.weights, key, objective=objective
        )
        return float(total), {name: float(value) for name, value in terms.items()}

    total, terms = measure(chunk.state.result)
    height, width, _ = chunk.state.result.shape
    return {
        "size": [width, height],
        "final": {"total": total, **terms},
        "content_total": measure(chunk.stage.content)[0],
    }


def _seconds(setup: float, compiling: float, total: float) -> dict[str, float]:
    seconds = {"setup": setup, "compile": compiling, "run": total - setup - compiling, "total": total}
    return {name: round(value, 3) for name, value in seconds.items()}


def _device() -> str:
    device = jax.devices()[0]
    return f"{device.platform}: {device.device_kind}"


def _summary(manifest: Mapping[str, Any]) -> str:
    width, height = manifest["size"]
    total, before = manifest["final"]["total"], manifest["content_total"]
    times = (
        f", {before / max(total, 1e-30):.0f} times below the content picture's {before:.4g}" if before > total else ""
    )
    return (
        f"{width}x{height}, {manifest['evaluations']} evaluations in {manifest['seconds']['total']:.0f} s; "
        f"total {total:.4g}{times}"
    )
