"""From pixels to files: 8 bits, saving whole or not at all, and contact sheets."""

import io
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, UInt8
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from nstjax.files import atomic
from nstjax.images.contract import Pixels, quantize, reason, refusal

Sheet = Float32[np.ndarray, "rows columns 3"]

# In bytes: Pillow does not reopen a PNG text of 1 MiB; before 13 it writes no JPEG comment that nearly fills 64 KiB.
MAX_COMMENT = {"PNG": (1 << 20) - 256, "JPEG": 64512, "WEBP": 0}
SUFFIXES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


def save(path: Path, image: Float[np.ndarray, "h w 3"], *, comment: str = "") -> None:
    """Writes the image as PNG, JPEG or WebP (by the suffix), whole or not at all; equal arguments give equal bytes.

    A missing folder is made.
    `comment` goes into the PNG text `nstjax` or the JPEG comment; it is left out where it is longer than `MAX_COMMENT`,
    and in WebP, which has no place for it. Nothing of an input's metadata (position, camera) gets in.

    Raises:
      UserError: another suffix, a folder that is read-only or can't be made, a full disk.
      ValueError: NaN or infinite pixels.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise refusal(path, f"no picture can be written as {path.suffix!r}", f"use {', '.join(SUFFIXES)}")
    levels = quantize(image)
    try:
        data = _encode(levels, SUFFIXES[path.suffix.lower()], comment)
        with atomic(path) as temporary:
            temporary.write_bytes(data)
    except (OSError, ValueError) as error:
        raise refusal(path, f"can't be written ({reason(error)})", "free space or give another path") from error


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


def _encode(levels: UInt8[np.ndarray, "h w 3"], kind: str, comment: str) -> bytes:
    text = comment.encode("utf-8", "replace")  # a file name may hold what is no Unicode
    text = text if len(text) <= MAX_COMMENT[kind] else b""
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, kind, **_OPTIONS[kind](text))
    return buffer.getvalue()


def _png_options(text: bytes) -> dict[str, object]:
    info = PngImagePlugin.PngInfo()
    if text:
        info.add_itxt("nstjax", text.decode())
    return {"pnginfo": info}


def _label(text: str, width: int) -> Pixels:
    """The text in black on white, `width` pixels wide, broken into as many lines as it needs."""
    font = ImageFont.load_default(14)
    columns = max(1, int(width / font.getlength("0")))
    lines = textwrap.wrap(text.replace(",", ", "), columns, break_on_hyphens=False) or [""]
    ground = Image.new("RGB", (width, 18 * len(lines) + 4), "white")
    ImageDraw.Draw(ground).multiline_text((0, 0), "\n".join(lines), "black", font, spacing=2)
    return np.asarray(ground, np.float32) / np.float32(255)


def _paste(canvas: Sheet, pixels: Pixels, top: int, left: int) -> None:
    canvas[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels


_OPTIONS: dict[str, Callable[[bytes], dict[str, object]]] = {
    "PNG": _png_options,
    "JPEG": lambda text: {"quality": 95, "subsampling": 0, "comment": text},
    "WEBP": lambda text: {"quality": 95},
}
