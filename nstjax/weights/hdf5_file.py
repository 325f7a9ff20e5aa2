"""Arrays out of an HDF5 file from anywhere, with what HDF5 can do to a reader switched off.

A hostile file can have external storage (which returns the bytes of other local files), links into other files, and
datasets that declare terabytes: only hard links to datasets inside the file, of a bounded size, are followed.
"""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nstjax.errors import UserError

MAX_BYTES = 1 << 30
MAX_OBJECTS = 10_000
MAX_DEPTH = 8


def load(path: Path, wanted: Callable[[str], bool] = lambda name: True) -> dict[str, NDArray[Any]]:
    """The datasets of numbers by path, such as "block1_conv1/block1_conv1/kernel:0".

    Args:
      path: an HDF5 file.
      wanted: paths to read; the others are skipped.

    Raises:
      UserError: h5py is missing, or the file is damaged or hostile.
    """
    try:
        import h5py
    except ImportError as error:
        raise UserError("reading .h5 files needs h5py; run `pip install 'nstjax[convert]'`") from error
    try:
        with h5py.File(path, "r", locking=False) as file:
            datasets = {name: dataset for name, dataset in _datasets(file, "", 0, [0]) if wanted(name)}
            declared = sum(max(dataset.nbytes, _chunk_bytes(dataset)) for dataset in datasets.values())
            if declared > MAX_BYTES:
                raise ValueError(f"it declares {declared} bytes")
            return {name: np.asarray(dataset[()]) for name, dataset in datasets.items()}
    except Exception as error:  # h5py raises almost anything on damaged files
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:150]
        raise UserError(f"{path} is not an HDF5 file that can be read ({reason}); get the file again") from error


def _chunk_bytes(dataset: Any) -> int:
    """What reading one element allocates: a chunk may be larger than its dataset."""
    return math.prod(dataset.chunks or ()) * int(dataset.dtype.itemsize)


def _datasets(group: Any, prefix: str, depth: int, seen: list[int]) -> Iterator[tuple[str, Any]]:
    import h5py

    for key in group:
        name = f"{prefix}{key}"
        seen[0] += 1
        if depth == MAX_DEPTH or seen[0] > MAX_OBJECTS:  # hard links can form a circle
            raise ValueError("too many groups")
        if not isinstance(group.get(key, getlink=True), h5py.HardLink):
            raise ValueError(f"{name} is a link to somewhere else")
        item = group[key]
        if isinstance(item, h5py.Group):
            yield from _datasets(item, f"{name}/", depth + 1, seen)
        elif isinstance(item, h5py.Dataset) and item.dtype.kind in "fiu":
            if item.external or item.is_virtual:
                raise ValueError(f"{name} is stored outside the file")
            yield name, item
