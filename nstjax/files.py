"""Files on disk: where the cache is, digests, and writes that are either whole or absent."""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs


def cache_dir() -> Path:
    """The folder of fetched and converted files: `$NSTJAX_CACHE`, else the platform's own (`~/.cache/nstjax`)."""
    return Path(os.environ.get("NSTJAX_CACHE") or platformdirs.user_cache_path("nstjax"))


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


def remove_temporaries(folder: Path) -> None:
    """Removes what writers that were killed inside `atomic` left in a folder; for one in which nobody else writes."""
    for path in folder.glob(".*.tmp"):
        if re.fullmatch(r"\..+\.\d+\.tmp", path.name):
            path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Waits until the disk has what was written to a file, or renamed in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
