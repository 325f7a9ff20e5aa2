"""HDF5 files that lead out of themselves, or declare what they do not hold."""

import struct
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from hostile.common import CANARY, ONES, Cases, Write, canary, content


def hdf5(fill: Callable[[h5py.File, Path], object]) -> Write:
    """An HDF5 file."""

    def write(path: Path) -> None:
        with h5py.File(path, "w") as file:
            fill(file, path)

    return write


def dataset(shape: tuple[int, ...] = (4,), dtype: object = "f4", **options: object) -> Write:
    """An HDF5 file with one dataset, which is not filled."""
    return hdf5(lambda file, path: file.create_dataset("block1_conv1/kernel:0", shape, dtype, **options))


def virtual(file: h5py.File, path: Path) -> None:
    with h5py.File(path.with_name("other.h5"), "w") as other:
        other["x"] = np.frombuffer(CANARY, np.uint8)
    layout = h5py.VirtualLayout((len(CANARY),), "u1")
    layout[:] = h5py.VirtualSource(str(path.with_name("other.h5")), "x", (len(CANARY),))
    file.create_virtual_dataset("block1_conv1", layout)


def deep(file: h5py.File, path: Path) -> None:
    group = file
    for _ in range(500):
        group = group.create_group("block1_conv1")


def circle(file: h5py.File, path: Path) -> None:
    file["conv/again"] = file.create_group("conv")


def crowd(file: h5py.File, path: Path) -> None:
    group = file.create_group("conv", track_order=True)
    for i in range(10_001):
        group[f"{i}"] = np.dtype("f4")


def plugin(path: Path) -> None:
    """A dataset whose chunks ask for filter 32015, which HDF5 would look for among shared libraries."""
    with h5py.File(path, "w") as file:
        file.create_dataset("conv", data=ONES, chunks=(4,), compression="gzip")
    data = path.read_bytes()
    place = data.index(b"deflate") - 8  # id, length of the name, flags, number of values: two bytes each
    path.write_bytes(data[:place] + struct.pack("<H", 32015) + data[place + 2 :])


outside, chunks, link = "is stored outside the file", "is stored in chunks", "is a link to somewhere else"
CASES: Cases = {
    "external_storage.h5": (
        hdf5(lambda file, path: file.create_dataset("conv", (13,), "u1", external=[(str(canary(path)), 0, 13)])),
        outside,
    ),
    "external_device.h5": (dataset((1 << 20,), external=[("/dev/zero", 0, h5py.h5f.UNLIMITED)]), outside),
    "external_link.h5": (hdf5(lambda file, path: file.__setitem__("conv", h5py.ExternalLink("other.h5", "x"))), link),
    "link_to_passwd.h5": (
        hdf5(lambda file, path: file.__setitem__("conv", h5py.ExternalLink("/etc/passwd", "x"))),
        link,
    ),
    "soft_link.h5": (hdf5(lambda file, path: file.__setitem__("conv", h5py.SoftLink("/conv"))), link),
    "virtual.h5": (hdf5(virtual), outside),
    "terabytes.h5": (dataset((1 << 20, 1 << 20)), f"declares {4 << 40} bytes and has 0"),
    "fill_value.h5": (dataset((1 << 28,), fillvalue=1.0), "and has 0"),
    "huge_chunk.h5": (dataset((1,), chunks=(1 << 29,), maxshape=(None,)), chunks),
    "packed_bomb.h5": (
        hdf5(
            lambda file, path: file.create_dataset(
                "conv", data=np.zeros(1 << 22, "f4"), compression="gzip", chunks=(1 << 20,)
            )
        ),
        chunks,
    ),
    "plugin.h5": (plugin, chunks),
    "circle.h5": (hdf5(circle), "too many groups"),
    "deep.h5": (hdf5(deep), "too many groups"),
    "crowd.h5": (hdf5(crowd), "too many groups"),
    "texts.h5": (dataset(dtype=h5py.string_dtype()), "no block1_conv1"),
    "references.h5": (dataset(dtype=h5py.ref_dtype), "no block1_conv1"),
    "records.h5": (dataset(dtype=[("a", "f4"), ("b", "u8")]), "no block1_conv1"),
    "group_as_kernel.h5": (hdf5(lambda file, path: file.create_group("block1_conv1/kernel:0")), "no block1_conv1"),
    "scalar.h5": (hdf5(lambda file, path: file.__setitem__("block1_conv1/kernel:0", 1.0)), "no block1_conv1"),
    "line_in_a_name.h5": (
        hdf5(lambda file, path: file.__setitem__("a\nb\x1b[31m", h5py.SoftLink("/"))),
        "is not an HDF5 file",
    ),
    "superblock_alone.h5": (content(b"\x89HDF\r\n\x1a\n" + bytes(100)), "HDF5"),
}
