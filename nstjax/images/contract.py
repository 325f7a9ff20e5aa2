"""What the files of this room share: array aliases, the smallest side, 8 bits, and how a file is refused."""

from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, UInt8, UInt16

from nstjax.errors import UserError

Pixels = Float32[np.ndarray, "h w 3"]
Plane = Float32[np.ndarray, "h w"]
Alpha = Float32[np.ndarray, "h w 1"]  # 0: transparent, 1: opaque
Levels = UInt8[np.ndarray, "h w c"] | UInt16[np.ndarray, "h w c"]

MIN_SIDE = 16  # VGG19 halves a picture four times on the way to relu5_1


def refusal(path: Path, wrong: str, remedy: str) -> UserError:
    """The error of one line for a file: its path, what is wrong, what to do."""
    return UserError(f"{path}: {wrong}; {remedy}")


def reason(error: Exception) -> str:
    """What went wrong, without the path and the error number of an `OSError`; some errors have only their type."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def quantize(image: Float[np.ndarray, "h w c"], bits: int = 8) -> Levels:
    """The image clipped to [0, 1] and rounded to 8 or 16 bits.

    Raises:
      ValueError: NaN or infinite pixels, which have no color.
    """
    if not np.isfinite(image).all():
        raise ValueError(f"{np.count_nonzero(~np.isfinite(image))} values of the image are NaN or infinite")
    levels: Levels = np.rint(image.clip(0, 1) * (2**bits - 1)).astype(f"uint{bits}")
    return levels
