"""One run, to be looked at in a notebook: its pictures side by side, and what they are measured by."""

from collections.abc import Iterator
from pathlib import Path

from markupsafe import Markup

from nstjax.errors import UserError
from nstjax.report.pictures import inputs_of, shrunk, thumbnails
from nstjax.report.reading import Run, read
from nstjax.report.table import columns

_FIGURE = Markup(
    '<figure style="display:inline-block;margin:4px"><img src="{}" style="height:240px">'
    "<figcaption>{}</figcaption></figure>"
)
_ROW = Markup("<tr><th>{}</th><td>{}</td></tr>")


class Result:
    """What a run has left in its folder, as far as it is; in a notebook it shows itself."""

    def __init__(self, folder: Path | str) -> None:
        """Raises a UserError where no run has left anything."""
        found = read(Path(folder), Path(folder).name)
        if found is None:
            raise UserError(f"no run in {folder}; give a folder that nstjax.train has written")
        self.run: Run = found

    def _repr_html_(self) -> str:
        rows = ((column.name, column.texts[0]) for column in columns([self.run], []))
        table = Markup("").join(_ROW.format(name, text) for name, text in rows)
        return Markup("<div>{}<table>{}</table></div>").format(Markup("").join(self._figures()), table)

    def _figures(self) -> Iterator[Markup]:
        for each in inputs_of([self.run]).values():
            if each.thumbnail:
                yield _FIGURE.format(each.thumbnail.uri, f"{each.kind}: {each.name}")
        for thumbnail in thumbnails(shrunk([self.run]), 2):
            if thumbnail:
                yield _FIGURE.format(thumbnail.uri, self.run.status)
