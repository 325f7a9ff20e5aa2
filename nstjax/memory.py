"""Memory of the process: what it asks the C library for, where this is glibc."""

import ctypes
import os
import sys
from pathlib import Path

_TUNABLES = "GLIBC_TUNABLES"
_LARGE_PAGES = "glibc.malloc.hugetlb=1"  # from glibc 2.35 on; an older one doesn't mind
_KERNELS_POLICY = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def use_large_pages() -> None:
    """Starts this program anew, in this process, with memory in pages of 2 MiB where the kernel gives them on request.

    An evaluation's temporaries are asked for at every call, 0.4 GB at 512x512, and the system clears them page by page:
    in pages of 4 KiB this takes up to a tenth of the time on a CPU (docs/performance.md). glibc reads its settings
    once, as a process begins. Where the user has set some already, they hold.
    """
    if _TUNABLES in os.environ or not _on_request() or not _is_ours():
        return
    os.environ[_TUNABLES] = _LARGE_PAGES
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _is_ours() -> bool:
    """Whether the process was started for this program: it is not a notebook's, whose `%run` has come to it."""
    program = sys.orig_argv[-len(sys.argv)] if len(sys.argv) < len(sys.orig_argv) else ""
    return bool(sys.executable) and Path(program).name.startswith("nstjax")


def _on_request() -> bool:
    try:
        return "[madvise]" in _KERNELS_POLICY.read_text(encoding="ascii")
    except OSError:
        return False  # not Linux


def hand_back() -> None:
    """Gives memory that is free in this process back to the system.

    XLA's compiler leaves 0.3 GB free in small pieces, in which no picture's numbers fit.
    """
    if trim := getattr(ctypes.pythonapi, "malloc_trim", None):
        trim(0)
