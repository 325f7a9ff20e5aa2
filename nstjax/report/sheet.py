"""`sheet.png`: the results of many runs on one picture, in the order of the axes along which they vary."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nstjax import files, images
from nstjax.errors import UserError
from nstjax.report.axes import Axis, labels, laid_out, varied
from nstjax.report.reading import Run, read

SHEET = "sheet.png"
_MAX_PIXELS = 24_000_000  # of all results together; beyond, they are made smaller


def contact_sheet(folder: Path, runs: Sequence[Path]) -> Path | None:
    """Saves one picture of the results in the folders of runs, each labelled with what tells it from the other runs.

    Returns:
        The path of the picture, `folder/sheet.png`; None where no run has left a result.

    Raises:
        UserError: the sheet can't be written.
    """
    found = [run for path in runs if (run := read(path, path.name))]
    files.remove_temporaries(folder)
    return save_sheet(folder, found, varied([run.settings for run in found]))


def save_sheet(folder: Path, runs: Sequence[Run], axes: Sequence[Axis]) -> Path | None:
    """`contact_sheet` of runs that have been read."""
    columns, order = _places(axes, len(runs))
    pictures = [(run, _pixels(runs[run], len(runs)) if run is not None else None) for run in order]
    size = next((pixels for _, pixels in pictures if pixels is not None), None)
    if size is None:
        return None
    texts = labels(axes, [run.name for run in runs])
    shown = [
        (_label(runs, texts, run), np.ones_like(size) if pixels is None else pixels)
        for run, pixels in pictures
        if columns or pixels is not None
    ]
    images.save(folder / SHEET, images.sheet(shown, columns=columns or math.ceil(math.sqrt(len(shown)))))
    return folder / SHEET


def _places(axes: Sequence[Axis], count: int) -> tuple[int, list[int | None]]:
    """The number of columns of a matrix, 0 for runs in a row of any length; and the runs, None for a hole."""
    sheet = laid_out(axes, count)
    cells = [cell for block in sheet.blocks for _, row in block.rows for cell in row]
    if sheet.columns and all(len(cell) < 2 for cell in cells):
        return len(sheet.columns.values), [next(iter(cell), None) for cell in cells]
    return 0, [run for cell in cells for run in cell]


def _pixels(run: Run, count: int) -> images.Pixels | None:
    """A run's picture, small enough for a sheet of `count`; None where there is none, or it can't be read."""
    try:
        pixels = images.load(run.picture).pixels if run.picture else None
    except UserError:
        return None
    if pixels is None or pixels[..., 0].size * count <= _MAX_PIXELS:
        return pixels
    share = math.sqrt(_MAX_PIXELS / count / pixels[..., 0].size)
    height, width = (max(1, round(side * share)) for side in pixels.shape[:2])
    return images.resize(pixels, height, width, space="linear")


def _label(runs: Sequence[Run], texts: Sequence[str], run: int | None) -> str:
    if run is None:
        return "no such run"
    return texts[run] if runs[run].status == "done" else f"{texts[run]} ({runs[run].status})".lstrip()
