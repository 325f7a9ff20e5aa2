"""Paints nstjax's own style pictures, the plates: `python scripts/paint_plates.py [NAME ...] [--out DIR]`.

The same NumPy and Pillow paint the same pixels.
"""

import argparse
from pathlib import Path

from painters import PAINTERS

PLATES = Path(__file__).parents[1] / "nstjax" / "plates"
LONG_EDGE = 768
JPEG_QUALITY = 90


def paint(name: str, folder: Path) -> Path:
    """Paints the plate `name` into `folder`; returns its path."""
    path = folder / f"{name}.jpg"
    PAINTERS[name](LONG_EDGE).save(path, quality=JPEG_QUALITY, optimize=True)
    return path


def main() -> None:
    """Paints the plates named on the command line, or all of them."""
    every = ", ".join(PAINTERS)
    parser = argparse.ArgumentParser(description="Paints nstjax's own style pictures.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"plates to paint, of {every} (default: all)")
    parser.add_argument("--out", type=Path, default=PLATES, metavar="DIR", help="where to (default: nstjax/plates)")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in PAINTERS]
    if unknown:
        parser.error(f"no plate is called {', '.join(unknown)}; choose from {every}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or PAINTERS:
        print(paint(name, arguments.out))


if __name__ == "__main__":
    main()
