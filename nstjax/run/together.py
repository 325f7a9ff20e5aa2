"""Many runs in one compiled program: those that differ only in numbers, each in its folder as if it had been alone.

Numbers are the leaves that `optimize.advance` takes as arguments: images and targets of one shape, loss weights,
learning rates, seeds. What is static in it, as layers, statistics, optimizer and schedule, makes another program.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nstjax import optimize
from nstjax.config import Config
from nstjax.errors import UserError
from nstjax.run import begin, matmul_precision, run
from nstjax.run.pictures import content_shape, style_shape
from nstjax.run.problem import learning_rates, prepare, stages
from nstjax.run.progress import progress_bar
from nstjax.run.signals import StopRequest, stop_requests
from nstjax.run.work import Chunk, Work, chunk_of, working

log = logging.getLogger("nstjax.run")

Entered = Callable[[int], AbstractContextManager[Any]]  # what surrounds all that is done for one job alone
MEMORY = 2**30  # bytes of optimizer state that jobs in one program may have together


class Ended(NamedTuple):
    """How a job has ended: its picture, or what was raised."""

    path: Path | None
    error: BaseException | None

    def picture(self, *_: Any) -> Path:
        """The picture, as `run` returns it, or what `run` raises."""
        if self.error or self.path is None:
            raise self.error or RuntimeError("a job without an end")
        return self.path


def run_together(
    jobs: Sequence[tuple[Config, Path]], *, lanes: int = 1, entered: Entered = lambda _: nullcontext()
) -> list[Ended]:
    """Runs each configuration in its folder, and as many of them at once as differ in numbers only.

    Args:
        lanes: how many jobs are vectorised (`vmap`); more take turns within the program. With 1 each comes to the bits
            that it comes to alone; vectorised sums are in another order, and L-BFGS makes of that a part in a thousand
            within 60 steps. On a CPU lanes are no faster; a GPU that one small picture leaves idle wants them.
        entered: a context for a job's number, in which all is done that is for this job alone; for its log, say.

    Returns:
        How each job has ended, in order; a job's failure is nobody else's. After SIGINT or SIGTERM every job that had
        begun has saved its best picture, and all have ended with `Interrupted`.
    """
    ended: dict[int, Ended] = {}
    for group, why in _groups(jobs, entered, ended):
        if len(group) == 1:
            with entered(group[0]):
                if why:
                    log.info("alone: %s", why)
                ended[group[0]] = _ended(partial(run, *jobs[group[0]]))
        else:
            _run_group(jobs, group, lanes, entered, ended)
        if stopped := next((each.error for each in ended.values() if isinstance(each.error, KeyboardInterrupt)), None):
            return [ended.get(number, Ended(None, stopped)) for number in range(len(jobs))]
    return [ended[number] for number in range(len(jobs))]


def _ended(work: Callable[[], Path]) -> Ended:
    try:
        return Ended(work(), None)
    except (Exception, KeyboardInterrupt) as error:
        return Ended(None, error)


def _groups(
    jobs: Sequence[tuple[Config, Path]], entered: Entered, ended: dict[int, Ended]
) -> Iterator[tuple[list[int], str]]:
    """Jobs that can share a program, no more than fit into `MEMORY`; and of one that is alone, why."""
    found: dict[str, list[int]] = {}
    whys: dict[str, dict[str, str]] = {}
    for number, (config, _) in enumerate(jobs):
        try:
            facts = _static(config)
        except UserError:
            facts = {"alone": f"{number}"}  # it will say itself what is wrong
        key = repr(facts)
        found.setdefault(key, []).append(number)
        whys[key] = facts
    largest = whys[max(found, key=lambda key: len(found[key]))]
    for key, numbers in found.items():
        differing = [name for name in whys[key] if whys[key][name] != largest.get(name)]
        why = f"{', '.join(differing)} not as in the others" if differing and differing != ["alone"] else ""
        size = max(1, MEMORY // _bytes(jobs[numbers[0]][0])) if len(numbers) > 1 else 1
        for k in range(0, len(numbers), size):
            yield numbers[k : k + size], why


def _static(config: Config) -> dict[str, str]:
    """All of a run that is part of its program, by names for users."""
    if config.resume:
        return {"alone": "resume"}
    problem = prepare(config)
    shares = config.schedule.scales
    shapes = [content_shape(config, problem.content, share) for share in shares]
    styles = [[style_shape(config, k, style, shape) for shape in shapes] for k, style in enumerate(problem.styles)]
    facts = {
        "the photograph's shape": shapes,
        "the painting's shape": styles,
        "objective": (problem.objective, jax.tree.structure(problem.weights)),
        "weights": (str(problem.weights_file), config.runtime),
        "optimizer": (config.optimizer.name, config.optimizer.clamp, sorted(config.optimizer.parameters.items())),
        "parametrization": config.parametrization,
        "schedule": config.schedule,
        "preview_every": config.preview_every,
        "regions or masks": (
            [m is None for m in problem.masks.of_styles],
            [m is None for m in problem.masks.of_content],
        ),
        "content.keep": problem.masks.keep is None,
        "style.fine": config.style.fine.picture,
    }
    return {name: repr(value) for name, value in facts.items()}


def _bytes(config: Config) -> int:
    """What an optimizer remembers of a picture at its largest."""
    problem = prepare(config)
    height, width = content_shape(config, problem.content, max(config.schedule.scales))
    remembered = 2 * int(config.optimizer.parameters.get("memory", 2))
    return 12 * height * width * remembered


def _run_group(
    jobs: Sequence[tuple[Config, Path]], group: list[int], lanes: int, entered: Entered, ended: dict[int, Ended]
) -> None:
    config = jobs[group[0]][0]
    with (
        stop_requests() as stop,
        jax.default_matmul_precision(matmul_precision(config)),
        ExitStack() as folders,
        progress_bar(config.schedule) as show,
    ):
        works: dict[int, Work] = {}
        stacks: dict[int, ExitStack] = {}
        for number in group:
            with entered(number):
                stacks[number] = folders.enter_context(ExitStack())
                opened = partial(prepare, jobs[number][0])
                result = _ended(partial(_open, stacks[number], *jobs[number], stop, opened, works, number))
                if result.error:
                    ended[number] = result
        log.info("%d jobs in one program", len(works))
        last: dict[int, tuple[Chunk, Any]] = {}
        for chunks in _chunks([works[number] for number in works], lanes):
            for number, chunk in zip(works, chunks, strict=True):
                if number not in last or not last[number][0].lost:
                    with entered(number):
                        last[number] = chunk, works[number].take(chunk, stop)
            show(next(iter(last.values()))[1])
            if stop.requested or all(chunk.lost for chunk, _ in last.values()):
                break
        for number, work in works.items():
            with entered(number):
                ended[number] = _ended(partial(_close, stacks[number], work, *last[number], stop))


def _open(
    stack: ExitStack,
    config: Config,
    folder: Path,
    stop: StopRequest,
    prepared: Any,
    works: dict[int, Work],
    number: int,
) -> Path:
    works[number] = stack.enter_context(working(config, folder, stop, prepared))
    return folder


def _close(stack: ExitStack, work: Work, chunk: Chunk, row: Any, stop: StopRequest) -> Path:
    with stack.pop_all():
        return work.finish(chunk, row, stop)


def _chunks(works: Sequence[Work], lanes: int) -> Iterator[list[Chunk]]:
    """All evaluations of all runs, scale after scale, as each run's own chunks."""
    config = works[0].config
    previous: list[Any] = [None] * len(works)
    for scale in zip(*(stages(work.config, work.problem) for work in works), strict=True):
        starts = [
            begin(work.config, work.problem, stage, state)
            for work, stage, state in zip(works, scale, previous, strict=True)
        ]
        rates = [learning_rates(work.config, scale[0].steps) for work in works]
        done = 0
        for states, records in optimize.optimize(
            _stacked(starts), works[0].problem.network, _stacked([stage.targets for stage in scale]),
            _stacked([work.problem.weights for work in works]), np.stack(rates),
            objective=works[0].problem.objective, optimizer=scale[0].optimizer,
            key=jnp.stack([jax.random.key(work.config.seed) for work in works]),
            keep=_stacked([stage.keep for stage in scale]),
            average=np.array([work.config.optimizer.average for work in works], np.float32),
            pause_every=config.preview_every, advance=partial(optimize.advance_many, lanes=min(lanes, len(works))),
        ):  # fmt: skip
            previous = [jax.tree.map(lambda leaf, k=k: leaf[k], states) for k in range(len(works))]
            count = len(config.schedule.scales)
            yield [
                chunk_of(stage, done, state, {name: each[k] for name, each in records.items()}, count)
                for k, (stage, state) in enumerate(zip(scale, previous, strict=True))
            ]
            done += records["total"].shape[-1]


def _stacked(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)
