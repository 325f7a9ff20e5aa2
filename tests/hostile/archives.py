"""torch files whose containers lie: zip archives, and the legacy row of pickles and storages."""

import io
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from weight_files import Tensor, save_legacy, save_zip, tensor

from hostile.common import ONES, Cases, Write, content
from hostile.pickles import SYSTEM, viewed

GOOD = viewed(0, (4,), (1,))


def archive(*members: tuple[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """The bytes of a zip file; names may come twice."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(buffer, "w", compression) as out:
            for name, data in members:
                out.writestr(name, data)
    return buffer.getvalue()


def patched(data: bytes, signature: bytes, at: int, value: bytes) -> bytes:
    """The archive with a field of all records of one kind overwritten."""
    changed, place = bytearray(data), data.find(signature)
    while place >= 0:
        changed[place + at : place + at + len(value)] = value
        place = data.find(signature, place + 1)
    return bytes(changed)


def overlapping(count: int, size: int) -> bytes:
    """A directory of `count` storages that are one and the same range of the file."""
    items = (viewed(0, (1,), (1,), str(i), size // 4, f"features.{i}.weight")[3:-1] for i in range(count))
    data = archive(("v/data.pkl", b"\x80\x02}" + b"".join(items) + b"."), ("v/data/0", bytes(size)))
    start = data.index(b"PK\1\2")
    end = data.index(b"PK\5\6")
    record = data[data.index(b"PK\1\2", start + 1) : end]
    name_at = 46
    records = [record[:name_at] + b"v/data/%d" % i for i in range(1, count)]
    fixed = [r[:28] + struct.pack("<H", len(r) - 46) + r[30:] for r in records]
    directory = data[start:end] + b"".join(fixed)
    tail = bytearray(data[end:])
    tail[8:20] = struct.pack("<HHII", count + 1, count + 1, len(directory), start)
    return data[:start] + directory + bytes(tail)


def crowded(count: int) -> bytes:
    """A directory of very many members."""
    data = archive(("v/data.pkl", GOOD))
    start, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    directory = data[start:end] * count
    tail = bytearray(data[end:])
    tail[8:20] = struct.pack("<HHII", 1, 1, len(directory), start)
    return data[:start] + directory + bytes(tail)


def shared_storage(path: Path) -> None:
    """Thousands of tensors that look at one storage of 20 MB: read once, it takes no time."""
    one = tensor(np.zeros(5 << 20, np.float32)).storage
    tree = {}
    for i in range(5000):
        tree[f"features.{i}.weight"] = view = Tensor("FloatStorage", ONES, (1,), (1,))
        view.storage = one
    save_zip(path, tree)


def link_member() -> bytes:
    """A storage that is a symbolic link, as zip files can have them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        out.writestr("v/data.pkl", viewed(0, (4,), (1,)))
        link = zipfile.ZipInfo("v/data/0")
        link.external_attr = 0o120777 << 16
        out.writestr(link, b"../canary")
    return buffer.getvalue()


CASES: Cases = {
    "compressed_bomb.pth": (
        content(
            archive(
                ("v/data.pkl", viewed(0, (1 << 26,), (1,), size=1 << 26)),
                ("v/data/0", bytes(1 << 28)),
                compression=zipfile.ZIP_DEFLATED,
            )
        ),
        "is compressed",
    ),
    "declared_terabytes.pth": (
        content(patched(archive(("v/data.pkl", GOOD)), b"PK\1\2", 20, b"\xfe\xff\xff\xff\xfe\xff\xff\xff")),
        "data.pkl is too large",
    ),
    "encrypted.pth": (
        content(patched(patched(archive(("v/data.pkl", GOOD)), b"PK\1\2", 8, b"\1\0"), b"PK\3\4", 6, b"\1\0")),
        "encrypted",
    ),
    "same_name_twice.pth": (content(archive(("v/data.pkl", GOOD), ("v/data.pkl", SYSTEM))), "two members of one name"),
    "two_programs.pth": (content(archive(("v/data.pkl", GOOD), ("w/data.pkl", SYSTEM))), "no data.pkl"),
    "climbing_names.pth": (content(archive(("../data.pkl", GOOD), ("../data/0", ONES.tobytes()))), "features.0.bias"),
    "absolute_names.pth": (content(archive(("/data.pkl", GOOD), ("/data/0", ONES.tobytes()))), "features.0.bias"),
    "linked_storage.pth": (content(link_member()), "buffer size"),
    "overlapping_members.pth": (content(overlapping(1000, 4 << 20)), "too large"),
    "crowded_directory.pth": (content(crowded(100_000)), "Truncated central directory"),
    "shared_storage.pth": (shared_storage, "features.0.bias"),
    "names_another_member.pth": (
        content(archive(("v/data.pkl", GOOD), ("v/data/0", b"")).replace(b"v/data/0", b"v/data/1", 1)),
        "",
    ),
    "wrong_checksum.pth": (
        content(archive(("v/data.pkl", GOOD), ("v/data/0", ONES.tobytes())).replace(ONES.tobytes(), bytes(16))),
        "Bad CRC-32",
    ),
    "no_directory.pth": (content(archive(("v/data.pkl", GOOD))[:-30]), "not a zip file"),
    "directory_elsewhere.pth": (
        content(patched(archive(("v/data.pkl", GOOD)), b"PK\5\6", 12, b"\xff\xff\xff\x7f")),
        "",
    ),
}


# The legacy container: five pickles, then storages.


def legacy(change: Callable[[bytes], bytes]) -> Write:
    """A legacy file, changed."""

    def write(path: Path) -> None:
        save_legacy(path, {"features.0.weight": tensor(ONES)})
        path.write_bytes(change(path.read_bytes()))

    return write


SIZE = struct.pack("<q", 4)
CASES |= {
    "legacy_system.pth": (legacy(lambda data: data[: data.index(b"}")] + SYSTEM), ""),
    "legacy_huge_storage.pth": (legacy(lambda data: data.replace(SIZE, struct.pack("<q", 1 << 61))), "another size"),
    "legacy_negative_storage.pth": (legacy(lambda data: data.replace(SIZE, struct.pack("<q", -4))), "another size"),
    "legacy_cut.pth": (legacy(lambda data: data[:-1]), "truncated"),
    "legacy_magic_alone.pth": (legacy(lambda data: data[:15]), ""),
    "legacy_endless.pth": (legacy(lambda data: data[:15] + b"\x80\x02" + b"(" * (2 << 20)), ""),
}
