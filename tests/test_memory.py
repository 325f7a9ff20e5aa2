"""What the process asks the C library for."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_runs import environment

from nstjax import memory

PROGRAM = """
import os, sys
from pathlib import Path
from nstjax import memory
memory._KERNELS_POLICY = Path(sys.argv[1])
print("begun", os.getpid(), flush=True)
memory.use_large_pages()
print("goes on", os.environ.get("GLIBC_TUNABLES"), sys.argv[1:], sys.flags.dev_mode)
"""


def said(policy, *arguments, name="nstjax", **variables):
    program = policy.parent / name
    program.write_text(PROGRAM)
    command = [sys.executable, "-X", "dev", str(program), str(policy), *arguments]
    unset = {name: value for name, value in environment().items() if name != "GLIBC_TUNABLES"}
    ended = subprocess.run(command, capture_output=True, text=True, check=True, env=unset | variables)
    return ended.stdout.splitlines()


@pytest.fixture
def on_request(tmp_path):
    policy = tmp_path / "enabled"
    policy.write_text("always [madvise] never\n")
    return policy


def test_a_program_begins_anew_once_with_large_pages_as_the_same_process_with_its_arguments(on_request):
    first, again, last = said(on_request, "a b", "c=[1]")
    assert first == again
    assert last == f"goes on glibc.malloc.hugetlb=1 {[str(on_request), 'a b', 'c=[1]']} True"


def test_what_the_user_has_set_holds(on_request):
    _, last = said(on_request, GLIBC_TUNABLES="glibc.malloc.arena_max=1")
    assert last.startswith("goes on glibc.malloc.arena_max=1")


def test_a_process_that_was_started_for_something_else_goes_on(on_request):
    """Such as a notebook, where `%run -m nstjax.train` would end the kernel."""
    _, last = said(on_request, name="kernel")
    assert last.startswith("goes on None")


@pytest.mark.parametrize("policy", ["[always] madvise never\n", "always madvise [never]\n", None])
def test_nothing_is_begun_anew_where_it_would_change_nothing(tmp_path, policy):
    if policy:
        (tmp_path / "enabled").write_text(policy)
    _, last = said(tmp_path / "enabled")
    assert last.startswith("goes on None")


@pytest.mark.skipif(not hasattr(ctypes.pythonapi, "malloc_trim"), reason="another C library than glibc")
def test_memory_that_is_free_in_pieces_is_handed_back():
    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    pieces = [b"x" * 100_000 for _ in range(2000)]
    del pieces[::2]  # so that those that are left keep the heap from shrinking
    before = resident()
    memory.hand_back()
    assert before - resident() > 50e6
