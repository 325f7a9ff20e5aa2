"""Makes docs/experiments: what every `experiment=` comes to, as a picture sheet, a table and words.

    python scripts/experiments.py [EXPERIMENT ...] [--out DIR]

Every sheet and table is the report of real runs, made by the command on its page; runs that are done in DIR are not
done again. The words, in experiments.yaml beside this script, are by hand, and say what was seen in these very runs.
"""

import argparse
import io
from collections.abc import Sequence
from pathlib import Path

import yaml
from PIL import Image, ImageDraw, ImageFilter

from nstjax import train
from nstjax.report import Run, find, report, varied
from nstjax.report.published import markdown as beside
from nstjax.report.table import columns, markdown

ROOT = Path(__file__).parents[1]
DOCS, CONFIGS = ROOT / "docs" / "experiments", ROOT / "configs" / "experiment"
WORDS = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
LARGEST = 300_000  # bytes of a picture
LEFT_OUT = ("run", "status", "device", "reason")  # of the table's columns, where they say nothing that differs

# The roofs, the spire and the trees before the sky of neckarfront, in pixels of 800 x 600.
_SKYLINE = (
    (0, 0), (800, 0), (800, 150), (750, 143), (715, 185), (660, 165), (615, 180), (565, 180), (548, 190), (545, 160),
    (535, 140), (523, 100), (512, 140), (503, 165), (500, 215), (480, 218), (462, 255), (430, 262), (395, 250),
    (345, 242), (310, 262), (270, 258), (212, 268), (170, 290), (130, 280), (80, 282), (40, 295), (0, 330),
)  # fmt: skip


def mask(path: Path) -> None:
    """Draws the sky of neckarfront, with a soft edge: `nstjax/masks/neckarfront_sky.png`."""
    picture = Image.new("L", (512, 384))
    ImageDraw.Draw(picture).polygon([(x * 0.64, y * 0.64) for x, y in _SKYLINE], fill=255)
    picture.filter(ImageFilter.GaussianBlur(2)).save(path, optimize=True)


def run(name: str, out: Path) -> list[Run]:
    """The runs of an experiment, those that are missing done now."""
    folder = out / name
    outcome = train.execute(
        [f"experiment={name}", f"hydra.sweep.dir={folder}", f"hydra.run.dir={folder}", "resume=true"]
    )
    if outcome.code:
        raise SystemExit(f"experiment={name}: exit code {outcome.code}")
    report(folder)
    return find(folder)[0]


def save(source: Path, target: Path) -> None:
    """Saves a report's picture with as many colors as `LARGEST` bytes have room for."""
    with Image.open(source) as picture:
        rgb = picture.convert("RGB")
    for colors in (256, 128, 64, 32):
        data = io.BytesIO()
        rgb.quantize(colors, dither=Image.Dither.NONE).save(data, "PNG", optimize=True)
        if data.tell() <= LARGEST:
            break
    target.write_bytes(data.getvalue())


def page(name: str, runs: Sequence[Run], folder: Path) -> str:
    """The page of an experiment, whose pictures are saved beside it."""
    shown = [column for column in columns(runs, varied([each.settings for each in runs])) if column.key not in LEFT_OUT]
    save(folder / "sheet.png", DOCS / f"{name}.png")
    save(folder / "curves.png", DOCS / f"{name}_curves.png")
    sizes = " and ".join(sorted({"x".join(map(str, each.manifest["size"])) for each in runs}))
    seconds = sum(each.seconds or 0 for each in runs)
    return (
        f"# {name}\n\n```bash\n{command(name)}\n```\n\n{about(name)}\n\n## What came of it\n\n{WORDS[name]['seen']}\n"
        f"![The results]({name}.png)\n\n![Losses]({name}_curves.png)\n\n{markdown(shown)}{beside(runs)}\n"
        f"{len(runs)} run{'s' * (len(runs) > 1)} of {sizes} pixels, {seconds:.0f} s in all on two CPU cores that had "
        f"other work at times. [What the metrics are](../metrics.md).\n"
    )


def command(name: str) -> str:
    """The first comment of an experiment's file."""
    return _comment(name)[0]


def about(name: str) -> str:
    """The rest of its comment: what the paper shows, and what is expected."""
    return "\n".join(_comment(name)[2:])


def _comment(name: str) -> list[str]:
    lines = (CONFIGS / f"{name}.yaml").read_text(encoding="utf-8").splitlines()[1:]
    return [
        line.removeprefix("#").strip() for line in lines[: next(k for k, each in enumerate(lines) if each[0] != "#")]
    ]


def index() -> str:
    """The list of all experiments."""
    rows = (f"| [{name}]({name}.md) | {words['what']} |\n" for name, words in WORDS.items())
    return f"{_INDEX}\n| `experiment=` | what |\n| --- | --- |\n{''.join(rows)}"


_INDEX = """# Experiments

Figures and logs of papers, each one command; `scale=paper` runs them at the paper's own size and steps. Pages, sheets
and tables are made by `python scripts/experiments.py`; each page says what agrees with the paper and what doesn't.
"""


def main() -> None:
    """Makes the pages that are named on the command line, or all, and the index."""
    parser = argparse.ArgumentParser(description="Makes docs/experiments from real runs.")
    parser.add_argument("names", nargs="*", metavar="EXPERIMENT", help=f"of {', '.join(WORDS)}")
    parser.add_argument("--out", type=Path, default=Path("outputs/experiments"), metavar="DIR", help="for the runs")
    arguments = parser.parse_args()
    DOCS.mkdir(exist_ok=True)
    for name in arguments.names or WORDS:
        text = page(name, run(name, arguments.out), arguments.out / name)
        (DOCS / f"{name}.md").write_text(text, encoding="utf-8")
    (DOCS / "README.md").write_text(index(), encoding="utf-8")


if __name__ == "__main__":
    main()
