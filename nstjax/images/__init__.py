"""Pictures on disk and their pixels; the only room that imports Pillow.

Pixels are NumPy float32, `h w 3`, sRGB in [0, 1], without a batch axis. What a picture file may hold, and what becomes
of it, is stated at `load`; a file that can't be read is refused with a `UserError` of one line.
"""

from nstjax.images.contract import MIN_SIDE, Pixels, quantize
from nstjax.images.masks import check_mask, load_mask
from nstjax.images.reading import MAX_BYTES, MAX_PIXELS, Picture, load, pictures_in
from nstjax.images.sizes import fitted, measured, resize
from nstjax.images.writing import MAX_COMMENT, SUFFIXES, check_output, save, sheet, thumbnail

__all__ = [
    "MAX_BYTES",
    "MAX_COMMENT",
    "MAX_PIXELS",
    "MIN_SIDE",
    "SUFFIXES",
    "Picture",
    "Pixels",
    "check_mask",
    "check_output",
    "fitted",
    "load",
    "load_mask",
    "measured",
    "pictures_in",
    "quantize",
    "resize",
    "save",
    "sheet",
    "thumbnail",
]
