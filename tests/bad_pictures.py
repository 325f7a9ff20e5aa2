"""The pictures that users really have: odd, huge, damaged and hostile files, each with what `images.load` owes it.

Most show the same three blocks (red on the left, green above blue on the right), 40 rows by 64 columns; a case that
loads names the colors of the three blocks as they should come out, and the notes; a case that is refused names words of
the refusal.

    python tests/bad_pictures.py FOLDER

writes them all and shows what becomes of each.
"""

import io
import os
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from odd_encodings import (
    SRGB,
    bmp,
    gray_profile,
    inks_profile,
    jpeg_arithmetic,
    jpeg_header,
    png,
    png16,
    qoi,
    tiff,
)  # fmt: skip
from permissions import binding
from PIL import Image, ImageCms, PngImagePlugin

HEIGHT, WIDTH = 40, 64
BLOCKS = np.zeros((HEIGHT, WIDTH), np.uint8)  # 0: left half, 1: top right, 2: bottom right
BLOCKS[:20, 32:], BLOCKS[20:, 32:] = 1, 2
INSIDE = ([20, 10, 30], [16, 48, 48])  # rows and columns of one pixel in each block

COLORS = np.array([(200, 30, 30), (30, 200, 30), (30, 30, 200)], np.uint8)
GRAYS = np.array([51, 128, 255], np.uint8)
ALPHAS = np.array([0, 128, 255], np.uint8)
OVER_WHITE = COLORS / 255 * (ALPHAS / 255)[:, None] + (1 - ALPHAS / 255)[:, None]
DEEP = (COLORS.astype(np.uint16) << 8) + np.array([(17, 129, 250)], np.uint16)  # low bytes unlike the high ones
DEEP_ALPHAS = np.array([0, 32800, 65535], np.uint16)
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


def oriented(orientation: int, **options: Any) -> Write:
    """A picture whose EXIF says how to turn it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(Image.fromarray(np.ascontiguousarray(STORED.get(orientation, RGB))), exif=exif, quality=95, **options)


def palette() -> Image.Image:
    """The blocks as indices into a palette of three colors."""
    picture = Image.fromarray(BLOCKS).convert("P")
    picture.putpalette(COLORS.tobytes())
    return picture


def flipped_bit(data: bytes) -> bytes:
    """The data with one byte in the middle changed."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :]


def text_bomb() -> Write:
    """A PNG whose compressed comment unpacks to 50 MB."""
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "A" * 50_000_000, zip=True)
    return saved(PICTURE, pnginfo=info)


def cut(kind: str, share: float) -> Write:
    """The first part of a picture file."""
    data = encoded(NOISE, kind)
    return content(data[: int(len(data) * share)])


def link(target: str) -> Write:
    return lambda path: path.symlink_to(target)


def unreadable(path: Path) -> None:
    PICTURE.save(path)
    path.chmod(0)


def sparse(path: Path) -> None:
    """513 MiB that take no room on the disk."""
    with open(path, "wb") as file:
        file.truncate(513 << 20)


def srgb_encoded(light: np.ndarray) -> np.ndarray:
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


gray16 = SHORTS[BLOCKS]
floats = GRAYS[BLOCKS].astype(np.float32) / 255
rgba = Image.fromarray(np.dstack([RGB, ALPHAS[BLOCKS]]))
gray_alpha = Image.merge("LA", [Image.fromarray(GRAYS[BLOCKS]), Image.fromarray(ALPHAS[BLOCKS])])
HALVED = {"WEBP": "webp", "GIF": "gif", "TIFF": "tif", "BMP": "bmp", "AVIF": "avif", "JPEG2000": "jp2", "PPM": "ppm"}
two_frames = {"save_all": True, "append_images": [PICTURE.rotate(180)]}
gray_over_white = GRAYS / 255 * (ALPHAS / 255) + 1 - ALPHAS / 255
deep_rgba = np.dstack([DEEP[BLOCKS], DEEP_ALPHAS[BLOCKS]])
deep_over_white = DEEP / 65535 * (DEEP_ALPHAS / 65535)[:, None] + (1 - DEEP_ALPHAS / 65535)[:, None]
inks = np.array([(255, 0, 0, 0), (0, 255, 0, 0), (0, 0, 255, 0)], np.uint8)[BLOCKS]
jpeg = encoded(PICTURE, "JPEG", **JPEG)
plain = encoded(PICTURE, "PNG")
deep = Loads(DEEP / 65535)
converted, unusable = ("converted to sRGB",), ("unusable color profile",)
composited, first_frame, clipped = ("composited over the background [1, 1, 1]",), ("first of 2 frames",), ("clipped",)
hidden_red = np.array([(1, 1, 1), COLORS[1] / 255, COLORS[2] / 255])
undecodable = Refused("can't be decoded")
bad_pixel = np.where((BLOCKS == 2) & (np.arange(WIDTH) == 40), np.float32(np.nan), floats)

CASES: dict[str, tuple[Write, Loads | Refused]] = {
    **{f"exif{i}.jpg": (oriented(i), lossy._replace(notes=("EXIF orientation",))) for i in STORED},
    "exif6.png": (oriented(6), exact._replace(notes=("EXIF orientation",))),
    "exif6.webp": (oriented(6, lossless=True), exact._replace(notes=("EXIF orientation",))),
    "exif0.jpg": (oriented(0), lossy),
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
        content(png16(gray16, (b"tRNS", SHORTS[0].astype(">u2").tobytes()))),
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
    "gray16_little_endian.tif": (content(tiff("<", gray16[..., None], 1)), Loads(SHORTS / 65535)),
    "gray16_big_endian.tif": (content(tiff(">", gray16[..., None], 1)), Loads(SHORTS / 65535)),
    "gray16_white_is_zero.tif": (content(tiff("<", gray16[..., None], 0)), Loads(1 - SHORTS / 65535)),
    "gray16.jp2": (saved(Image.fromarray(gray16)), Loads(SHORTS / 65535)),
    "gray16_profile.png": (saved(Image.fromarray(gray16), icc_profile=gray_profile()), Loads(SHORTS / 65535, unusable)),
    "gray16_alpha.png": (
        content(png16(np.dstack([gray16, DEEP_ALPHAS[BLOCKS]]))),
        Loads(SHORTS / 65535 * DEEP_ALPHAS / 65535 + 1 - DEEP_ALPHAS / 65535, composited, 0.004),  # read as 8 bits
    ),
    "rgb16.png": (content(png16(DEEP[BLOCKS])), deep),
    "rgb16_interlaced.png": (content(png16(DEEP[BLOCKS], interlaced=True)), deep),
    "rgb16_srgb.png": (content(png16(DEEP[BLOCKS], (b"iCCP", b"x\0\0" + zlib.compress(SRGB)))), deep),
    "rgb16_color_transparent.png": (
        content(png16(DEEP[BLOCKS], (b"tRNS", DEEP[0].astype(">u2").tobytes()))),
        Loads(np.vstack([np.ones(3), DEEP[1:] / 65535]), composited),
    ),
    "rgba16.png": (content(png16(deep_rgba)), Loads(deep_over_white, composited)),
    "rgb16_little_endian.tif": (content(tiff("<", DEEP[BLOCKS], 2)), deep),
    "rgb16_big_endian.tif": (content(tiff(">", DEEP[BLOCKS], 2)), deep),
    "rgb16_deflated.tif": (content(tiff("<", DEEP[BLOCKS], 2, deflated=True)), deep),
    "rgb16_big_endian_deflated.tif": (content(tiff(">", DEEP[BLOCKS], 2, deflated=True)), deep),
    "rgba16.tif": (content(tiff("<", deep_rgba, 2, extra=2)), Loads(deep_over_white, composited)),
    "rgba_premultiplied.tif": (
        content(tiff("<", np.dstack([RGB // 2, np.full_like(BLOCKS, 128)]), 2, extra=1)),
        Loads(COLORS // 2 / 255 + 127 / 255, composited, 0.01),
    ),
    "cmyk.tif": (saved(PICTURE.convert("CMYK")), exact._replace(notes=("CMYK without a profile",))),
    "ycbcr.tif": (saved(PICTURE.convert("YCbCr")), lossy),
    "float.pfm": (saved(Image.fromarray(floats), format="PPM"), Loads(GRAYS / 255)),
    "float_rgb.tif": (content(tiff("<", np.repeat(floats[..., None], 3, axis=2), 2)), Refused("not one of")),
    "int32.tif": (saved(Image.fromarray(BLOCKS.astype(np.int32) << 20)), Refused("32-bit integers")),
    "float.tif": (saved(Image.fromarray(floats)), Loads(GRAYS / 255)),
    "float_bright.tif": (saved(Image.fromarray(floats * 4)), Loads((GRAYS / 255 * 4).clip(0, 1), clipped)),
    "float_negative.tif": (saved(Image.fromarray(-floats)), Loads(np.zeros(3), clipped)),
    "float_nan.tif": (saved(Image.fromarray(bad_pixel)), Refused("NaN")),
    "float_infinite.tif": (
        saved(Image.fromarray(np.where(BLOCKS == 2, np.float32(np.inf), floats))),
        Refused("infinite"),
    ),
    "cmyk.jpg": (saved(PICTURE.convert("CMYK"), **JPEG), lossy._replace(notes=("CMYK without a profile",))),
    "lab.tif": (saved(PICTURE.convert("LAB")), Loads(COLORS / 255, converted, 0.06)),
    # color profiles
    "icc_srgb.png": (saved(PICTURE, icc_profile=SRGB), exact),  # nothing to convert
    "icc_exchanged.png": (
        saved(PICTURE, icc_profile=EXCHANGED),
        Loads(COLORS[:, [1, 0, 2]] / 255, converted, 0.01),
    ),
    "icc_exchanged_alpha.png": (
        saved(rgba, icc_profile=EXCHANGED),
        Loads(OVER_WHITE[:, [1, 0, 2]], (*converted, *composited), 0.01),
    ),
    "icc_of_inks.jpg": (
        saved(Image.frombytes("CMYK", (WIDTH, HEIGHT), inks.tobytes()), icc_profile=inks_profile(COLORS), **JPEG),
        Loads(COLORS / 255, converted, 0.04),
    ),
    "icc_of_gray.png": (
        saved(Image.fromarray(GRAYS[BLOCKS]), icc_profile=gray_profile()),
        Loads(srgb_encoded(GRAYS / 255), converted, 0.005),
    ),
    "icc_of_inks_on_rgb.png": (saved(PICTURE, icc_profile=inks_profile(COLORS)), exact._replace(notes=unusable)),
    "icc_cut.png": (saved(PICTURE, icc_profile=SRGB[:200]), exact._replace(notes=unusable)),
    "icc_junk.jpg": (saved(PICTURE, icc_profile=b"not a profile" * 20, **JPEG), lossy._replace(notes=unusable)),
    "icc_of_other_channels.png": (saved(PICTURE, icc_profile=LAB), exact._replace(notes=unusable)),
    # formats
    "animated.gif": (saved(PICTURE, **two_frames), exact._replace(notes=first_frame)),
    "animated.png": (saved(PICTURE, **two_frames), exact._replace(notes=first_frame)),
    "animated.webp": (saved(PICTURE, lossless=True, **two_frames), exact._replace(notes=first_frame)),
    "animated.avif": (saved(PICTURE, quality=95, **two_frames), lossy._replace(notes=first_frame)),
    "pages.tif": (saved(PICTURE, **two_frames), exact._replace(notes=first_frame)),
    "still.webp": (saved(PICTURE, lossless=True), exact),
    "plain.avif": (saved(PICTURE, quality=95), lossy),
    "plain.bmp": (saved(PICTURE), exact),
    "bilevel.bmp": (saved(Image.fromarray(BLOCKS > 0)), Loads(np.array([0, 1, 1]))),
    "alpha.bmp": (saved(rgba), exact),  # in this kind of BMP the fourth byte has no meaning
    "run_lengths.bmp": (content(bmp(BLOCKS, COLORS, packed=True)), exact),
    "top_down.bmp": (content(bmp(BLOCKS, COLORS, packed=False)), exact),
    "progressive.jpg": (saved(PICTURE, progressive=True, **JPEG), lossy),
    "arithmetic.jpg": (content(jpeg_arithmetic(WIDTH, HEIGHT)), Loads(np.full(3, 0.5), atol=0.05)),
    "motion_photo.jpg": (content(jpeg + b"\0\0\0\x18ftypmp42" + bytes(500)), lossy),
    "plain_text.ppm": (content(b"P3 64 40 255\n" + " ".join(map(str, RGB.ravel().tolist())).encode()), exact),
    "lzw.tif": (saved(PICTURE, compression="tiff_lzw"), exact),
    "plain.tif": (saved(PICTURE), exact),
    "plain.jp2": (saved(PICTURE), exact),
    "plain.ppm": (saved(PICTURE), exact),
    "plain.qoi": (content(qoi(RGB)), exact),
    "stereo.mpo": (saved(PICTURE, format="MPO", save_all=True, append_images=[PICTURE], **JPEG), lossy),
    "wrong_extension.png": (content(jpeg), lossy),
    "wrong_extension.svg": (content(plain), exact),
    "no_extension": (content(plain), exact),
    "con.png": (content(plain), exact),  # reserved names on Windows
    "aux.jpg": (content(jpeg), lossy),
    "-dash.png": (content(plain), exact),
    "~tilde.png": (content(plain), exact),
    "two\nlines.png": (content(plain), exact),
    "🎨 100%.png": (content(plain), exact),
    "link.png": (link("plain.bmp"), exact),
    "ünï cödé 画像 (1).jpg": (content(jpeg), lossy),
    # damaged
    **{f"cut_{round(100 * share)}.jpg": (cut("JPEG", share), undecodable) for share in (0.3, 0.5, 0.99)},
    **{f"cut_{round(100 * share)}.png": (cut("PNG", share), undecodable) for share in (0.3, 0.5, 0.99)},
    **{f"cut.{suffix}": (cut(kind, 0.5), Refused("")) for kind, suffix in HALVED.items()},
    "signature_only.jpg": (content(b"\xff\xd8"), Refused("not one of")),
    "signature_only.png": (content(plain[:8]), Refused("")),
    "half_a_header.png": (content(plain[:20]), Refused("")),
    "half_a_header.jpg": (content(jpeg[:100]), Refused("")),
    "no_pixels.png": (content(plain[:33] + plain[-12:]), Refused("")),
    "bad_checksum.png": (content(flipped_bit(encoded(NOISE, "PNG"))), undecodable),
    "header_only.png": (content(encoded(NOISE, "PNG")[:33]), Refused("damaged")),
    "no_width.png": (content(png(0, 10, 8, 2, b"")), Refused("")),
    # too large, too small
    "bomb.png": (content(png(60000, 60000, 8, 2, bytes(1000))), Refused("3600000000 pixels, the limit is 100000000")),
    "large.png": (content(png(10000, 11000, 8, 2, bytes(1000))), Refused("10000x11000 pixels, the limit is 100000000")),
    "bomb.jpg": (content(jpeg_header(65535, 65535)), Refused("4294836225 pixels, the limit is 100000000")),
    "bomb.gif": (
        content(b"GIF89a" + b"\xff" * 4 + bytes(3) + b"," + bytes(4) + b"\xff" * 4 + bytes(20)),
        Refused("pixels"),
    ),
    "negative.png": (content(png(2**31, 20, 8, 2, b"")), Refused("")),
    "too_long.png": (sparse, Refused("513 MiB, the limit is 512 MiB")),
    "text_bomb.png": (text_bomb(), Refused("too large")),
    "one_pixel.png": (saved(Image.new("RGB", (1, 1))), Refused("1x1 pixels, both sides need at least 16")),
    "sliver.png": (saved(Image.new("RGB", (5000, 3))), Refused("5000x3")),
    "fifteen.png": (saved(Image.new("RGB", (200, 15))), Refused("200x15")),
    # not pictures
    "empty.png": (content(b""), Refused("empty")),
    "text.jpg": (content(b"hello"), Refused("not one of JPEG, PNG")),
    "page.jpg": (content(b"<!DOCTYPE html><html><body>404 Not Found</body></html>"), Refused("not one of JPEG, PNG")),
    "zeros.png": (content(bytes(4096)), Refused("not one of")),
    "document.pdf": (content(b"%PDF-1.7\n%%EOF"), Refused("not one of")),
    "icon.ico": (saved(PICTURE), Refused("not one of")),
    "targa.tga": (saved(PICTURE), Refused("not one of")),
    "next.jxl": (content(b"\xff\x0a" + bytes(64)), Refused("not one of")),
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
    "device.png": (link("/dev/zero"), Refused("not a regular file")),
    "unreadable.png": (unreadable, Refused("can't be read (Permission denied); check")),
    "loop.png": (link("loop.png"), Refused("symbolic links")),
    "dangling.png": (link("nowhere.png"), Refused("No such file")),
    "missing.png": (lambda path: None, Refused("No such file")),
}


def write(folder: Path) -> None:
    """Writes the whole corpus into a folder."""
    for name, (write_case, _) in CASES.items():
        write_case(folder / name)


def main(folder: Path) -> None:
    """Writes the corpus, and shows for each file the notes or the refusal."""
    from nstjax import images
    from nstjax.errors import UserError

    folder.mkdir(parents=True)
    write(folder)
    for name in CASES:
        try:
            with binding():
                picture = images.load(folder / name)
            height, width, _ = picture.pixels.shape
            outcome = "; ".join((f"{width}x{height}", *picture.notes))
        except UserError as refusal:
            outcome = f"refused: {str(refusal).removeprefix(str(folder) + os.sep)}"
        print(f"{name!r:36} {outcome}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
