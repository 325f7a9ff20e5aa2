"""Many runs in one compiled program: those that differ only in numbers, each in its folder as if it had been alone.

Numbers are the leaves that `optimize.advance` takes as arguments: images and targets of one shape, loss weights,
learning rates, seeds. What is static in it, as layers, statistics, optimizer and schedule, makes another program.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nstjax import optimize
from nstjax.config import Config
from nstjax.errors import Interrupted, UserError
from nstjax.run import begin, matmul_precision, run
from nstjax.run.pictures import check_inputs, content_shape, style_shape
from nstjax.run.problem import Problem, learning_rates, prepare, stages
from nstjax.run.progress import progress_bar
from nstjax.run.signals import StopRequest, stop_requests
from nstjax.run.work import Chunk, Work, chunk_of, working

log = logging.getLogger("nstjax.run")

MEMORY = 2**30  # bytes of optimizer state that jobs in one program may have together

Entered = Callable[[int], AbstractContextManager[Any]]


class Ended(NamedTuple):
    """How a job has ended: its picture, or what was raised."""

    path: Path | None
    error: BaseException | None

    def picture(self, *_: Any) -> Path:
        """The picture, as `run` returns it, or what `run` raises."""
        if self.error or self.path is None:
            raise self.error or RuntimeError("a job without an end")
        return self.path


class Job(NamedTuple):
    """A job by its number, with what makes its program, by names for users; or with why it has to be alone."""

    number: int
    config: Config
    folder: Path
    problem: Problem | None
    static: Mapping[str, str]

    @property
    def key(self) -> str:
        return repr((self.static, None if self.problem else self.number))


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
    for group, why in _groups([_job(number, *job) for number, job in enumerate(jobs)]):
        if len(group) > 1:
            ended |= _run_group(group, lanes, entered)
        else:
            with entered(group[0].number):
                if why and len(jobs) > 1:
                    log.info("alone: %s", why)
                ended[group[0].number] = _ended(partial(run, group[0].config, group[0].folder))
        if stopped := next((each.error for each in ended.values() if isinstance(each.error, KeyboardInterrupt)), None):
            return [ended.get(number, Ended(None, stopped)) for number in range(len(jobs))]
    return [ended[number] for number in range(len(jobs))]


def _ended(work: Callable[[], Path]) -> Ended:
    try:
        return Ended(work(), None)
    except (Exception, KeyboardInterrupt) as error:
        return Ended(None, error)


def _job(number: int, config: Config, folder: Path) -> Job:
    for key, alone in {"resume": config.resume, "style.fine": config.style.fine.picture}.items():
        if alone:
            return Job(number, config, folder, None, {f"a run with {key}": "is one by itself"})
    try:
        problem = prepare(config)
        return Job(number, config, folder, problem, _static(config, problem))
    except UserError:
        return Job(number, config, folder, None, {})  # it will say itself what is wrong


def _static(config: Config, problem: Problem) -> dict[str, str]:
    """All of a run that is part of its program, by names for users."""
    shapes = [content_shape(config, problem.content, share) for share in config.schedule.scales]
    facts = {
        "the photograph's shape": shapes,
        "the painting's": [
            [style_shape(config, k, s, shape) for shape in shapes] for k, s in enumerate(problem.styles)
        ],
        "objective": (problem.objective, jax.tree.structure(problem.weights)),
        "weights or runtime": (problem.weights_file, config.runtime),
        "optimizer": (config.optimizer.name, config.optimizer.clamp, sorted(config.optimizer.parameters.items())),
        "parametrization": config.parametrization,
        "schedule": config.schedule,
        "preview_every": config.preview_every,
        "regions or masks": jax.tree.map(bool, (problem.masks.of_styles, problem.masks.of_content)),
        "content.keep": problem.masks.keep is None,
    }
    return {name: repr(value) for name, value in facts.items()}


def _groups(jobs: Sequence[Job]) -> Iterator[tuple[list[Job], str]]:
    """Jobs that can share a program, no more than fit into `MEMORY`; and of those of fewer, what differs."""
    most = Counter(job.key for job in jobs).most_common(1)[0][0]
    usual = next(job.static for job in jobs if job.key == most)
    for key in dict.fromkeys(job.key for job in jobs):
        group = [job for job in jobs if job.key == key]
        size = max(1, MEMORY // _bytes(group[0]))
        differing = [name for name, value in group[0].static.items() if usual.get(name) != value]
        for k in range(0, len(group), size):
            yield group[k : k + size], ", ".join(differing)


def _bytes(job: Job) -> int:
    """What an optimizer remembers of a picture at its largest: pairs of L-BFGS, or a few moments."""
    if job.problem is None:
        return MEMORY
    height, width = content_shape(job.config, job.problem.content, max(job.config.schedule.scales))
    return 12 * height * width * 2 * int(job.config.optimizer.parameters.get("memory", 2))


class _Lane:
    """A job in its folder, from its first chunk to its end; what is raised on the way ends it, and no other."""

    def __init__(self, job: Job, entered: Entered, stop: StopRequest) -> None:
        self.job, self.end = job, Ended(None, None)
        self._entered, self._stop, self._stack = partial(entered, job.number), stop, ExitStack()
        self._guarded(self._open)

    @property
    def going_on(self) -> bool:
        return self.end == (None, None) and not (self._chunk and self._chunk.lost)

    def take(self, chunk: Chunk) -> None:
        self._guarded(partial(self._take, chunk))

    def finish(self) -> Ended:
        if self.end == (None, None):
            self._guarded(self._finish)
        return self.end

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            with self._entered(), ExitStack() as stack:
                stack.push(self._stack.__exit__)  # the run's folder is told of what is raised
                work()
                stack.pop_all()
        except (Exception, KeyboardInterrupt) as error:
            self.end = Ended(None, error)

    def _open(self) -> None:
        config, folder, problem = self.job.config, self.job.folder, self.job.problem
        assert problem is not None
        self._chunk: Chunk | None = None
        check_inputs(config, folder)
        self.work: Work = self._stack.enter_context(working(config, folder, self._stop, lambda: problem))

    def _take(self, chunk: Chunk) -> None:
        self._chunk, self.row = chunk, self.work.take(chunk, self._stop)

    def _finish(self) -> None:
        if self._chunk is None:
            raise Interrupted(self._stop.number, None)
        path = self.work.finish(self._chunk, self.row, self._stop)
        self._stack.close()
        self.end = Ended(path, None)


def _run_group(group: Sequence[Job], lanes: int, entered: Entered) -> dict[int, Ended]:
    config = group[0].config
    with stop_requests() as stop, jax.default_matmul_precision(matmul_precision(config)):
        runs = [_Lane(job, entered, stop) for job in group]
        begun = [each for each in runs if each.going_on]
        log.info("%d jobs in one program", len(begun))
        with progress_bar(config.schedule) as show:
            for chunks in _chunks([each.work for each in begun], lanes):
                for each, chunk in zip(begun, chunks, strict=True):
                    if each.going_on:
                        each.take(chunk)
                if stop.requested or not (going_on := [each for each in begun if each.going_on]):
                    break
                show(going_on[0].row)
        return {each.job.number: each.finish() for each in runs}


def _chunks(works: Sequence[Work], lanes: int) -> Iterator[list[Chunk]]:
    """All evaluations of all runs, scale after scale, as each run's own chunks."""
    states: list[Any] = [None] * len(works)
    for upcoming in zip(*(stages(work.config, work.problem) for work in works), strict=True):
        scale = [stage.aimed() for stage in upcoming]
        starts = [begin(w.config, w.problem, *pair) for w, *pair in zip(works, scale, states, strict=True)]
        done, count = 0, len(works[0].config.schedule.scales)
        for together, records in optimize.optimize(
            _stacked(starts), works[0].problem.network, _stacked([stage.targets for stage in scale]),
            _stacked([work.problem.weights for work in works]),
            np.stack([learning_rates(work.config, stage.steps) for work, stage in zip(works, scale, strict=True)]),
            objective=works[0].problem.objective, optimizer=scale[0].optimizer,
            key=jnp.stack([jax.random.key(work.config.seed) for work in works]),
            keep=_stacked([stage.keep for stage in scale]),
            average=np.array([work.config.optimizer.average for work in works], np.float32),
            pause_every=works[0].config.preview_every, advance=partial(optimize.advance_many, lanes=lanes),
        ):  # fmt: skip
            states = [jax.tree.map(lambda leaf, k=k: leaf[k], together) for k in range(len(works))]
            yield [
                chunk_of(stage, done, state, {name: each[k] for name, each in records.items()}, count)
                for k, (stage, state) in enumerate(zip(scale, states, strict=True))
            ]
            done += records["total"].shape[-1]


def _stacked(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)
