"""Checkpoints: a tree of arrays and the facts about it, in one file that is read back to the bit or refused.

A checkpoint is an `.npz` file: an array for each leaf, under its path in the tree (`jax.tree_util.keystr`), and the
facts as JSON, with the SHA-256 of everything. Types that NumPy itself doesn't have (bfloat16) are in it as unsigned
integers of the same bits. Reading one runs no code (no pickles).
"""

import errno
import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nstjax import files
from nstjax.errors import UserError

log = logging.getLogger(__name__)

_FACTS, _KEPT = "facts", 2

Arrays = dict[str, np.ndarray]


class _DamagedError(Exception):
    pass


class Checkpoint(NamedTuple):
    """What one file holds."""

    path: Path
    facts: dict[str, Any]
    arrays: Arrays  # by path in the tree


def save(folder: Path, number: int, tree: Any, facts: Mapping[str, Any]) -> None:
    """Writes `folder/NUMBER.npz`, whole or not at all, and then removes all but the newest two.

    Args:
        facts: plain values, as JSON has them.

    Raises:
        OSError: a full disk, say; the checkpoints before it are still there.
    """
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    arrays = {jax.tree_util.keystr(path): _storable(np.asarray(leaf)) for path, leaf in leaves}
    text = json.dumps({"facts": facts, "sha256": _digest(arrays, facts)})
    with files.atomic(folder / f"{number:08d}.npz") as temporary, open(temporary, "wb") as file:
        np.savez(file, **{_FACTS: np.frombuffer(text.encode(), np.uint8)}, **arrays)  # type: ignore[arg-type]
    for old in _newest_first(folder)[_KEPT:]:
        old.unlink()


def newest(folder: Path) -> Checkpoint | None:
    """The newest sound checkpoint of a folder; one that is damaged is passed over with a warning in the log.

    Raises:
        UserError: one can't be read, which says nothing of whether it is sound.
    """
    try:
        for path in _newest_first(folder):
            try:
                return _read(path)
            except _DamagedError as error:
                log.warning("the checkpoint %s is damaged (%s); trying the one before", path, error)
    except OSError as error:
        where, remedy = error.filename or folder, "mend that, or leave out resume=true to start anew"
        raise UserError(f"{where}: can't be read ({error.strerror or error}); {remedy}") from error
    return None


def exists(folder: Path) -> bool:
    """Whether a folder has a checkpoint, sound or not."""
    return bool(_newest_first(folder))


def remove(folder: Path) -> None:
    """Removes all checkpoints, and their folder if nothing else is in it."""
    for path in _newest_first(folder):
        path.unlink()
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def restore(checkpoint: Checkpoint, template: Any) -> Any:
    """The saved tree, as arrays of JAX; the checkpoint's own are dropped one by one, for they are large.

    Args:
        template: a tree of the same structure, of arrays or their shapes and types.

    Raises:
        UserError: the file holds another tree: a leaf too many or too few, another shape or type.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(template)
    expected = {jax.tree_util.keystr(path): (tuple(leaf.shape), str(_stored(leaf.dtype))) for path, leaf in leaves}
    found = {key: (array.shape, str(array.dtype)) for key, array in checkpoint.arrays.items()}
    for key in sorted(expected.keys() | found.keys()):
        if expected.get(key) != found.get(key):
            raise UserError(
                f"{checkpoint.path} holds {_described(found, key)}, this run needs {_described(expected, key)}; "
                f"leave out resume=true to start anew"
            )
    types = [leaf.dtype for _, leaf in leaves]
    restored = [jnp.asarray(checkpoint.arrays.pop(key).view(t)) for key, t in zip(expected, types, strict=True)]
    return jax.tree_util.tree_unflatten(structure, restored)


def _stored(dtype: np.dtype) -> np.dtype:
    """The type in the file of what has this one in the tree."""
    return dtype if dtype.isbuiltin == 1 else np.dtype(f"uint{8 * dtype.itemsize}")


def _storable(array: np.ndarray) -> np.ndarray:
    return array.view(_stored(array.dtype))


def _read(path: Path) -> Checkpoint:
    try:
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        content = json.loads(arrays.pop(_FACTS).tobytes())
        if content["sha256"] != _digest(arrays, content["facts"]):
            raise ValueError("its sha256 is another")
    except MemoryError:
        raise
    except Exception as error:  # what a damaged zip file, array or text raises is anyone's guess
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # which seeking to a damaged offset raises
            raise
        raise _DamagedError(_first_line(error)) from error
    return Checkpoint(path, content["facts"], arrays)


def _digest(arrays: Arrays, facts: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for key, array in sorted(arrays.items()):
        digest.update(f"{key} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
    return digest.hexdigest()


def _newest_first(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if path.suffix == ".npz")  # unlike `glob`, says what it may not list
    return sorted((path for path in found if path.stem.isdecimal()), key=_number, reverse=True)


def _number(path: Path) -> int:
    return int(path.stem)


def _described(leaves: Mapping[str, tuple[tuple[int, ...], str]], key: str) -> str:
    shape, dtype = leaves.get(key, ((), ""))
    return f"{key} as {dtype}{list(shape)}" if dtype else f"no {key}"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
