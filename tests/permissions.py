"""File permissions that bind the superuser too, so that tests of them mean something whoever runs them."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

_OVERRIDES = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("process", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


@contextmanager
def binding() -> Iterator[None]:
    """Inside, this thread may read and write what its user's permissions say (Linux: capset(2)), and no more."""
    if os.geteuid() != 0:
        yield
        return
    libc, header, sets = ctypes.CDLL(None, use_errno=True), _Header(0x20080522, 0), (_Sets * 2)()
    if libc.capget(ctypes.byref(header), sets):
        raise OSError(ctypes.get_errno(), "capget")
    before = sets[0].effective
    try:
        _set(libc, header, sets, before & ~_OVERRIDES)
        yield
    finally:
        _set(libc, header, sets, before)


def _set(libc: ctypes.CDLL, header: _Header, sets: ctypes.Array, effective: int) -> None:
    sets[0].effective = effective
    if libc.capset(ctypes.byref(header), sets):
        raise OSError(ctypes.get_errno(), "capset")
