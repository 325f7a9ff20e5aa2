"""VGG19 in a safetensors file: `conv1_1/kernel` and so on, and one JSON entry of metadata with a digest of it all.

The digest is over the content (names, shapes, values, description), not over the file's bytes, so that it stays the
same under any version of safetensors; a flipped byte in any of it is noticed when the file is read.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from nstjax import files
from nstjax.errors import UserError
from nstjax.weights.layouts import SHAPES, About, Weights, check, first_line

MAX_HEADER = 1 << 20  # bytes; ours has some 4000
FORMAT = 1  # goes up whenever a conversion changes, which makes cached conversions be made again
KEY = "nstjax"  # the only metadata entry: safetensors writes several in random order


def digest(weights: Weights) -> str:
    """SHA-256 of the content: the same arrays and description have the same digest, however they are stored."""
    content = hashlib.sha256(json.dumps([FORMAT, *weights.about]).encode())
    for name in sorted(weights.arrays):
        array = weights.arrays[name]
        content.update(f"{name}{array.shape}".encode())
        content.update(np.ascontiguousarray(array, "<f4").data)
    return content.hexdigest()


def write(path: Path, weights: Weights) -> None:
    """Writes the file whole or not at all, and reads it back before it counts.

    Raises:
      UserError: the arrays are not VGG19's, or the place can't be written to.
    """
    check(weights.arrays)
    # safetensors 0.8.0 stores strided views wrongly, hence dense copies, read back before they count.
    dense = {name: np.array(array, np.float32, order="C") for name, array in weights.arrays.items()}
    metadata = {"format": FORMAT, "digest": digest(weights), **weights.about._asdict()}
    try:
        with files.atomic(path) as temporary:
            save_file(dense, temporary, {KEY: json.dumps(metadata)})
            read(temporary)
    except (OSError, SafetensorError) as error:  # a full disk is the latter
        reason = getattr(error, "strerror", None) or f"{error}".removeprefix("Error while serializing: I/O error: ")
        raise UserError(f"can't write {path} ({reason}); choose another place") from error


def read(path: Path) -> Weights:
    """Reads and verifies a file that `write` made.

    Raises:
      UserError: there is no such file, it is damaged, or it holds something else.
    """
    return _verified(path)[0]


@files.remembered
def verified(path: Path) -> str:
    """The digest of a file that `read` accepts. Raises UserError as it does."""
    return _verified(path)[1]


def _verified(path: Path) -> tuple[Weights, str]:
    if not path.is_file():
        raise UserError(f"there is no file {path}; check the path")
    try:
        weights, expected = _parse(path)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except Exception as error:  # whatever a parser of foreign bytes raises
        raise UserError(
            f"{path} is not a safetensors file that can be read ({first_line(error)}); fetch or convert it again"
        ) from error
    if digest(weights) != expected:
        raise UserError(f"{path} is damaged: its content doesn't match its digest; fetch or convert it again")
    return weights, expected


def source(path: Path) -> str:
    """Where the weights of a file that `read` accepts come from, by its metadata alone."""
    with safe_open(path, framework="np") as file:
        return _metadata(file.metadata())[0].source


def _parse(path: Path) -> tuple[Weights, str]:
    with open(path, "rb") as start:
        if int.from_bytes(start.read(8), "little") > MAX_HEADER:
            raise UserError("its header is longer than that of any VGG19; convert the file again")
    with safe_open(path, framework="np") as file:
        about, expected = _metadata(file.metadata())
        names = list(file.keys())
        # Looked at before anything is read: VGG19's own 80 MB are all that will be allocated.
        for name in names:
            header = file.get_slice(name)
            if tuple(header.get_shape()) != SHAPES.get(name) or header.get_dtype() != "F32":
                raise UserError(f"{name[:60]} is not an array of VGG19; convert the file again")
        arrays = {name: file.get_tensor(name) for name in names}
    check(arrays)
    return Weights(arrays, about), expected


def _metadata(metadata: dict[str, str] | None) -> tuple[About, str]:
    try:
        entry = json.loads((metadata or {})[KEY])
        if entry["format"] != FORMAT:
            raise UserError(f"format {str(entry['format'])[:20]} instead of {FORMAT}; convert the file again")
        about = About(
            str(entry["source"]),
            str(entry["license"]),
            float(entry["scale"]),
            _color(entry["mean"]),
            _color(entry["std"]),
        )
        expected = str(entry["digest"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            "its metadata was not written by nstjax; make the file with `python -m nstjax.weights convert`"
        ) from error
    if not (about.scale > 0 and min(about.std) > 0 and np.isfinite([about.scale, *about.mean, *about.std]).all()):
        raise UserError("its preprocessing is impossible; convert the file again")
    return about, expected


def _color(values: Any) -> tuple[float, float, float]:
    red, green, blue = values
    return float(red), float(green), float(blue)
