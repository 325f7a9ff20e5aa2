"""What the makers of hostile files share."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

Write = Callable[[Path], object]
Cases = dict[str, tuple[Write, str]]  # by file name: a writer, and words of the refusal that the file owes

CANARY = b"CANARY-5f0d1c"
ONES = np.ones(4, np.float32)


def content(data: bytes) -> Write:
    """A writer of these very bytes."""
    return lambda path: path.write_bytes(data)


def canary(path: Path) -> Path:
    """A local file beside `path`, which a weight file tries to show."""
    file = path.with_name("canary")
    file.write_bytes(CANARY * 100)
    return file
