"""`report.html`: one file that holds all it shows, and asks nothing of anyone."""

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup

import nstjax
from nstjax import files
from nstjax.config import flat
from nstjax.errors import printable
from nstjax.report import curves, pictures, table
from nstjax.report.axes import Axis, Settings, differing, labels, laid_out, text
from nstjax.report.pictures import Result
from nstjax.report.published import published
from nstjax.report.reading import Run

PAGE = "report.html"


class Shared(NamedTuple):
    """What is the same in all runs, by key, and in a row for each run what is not."""

    common: dict[str, str]
    differing: list[str]
    rows: list[tuple[str, list[str]]]


def save_page(
    folder: Path,
    runs: Sequence[Run],
    axes: Sequence[Axis],
    results: Sequence[Result | None],
    notes: Sequence[str],
) -> Path:
    """Saves `folder/report.html`: runs by the axes along which they vary, their pictures, and notes on the rest."""
    columns = table.columns(runs, axes)
    template = _environment().get_template("page.html")
    html = template.render(
        title=printable(folder.resolve().name),
        when=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        version=nstjax.__version__,
        script=_script(),
        palette=curves.COLORS,
        runs=runs,
        statuses=Counter(run.status for run in runs),
        unfinished=[number for number, run in enumerate(runs) if run.status != "done"],
        notes=notes,
        sheet=laid_out(axes, len(runs)),
        table=columns,
        texts=[column.texts for column in columns],
        numeric=[column.numeric for column in columns],
        totals=[table.grouped(run.final.get("total")) for run in runs],
        settings=_shared(runs, [run.settings for run in runs]),
        versions=_made_with(runs),
        **_pictures(runs, results),
        **_curves(runs, axes),
    )
    with files.atomic(folder / PAGE) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return folder / PAGE


def _pictures(runs: Sequence[Run], results: Sequence[Result | None]) -> dict[str, Any]:
    inputs = pictures.inputs_of(runs)
    return {
        "thumbnails": pictures.thumbnails(results, len(inputs)),
        "inputs": inputs,
        "contents": [pictures.content_of(run) for run in runs],
        "edge": 240 if len(runs) <= 24 else 128,
    }


def _curves(runs: Sequence[Run], axes: Sequence[Axis]) -> dict[str, Any]:
    names = [label or run.name for label, run in zip(labels(axes, [run.name for run in runs]), runs, strict=True)]
    logs = [log.title for log in published(runs)]
    drawn, ink = curves.points(runs), curves.inks(axes, names, logs)
    return {
        "labels": names,
        "charts": curves.charts(drawn),
        "size": (curves.WIDTH, curves.HEIGHT),
        "plot": {"left": curves.LEFT, "right": curves.WIDTH - curves.RIGHT, "bottom": curves.HEIGHT - curves.BOTTOM},
        "inks": ink,
        "legend": sorted({each for each, curve in zip(ink, drawn, strict=True) if each.label and curve.evaluations}),
        "data": {"labels": names + logs, "points": [each._replace(seconds=None)._asdict() for each in drawn]},
    }


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("nstjax.report", "template"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "sort_keys": False}
    return environment


class Script(NamedTuple):
    """The page's only script, and what its content security policy knows it by."""

    source: Markup
    sha256: str


def _script() -> Script:
    source = Path(__file__).with_name("template").joinpath("page.js").read_text(encoding="utf-8")
    return Script(Markup(source), base64.b64encode(hashlib.sha256(source.encode()).digest()).decode())


def _made_with(runs: Sequence[Run]) -> Shared:
    """Versions, device and the rest of what runs depended on besides their settings: of those that came to know it."""
    names = ("versions", "environment", "device", "weights")
    known = [run for run in runs if "environment" in run.manifest] or runs
    facts = [flat({name: run.manifest[name] for name in names if name in run.manifest}) for run in known]
    return _shared(known, [{printable(key): value for key, value in each.items()} for each in facts])


def _shared(runs: Sequence[Run], settings: Sequence[Settings]) -> Shared:
    keys = differing(settings)
    common = {key: text(value) for key, value in settings[0].items() if key not in keys}
    rows = [
        (run.name, [text(each[key]) if key in each else "" for key in keys])
        for run, each in zip(runs, settings, strict=True)
    ]
    return Shared(common, keys, rows if keys else [])
