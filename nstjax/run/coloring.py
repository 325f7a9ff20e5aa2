"""What `color` makes of pictures before the transfer, and of an image when it is looked at."""

from nstjax import color
from nstjax.color import AnyPixels, Pixels
from nstjax.config import ColorConfig


def to_begin_with(config: ColorConfig, pixels: Pixels) -> Pixels:
    """A content picture, or one to start from, as the transfer has it."""
    return color.gray(pixels, config.space) if config.kind == "luminance" else pixels


def recolored(config: ColorConfig, style: Pixels, content: AnyPixels) -> Pixels:
    """A style as the transfer has it, with the statistics of a content picture of its scale."""
    match config.kind:
        case "luminance":
            return color.gray_like(style, content, config.space)
        case "match":
            return color.matched(style, content, config.map)
        case "histogram":
            return color.histogram_matched(style, content)
    return style


def shown(config: ColorConfig, image: Pixels, content: Pixels) -> Pixels:
    """An image as one looks at it: in the content picture's colors, where they are put back."""
    return color.recombined(image, content, config.space) if config.kind in ("luminance", "original") else image
