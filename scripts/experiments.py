"""x"""

from pathlib import Path
from PIL import Image, ImageDraw, ImageFilter

# The roofs, the spire and the trees against the sky, in shares of the photograph's width and height.
_SKYLINE = [
    (x / 800, y / 600)
    for x, y in [
        (0, 0),
        (800, 0),
        (800, 150),
        (750, 143),
        (715, 185),
        (660, 165),
        (615, 180),
        (565, 180),
        (548, 190),
        (545, 160),
        (535, 140),
        (523, 100),
        (512, 140),
        (503, 165),
        (500, 215),
        (480, 218),
        (462, 255),
        (430, 262),
        (395, 250),
        (345, 242),
        (310, 262),
        (270, 258),
        (212, 268),
        (170, 290),
        (130, 280),
        (80, 282),
        (40, 295),
        (0, 330),
    ]
]


def mask():
    picture = Image.new("L", (512, 384))
    ImageDraw.Draw(picture).polygon([(x * 512, y * 384) for x, y in _SKYLINE], fill=255)
    picture.filter(ImageFilter.GaussianBlur(2)).save("nstjax/masks/neckarfront_sky.png", optimize=True)


mask()
