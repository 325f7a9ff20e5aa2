"""One run, from a configuration to a folder with a picture: the story in which the other rooms appear."""

import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jax

from nstjax import checkpoint, inits, optimize, optimizers, scales
from nstjax.checkpoint import Checkpoint
from nstjax.config import Config
from nstjax.errors import Interrupted
from nstjax.outputs import PAINTED, RESULT, Place, finished
from nstjax.run import fine
from nstjax.run.compilation import ahead
from nstjax.run.environment import repeatable
from nstjax.run.pictures import check_inputs
from nstjax.run.problem import Problem, Stage, initial, learning_rates, prepare, stages
from nstjax.run.progress import progress_bar
from nstjax.run.signals import stop_requests
from nstjax.run.work import Chunk, chunk_of, working

__all__ = ["Chunk", "begin", "chunks", "matmul_precision", "repeatable", "run"]

log = logging.getLogger(__name__)


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
    with stop_requests() as stop, jax.default_matmul_precision(matmul_precision(config)):
        problem = partial(_prepared, config, folder)
        with working(config, folder, stop, problem) as work:
            with progress_bar(config.schedule, *work.place[:2]) as show:
                for chunk in chunks(config, work.problem, work.place):
                    show(row := work.take(chunk, stop))
                    if chunk.lost or stop.requested:
                        break
            path = work.finish(chunk, row, stop)
    if stop.requested:  # too late for this run, but not for those that a sweep would go on with
        raise Interrupted(stop.number, path)
    return path


def _prepared(config: Config, folder: Path) -> Problem:
    """What a run needs; of one whose style picture has to be painted first, after a run in `folder/style`."""
    problem = prepare(config)  # says now what is wrong with it
    if not config.style.fine.picture:
        return problem
    log.info("painting the style picture in the strokes of %s first", config.style.fine.picture)
    try:
        return prepare(fine.painted(config, str(run(fine.painting(config), folder / PAINTED))))
    except Interrupted as error:
        raise Interrupted(error.number, None) from error  # a style isn't what was asked for


def matmul_precision(config: Config) -> str:
    """JAX's name for `runtime.precision`; it has none for bf16, which is a matter of the features' type."""
    return "default" if config.runtime.precision == "bf16" else config.runtime.precision


def chunks(config: Config, problem: Problem, place: Place = Place()) -> Iterator[Chunk]:  # noqa: B008
    """All evaluations of a run from a place on, scale after scale.

    The first scale's program is compiled beside the targets, each further one's beside the scale before it, from its
    first chunk on.
    """
    upcoming = _planned(config, problem, place)
    following, state = next(upcoming, None), None
    while following:
        (stage, done, program), following = following, None
        saved = place.saved if done else None
        state = start = _restored(saved, stage) if saved else begin(config, problem, stage, state)
        if program:
            stage = stage.aimed()
            for state, records in optimize.optimize(
                start, problem.network, stage.targets, problem.weights, learning_rates(config, stage.steps),
                **_settings(config, problem, stage), pause_every=config.preview_every, done=done, advance=program(),
            ):  # fmt: skip
                chunk = chunk_of(stage, done, state, records, len(config.schedule.scales))
                done += len(records["total"])
                yield chunk
                following = following or next(upcoming, None)
        following = following or next(upcoming, None)


_Program = Callable[..., tuple[optimize.State, Any]]


def _planned(
    config: Config, problem: Problem, place: Place
) -> Iterator[tuple[Stage, int, Callable[[], _Program] | None]]:
    """The scales from a place on: of each how many evaluations are done, and its program, if there are more."""
    for stage in stages(config, problem, first=place.scale):
        done = place.done if stage.number == place.scale else 0
        more = done < len(learning_rates(config, stage.steps))
        yield stage, done, ahead(partial(_compiled, config, problem, stage)) if more else None


def _compiled(config: Config, problem: Problem, stage: Stage) -> _Program:
    """The program of a stage."""
    return optimize.compiled(
        _shapes(stage), problem.network, stage.targets, problem.weights, learning_rates(config, stage.steps),
        **_settings(config, problem, stage),
    )  # fmt: skip


def _settings(config: Config, problem: Problem, stage: Stage) -> dict[str, Any]:
    """What `optimize` and its program have by name, and a run in all its chunks."""
    return {
        "objective": problem.objective, "optimizer": stage.optimizer, "key": jax.random.key(config.seed),
        "keep": stage.keep, "average": config.optimizer.average,
    }  # fmt: skip


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
    return checkpoint.restore(saved, _shapes(stage))


def _shapes(stage: Stage) -> Any:
    """The state of a stage, of `jax.ShapeDtypeStruct` only."""
    return jax.eval_shape(lambda image: optimize.start(image, stage.optimizer.init(image)), stage.content)
