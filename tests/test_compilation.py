"""Compilations: ahead of their time and timed, and what is kept of them, whole or cut off."""

import threading
import time
import warnings
from contextlib import contextmanager

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache.compilation_cache import reset_cache
from permissions import binding
from small_runs import pixels, small

from nstjax import optimize
from nstjax.errors import UserError
from nstjax.run import run
from nstjax.run.compilation import ahead, timed_and_kept


@contextmanager
def told(folder, minimum):
    """JAX has been told where to keep what programs, as a user does or nobody; it begins with what is there."""
    values = {"jax_compilation_cache_dir": folder, "jax_persistent_cache_min_compile_time_secs": minimum}
    usual = {name: getattr(jax.config, name) for name in values}
    for name, value in values.items():
        jax.config.update(name, value)
    reset_cache()
    try:
        yield
    finally:
        for name, value in usual.items():
            jax.config.update(name, value)
        reset_cache()


@pytest.mark.parametrize(("before", "during"), [(1.0, 0.05), (3.0, 3.0)])
def test_small_programs_are_kept_too_unless_the_user_has_said_which(before, during):
    """Also in a folder of the user's own, who has not said so of it."""
    with told("somewhere", before), timed_and_kept():
        assert jax.config.jax_compilation_cache_dir == "somewhere"
        assert jax.config.jax_persistent_cache_min_compile_time_secs == during


@pytest.fixture
def own(cache):
    """The folder of a user who has told JAX nothing of one; all programs are kept."""
    with told(None, 0.0):
        yield cache / "xla"


def compile(what):
    """One more program of this name."""

    def program(x):
        return 3 * x

    program.__name__ = what
    assert jax.jit(program)(np.float32(2)) == 6


def cut_off(folder, what):
    """The one program of this name, of which only half has been written."""
    (path,) = folder.glob(f"jit_{what}-*")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


@pytest.fixture
def hits():
    """Grows by one with each program that is read instead of compiled."""
    found = []
    listen = lambda event, **_: found.append(event) if event.endswith("/cache_hits") else None  # noqa: E731
    jax.monitoring.register_event_listener(listen)
    yield found
    jax.monitoring.unregister_event_listener(listen)


warns = pytest.mark.filterwarnings("always:Error (reading|writing) persistent compilation cache entry")


@warns
def test_what_was_cut_off_is_compiled_and_kept_anew_without_a_word(own, hits, caplog, recwarn):
    with timed_and_kept():
        compile("whole")
        compile("half")
        cut_off(own, "half")
        compile("half")
        assert not hits
        compile("half")
        compile("whole")
    assert len(hits) == 2
    assert not caplog.messages and not recwarn.list


@warns
@pytest.mark.parametrize("there", [True, False])
def test_what_cannot_be_kept_is_said_once(there, own, caplog, recwarn):
    (own if there else own.parent).mkdir(parents=True, mode=0o500)
    with binding(), timed_and_kept():
        compile("first")
        compile("second")
    wanted = f"compiled programs can't be kept in {own}, so the next run compiles again: Permission denied"
    assert caplog.messages == [wanted]
    assert not recwarn.list


@warns
def test_what_was_cut_off_and_cannot_be_removed_is_said(own, caplog):
    with timed_and_kept():
        compile("half")
    cut_off(own, "half")
    own.chmod(0o500)
    with binding(), timed_and_kept():
        compile("half")
    assert caplog.messages == [
        f"compiled programs can't be kept in {own}, so the next run compiles again: Error -5 while decompressing data"
    ]


@warns
def test_in_a_folder_of_the_users_own_nothing_is_removed(tmp_path):
    unreadable = pytest.warns(UserWarning, match="Error reading persistent compilation cache entry for 'jit_half'")
    with told(str(tmp_path), 0.0), unreadable, timed_and_kept():
        compile("half")
        path = cut_off(tmp_path, "half")
        half = path.read_bytes()
        compile("half")
        assert path.read_bytes() == half


@pytest.mark.filterwarnings("always:something else")
def test_other_warnings_are_as_they_were(own, recwarn):
    shown = warnings.showwarning
    with timed_and_kept():
        warnings.warn("something else", stacklevel=1)
    assert warnings.showwarning is shown
    assert [str(warning.message) for warning in recwarn] == ["something else"]


@pytest.fixture
def compilations():
    """Of each program that has been compiled its name, and that of the thread that did it."""
    found = []

    def listen(event, duration, *, fun_name="", **_):
        if event == "/jax/core/compile/backend_compile_duration":
            found.append((fun_name, threading.current_thread().name))

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield found
    jax.monitoring.unregister_event_duration_listener(listen)


def test_each_scales_program_is_compiled_beside_the_targets_or_the_scale_before_it(tmp_path, compilations):
    """At sizes that no other test has, and once for all runs of these sizes."""
    scales = ["size=57", "schedule.scales=[0.7,0.8,1]", "schedule.steps=[1,2,3]"]
    run(small(*scales), tmp_path / "first")
    threads = [thread for program, thread in compilations if "_advance" in program]
    assert len(threads) == 3 and all(thread.startswith("compilation") for thread in threads)
    compilations.clear()
    run(small(*scales, "seed=1", "objective.style_weight=3"), tmp_path / "second")
    assert compilations == []


def test_the_next_scale_begins_where_its_program_has_been_compiled_or_not(tmp_path, monkeypatch):
    scales = ["schedule.scales=[0.7,1]", "schedule.steps=[3,3]", "optimizer=adam"]
    run(small(*scales), tmp_path / "before")
    monkeypatch.setattr("nstjax.run.ahead", lambda _: lambda: optimize.advance)
    run(small(*scales), tmp_path / "when called")
    before, when_called = (pixels(tmp_path / name / "result.png") for name in ("before", "when called"))
    np.testing.assert_array_equal(before, when_called)


def test_what_is_compiled_ahead_counts_as_far_as_it_is_waited_for():
    with timed_and_kept() as clock:
        compiled = ahead(lambda: time.sleep(2) or jax.jit(lambda x: x + 1).lower(1.0).compile())
        assert clock.seconds == 0
        assert compiled()(1.0) == 2
        assert clock.seconds > 0.2
        known = clock.seconds
        compiled()
        assert clock.seconds < known + 0.2
    with pytest.raises(UserError, match="said"):
        ahead(lambda: refuse("said"))()


def test_what_is_compiled_ahead_has_the_precision_of_who_asked_for_it():
    with jax.default_matmul_precision("tensorfloat32"):
        assert ahead(lambda: jax.config.jax_default_matmul_precision)() == "tensorfloat32"


def refuse(what):
    raise UserError(what)


def test_nothing_is_compiled_ahead_on_a_gpu_where_it_would_disturb_what_is_measured(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert ahead(refuse) is refuse
