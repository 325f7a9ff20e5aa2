"""One run, from a configuration to a folder with a picture: the story in which the other rooms appear."""

import logging
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from nstjax import checkpoint, images, inits, optimize, optimizers, scales
from nstjax.checkpoint import Checkpoint
from nstjax.config import Config
from nstjax.errors import Interrupted, UserError
from nstjax.outputs import PAINTED, RESULT, Place, RunFolder, finished
from nstjax.run import coloring, fine
from nstjax.run.compilation import timed_and_kept
from nstjax.run.environment import environment, repeatable
from nstjax.run.pictures import check_inputs
from nstjax.run.problem import Problem, Stage, alpha, initial, learning_rates, measured, prepare, stages
from nstjax.run.progress import progress_bar
from nstjax.run.signals import stop_requests
from nstjax.types import Image

__all__ = ["Chunk", "begin", "chunks", "matmul_precision", "repeatable", "run"]

log = logging.getLogger(__name__)


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


def run(config: Config, folder: Path) -> Path:
    """Stylizes one picture as configured, and leaves everything about it in a folder.

    Returns:
        The path of the picture, `folder/result.png`.

    Raises:
        UserError: something that the user can mend; the manifest has the reason.
        Interrupted: after SIGINT or SIGTERM; the best picture so far, if there is one, is saved, and the manifest says
            `interrupted`.
    """
    check_inputs(config, folder)
    if config.resume and finished(folder, config):
        log.info("there is nothing left to do in %s: the run is done", folder)
        return folder / RESULT
    with (
        stop_requests() as stop,
        RunFolder(folder, config) as out,
        timed_and_kept() as compiling,
        jax.default_matmul_precision(matmul_precision(config)),
    ):
        problem = prepare(_with_painted_style(config, folder))
        out.manifest |= problem.facts() | {"device": _device(), "environment": environment()}
        setup, place = out.seconds() - compiling.seconds, out.begin()
        if stop.requested:  # the next look is after the first chunk's compilation
            raise Interrupted(stop.number, None)
        setup, compiling.seconds = setup + place.setup, compiling.seconds + place.compile
        with progress_bar(config.schedule, place.scale, place.done) as show:
            for chunk in chunks(config, problem, place):
                rows = out.record(chunk.records, scale=chunk.stage.number, first_step=chunk.first_step)
                show(rows[-1])
                if chunk.lost:
                    break
                _preview(config, out, chunk, rows[-1])
                if not chunk.last:
                    out.checkpoint(chunk.state, chunk.end(setup, compiling.seconds), now=stop.requested)
                if stop.requested:
                    break
        out.manifest |= _outcome(config, problem, chunk)
        result = chunk.shown(config, chunk.state.result)
        if config.output.metrics:
            out.manifest["metrics"] = measured(config, problem, chunk.stage, result)
        path = out.result(result, alpha(config, problem, chunk.stage.content))
        out.manifest["seconds"] = _seconds(setup, compiling.seconds, out.seconds())
        if chunk.lost:
            raise UserError(_loss_of(rows[-1]))
        if not chunk.last:
            log.info("the best picture so far is %s", path)
            raise Interrupted(stop.number, path)
        log.info(_summary(out.manifest))
    if stop.requested:  # too late for this run, but not for those that a sweep would go on with
        raise Interrupted(stop.number, path)
    return path


def _with_painted_style(config: Config, folder: Path) -> Config:
    """What is left to do of a run whose style picture has to be painted first, by a run in `folder/style`."""
    if not config.style.fine.picture:
        return config
    prepare(config)  # says now what is wrong with the rest
    log.info("painting the style picture in the strokes of %s first", config.style.fine.picture)
    try:
        return fine.painted(config, str(run(fine.painting(config), folder / PAINTED)))
    except Interrupted as error:
        raise Interrupted(error.number, None) from error  # a style isn't what was asked for


def matmul_precision(config: Config) -> str:
    """JAX's name for `runtime.precision`; it has none for bf16, which is a matter of the features' type."""
    return "default" if config.runtime.precision == "bf16" else config.runtime.precision


def chunks(config: Config, problem: Problem, place: Place = Place()) -> Iterator[Chunk]:  # noqa: B008
    """All evaluations of a run from a place on, scale after scale."""
    state = None
    for stage in stages(config, problem, first=place.scale):
        if place.saved and stage.number == place.scale:
            done, start = place.done, _restored(place.saved, stage)
        else:
            done, start = 0, begin(config, problem, stage, state)
        state = start  # where a saved scale has nothing left to do
        for state, records in optimize.optimize(
            start, problem.network, stage.targets, problem.weights, learning_rates(config, stage.steps),
            objective=problem.objective, optimizer=stage.optimizer, key=jax.random.key(config.seed),
            keep=stage.keep, average=config.optimizer.average, pause_every=config.preview_every, done=done,
        ):  # fmt: skip
            lost = _lost_at(state, records["total"])
            kept = {name: values[: lost + 1] for name, values in records.items()}
            step, done = done, done + len(records["total"])
            last = done > stage.steps and stage.number + 1 == len(config.schedule.scales)
            yield Chunk(stage, step, state, kept, lost < len(records["total"]), last)


def begin(config: Config, problem: Problem, stage: Stage, previous: optimize.State | None) -> optimize.State:
    """The state before a scale's first evaluation: the init, or what the scale before it came to, enlarged.

    In either there is what stays of the content.
    """
    if previous is None:
        image = initial(config, problem, stage)
    else:
        image = scales.enlarged(previous.result, *stage.content.shape[:2])
    if stage.keep is not None:
        image = inits.kept(image, stage.content, stage.keep)
    restarted = config.optimizer.name in optimizers.RESTARTED or config.parametrization.name != "pixels"
    if previous is None or restarted:  # what isn't pixels can't be enlarged like them
        return optimize.start(image, stage.optimizer.init(image))
    return optimize.start(image, scales.carried(previous.optimizer, previous.image.shape, image.shape))


def _restored(saved: Checkpoint, stage: Stage) -> optimize.State:
    template = jax.eval_shape(lambda image: optimize.start(image, stage.optimizer.init(image)), stage.content)
    return checkpoint.restore(saved, template)


def _preview(config: Config, out: RunFolder, chunk: Chunk, row: Mapping[str, float]) -> None:
    if config.preview_every and row["step"] % config.preview_every == 0:
        out.preview(chunk.shown(config, chunk.state.image), chunk.stage.number, int(row["step"]))
        log.info(
            "step %d: total %.6g, content %.6g, style %.6g", *(row[n] for n in ("step", "total", "content", "style"))
        )


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
