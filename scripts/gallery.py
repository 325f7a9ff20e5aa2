"""Makes docs/gallery.md: every control as a row of small pictures, with the commands that made them under it.

    python scripts/gallery.py [ROW ...] [--out DIR]

Every picture is a real run of the command that stands under it. Runs that are done in DIR are not done again.
"""

import argparse
import json
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from PIL import Image, ImageDraw, ImageFilter

from nstjax import assets, images, train
from nstjax.outputs import read_manifest


class Row(NamedTuple):
    """Pictures side by side, of a command each: the settings of all of them, and by label those of one."""

    name: str
    title: str
    says: str
    common: str
    pictures: Mapping[str, str]


ROWS = [Row(**row) for row in yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))]
DOCS = Path(__file__).parents[1] / "docs"
PAGE, FOLDER = DOCS / "gallery.md", DOCS / "gallery"
LARGEST = 150_000  # bytes of a row's picture

# Outlines on the photograph, in shares of its width and height.
_PERSON = (
    (0.31, 0.20), (0.34, 0.11), (0.40, 0.05), (0.52, 0.035), (0.62, 0.06), (0.69, 0.12), (0.725, 0.15), (0.725, 0.24),
    (0.735, 0.31), (0.71, 0.42), (0.67, 0.51), (0.64, 0.53), (0.70, 0.565), (0.80, 0.61), (0.95, 0.65), (1.0, 0.70),
    (1.0, 1.0), (0.03, 1.0), (0.06, 0.75), (0.10, 0.635), (0.25, 0.58), (0.37, 0.54), (0.38, 0.50), (0.32, 0.46),
    (0.30, 0.35), (0.31, 0.27),
)  # fmt: skip
_FACE = ((0.31, 0.19), (0.72, 0.56))  # an ellipse's corners


class Shot(NamedTuple):
    """A run of a row: its label, the command line that it is, and its folder."""

    label: str
    settings: list[str]
    folder: Path


def masks() -> None:
    """Draws the masks that the commands name: the person and what is around her, the face; white counts, edges soft."""
    FOLDER.mkdir(exist_ok=True)
    height, width, _ = images.load(assets.resolve("grace_hopper")).pixels.shape
    person, face = (Image.new("L", (width, height)) for _ in range(2))
    ImageDraw.Draw(person).polygon([(x * width, y * height) for x, y in _PERSON], fill=255)
    ImageDraw.Draw(face).ellipse([(x * width, y * height) for x, y in _FACE], fill=255)
    for name, mask in {"person": person, "around": person.point(lambda level: 255 - level), "face": face}.items():
        mask.filter(ImageFilter.GaussianBlur(3)).save(FOLDER / f"{name}.png", optimize=True)


def shots(row: Row, out: Path) -> list[Shot]:
    return [
        Shot(label, [*row.common.split(), *settings.split()], out / row.name / str(number))
        for number, (label, settings) in enumerate(row.pictures.items())
    ]


def run(shot: Shot) -> dict[str, Any]:
    """The manifest of a shot's run, which is done if it isn't yet."""
    code = train.main([*shot.settings, f"hydra.run.dir={shot.folder}", "resume=true"])
    manifest = read_manifest(shot.folder)
    if code or manifest is None:
        raise SystemExit(f"{command(shot)}: exit code {code}")
    return manifest


def command(shot: Shot) -> str:
    return shlex.join(["python", "-m", "nstjax.train", *shot.settings])


def strip(row: Row, taken: Sequence[Shot]) -> Path:
    """Saves the row's pictures side by side, each above its label."""
    pictures = [(shot.label, images.load(shot.folder / "result.png").pixels) for shot in taken]
    levels = np.round(255 * images.sheet(pictures, columns=len(pictures))).astype(np.uint8)
    path = FOLDER / f"{row.name}.jpg"
    for quality in range(90, 30, -5):
        Image.fromarray(levels).save(path, quality=quality, optimize=True)
        if path.stat().st_size <= LARGEST:
            break
    return path


def section(row: Row, out: Path) -> str:
    taken = shots(row, out)
    manifests = [run(shot) for shot in taken]
    picture = strip(row, taken)
    sizes = {"x".join(map(str, each["size"])) for each in manifests}
    seconds = ", ".join(f"{each['seconds']['total']:.0f}" for each in manifests)
    evaluations = sorted({each["evaluations"] for each in manifests})
    counts = f"{evaluations[0]}" if len(evaluations) == 1 else f"{evaluations[0]} to {evaluations[-1]}"
    commands = "\n".join(map(command, taken))
    return (
        f"## {row.title}\n\n{row.says}\n\n![{row.title}](gallery/{picture.name})\n\n"
        f"{' and '.join(sorted(sizes))} pixels, {counts} evaluations each; seconds, from left to right: {seconds}.\n\n"
        f"```bash\n{commands}\n```\n"
    )


_ABOUT = f"""# Gallery

Each control in one row, made by `python scripts/gallery.py` from real runs with the real weights. Nothing is retouched,
or chosen from several seeds. The photograph is `grace_hopper`; masks are files of `docs/gallery/`, and commands are
given from the root of a checkout. Seconds are those of whole runs on two {platform.machine()} cores that had other
work at times: what to expect, not how fast nstjax is ([performance.md](performance.md) has that).
"""


def main() -> None:
    """Makes the rows named on the command line, or all of them and the page."""
    parser = argparse.ArgumentParser(description="Makes docs/gallery.md from real runs.")
    parser.add_argument("names", nargs="*", metavar="ROW", help=f"of {', '.join(row.name for row in ROWS)}")
    parser.add_argument("--out", type=Path, default=Path("outputs/gallery"), metavar="DIR", help="for the runs")
    arguments = parser.parse_args()
    masks()
    rows = [row for row in ROWS if row.name in (arguments.names or [each.name for each in ROWS])]
    sections = [section(row, arguments.out) for row in rows]
    if len(rows) == len(ROWS):
        PAGE.write_text("\n".join([_ABOUT, *sections]), encoding="utf-8")
    print(json.dumps({path.name: path.stat().st_size for path in sorted(FOLDER.iterdir())}), file=sys.stderr)


if __name__ == "__main__":
    main()
