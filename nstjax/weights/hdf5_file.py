"""Arrays out of an HDF5 file from anywhere, with what HDF5 can do to a reader switched off.

A hostile file can have external storage (which returns the bytes of other local files), links into other files,
datasets that declare terabytes, and chunks that unpack to as much or ask for a plug-in: only hard links to datasets
that lie in the file as they are, of a bounded size, are followed.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nstjax.errors import UserError
from nstjax.weights.layouts import first_line

MAX_BYTES = 512 << 20
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
            declared = sum(dataset.nbytes for dataset in datasets.values())
            if declared > MAX_BYTES:
                raise ValueError(f"it declares {declared} bytes")
            return {name: np.asarray(dataset[()]) for name, dataset in datasets.items()}
    except Exception as error:  # h5py raises almost anything on damaged files
        raise UserError(
            f"{path} is not an HDF5 file that can be read ({first_line(error)}); get the file again"
        ) from error


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
            _check_storage(name, item)
            yield name, item


def _check_storage(name: str, dataset: Any) -> None:
    from h5py import h5d

    if dataset.external or dataset.is_virtual:
        raise ValueError(f"{name} is stored outside the file")
    # Keras writes one block; what is in chunks could be compressed, and unpack to gigabytes.
    if dataset.id.get_create_plist().get_layout() not in (h5d.CONTIGUOUS, h5d.COMPACT):
        raise ValueError(f"{name} is stored in chunks")
    if dataset.nbytes != dataset.id.get_storage_size():
        raise ValueError(f"{name} declares {dataset.nbytes} bytes and has {dataset.id.get_storage_size()}")
