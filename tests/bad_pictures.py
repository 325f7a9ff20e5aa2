"""The pictures that users really have: odd, huge, damaged and hostile files, each with what `images.load` owes it.

Most show the same three blocks (red on the left, green above blue on the right), 40 rows by 64 columns; a case that
loads names the colors of the three blocks as they should come out, and the notes; a case that is refused names words of
the refusal.
"""

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

HEIGHT, WIDTH = 40, 64
BLOCKS = np.zeros((HEIGHT, WIDTH), np.uint8)  # 0: left half, 1: top right, 2: bottom right
BLOCKS[:20, 32:], BLOCKS[20:, 32:] = 1, 2
INSIDE = ([20, 10, 30], [16, 48, 48])  # rows and columns of one pixel in each block

COLORS = np.array([(200, 30, 30), (30, 200, 30), (30, 30, 200)], np.uint8)
GRAYS = np.array([51, 128, 255], np.uint8)
ALPHAS = np.array([0, 128, 255], np.uint8)
OVER_WHITE = COLORS / 255 * (ALPHAS / 255)[:, None] + (1 - ALPHAS / 255)[:, None]
SHORTS = np.array([13107, 32768, 65535], np.uint16)  # 0.2, a half and 1 of 65535


class Loads(NamedTuple):
    """The colors of the three blocks (or their grays), in [0, 1], to `atol`; and a word of each note."""

    colors: np.ndarray
    notes: tuple[str, ...] = ()
    atol: float = 1e-6


class Refused(NamedTuple):
    """Words of the refusal."""

    words: str


Write = Callable[[Path], object]
RGB = COLORS[BLOCKS]
PICTURE = Image.fromarray(RGB)
NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8))
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
# The sRGB profile with its red and green primaries exchanged: conversion to sRGB must exchange the two channels.
EXCHANGED = SRGB.replace(b"rXYZ", b"????", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"????", b"gXYZ", 1)

# What the file holds for each EXIF orientation of the upright picture (EXIF 2.3, tag 0x0112).
STORED = {
    2: RGB[:, ::-1],
    3: RGB[::-1, ::-1],
    4: RGB[::-1],
    5: RGB.transpose(1, 0, 2),
    6: np.rot90(RGB),
    7: RGB[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90(RGB, -1),
}

exact = Loads(COLORS / 255)
JUNK = b"Exif\0\0garbage-garbage"
lossy = Loads(COLORS / 255, atol=0.03)
JPEG = {"quality": 95, "subsampling": 0}


def saved(picture: Image.Image, **options: Any) -> Write:
    """A writer that lets Pillow save the picture."""
    return lambda path: picture.save(path, **options)


def content(data: bytes) -> Write:
    """A writer of these very bytes."""
    return lambda path: path.write_bytes(data)


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """The bytes of a picture file."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def oriented(orientation: int) -> Write:
    """A picture whose EXIF says how to turn it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(Image.fromarray(np.ascontiguousarray(STORED.get(orientation, RGB))), exif=exif, quality=95)


def palette() -> Image.Image:
    """The blocks as indices into a palette of three colors."""
    picture = Image.fromarray(BLOCKS).convert("P")
    picture.putpalette(COLORS.tobytes())
    return picture


def png(width: int, height: int, depth: int, color_type: int, rows: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG by hand, for what Pillow does not write."""
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )


def png_rows(levels: np.ndarray) -> bytes:
    """Unfiltered big-endian PNG rows of 16-bit levels."""
    return b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)


def qoi() -> bytes:
    """A QOI file of plain RGB records."""
    pixels = b"".join(b"\xfe" + bytes(color) for color in RGB.reshape(-1, 3).tolist())
    return b"qoif" + struct.pack(">IIBB", WIDTH, HEIGHT, 3, 0) + pixels + b"\0" * 7 + b"\1"


def flipped_bit(data: bytes) -> bytes:
    """The data with one byte in the middle changed."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :]


def text_bomb() -> Write:
    """A PNG whose compressed comment unpacks to 50 MB."""
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "A" * 50_000_000, zip=True)
    return saved(PICTURE, pnginfo=info)


def half(kind: str) -> Write:
    """The first half of a picture file."""
    data = encoded(NOISE, kind)
    return content(data[: len(data) // 2])


gray16 = SHORTS[BLOCKS]
floats = GRAYS[BLOCKS].astype(np.float32) / 255
rgba = Image.fromarray(np.dstack([RGB, ALPHAS[BLOCKS]]))
gray_alpha = Image.merge("LA", [Image.fromarray(GRAYS[BLOCKS]), Image.fromarray(ALPHAS[BLOCKS])])
two_frames = {"save_all": True, "append_images": [PICTURE.rotate(180)]}
gray_over_white = GRAYS / 255 * (ALPHAS / 255) + 1 - ALPHAS / 255
composited, first_frame, clipped = ("composited over white",), ("first of 2 frames",), ("clipped",)
hidden_red = np.array([(1, 1, 1), COLORS[1] / 255, COLORS[2] / 255])
undecodable = Refused("can't be decoded")
bad_pixel = np.where((BLOCKS == 2) & (np.arange(WIDTH) == 40), np.float32(np.nan), floats)

CASES: dict[str, tuple[Write, Loads | Refused]] = {
    **{f"exif{i}.jpg": (oriented(i), lossy._replace(notes=("EXIF orientation",))) for i in STORED},
    "exif9.jpg": (oriented(9), lossy),
    "exif6.tif": (oriented(6), exact),  # Pillow itself turns a TIFF upright
    "exif_junk.jpg": (saved(PICTURE, exif=JUNK, **JPEG), lossy),
    "exif_junk.png": (saved(PICTURE, exif=JUNK), exact._replace(notes=("unreadable EXIF",))),
    # transparency
    "rgba.png": (saved(rgba), Loads(OVER_WHITE, composited)),
    "rgba.webp": (saved(rgba, lossless=True, exact=True), Loads(OVER_WHITE, composited)),
    "rgba_opaque.png": (saved(PICTURE.convert("RGBA")), exact),
    "la.png": (saved(gray_alpha), Loads(gray_over_white, composited)),
    "palette_index_transparent.png": (saved(palette(), transparency=0), Loads(hidden_red, composited)),
    "palette_bytes_transparent.png": (saved(palette(), transparency=ALPHAS.tobytes()), Loads(OVER_WHITE, composited)),
    "palette_transparent.gif": (saved(palette(), transparency=0), Loads(hidden_red, composited)),
    "rgb_color_transparent.png": (saved(PICTURE, transparency=(200, 30, 30)), Loads(hidden_red, composited)),
    "gray16_level_transparent.png": (
        content(png(WIDTH, HEIGHT, 16, 0, png_rows(gray16), (b"tRNS", struct.pack(">H", 13107)))),
        Loads(np.array([1, 32768 / 65535, 1]), composited),
    ),
    # modes
    "palette.png": (saved(palette()), exact),
    "bilevel.png": (saved(Image.fromarray(BLOCKS > 0)), Loads(np.array([0, 1, 1]))),
    "gray.png": (saved(Image.fromarray(GRAYS[BLOCKS])), Loads(GRAYS / 255)),
    "gray.jpg": (saved(Image.fromarray(GRAYS[BLOCKS]), quality=95), Loads(GRAYS / 255, atol=0.03)),
    "gray16.png": (saved(Image.fromarray(gray16)), Loads(SHORTS / 65535)),
    "gray16.tif": (saved(Image.fromarray(gray16)), Loads(SHORTS / 65535)),
    "gray16.pgm": (
        content(b"P5 64 40 65535\n" + gray16.astype(">u2").tobytes()),
        Loads(SHORTS / 65535),
    ),
    "rgb16.png": (content(png(WIDTH, HEIGHT, 16, 2, png_rows(RGB.reshape(HEIGHT, -1) * np.uint16(257)))), exact),
    "int32.tif": (saved(Image.fromarray(BLOCKS.astype(np.int32) << 20)), Refused("32-bit integers")),
    "float.tif": (saved(Image.fromarray(floats)), Loads(GRAYS / 255)),
    "float_bright.tif": (saved(Image.fromarray(floats * 4)), Loads((GRAYS / 255 * 4).clip(0, 1), clipped)),
    "float_nan.tif": (saved(Image.fromarray(bad_pixel)), Refused("NaN")),
    "float_infinite.tif": (
        saved(Image.fromarray(np.where(BLOCKS == 2, np.float32(np.inf), floats))),
        Refused("infinite"),
    ),
    "cmyk.jpg": (saved(PICTURE.convert("CMYK"), **JPEG), lossy._replace(notes=("CMYK without a profile",))),
    "lab.tif": (saved(PICTURE.convert("LAB")), Loads(COLORS / 255, ("converted to sRGB",), 0.06)),
    # color profiles
    "icc_srgb.png": (saved(PICTURE, icc_profile=SRGB), Loads(COLORS / 255, ("converted to sRGB",), 0.005)),
    "icc_exchanged.png": (
        saved(PICTURE, icc_profile=EXCHANGED),
        Loads(COLORS[:, [1, 0, 2]] / 255, ("converted to sRGB",), 0.01),
    ),
    "icc_exchanged_alpha.png": (
        saved(rgba, icc_profile=EXCHANGED),
        Loads(OVER_WHITE[:, [1, 0, 2]], ("converted to sRGB", "composited"), 0.01),
    ),
    "icc_junk.jpg": (saved(PICTURE, icc_profile=b"not a profile" * 20, **JPEG), lossy._replace(notes=("unusable",))),
    "icc_of_other_channels.png": (saved(PICTURE, icc_profile=LAB), exact._replace(notes=("unusable",))),
    # formats
    "animated.gif": (saved(PICTURE, **two_frames), exact._replace(notes=first_frame)),
    "animated.png": (saved(PICTURE, **two_frames), exact._replace(notes=first_frame)),
    "animated.webp": (saved(PICTURE, lossless=True, **two_frames), exact._replace(notes=first_frame)),
    "still.webp": (saved(PICTURE, lossless=True), exact),
    "plain.avif": (saved(PICTURE, quality=95), lossy),
    "plain.bmp": (saved(PICTURE), exact),
    "plain.tif": (saved(PICTURE), exact),
    "plain.jp2": (saved(PICTURE), exact),
    "plain.ppm": (saved(PICTURE), exact),
    "plain.qoi": (content(qoi()), exact),
    "stereo.mpo": (saved(PICTURE, format="MPO", save_all=True, append_images=[PICTURE], **JPEG), lossy),
    "wrong_extension.png": (content(encoded(PICTURE, "JPEG", **JPEG)), lossy),
    "ünï cödé 画像 (1).jpg": (content(encoded(PICTURE, "JPEG", **JPEG)), lossy),
    # damaged
    "truncated.jpg": (half("JPEG"), undecodable),
    "truncated.png": (half("PNG"), undecodable),
    "bad_checksum.png": (content(flipped_bit(encoded(NOISE, "PNG"))), undecodable),
    "header_only.png": (content(encoded(NOISE, "PNG")[:33]), Refused("damaged")),
    "no_width.png": (content(png(0, 10, 8, 2, b"")), Refused("")),
    # too large, too small
    "bomb.png": (content(png(60000, 60000, 8, 2, bytes(1000))), Refused("3600000000 pixels, the limit is 100000000")),
    "large.png": (content(png(10000, 11000, 8, 2, bytes(1000))), Refused("10000x11000 pixels, the limit is 100000000")),
    "text_bomb.png": (text_bomb(), Refused("too large")),
    "one_pixel.png": (saved(Image.new("RGB", (1, 1))), Refused("1x1 pixels, both sides need at least 16")),
    "sliver.png": (saved(Image.new("RGB", (5000, 3))), Refused("5000x3")),
    "fifteen.png": (saved(Image.new("RGB", (200, 15))), Refused("200x15")),
    # not pictures
    "empty.png": (content(b""), Refused("empty")),
    "text.jpg": (content(b"hello"), Refused("not one of JPEG, PNG")),
    "name with\na newline.png": (content(b"hello"), Refused("name with?a newline.png: damaged, or not one of")),
    "drawing.svg": (
        content(b"<svg xmlns='http://www.w3.org/2000/svg' width='10' height='10'/>"),
        Refused("not one of"),
    ),
    "script.eps": (
        content(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\n(x) run\n"),
        Refused("not one of"),
    ),
    "phone.heic": (content(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)), Refused("pillow-heif")),
    "folder.png": (Path.mkdir, Refused("not a regular file")),
    "fifo.png": (os.mkfifo, Refused("not a regular file")),
    "loop.png": (lambda path: path.symlink_to(path), Refused("symbolic links")),
    "missing.png": (lambda path: None, Refused("No such file")),
}


def write(folder: Path) -> None:
    """Writes the whole corpus into a folder."""
    for name, (write_case, _) in CASES.items():
        write_case(folder / name)
