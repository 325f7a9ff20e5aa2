"""Files on disk: where the cache is, digests, writes that are either whole or absent, one writer at a time."""

import hashlib
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache, wraps
from pathlib import Path
from typing import NamedTuple, TypeVar

import filelock
import platformdirs

from nstjax.errors import UserError

log = logging.getLogger(__name__)

T = TypeVar("T")

WAIT_SECONDS = 1200  # twice what a fetch may take
_SETTLED_NS = 2 * 10**9  # a clock may tick so slowly that a later change has the same time
SCRATCH = ".fetch-"  # what the names of a fetch's scratch folders begin with; they end like temporary files'


def cache_dir() -> Path:
    """The folder of fetched and converted files: `$NSTJAX_CACHE`, else the platform's own (`~/.cache/nstjax`)."""
    return Path(os.environ.get("NSTJAX_CACHE") or platformdirs.user_cache_path("nstjax"))


class Version(NamedTuple):
    """What differs when a file has been written to, or is another file; times in nanoseconds."""

    size: int
    modified: int
    changed: int  # `cp -p` keeps the other two
    inode: int
    device: int


def version(path: Path) -> Version:
    """The version of a file as it is now."""
    status = path.stat()
    return Version(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)


def remembered(of_file: Callable[[Path], T]) -> Callable[[Path], T]:
    """A function of a file's content, that isn't called again while the file lies as it lay: as weights, in a sweep."""
    known = lru_cache(maxsize=256)(lambda path, found: of_file(path))

    @wraps(of_file)
    def recalled(path: Path) -> T:
        try:
            found = version(path)
        except OSError:
            return of_file(path)  # which says what is wrong
        settled = time.time_ns() - max(found.modified, found.changed) > _SETTLED_NS
        return known(path.absolute(), found) if settled else of_file(path)

    return recalled


@remembered
def sha256(path: Path) -> str:
    """The hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yields a temporary sibling of `path` to write to; on success it is synced and renamed onto `path`.

    A reader, another process or a crash sees the old file or the whole new one, never a part; after the return the new
    one, even if the power fails.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        sync(temporary)
        os.replace(temporary, path)
        if os.name == "posix":  # elsewhere a folder can't be opened
            sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def exclusive(folder: Path, what: str) -> Iterator[None]:
    """Makes this process the only one that writes to a folder of the cache, and removes what a killed one left there.

    Where another process is at work, says so and waits for it: most likely it is making `what`, too.

    Raises:
      UserError: the folder can't be written to, before or within the block; or the other process doesn't end.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _lock(folder, what):
            remove_temporaries(folder)
            yield
    except OSError as error:
        raise UserError(
            f"can't write to the cache {folder} ({error.strerror or error}); set NSTJAX_CACHE to a folder with room"
        ) from error


def _lock(folder: Path, what: str) -> AbstractContextManager[object]:
    """The folder's lock, held; the system gives it back even when the process is killed."""
    lock = filelock.FileLock(folder / ".lock")
    try:
        return lock.acquire(blocking=False)
    except filelock.Timeout:
        log.info("another process is writing to %s; waiting for it, to have %s", folder, what)
    try:
        return lock.acquire(timeout=WAIT_SECONDS)
    except filelock.Timeout as error:
        raise UserError(
            f"another process still holds {folder} after {WAIT_SECONDS / 60:.0f} minutes; wait for it, or end it"
        ) from error


def remove_temporaries(folder: Path) -> None:
    """Removes what processes that were killed left in a folder: `atomic`'s files, and scratch folders of fetches.

    For a folder in which nobody else writes.
    """
    for path in folder.glob(".*.tmp"):
        if path.is_dir() and path.name.startswith(SCRATCH):
            shutil.rmtree(path, ignore_errors=True)  # a fetch that outlived its parent may still write to it
        elif re.fullmatch(r"\..+\.\d+\.tmp", path.name):
            path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Waits until the disk has what was written to a file, or renamed in a folder."""
    # Windows syncs only what is open for writing; folders, which it can't open, may not be.
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
