"""VGG19 in every format but for the numbers in it; and what is no file, or far too much of one."""

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import weight_files as wf
from safetensors.numpy import save_file
from weight_files import save_legacy, save_zip

from hostile.common import Cases, Write, content
from nstjax.weights import foreign, layouts, store


def spoiled(write: Callable[[Path, layouts.Arrays], object], name: str, value: float) -> Write:
    """A network with one array full of one value."""

    def spoil(path: Path) -> None:
        arrays = wf.network()
        arrays[name] = np.full_like(arrays[name], value)
        write(path, arrays)

    return spoil


def unchecked(path: Path, arrays: layouts.Arrays) -> None:
    """What `store.write` would refuse to write."""
    weights = layouts.Weights(arrays, layouts.CAFFE)
    metadata = {"format": store.FORMAT, "digest": store.digest(weights), **weights.about._asdict()}
    save_file(arrays, path, {store.KEY: json.dumps(metadata)})


WRITERS = {
    "zip.pth": wf.write_torch(save_zip),
    "legacy.pth": wf.write_torch(save_legacy),
    "keras.h5": wf.write_keras,
    "plain.mat": wf.write_matconvnet(False),
    "our.safetensors": unchecked,
}
CASES: Cases = {}
for suffix, write in WRITERS.items():
    CASES |= {
        f"nan_{suffix}": (spoiled(write, "conv3_2/bias", np.nan), "conv3_2/bias has values that are not finite"),
        f"infinite_{suffix}": (
            spoiled(write, "conv5_4/kernel", np.inf),
            "conv5_4/kernel has values that are not finite",
        ),
        f"zero_{suffix}": (spoiled(write, "conv2_2/kernel", 0), "conv2_2/kernel is the same number throughout"),
        f"constant_{suffix}": (spoiled(write, "conv1_1/kernel", 0.5), "conv1_1/kernel is the same number throughout"),
    }


# Not files at all, or far too much of one.


def sparse(magic: bytes) -> Write:
    """Gigabytes, of which a few bytes are on the disk."""

    def write(path: Path) -> None:
        with open(path, "wb") as file:
            file.write(magic)
            file.truncate(3 << 30)

    return write


CASES |= {
    **{f"gigabytes{i}.pth": (sparse(magic), "more than any VGG19") for i, magic in enumerate(foreign.MAGIC)},
    "gigabytes.safetensors": (sparse(struct.pack("<Q", 2) + b"{}"), "more than any VGG19"),
    "fifo.pth": (os.mkfifo, "is not a regular file"),
    "zeros.pth": (lambda path: path.symlink_to("/dev/zero"), "is not a regular file"),
    "folder.pth": (Path.mkdir, "can't read"),
    "loop.pth": (lambda path: path.symlink_to(path), "can't read"),
    "missing.pth": (lambda path: None, "can't read"),
    "name with\na newline.pth": (content(b"hello"), "is no weight file that nstjax knows"),
}
