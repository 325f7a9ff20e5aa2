"""XLA's compilations: kept from one run to the next, and timed apart from it."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax

from nstjax import files, memory

_USUAL_MINIMUM = 1.0  # seconds that a program takes to compile, below which JAX doesn't keep it
_STAGES = ("/jax/core/compile/jaxpr_to_mlir_module_duration", "/jax/core/compile/backend_compile_duration")


class Stopwatch:
    """Seconds that JAX has spent compiling since this context began."""

    seconds = 0.0

    def add(self, event: str, duration_secs: float, **_: object) -> None:
        if event in _STAGES:
            self.seconds += duration_secs
        if event == _STAGES[-1]:
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
