"""Colors of 16 bits a channel, for which Pillow has no mode: it reads their high bytes and writes none."""

import re
import struct
import sys
import zlib
from collections.abc import Iterable

import numpy as np
from jaxtyping import Float32, UInt16
from PIL import Image, ImageFile

Fractions = Float32[np.ndarray, "h w c"]

_OTHER_BYTE = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
_COLOR_TYPES = {3: 2, 4: 6}  # by channels: RGB, RGBA


def low_bytes(picture: Image.Image) -> Image.Image | None:
    """Makes a 16-bit RGB or RGBA picture, opened but not loaded yet, decode its low bytes; else there are none: None.

    Pillow unpacks the first byte of two for big-endian samples, and the second for little-endian ones: told the
    opposite order, it unpacks the other byte.
    """
    if not isinstance(picture, ImageFile.ImageFile):
        return None
    modes = [tile.args if isinstance(tile.args, str) else (tile.args or ("",))[0] for tile in picture.tile]
    if not modes or not all(isinstance(mode, str) and re.fullmatch("RGBA?;16[BLN]", mode) for mode in modes):
        return None
    swapped = [mode[:-1] + _OTHER_BYTE[mode[-1]] for mode in modes]
    picture.tile = [
        tile._replace(args=mode if isinstance(tile.args, str) else (mode, *(tile.args or ())[1:]))
        for tile, mode in zip(picture.tile, swapped, strict=True)
    ]
    return picture


def joined(high: Image.Image, low: Image.Image) -> Fractions:
    """The colors in [0, 1] of two pictures that hold the high and the low bytes."""
    return (np.asarray(high, np.float32) * 256 + np.asarray(low, np.float32)) / np.float32(65535)


def png(levels: UInt16[np.ndarray, "h w c"], chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A PNG of 16-bit RGB or RGBA levels, with these chunks between its header and its pixels."""
    height, width, channels = levels.shape
    header = struct.pack(">IIBBBBB", width, height, 16, _COLOR_TYPES[channels], 0, 0, 0)
    rows = levels.astype(">u2").view(np.uint8).reshape(height, -1)
    differences = np.diff(rows, axis=0, prepend=np.zeros_like(rows[:1]))  # filter 2, "up"
    filtered = np.pad(differences, ((0, 0), (1, 0)), constant_values=2)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(filtered.tobytes())), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in parts)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
