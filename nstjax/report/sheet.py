"""`sheet.png`: the results of many runs on one picture, in the order of the axes along which they vary."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nstjax import files, images
from nstjax.report.axes import Axis, labels, laid_out, varied
from nstjax.report.pictures import Result, shrunk
from nstjax.report.reading import Run, read

SHEET = "sheet.png"


def contact_sheet(folder: Path, runs: Sequence[Path]) -> Path | None:
    """Saves one picture of the results in the folders of runs, each labelled with what tells it from the other runs.

    Returns:
        The path of the picture, `folder/sheet.png`; None where no run has left a result.

    Raises:
        UserError: the sheet can't be written.
    """
    found = [run for path in runs if (run := read(path, path.name))]
    files.remove_temporaries(folder)
    return save_sheet(folder, found, varied([run.settings for run in found]), shrunk(found))


def save_sheet(
    folder: Path, runs: Sequence[Run], axes: Sequence[Axis], pictures: Sequence[Result | None]
) -> Path | None:
    """`contact_sheet` of runs that have been read, and their pictures."""
    size = next((pixels for pixels in pictures if pixels is not None), None)
    if size is None:
        return None
    columns, order = _places(axes, len(runs))
    texts = labels(axes, [run.name for run in runs])
    placed = [(run, None if run is None else pictures[run]) for run in order]
    shown = [
        (_label(runs, texts, run), np.ones_like(size) if pixels is None else pixels)
        for run, pixels in placed
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


def _label(runs: Sequence[Run], texts: Sequence[str], run: int | None) -> str:
    if run is None:
        return "no such run"
    return texts[run] if runs[run].status == "done" else f"{texts[run]} ({runs[run].status})".lstrip()
