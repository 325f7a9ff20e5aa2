"""XLA's compilations: ahead of their time, kept from one run to the next, and timed apart from it."""

import logging
import re
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import jax

from nstjax import files, memory

log = logging.getLogger("nstjax.run")

_USUAL_MINIMUM = 1.0  # seconds that a program takes to compile, below which JAX doesn't keep it
_COMPILED = "/jax/core/compile/backend_compile_duration"
_WAITED = "/nstjax/waited_for_compilation_duration"
_STAGES = ("/jax/core/compile/jaxpr_to_mlir_module_duration", _COMPILED, _WAITED)

# "Error reading persistent compilation cache entry for 'jit_add': PermissionError: [Errno 13] Permission denied: '...'"
_TROUBLE = re.compile(
    r"Error (reading|writing) persistent compilation cache entry for '(.*?)': \w+: (?:\[Errno \d+\] )?([^:]*).*",
    re.DOTALL,
)

_Made = TypeVar("_Made")


class Stopwatch:
    """Seconds that this thread has spent compiling, or waiting for another that does, since this context began."""

    seconds = 0.0

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def add(self, event: str, duration_secs: float, **_: object) -> None:
        if event in _STAGES and threading.get_ident() == self._thread:
            self.seconds += duration_secs
        if event == _COMPILED:
            memory.hand_back()


@contextmanager
def timed_and_kept() -> Iterator[Stopwatch]:
    """Times compilations, and keeps them in the cache folder unless the user has chosen another place."""
    own = files.cache_dir() / "xla"
    if jax.config.jax_compilation_cache_dir is None:  # type: ignore[attr-defined]
        jax.config.update("jax_compilation_cache_dir", str(own))
    if jax.config.jax_persistent_cache_min_compile_time_secs == _USUAL_MINIMUM:  # type: ignore[attr-defined]
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.05)  # many small programs are seconds, too
    stopwatch = Stopwatch()
    jax.monitoring.register_event_duration_secs_listener(stopwatch.add)
    try:
        with _mended(own):
            yield stopwatch
    finally:
        jax.monitoring.unregister_event_duration_listener(stopwatch.add)


@contextmanager
def _mended(folder: Path) -> Iterator[None]:
    """Programs in this folder that can't be read are removed, and compiled and kept anew; one line if that can't be.

    JAX (0.10.2) writes a program where it is read. One that is cut off, by a kill or a full disk, it would neither
    read nor replace, but warn of in every run.
    """
    if jax.config.jax_compilation_cache_dir != str(folder):  # type: ignore[attr-defined]
        yield
        return
    usual, said = warnings.showwarning, False

    def show(message: Warning | str, *where: Any, **more: Any) -> None:
        nonlocal said
        trouble = _TROUBLE.fullmatch(str(message))
        if not trouble:
            usual(message, *where, **more)
        elif not (trouble[1] == "reading" and _removed(folder, trouble[2])) and not said:
            said = True
            log.warning("compiled programs can't be kept in %s, so the next run compiles again: %s", folder, trouble[3])

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = usual


def _removed(folder: Path, program: str) -> bool:
    """Whether there were programs of this name, all of which are gone: which one it was, JAX doesn't say."""
    kept = list(folder.glob(f"{program}-*-cache"))
    try:
        for path in kept:
            path.unlink(missing_ok=True)
    except OSError:
        return False
    return bool(kept)


def ahead(compile: Callable[[], _Made]) -> Callable[[], _Made]:
    """Begins to compile in a thread of its own; what is returned waits for the result, which counts as compiling.

    At this thread's precision: what JAX is told by a context holds for one thread.

    Not on a GPU, where compiling measures which of several programs is the fastest, which nothing else may disturb.
    """
    if jax.default_backend() == "gpu":
        return compile
    precision = jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]
    pool = ThreadPoolExecutor(1, "compilation")
    result = pool.submit(jax.default_matmul_precision(precision)(compile))
    pool.shutdown(wait=False)

    def waited() -> _Made:
        began = time.perf_counter()
        try:
            return result.result()
        finally:
            jax.monitoring.record_event_duration_secs(_WAITED, time.perf_counter() - began)

    return waited
