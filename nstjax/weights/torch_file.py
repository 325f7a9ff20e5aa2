"""State dicts of `torch.save`, without torch and without running a pickle.

Both containers are read: zip (torch >= 1.6) and legacy (five pickles, then raw storages). Memory is bounded by the
file's size for what is read and by `MAX_BYTES` for what is returned.
"""

import io
import math
import os
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nstjax.errors import UserError
from nstjax.weights.torch_pickle import BFLOAT16, Tensor, interpret, require

Array = NDArray[Any]
Wanted = Callable[[str], bool]

MAX_PICKLE = 4 << 20
MAX_BYTES = 1 << 30
MAX_ENTRIES = 10_000
MAX_DEPTH = 8
LEGACY_MAGIC, LEGACY_PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


def everything(name: str) -> bool:
    """The `wanted` that reads all tensors."""
    return True


def load(path: Path, wanted: Wanted = everything) -> dict[str, Array]:
    """The tensors of a state dict by name; nested dicts are joined with dots. bfloat16 comes back as float32.

    Args:
      path: what `torch.save(module.state_dict(), path)` wrote.
      wanted: names to read; the others' bytes are skipped.

    Raises:
      UserError: the file is damaged, hostile, or something else than a state dict.
    """
    try:
        with open(path, "rb") as file:
            zipped = file.read(4) == b"PK\x03\x04"
            file.seek(0)
            return _load_zip(file, wanted) if zipped else _load_legacy(file, wanted)
    except Exception as error:  # zipfile alone raises seven types; nothing but UserError may leave a parser
        reason = str(error).splitlines()[0][:150] if str(error) else type(error).__name__
        raise UserError(
            f"{path} is not a torch state dict that can be read ({reason}); get the file again, or save "
            "model.state_dict() instead of the model"
        ) from error


def _load_zip(file: io.BufferedReader, wanted: Wanted) -> dict[str, Array]:
    size = os.fstat(file.fileno()).st_size
    with zipfile.ZipFile(file) as archive:
        members = {info.filename: info for info in archive.infolist()}

        def content(name: str, limit: int) -> bytes:
            require(name in members, f"{name} is missing")
            info = members[name]
            # torch never compresses, and what is compressed could unpack to gigabytes.
            require(info.compress_type == zipfile.ZIP_STORED, f"{name} is compressed")
            require(info.file_size <= limit, f"{name} is too large")
            return archive.read(info)

        pickles = [name for name in members if name.count("/") == 1 and name.endswith("/data.pkl")]
        require(len(pickles) == 1, "the archive has no data.pkl")
        root = pickles[0].removesuffix("data.pkl")
        if f"{root}byteorder" in members:
            require(content(f"{root}byteorder", 16) == b"little", "big-endian")
        found = _tensors(interpret(io.BytesIO(content(pickles[0], MAX_PICKLE))), wanted)
        return {name: _array(tensor, content(f"{root}data/{tensor.storage.key}", size)) for name, tensor in found}


def _load_legacy(file: io.BufferedReader, wanted: Wanted) -> dict[str, Array]:
    head = io.BytesIO(file.read(MAX_PICKLE))
    require(interpret(head) == LEGACY_MAGIC, "no magic number")
    require(interpret(head) == LEGACY_PROTOCOL, "unknown protocol")
    system, tree, keys = interpret(head), interpret(head), interpret(head)
    require(type(system) is dict and system.get("little_endian") is True, "big-endian")
    require(type(keys) is list, "no list of storages")
    storages = {tensor.storage.key: tensor.storage for _, tensor in _tensors(tree, everything)}
    found = _tensors(tree, wanted)
    used = {tensor.storage.key for _, tensor in found}
    file.seek(head.tell())
    blobs = {}
    for key in keys:
        require(key in storages, "a storage that no tensor uses")
        count = storages[key].size * storages[key].itemsize
        require(file.read(8) == struct.pack("<q", storages[key].size), "a storage of another size, or a truncated file")
        require(count <= os.fstat(file.fileno()).st_size - file.tell(), "the file is truncated")
        if key in used:
            blobs[key] = file.read(count)
        else:
            file.seek(count, os.SEEK_CUR)
    require(used <= set(blobs), "a storage is missing")
    return {name: _array(tensor, blobs[tensor.storage.key]) for name, tensor in found}


def _tensors(tree: object, wanted: Wanted) -> list[tuple[str, Tensor]]:
    found = []
    total = 0
    for count, (name, value) in enumerate(_walk(tree, "", 0)):
        require(count < MAX_ENTRIES, "too many entries")
        if isinstance(value, Tensor) and wanted(name):
            found.append((name, value))
            total += math.prod(value.shape) * value.storage.itemsize
            require(total <= MAX_BYTES, "too large")  # views of one storage could be many
    return found


def _walk(tree: object, prefix: str, depth: int) -> Iterator[tuple[str, object]]:
    if not isinstance(tree, dict) or depth == MAX_DEPTH:
        raise ValueError("no dict of tensors")
    for key, value in tree.items():
        name = f"{prefix}{key}"
        yield name, value
        if isinstance(value, dict):
            yield from _walk(value, f"{name}.", depth + 1)


def _array(tensor: Tensor, raw: bytes) -> Array:
    storage, offset, shape, stride = tensor
    flat = np.frombuffer(raw, "<u2" if storage.dtype == BFLOAT16 else storage.dtype)
    count = math.prod(shape)
    require(flat.size == storage.size, "a storage of another size")
    require(count <= flat.size, "a tensor larger than its storage")  # stride 0 could repeat one element without end
    last = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True)) if count else offset
    require(last < flat.size if count else last <= flat.size, "a tensor outside its storage")
    steps = [step * flat.itemsize for step in stride]
    array = np.lib.stride_tricks.as_strided(flat[offset:], shape, steps, writeable=False).copy()
    # A bfloat16 is the upper half of a float32.
    return (array.astype("<u4") << 16).view("<f4") if storage.dtype == BFLOAT16 else array
