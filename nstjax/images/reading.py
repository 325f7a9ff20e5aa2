"""From a picture file of any kind to sRGB pixels, or to a refusal of one line."""

import hashlib
import io
import os
import stat
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from nstjax.images import sixteen
from nstjax.images.contract import MIN_SIDE, Alpha, Pixels, Plane, reason, refusal

MAX_PIXELS = 100_000_000
MAX_BYTES = 512 << 20

# An allow-list: Pillow would run Ghostscript for an EPS. MPO has no entry of its own, JPEG opens it.
_READABLE = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "AVIF", "JPEG2000", "QOI")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


# Every 15th level of each channel: a profile that leaves these where they are is sRGB's.
_GRID = Image.fromarray(np.stack(np.meshgrid(*[np.arange(0, 256, 15, dtype=np.uint8)] * 3), -1).reshape(18, -1, 3))


class Picture(NamedTuple):
    """A picture file: its pixels, what of them is transparent (None: nothing), the SHA-256 of its bytes, and a note on
    each liberty taken in reading it."""

    pixels: Pixels
    alpha: Alpha | None
    sha256: str
    notes: tuple[str, ...]


def load(path: Path, background: Sequence[float] = (1.0, 1.0, 1.0)) -> Picture:
    """Reads any picture a user may have as sRGB pixels, turned upright.

    Transparency is composited over the background, RGB in [0, 1]; a color profile is converted to sRGB (relative
    colorimetric, in 8 bits); palettes, gray, CMYK and LAB become RGB. 16-bit gray of any kind and 16-bit RGB and RGBA
    in PNG and TIFF keep their 16 bits, other deep colors are read as 8; float TIFFs are taken as they are, clipped to
    [0, 1]; of an animation or several pages the first is used. The extension of the name is ignored.

    Raises:
      UserError: not a regular file, unreadable, damaged, of a format outside the list, beyond `MAX_PIXELS` (checked
        before any pixel is decoded) or `MAX_BYTES`, or with a side below `MIN_SIDE`.
    """
    data = _read_bytes(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of large pictures and odd tags; what matters is judged here
        picture = _open(path, data)
        _check(path, picture)
        pixels, alpha, notes = _decode(path, picture, sixteen.low_bytes(_open(path, data)))
    if alpha is not None:
        notes.append(f"transparency composited over the background [{', '.join(f'{value:g}' for value in background)}]")
        pixels = pixels * alpha + np.asarray(background, np.float32) * (1 - alpha)
    return Picture(np.ascontiguousarray(pixels, np.float32), alpha, hashlib.sha256(data).hexdigest(), tuple(notes))


def pictures_in(folder: Path) -> list[Path]:
    """The files of a folder whose names end like a picture's, by name.

    Raises:
      UserError: there is none, or the folder can't be read.
    """
    endings = {ending for ending, format in Image.registered_extensions().items() if format in (*_READABLE, "MPO")}
    try:
        found = sorted(path for path in folder.iterdir() if path.suffix.lower() in endings and path.is_file())
    except OSError as error:
        raise refusal(folder, f"can't be read ({reason(error)})", "check the path and its permissions") from error
    if not found:
        raise refusal(folder, "no picture in it", "give a folder with pictures")
    return found


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


def _decode(path: Path, picture: Image.Image, low: Image.Image | None) -> tuple[Pixels, Alpha | None, list[str]]:
    notes: list[str] = []
    try:
        _first_frame(picture, notes)
        _turn_upright(picture, notes)
        if low is not None:
            _turn_upright(low, [])
        pixels = _deep_gray(picture, notes) if picture.mode in _DEEP else _to_srgb(picture, low, notes)
        alpha = _alpha(picture, low)
        return pixels, None if alpha is None or alpha.min() == 1 else alpha[..., None], notes
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


def _deep_gray(picture: Image.Image, notes: list[str]) -> Pixels:
    if picture.info.get("icc_profile"):
        notes.append("unusable color profile ignored (gray of more than 8 bits)")
    return np.repeat(_DEEP[picture.mode](picture, notes)[..., None], 3, axis=2)


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
    white_is_zero = getattr(picture, "tag_v2", {}).get(262) == 0  # TIFF 6.0: PhotometricInterpretation
    return 1 - plane if white_is_zero else plane


def _to_srgb(picture: Image.Image, low: Image.Image | None, notes: list[str]) -> Pixels:
    color = _opaque(picture)
    profile = picture.info.get("icc_profile")
    if converted := profile and _converted(color, profile, notes):
        return _fractions(converted)
    if color.mode == "CMYK":
        notes.append("CMYK without a profile converted naively")
    return sixteen.joined(color, _opaque(low)) if low else _fractions(color.convert("RGB"))


def _fractions(picture: Image.Image) -> Float32[np.ndarray, "h w *channels"]:
    return np.asarray(picture, np.float32) / np.float32(255)


def _opaque(picture: Image.Image) -> Image.Image:
    """The colors alone, in a mode that a profile can apply to."""
    if picture.mode in ("1", "L", "LA"):
        return picture.convert("L")
    if picture.mode in ("RGB", "CMYK", "LAB"):
        return picture
    return picture.convert("RGBA").convert("RGB")


def _converted(picture: Image.Image, profile: bytes, notes: list[str]) -> Image.Image | None:
    """The picture in sRGB; None where the profile says that it is already, or makes no sense."""
    try:
        source, target = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        transform = ImageCms.buildTransform(source, target, picture.mode, "RGB", intent)
        if picture.mode == "RGB" and _keeps_colors(transform):
            return None
        converted = ImageCms.applyTransform(picture, transform)
    except Exception as error:  # OSError, PyCMSError, ValueError: a profile that is broken, or for other channels
        notes.append(f"unusable color profile ignored ({type(error).__name__})")
        return None
    notes.append("color profile converted to sRGB")
    return converted


def _keeps_colors(transform: ImageCms.ImageCmsTransform) -> bool:
    before, after = (np.asarray(grid, int) for grid in (_GRID, ImageCms.applyTransform(_GRID, transform)))
    return bool(np.abs(after - before).max() <= 1)


def _alpha(picture: Image.Image, low: Image.Image | None) -> Plane | None:
    hidden = picture.info.get("transparency")
    if picture.mode in _DEEP or (low and picture.mode == "RGB"):
        levels = np.rint(65535 * sixteen.joined(picture, low)) if low else np.asarray(picture)[..., None]
        return None if hidden is None else (levels != hidden).any(axis=2).astype(np.float32)
    if low:
        return sixteen.joined(picture, low)[..., 3]
    return _fractions(picture.convert("RGBA").getchannel("A")) if picture.has_transparency_data else None


_DEEP = {"F": _float_plane} | dict.fromkeys(("I", "I;16", "I;16B", "I;16L", "I;16N"), _integer_plane)
