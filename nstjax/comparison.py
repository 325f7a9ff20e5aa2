"""How the results of two runs differ: every pixel, every value of the history but the seconds, to the last digit."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8, UInt16

from nstjax import images
from nstjax.config import Config, flat, from_dict, settings
from nstjax.errors import UserError
from nstjax.outputs import HISTORY, MANIFEST, RESULT, read_manifest

# Of a picture's colors and its opacity, from 0 to 255 or to 65535.
Levels = UInt8[np.ndarray, "_ _ 4"] | UInt16[np.ndarray, "_ _ 4"]
Row = Mapping[str | None, Any]  # of history.csv, as text

_SURROUNDINGS = ("device", "versions", "environment", "pictures", "weights")


class Report(NamedTuple):
    """What a run and its re-run have come to.

    Attributes:
        differences: of the results, each in one line; none: they agree in every pixel and every row.
        changed: what else isn't as it was, each in one line: versions, device, environment, and the files if `anyway`.
    """

    differences: tuple[str, ...]
    changed: tuple[str, ...]


class Results(NamedTuple):
    """What a finished run has left."""

    manifest: dict[str, Any]
    config: Config
    levels: Levels
    rows: list[Row]


def results(folder: Path) -> Results:
    """What a finished run has left in its folder.

    Raises:
        UserError: there is no manifest, it is another program's, or the run didn't finish, or its results are gone.
    """
    manifest = _manifest(folder)
    config = from_dict(settings(manifest["config"]))
    try:
        with open(folder / HISTORY, newline="", encoding="utf-8") as file:
            rows: list[Row] = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"{folder / HISTORY}: can't be read; without it the run can't be compared") from error
    return Results(manifest, config, _levels(folder / RESULT, config.output.bits), rows)


def compare(before: Results, after: Results) -> Report:
    """How the second run differs from the first, and what was not the same around them."""
    differences = (_picture_difference(before.levels, after.levels), _history_difference(before.rows, after.rows))
    changed = _changes(before.manifest, after.manifest)
    return Report(tuple(each for each in differences if each), tuple(changed))


def _manifest(folder: Path) -> dict[str, Any]:
    path, manifest = folder / MANIFEST, read_manifest(folder)
    if manifest is None:
        raise UserError(f"{path} is missing, or not the manifest of a run of nstjax; give the folder of one")
    if manifest["status"] != "done":
        raise UserError(f"{path} says {manifest['status']!r}; only a run that is 'done' can be compared with another")
    return manifest


def _levels(path: Path, bits: int) -> Levels:
    """The levels as the file has them, at the bits that it was written with; no color where nothing is to be seen."""
    over_black = images.load(path, background=(0, 0, 0))
    alpha = np.ones_like(over_black.pixels[..., :1]) if over_black.alpha is None else over_black.alpha
    colors = np.divide(over_black.pixels, alpha, out=np.zeros_like(over_black.pixels), where=alpha > 0)
    return images.quantize(np.concatenate([colors, alpha], axis=2), bits)


def _picture_difference(before: Levels, after: Levels) -> str | None:
    if before.shape != after.shape:
        return f"{RESULT} has {after.shape[1]}x{after.shape[0]} pixels, and had {before.shape[1]}x{before.shape[0]}"
    distances = np.abs(after.astype(int) - before).max(-1)
    if not distances.any():
        return None
    share, levels = np.mean(distances > 0), np.iinfo(before.dtype).max
    return f"{RESULT}: {share:.3%} of the pixels differ, by at most {distances.max()} of {levels} levels"


def _history_difference(before: Sequence[Row], after: Sequence[Row]) -> str | None:
    """The first value that isn't the same."""
    nothing: Row = {}
    for old, new in zip_longest(before, after, fillvalue=nothing):
        for column in [each for each in {**old, **new} if each != "seconds"]:
            if old.get(column) != new.get(column):
                place = ", ".join(f"{name} {(old or new).get(name)}" for name in ("scale", "step"))
                was, became = old.get(column), new.get(column)
                return f"{HISTORY}, {place}: {column} is {became}, and was {was}{_relative(was, became)}"
    return None


def _relative(was: Any, became: Any) -> str:
    try:
        return f"; relative difference {abs(float(became) - float(was)) / abs(float(was)):.1e}"
    except (TypeError, ValueError, ZeroDivisionError):
        return ""


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """What was around the second run and not, or not so, around the first; an older manifest says less."""
    groups = [each for each in _SURROUNDINGS if each in before]
    old, new = _surroundings(before, groups), _surroundings(after, groups)
    for key in {**old, **new}:
        if old.get(key) != new.get(key):
            yield f"{key} is {new.get(key)}, and was {old.get(key)}"


def _surroundings(manifest: Mapping[str, Any], groups: Sequence[str]) -> dict[str, Any]:
    """Some groups of a manifest's facts, by one key each; of files only what they hold, not where they are."""
    facts = {group: manifest.get(group) for group in groups}
    if "pictures" in facts:
        styles = {f"style[{i}]": each for i, each in enumerate(manifest["pictures"]["style"])}
        facts["pictures"] = {**manifest["pictures"], **styles}
    return {
        key: value
        for key, value in flat(facts).items()
        if key.endswith(".sha256") or not key.startswith(("pictures.", "weights."))
    }
