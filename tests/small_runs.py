"""Runs small enough for tests: two shallow layers, 48 pixels, a few steps, on pictures that need no network."""

import csv
import json
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hydra.core.global_hydra import GlobalHydra

from nstjax import images
from nstjax.config import Config
from nstjax.objective import StyleTerm
from nstjax.outputs import RunFolder
from nstjax.train import compose

REPOSITORY = Path(__file__).parent.parent

SHALLOW = ("objective.content.layers=[relu2_1]", "objective.style.layers=[relu1_1,relu2_1]")
SMALL = ("size=48", "schedule=single", "schedule.steps=[3]", "output.metrics=false", *SHALLOW)

HEIGHT, WIDTH = 48, 41  # of grace_hopper, and of what `picture` writes, at size=48


def gram_term(layer: str, normalization: str, reduction: str) -> StyleTerm:
    """A term that compares Gram matrices of one style."""
    options = (("normalization", normalization), ("reduction", reduction))
    return StyleTerm(f"style/{layer}", layer, "gram", options)


@cache  # Hydra takes a quarter of a second
def small(*overrides: str) -> Config:
    """The configuration of a small run."""
    return compose([*SMALL, *overrides])


def picture(path: Path, seed: int = 0, *, gray: bool = False) -> Path:
    """Writes soft blotches that become HEIGHT x WIDTH at size=48, well inside the range of pixels; gray for a mask."""
    blotches = np.random.default_rng(seed).uniform(0.3, 0.7, (8, 7, 1 if gray else 3)).astype(np.float32)
    images.save(path, images.resize(np.repeat(blotches, 3 // blotches.shape[2], 2), 2 * HEIGHT, 2 * WIDTH))
    return path


def truncated(path: Path) -> Path:
    """Writes the first half of a JPEG."""
    data = picture(path.with_suffix(".jpg")).read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


def pixels(path: Path) -> images.Pixels:
    return images.load(path).pixels


def history(folder: Path) -> list[dict[str, float]]:
    """The rows of a run's history.csv."""
    with open(folder / "history.csv", newline="", encoding="utf-8") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def manifest(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


def environment(**changes: str) -> dict[str, str]:
    """The environment of a command that runs from another folder."""
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), **changes}


@contextmanager
def in_process(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[None]:
    """A command line called as a function, from `folder`, leaves nothing behind: no log handler, argument or Hydra."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["command"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setattr(logging, "_handlerList", [])  # Hydra closes all that are; absl's would close pytest's stream
    root, handlers = logging.getLogger(), logging.getLogger().handlers[:]
    levels = {name: logging.getLogger(name).level for name in (None, "nstjax")}
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    assert not GlobalHydra.instance().is_initialized()


@contextmanager
def interrupted(when: Callable[[RunFolder, dict], bool], number: int = signal.SIGINT) -> Iterator[None]:
    """This process sends itself a signal when a run has recorded the row that is asked for."""
    record = RunFolder.record

    def recorded(out, *arguments, **options):
        rows = record(out, *arguments, **options)
        if when(out, rows[-1]):
            signal.raise_signal(number)
        return rows

    RunFolder.record = recorded
    try:
        yield
    finally:
        RunFolder.record = record


def at_step(step: int, scale: int = 0) -> Callable[[RunFolder, dict], bool]:
    return lambda out, row: (row["scale"], row["step"]) == (scale, step)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file may become larger, in bytes: what a full disk is to one writer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
