"""The report of a folder: everything, written beside the runs."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nstjax import files
from nstjax.errors import UserError
from nstjax.outputs import going_on
from nstjax.report import curves, published, table
from nstjax.report.axes import Axis, labels, varied
from nstjax.report.page import save_page
from nstjax.report.pictures import shrunk
from nstjax.report.reading import Run, find
from nstjax.report.sheet import save_sheet


class Report(NamedTuple):
    """The files of a report; in a notebook, the page itself.

    Attributes:
        page: `report.html`.
        sheet: `sheet.png`; None where there is no result yet.
        curves: `curves.png`; None where there is no loss yet.
        csv: `table.csv`.
        markdown: `table.md`.
    """

    page: Path
    sheet: Path | None
    curves: Path | None
    csv: Path
    markdown: Path

    def _repr_html_(self) -> str:
        page = html.escape(self.page.read_text(encoding="utf-8"))
        return f'<iframe srcdoc="{page}" style="width: 100%; height: 80vh; border: 0" title="report"></iframe>'


def report(folder: Path | str) -> Report:
    """Writes the report of all runs in a folder and below, or of the one that it is, into the folder.

    It may be done at any time: runs that are still going on are shown as far as they are.

    Raises:
        UserError: no folder, no run in it, or it can't be written.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; give one with runs in it, or a run's own")
    runs, notes = find(folder)
    if not runs:
        raise UserError("; ".join([f"no run in {folder}", *notes[:1], "give a folder that nstjax.train has written"]))
    axes = varied([run.settings for run in runs])
    try:
        if not going_on(folder):
            files.remove_temporaries(folder)
        return _write(folder, runs, notes, axes)
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}; free space, or report on a copy") from error


def _write(folder: Path, runs: Sequence[Run], notes: Sequence[str], axes: Sequence[Axis]) -> Report:
    shown = table.columns(runs, axes)
    names = [label or run.name for label, run in zip(labels(axes, [run.name for run in runs]), runs, strict=True)]
    ink = curves.inks(axes, names, [log.title for log in published.published(runs)])
    pictures = shrunk(runs)
    return Report(
        save_page(folder, runs, axes, pictures, notes),
        save_sheet(folder, runs, axes, pictures),
        curves.save_curves(folder, curves.points(runs), ink),
        table.save_csv(folder, shown),
        table.save_markdown(folder, shown, published.markdown(runs)),
    )
