"""The folder of fetched files: each is there with its pinned SHA-256, or is fetched by one process at a time."""

import logging
from collections.abc import Callable
from pathlib import Path

from nstjax import files

log = logging.getLogger(__name__)


def folder() -> Path:
    """Where fetched files are kept."""
    return files.cache_dir() / "fetched"


def once(filename: str, sha256: str, what: str, get: Callable[[Path], None]) -> Path:
    """A file of this name and SHA-256 in the cache; where it isn't yet, `get` writes it to the path that it is given.

    Raises:
      UserError: the cache can't be written to; and what `get` raises.
    """
    path = folder() / filename
    if _is(path, sha256):
        return path
    with files.exclusive(folder(), what):
        if not _is(path, sha256):  # another process may have fetched it meanwhile
            log.info("fetching %s, once", what)
            with files.atomic(path) as temporary:
                get(temporary)
    return path


def _is(path: Path, sha256: str) -> bool:
    return path.is_file() and files.sha256(path) == sha256
