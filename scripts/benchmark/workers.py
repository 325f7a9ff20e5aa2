"""The measuring process's half of the conversation with its workers, and samples taken from them in turn.

This process must stay small: on Linux a child begins with its parent's peak of resident memory as its own.
"""

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
# What nstjax' commands ask the C library for (`nstjax.memory`), and others may: all that is measured gets it.
_LARGE_PAGES = "glibc.malloc.hugetlb=1"
_PAUSE = 0.3  # seconds; threads that wait for more work keep spinning for a while (OpenMP's do for 0.2)


class WorkerError(Exception):
    """A worker that answered with an error, or not at all."""


class Worker:
    """A process that answers requests."""

    def __init__(self, name: str, command: list[str], **environment: str) -> None:
        self.name, self.peak_bytes = name, 0
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=surroundings(**environment))

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """The answer to one request. Raises WorkerError."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # its end is said below
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
        answer = self._answer(do)
        if "error" in answer:
            raise WorkerError(f"{self.name}: {do}: {answer['error']}")
        self.peak_bytes = answer.pop("peak_bytes", 0)
        return answer

    def _answer(self, do: str) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise WorkerError(f"{self.name}: {do}: the process ended with exit code {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


@contextlib.contextmanager
def worker(name: str, python: str, module: str, **environment: str) -> Iterator[Worker]:
    """A worker of one of this folder's sides, as long as the context lasts, with nothing compiled before."""
    with TemporaryDirectory(prefix="nstjax-bench-") as empty:
        cold = {"JAX_ENABLE_COMPILATION_CACHE": "false", "TORCHINDUCTOR_CACHE_DIR": empty}
        pages = {"GLIBC_TUNABLES": os.environ.get("GLIBC_TUNABLES", _LARGE_PAGES)}
        process = Worker(name, [python, "-m", f"benchmark.{module}"], **cold, **pages, **environment)
        try:
            yield process
        finally:
            process.close()


def surroundings(**environment: str) -> dict[str, str]:
    """The environment of all that is measured: this checkout's nstjax, and memory of a GPU taken as it is needed."""
    path = os.pathsep.join([str(ROOT / "scripts"), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "XLA_PYTHON_CLIENT_PREALLOCATE": "false", **environment}


def in_turn(samples: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Takes one sample of each, then again, as many rounds as asked for: A B C A B C."""
    taken: dict[str, list[T]] = {name: [] for name in samples}
    for _ in range(rounds):
        for name, sample in samples.items():
            time.sleep(_PAUSE)
            taken[name].append(sample())
    return taken
