"""Picture files and color profiles by hand, for what Pillow does not write."""

import struct
import zlib
from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageCms

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def png(
    width: int, height: int, depth: int, color_type: int, rows: bytes, *chunks: tuple[bytes, bytes], interlaced: int = 0
) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, interlaced)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )


def png_rows(levels: np.ndarray) -> bytes:
    """Unfiltered big-endian PNG rows of 16-bit levels."""
    return b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)


def png16(levels: np.ndarray, *chunks: tuple[bytes, bytes], interlaced: bool = False) -> bytes:
    """A PNG of 16-bit levels, `h w` or `h w c`; interlaced in Adam7's seven passes."""
    height, width, *channels = levels.shape
    color_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels[0] if channels else 1]
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    parts = [levels[y::dy, x::dx] for y, x, dy, dx in passes] if interlaced else [levels]
    return png(width, height, 16, color_type, b"".join(map(png_rows, parts)), *chunks, interlaced=int(interlaced))


def tiff(
    order: str, levels: np.ndarray, photometric: int, *, deflated: bool = False, extra: int | None = None
) -> bytes:
    """A TIFF of one strip, in byte order "<" or ">", of levels `h w c` of any integer or float type."""
    height, width, channels = levels.shape
    strip = levels.astype(levels.dtype.newbyteorder(order)).tobytes()
    strip = zlib.compress(strip) if deflated else strip
    kind = {"u": 1, "i": 2, "f": 3}[levels.dtype.kind]
    entries: list[tuple[int, str, list[int]]] = [
        (256, "H", [width]), (257, "H", [height]), (258, "H", [8 * levels.itemsize] * channels),
        (259, "H", [8 if deflated else 1]), (262, "H", [photometric]), (273, "I", [0]), (277, "H", [channels]),
        (278, "H", [height]), (279, "I", [len(strip)]), (339, "H", [kind] * channels),
    ]  # fmt: skip
    if extra is not None:
        entries.insert(-1, (338, "H", [extra]))
    beyond = 8 + 2 + 12 * len(entries) + 4
    tail = b"".join(struct.pack(f"{order}{len(v)}{t}", *v) for _, t, v in entries if len(v) * struct.calcsize(t) > 4)
    data, offset = b"", beyond
    for tag, t, values in entries:
        values = [beyond + len(tail)] if tag == 273 else values
        packed = struct.pack(f"{order}{len(values)}{t}", *values)
        if len(packed) > 4:
            packed, offset = struct.pack(f"{order}I", offset), offset + len(packed)
        data += struct.pack(f"{order}HHI", tag, {"H": 3, "I": 4}[t], len(values)) + packed.ljust(4, b"\0")
    header = {"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}HIH", 42, 8, len(entries))
    return header + data + bytes(4) + tail + strip


def qoi(rgb: np.ndarray) -> bytes:
    """A QOI file of plain RGB records."""
    height, width, _ = rgb.shape
    pixels = b"".join(b"\xfe" + bytes(color) for color in rgb.reshape(-1, 3).tolist())
    return b"qoif" + struct.pack(">IIBB", width, height, 3, 0) + pixels + b"\0" * 7 + b"\1"


def bmp(indices: np.ndarray, colors: np.ndarray, *, packed: bool) -> bytes:
    """A BMP of palette indices: run-length encoded, or with its rows from the top down."""
    height, width = indices.shape
    if packed:
        rows = b"".join(bytes(x for i in row.tolist() for x in (1, i)) + b"\0\0" for row in indices[::-1]) + b"\0\1"
    else:
        rows = indices.tobytes()  # a width that is a multiple of 4 needs no padding
    table = b"".join(bytes([b, g, r, 0]) for r, g, b in colors.tolist())
    info = struct.pack(
        "<IiiHHIIiiII", 40, width, height if packed else -height, 1, 8, int(packed), len(rows), 0, 0, len(colors), 0
    )
    start = 14 + len(info) + len(table)
    return b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + info + table + rows


def jpeg_arithmetic(width: int, height: int) -> bytes:
    """A progressive JPEG in arithmetic coding, of means alone; its scan of zeros comes to nearly nothing but gray."""
    quantization = b"\xff\xdb" + struct.pack(">HB", 67, 0) + bytes([1] * 64)
    frame = b"\xff\xca" + struct.pack(">HBHHBBBB", 11, 8, height, width, 1, 1, 0x11, 0)
    scan = b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0, 0, 0, 0)
    return b"\xff\xd8" + quantization + frame + scan + bytes(8) + b"\xff\xd9"


def jpeg_header(width: int, height: int) -> bytes:
    """The beginning of a JPEG."""
    frame = struct.pack(">HBHHB", 17, 8, height, width, 3) + bytes([1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0])
    return b"\xff\xd8\xff\xc0" + frame + b"\xff\xda" + struct.pack(">H", 12) + bytes(10)


def icc(kind: bytes, space: bytes, connection: bytes, tags: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A color profile (ICC.1:2001) of these tags."""
    tags = list(tags)
    offset = 128 + 4 + 12 * len(tags)
    table, data = struct.pack(">I", len(tags)), b""
    for name, value in tags:
        value += bytes(-len(value) % 4)
        table += name + struct.pack(">II", offset + len(data), len(value))
        data += value
    date, illuminant = struct.pack(">6H", 2000, 1, 1, 0, 0, 0), struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)
    header = bytes(4) + struct.pack(">I", 0x02400000) + kind + space + connection + date + b"acsp"
    header = struct.pack(">I", offset + len(data)) + header + bytes(68 - 40) + illuminant
    return header.ljust(128, b"\0") + table + data


def gray_profile() -> bytes:
    """Gray levels that count light: half of white is a level of 128."""
    white = b"XYZ \0\0\0\0" + struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)
    return icc(b"mntr", b"GRAY", b"XYZ ", [(b"wtpt", white), (b"kTRC", b"curv\0\0\0\0" + struct.pack(">I", 0))])


def inks_profile(colors: np.ndarray) -> bytes:
    """Four inks, the first three of which paint these colors instead of cyan, magenta and yellow, the fourth black."""
    paints = np.vstack([colors / 255, np.zeros(3)])
    nodes = [paints[[bool(i & bit) for bit in (8, 4, 2, 1)]].prod(axis=0) for i in range(16)]
    rgb = Image.fromarray(np.rint(np.array([nodes]) * 255).astype(np.uint8))
    lab = ImageCms.profileToProfile(
        rgb, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    encoded = np.asarray(lab) ^ np.uint8([0, 128, 128])  # Pillow hands a* and b* out as signed bytes
    identity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    ramp = bytes(range(256))
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + ramp * 4 + encoded.tobytes() + ramp * 3
    white = b"XYZ \0\0\0\0" + struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)
    return icc(b"prtr", b"CMYK", b"Lab ", [(b"wtpt", white), (b"A2B0", table)])
