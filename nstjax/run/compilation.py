"""XLA's compilations: ahead of their time, kept from one run to the next, and timed apart from it."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import jax

from nstjax import files, memory

_USUAL_MINIMUM = 1.0  # seconds that a program takes to compile, below which JAX doesn't keep it
_COMPILED = "/jax/core/compile/backend_compile_duration"
_WAITED = "/nstjax/waited_for_compilation_duration"
_STAGES = ("/jax/core/compile/jaxpr_to_mlir_module_duration", _COMPILED, _WAITED)

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
    if jax.config.jax_compilation_cache_dir is None:  # type: ignore[attr-defined]
        jax.config.update("jax_compilation_cache_dir", str(files.cache_dir() / "xla"))
    if jax.config.jax_persistent_cache_min_compile_time_secs == _USUAL_MINIMUM:  # type: ignore[attr-defined]
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.05)  # many small programs are seconds, too
    stopwatch = Stopwatch()
    jax.monitoring.register_event_duration_secs_listener(stopwatch.add)
    try:
        yield stopwatch
    finally:
        jax.monitoring.unregister_event_duration_listener(stopwatch.add)


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
