"""From pixels to files: 8 or 16 bits, saving whole or not at all, and contact sheets."""

import functools
import io
import os
import re
import stat
import struct
import tempfile
import textwrap
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32
from PIL import Image, ImageCms, ImageDraw, ImageFont, PngImagePlugin

from nstjax.files import atomic
from nstjax.images import sixteen
from nstjax.images.contract import Alpha, Levels, Pixels, quantize, reason, refusal
from nstjax.images.sizes import resize

Sheet = Float32[np.ndarray, "rows columns 3"]

# In bytes: Pillow does not reopen a PNG text of 1 MiB; before 13 it writes no JPEG comment that nearly fills 64 KiB.
MAX_COMMENT = {"PNG": (1 << 20) - 256, "JPEG": 64512, "WEBP": 0}
SUFFIXES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


def save(
    path: Path,
    image: Float[np.ndarray, "h w 3"],
    *,
    alpha: Alpha | None = None,
    bits: int = 8,
    comment: str = "",
) -> None:
    """Writes the image as PNG, JPEG or WebP (by the suffix), whole or not at all; equal arguments give equal bytes.

    A missing folder is made; a link is followed, as `cp` does. `alpha` and 16 `bits` a channel are for PNG alone. The
    file says that its colors are sRGB, by a profile.
    `comment` goes into the PNG text `nstjax` or the JPEG comment; it is left out where it is longer than `MAX_COMMENT`,
    and in WebP, which has no place for it. Nothing of an input's metadata (position, camera) gets in.

    Raises:
      UserError: what `check_output` refuses, a folder that can't be made, a full disk.
      ValueError: NaN or infinite pixels.
    """
    check_output(path, bits=bits, transparent=alpha is not None)
    levels = quantize(image if alpha is None else np.concatenate([image, alpha], axis=2), bits)
    try:
        data = _encode(levels, SUFFIXES[path.suffix.lower()], comment)
        with atomic(Path(os.path.realpath(path))) as temporary:
            temporary.write_bytes(data)
    except (OSError, ValueError) as error:
        raise refusal(path, f"can't be written ({reason(error)})", "free space or give another path") from error


def check_output(path: Path, *, bits: int = 8, transparent: bool = False) -> None:
    """Refuses, before there is a picture, what `save` could not write afterwards; no file changes.

    Raises:
      UserError: a suffix without a format; 16 bits or transparency elsewhere than in a PNG; a folder or a device at
        `path`; a file or a folder that may not be written to.
    """
    kind = SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise refusal(path, f"no picture can be written as {path.suffix!r}", f"use {', '.join(SUFFIXES)}")
    for asked, what in ((bits > 8, "16 bits a channel"), (transparent, "transparency")):
        if asked and kind != "PNG":
            raise refusal(path, f"{what} can't be written as {path.suffix!r}", "use .png")
    try:
        _try_to_write(path)
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise refusal(path, f"can't be written ({reason(error)})", "give another path") from error


def _try_to_write(path: Path) -> None:
    target = Path(os.path.realpath(path))
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise OSError("not a regular file")
        open(path, "ab").close()  # a file that is read-only is not to be replaced
    except FileNotFoundError:
        pass
    if target.parent.exists():
        tempfile.TemporaryFile(dir=target.parent).close()


def thumbnail(image: Pixels, edge: int) -> bytes:
    """The image as a JPEG to be looked at, with a long edge of `edge` pixels at most, and no metadata."""
    height, width, _ = image.shape
    share = min(1.0, edge / max(height, width))
    small = resize(image, max(1, round(height * share)), max(1, round(width * share)), space="srgb8")
    buffer = io.BytesIO()
    Image.fromarray(quantize(small)).save(buffer, "JPEG", quality=85, optimize=True)
    return buffer.getvalue()


def sheet(pictures: Sequence[tuple[str, Float32[np.ndarray, "_ _ 3"]]], columns: int) -> Sheet:
    """A contact sheet on white: the pictures, one at least, in rows of `columns`, each above its label."""
    columns = max(1, min(columns, len(pictures)))
    height = max(pixels.shape[0] for _, pixels in pictures)
    width = max(pixels.shape[1] for _, pixels in pictures)
    labels = [_label(label, width) for label, _ in pictures]
    gap, pitch = 12, height + 24 + max(label.shape[0] for label in labels)
    rows = -(-len(pictures) // columns)
    canvas = np.ones((gap + rows * pitch, gap + columns * (width + gap), 3), np.float32)
    for i, (label, (_, pixels)) in enumerate(zip(labels, pictures, strict=True)):
        top, left = gap + i // columns * pitch, gap + i % columns * (width + gap)
        _paste(canvas, pixels, top, left)
        _paste(canvas, label, top + pixels.shape[0] + 6, left)
    return canvas


def _encode(levels: Levels, kind: str, comment: str) -> bytes:
    text = comment.encode("utf-8", "replace")  # a file name may hold what is no Unicode
    text = text if len(text) <= MAX_COMMENT[kind] else b""
    if levels.dtype == np.uint16:
        return sixteen.png(levels, _png_chunks(text))
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, kind, icc_profile=_srgb_profile(), **_OPTIONS[kind](text))
    return buffer.getvalue()


def _png_options(text: bytes) -> dict[str, object]:
    info = PngImagePlugin.PngInfo()
    if text:
        info.add_itxt("nstjax", text.decode())
    return {"pnginfo": info}


def _png_chunks(text: bytes) -> list[tuple[bytes, bytes]]:
    profile = (b"iCCP", b"ICC Profile\0\0" + zlib.compress(_srgb_profile()))
    return [profile, (b"iTXt", b"nstjax\0\0\0\0\0" + text)] if text else [profile]


@functools.cache
def _srgb_profile() -> bytes:
    """LittleCMS' sRGB profile, with a fixed date in place of today's (ICC.1, bytes 24 to 35)."""
    profile: bytes = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile[:24] + struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + profile[36:]


def _label(text: str, width: int) -> Pixels:
    """The text in black on white, `width` pixels wide, broken into as many lines as it needs."""
    font = ImageFont.load_default(14)
    columns = max(1, int(width / font.getlength("0")))
    lines = _lines(text, columns)
    ground = Image.new("RGB", (width, 18 * len(lines) + 4), "white")
    ImageDraw.Draw(ground).multiline_text((0, 0), "\n".join(lines), "black", font, spacing=2)
    return np.asarray(ground, np.float32) / np.float32(255)


def _lines(text: str, columns: int) -> list[str]:
    """The text in lines of so many letters, broken at commas, and a word too long for a line after the name in it."""
    text = re.sub(rf"(?<!\S)(?=\S{{{columns + 1}}})([^\s=]+=)", r"\1 ", text.replace(",", ", "))
    return textwrap.wrap(text, columns, break_on_hyphens=False) or [""]


def _paste(canvas: Sheet, pixels: Pixels, top: int, left: int) -> None:
    canvas[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels


_OPTIONS: dict[str, Callable[[bytes], dict[str, object]]] = {
    "PNG": _png_options,
    "JPEG": lambda text: {"quality": 95, "subsampling": 0, "comment": text},
    "WEBP": lambda text: {"quality": 95},
}
