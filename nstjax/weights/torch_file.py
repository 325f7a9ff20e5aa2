"""State dicts of `torch.save`, without torch and without running a pickle.

Both containers are read: zip (torch >= 1.6) and legacy (five pickles, then raw storages). `MAX_BYTES` bounds what is
read of the storages, and what is returned, each.
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

MAX_PICKLE = 1 << 20  # VGG19's has some 5000 bytes
MAX_DIRECTORY = 4 << 20
MAX_BYTES = 512 << 20
MAX_ENTRIES = 10_000
MAX_DEPTH, MAX_NAME = 8, 1000
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
        with Sips(io.FileIO(path)) as file:
            zipped = file.read(4) == b"PK\x03\x04"
            file.seek(0)
            return _load_zip(file, wanted) if zipped else _load_legacy(file, wanted)
    except Exception as error:  # zipfile alone raises seven types; nothing but UserError may leave a parser
        reason = str(error).partition("\n")[0][:150] or type(error).__name__
        raise UserError(
            f"{path} is not a torch state dict that can be read ({reason}); get the file again, or save "
            "model.state_dict() instead of the model"
        ) from error


class Sips(io.BufferedReader):
    """A file read in parts of at most `MAX_DIRECTORY` bytes: zipfile reads its directory, of any size, in one."""

    def read(self, size: int | None = -1, /) -> bytes:
        """As a file's; a larger part comes back cut, and then damaged as far as zipfile can tell."""
        return super().read(min(size, MAX_DIRECTORY) if size is not None and size >= 0 else MAX_DIRECTORY)


def _load_zip(file: io.BufferedReader, wanted: Wanted) -> dict[str, Array]:
    with zipfile.ZipFile(file) as archive:
        members = {info.filename: info for info in archive.infolist()}
        require(len(members) == len(archive.infolist()), "two members of one name")

        def content(name: str, limit: int) -> bytes:
            require(name in members, f"{name[:60]} is missing")
            info = members[name]
            # torch never compresses, and what is compressed could unpack to gigabytes.
            require(info.compress_type == zipfile.ZIP_STORED, f"{name[:60]} is compressed")
            require(info.file_size <= limit, f"{name[:60]} is too large")
            with archive.open(info) as member:
                return b"".join(iter(lambda: member.read(1 << 20), b""))

        pickles = [name for name in members if name.count("/") == 1 and name.endswith("/data.pkl")]
        require(len(pickles) == 1, "the archive has no data.pkl")
        root = pickles[0].removesuffix("data.pkl")
        if f"{root}byteorder" in members:
            require(content(f"{root}byteorder", 16) == b"little", "big-endian")
        found = _bounded(_tensors(interpret(io.BytesIO(content(pickles[0], MAX_PICKLE))), wanted))
        sizes = {tensor.storage.key: tensor.storage.bytes for _, tensor in found}
        blobs = {key: content(f"{root}data/{key}", size) for key, size in sizes.items()}
        return {name: _array(tensor, blobs[tensor.storage.key]) for name, tensor in found}


def _load_legacy(file: io.BufferedReader, wanted: Wanted) -> dict[str, Array]:
    head = io.BytesIO(file.read(MAX_PICKLE))  # all five pickles
    require(interpret(head) == LEGACY_MAGIC, "no magic number")
    require(interpret(head) == LEGACY_PROTOCOL, "unknown protocol")
    system, tree, keys = interpret(head), interpret(head), interpret(head)
    require(type(system) is dict and system.get("little_endian") is True, "big-endian")
    require(type(keys) is list, "no list of storages")
    storages = {tensor.storage.key: tensor.storage for _, tensor in _tensors(tree, everything)}
    found = _bounded(_tensors(tree, wanted))
    used = {tensor.storage.key for _, tensor in found}
    file.seek(head.tell())
    blobs = {}
    for key in keys:
        require(key in storages, "a storage that no tensor uses")
        count = storages[key].bytes
        require(file.read(8) == struct.pack("<q", storages[key].size), "a storage of another size, or a truncated file")
        require(count <= os.fstat(file.fileno()).st_size - file.tell(), "the file is truncated")
        if key in used:
            blobs[key] = b"".join(file.read(min(1 << 20, count - at)) for at in range(0, count, 1 << 20))
        else:
            file.seek(count, os.SEEK_CUR)
    require(used <= set(blobs), "a storage is missing")
    return {name: _array(tensor, blobs[tensor.storage.key]) for name, tensor in found}


def _tensors(tree: object, wanted: Wanted) -> list[tuple[str, Tensor]]:
    found = []
    for count, (name, value) in enumerate(_walk(tree, "", 0)):
        require(count < MAX_ENTRIES, "too many entries")
        if isinstance(value, Tensor) and wanted(name):
            found.append((name, value))
    return found


def _bounded(found: list[tuple[str, Tensor]]) -> list[tuple[str, Tensor]]:
    """Refuses too much to read, or too much to return: views of one storage could be many."""
    storages = {tensor.storage.key: tensor.storage for _, tensor in found}
    require(sum(storage.bytes for storage in storages.values()) <= MAX_BYTES, "too large")
    require(sum(math.prod(tensor.shape) * tensor.storage.itemsize for _, tensor in found) <= MAX_BYTES, "too large")
    return found


def _walk(tree: object, prefix: str, depth: int) -> Iterator[tuple[str, object]]:
    if not isinstance(tree, dict) or depth == MAX_DEPTH:
        raise ValueError("no dict of tensors")
    for key, value in tree.items():
        name = f"{prefix}{key}"
        require(len(name) <= MAX_NAME, "a name without end")
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
