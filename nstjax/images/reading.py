"""From a picture file of any kind to sRGB pixels, or to a refusal of one line."""

import hashlib
import io
import os
import stat
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from nstjax.images.contract import MIN_SIDE, Pixels, Plane, reason, refusal

MAX_PIXELS = 100_000_000
MAX_BYTES = 512 << 20

# An allow-list: Pillow would run Ghostscript for an EPS. MPO has no entry of its own, JPEG opens it.
_READABLE = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "AVIF", "JPEG2000", "QOI")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


class Picture(NamedTuple):
    """A picture file: its pixels, the SHA-256 of its bytes, and a note on each liberty taken in reading it."""

    pixels: Pixels
    sha256: str
    notes: tuple[str, ...]


def load(path: Path) -> Picture:
    """Reads any picture a user may have as sRGB pixels, turned upright.

    Transparency is composited over white; a color profile is converted to sRGB (relative colorimetric); palettes,
    gray, CMYK and LAB become RGB; 16-bit gray keeps its 16 bits, while 16-bit RGB is read as 8 (Pillow has no such
    mode); float TIFFs are taken as they are, clipped to [0, 1]; of an animation the first frame is used. The extension
    of the name is ignored.

    Raises:
      UserError: not a regular file, unreadable, damaged, of a format outside the list, beyond `MAX_PIXELS` (checked
        before any pixel is decoded) or `MAX_BYTES`, or with a side below `MIN_SIDE`.
    """
    data = _read_bytes(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of large pictures and odd tags; what matters is judged here
        picture = _open(path, data)
        _check(path, picture)
        pixels, notes = _decode(path, picture)
    return Picture(np.ascontiguousarray(pixels, np.float32), hashlib.sha256(data).hexdigest(), tuple(notes))


def _read_bytes(path: Path) -> bytes:
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):  # before opening: a FIFO would block for ever
            raise refusal(path, "not a regular file", "give the path of a picture")
        if status.st_size == 0:
            raise refusal(path, "the file is empty", "give another picture")
        if status.st_size > MAX_BYTES:
            raise refusal(path, f"{status.st_size >> 20} MiB, the limit is {MAX_BYTES >> 20} MiB", "make it smaller")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise refusal(path, f"can't be read ({reason(error)})", "check the path and its permissions") from error


def _open(path: Path, data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=_READABLE)
    except UnidentifiedImageError as error:
        raise refusal(path, *_unidentified(data)) from error
    except Image.DecompressionBombError as error:
        count = "".join(c for c in str(error).partition(" pixels")[0] if c.isdigit())
        raise refusal(path, f"{count} pixels, the limit is {MAX_PIXELS}", "make it smaller") from error
    except Exception as error:  # header parsers raise SyntaxError, struct.error, ValueError, OverflowError ...
        raise refusal(path, f"damaged ({reason(error)})", "get a sound copy") from error


def _unidentified(data: bytes) -> tuple[str, str]:
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        return "a HEIC/HEIF picture, which Pillow does not read", "convert it to PNG, for instance with pillow-heif"
    return f"damaged, or not one of {', '.join(_READABLE)}", "convert it to PNG or JPEG"


def _check(path: Path, picture: Image.Image) -> None:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise refusal(path, f"{width}x{height} pixels, the limit is {MAX_PIXELS} in all", "make it smaller")
    if min(width, height) < MIN_SIDE:
        raise refusal(path, f"{width}x{height} pixels, both sides need at least {MIN_SIDE}", "give a larger picture")


def _decode(path: Path, picture: Image.Image) -> tuple[Pixels, list[str]]:
    notes: list[str] = []
    try:
        _first_frame(picture, notes)
        _turn_upright(picture, notes)
        plane = _DEEP.get(picture.mode)
        pixels = np.repeat(plane(picture, notes)[..., None], 3, axis=2) if plane else _to_srgb(picture, notes)
        return _composite(pixels, _alpha(picture), notes), notes
    except Exception as error:  # decoders raise OSError, SyntaxError, ValueError, EOFError, MemoryError ...
        raise refusal(path, f"can't be decoded ({reason(error)})", "get a sound copy or save it as PNG") from error


def _first_frame(picture: Image.Image, notes: list[str]) -> None:
    frames = getattr(picture, "n_frames", 1)
    if frames > 1 and picture.format != "MPO":  # the other pictures of an MPO are previews or the second eye's
        notes.append(f"first of {frames} frames used")
    picture.load()


def _turn_upright(picture: Image.Image, notes: list[str]) -> None:
    try:
        orientation = picture.getexif().get(0x0112, 1)
        ImageOps.exif_transpose(picture, in_place=True)
    except Exception:
        notes.append("unreadable EXIF ignored")
        return
    if orientation in range(2, 9):
        notes.append("turned upright by its EXIF orientation")


def _float_plane(picture: Image.Image, notes: list[str]) -> Plane:
    plane = np.asarray(picture, np.float32)
    if not np.isfinite(plane).all():
        raise ValueError("it holds NaN or infinite pixels")
    if plane.min() < 0 or plane.max() > 1:
        notes.append("float values clipped to [0, 1]")
    return np.clip(plane, 0, 1)


def _integer_plane(picture: Image.Image, notes: list[str]) -> Plane:
    levels = np.asarray(picture)
    if levels.min() < 0 or levels.max() > 65535:
        raise ValueError("it holds 32-bit integers, whose white is unknown")
    plane: Plane = levels.astype(np.float32) / np.float32(65535)
    return plane


def _to_srgb(picture: Image.Image, notes: list[str]) -> Pixels:
    color = _opaque(picture)
    profile = picture.info.get("icc_profile")
    if profile:
        color = _convert_profile(color, profile, notes)
    elif color.mode == "CMYK":
        notes.append("CMYK without a profile converted naively")
    return np.asarray(color.convert("RGB"), np.float32) / np.float32(255)


def _opaque(picture: Image.Image) -> Image.Image:
    """The colors alone, in a mode that a profile can apply to."""
    if picture.mode in ("1", "L", "LA"):
        return picture.convert("L")
    if picture.mode in ("RGB", "CMYK", "LAB"):
        return picture
    return picture.convert("RGBA").convert("RGB")


def _convert_profile(picture: Image.Image, profile: bytes, notes: list[str]) -> Image.Image:
    try:
        source, target = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        converted = ImageCms.profileToProfile(picture, source, target, intent, outputMode="RGB")
    except Exception as error:  # OSError, PyCMSError, ValueError: a profile that is broken, or for other channels
        notes.append(f"unusable color profile ignored ({type(error).__name__})")
        return picture
    notes.append("color profile converted to sRGB")
    return converted or picture


def _alpha(picture: Image.Image) -> Plane | None:
    if picture.mode in _DEEP:
        hidden = picture.info.get("transparency")
        return None if hidden is None else (np.asarray(picture) != hidden).astype(np.float32)
    if picture.has_transparency_data:
        return np.asarray(picture.convert("RGBA").getchannel("A"), np.float32) / np.float32(255)
    return None


def _composite(pixels: Pixels, alpha: Plane | None, notes: list[str]) -> Pixels:
    if alpha is None or alpha.min() == 1:
        return pixels
    notes.append("transparency composited over white")
    over_white: Pixels = pixels * alpha[..., None] + (1 - alpha[..., None])
    return over_white


_DEEP = {"F": _float_plane} | dict.fromkeys(("I", "I;16", "I;16B", "I;16L", "I;16N"), _integer_plane)
