"""How the results of two runs differ: every pixel, every value of the history but the seconds, to the last digit."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from nstjax import images
from nstjax.errors import UserError
from nstjax.outputs import HISTORY, MANIFEST, RESULT

Levels = UInt8[np.ndarray, "_ _ 3"]  # of a picture, from 0 to 255
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
    levels: Levels
    rows: list[Row]


def results(folder: Path) -> Results:
    """What a finished run has left in its folder.

    Raises:
        UserError: there is no manifest, it is another program's, or the run didn't finish, or its results are gone.
    """
    manifest = _manifest(folder / MANIFEST)
    try:
        with open(folder / HISTORY, newline="", encoding="utf-8") as file:
            rows: list[Row] = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"{folder / HISTORY}: can't be read; without it the run can't be compared") from error
    return Results(manifest, images.quantize(images.load(folder / RESULT).pixels), rows)


def compare(before: Results, after: Results) -> Report:
    """How the second run differs from the first, and what was not the same around them."""
    differences = (_picture_difference(before.levels, after.levels), _history_difference(before.rows, after.rows))
    changed = _changes(before.manifest, after.manifest)
    return Report(tuple(each for each in differences if each), tuple(changed))


def _manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; give the folder of a run") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no JSON; give the folder of a run of nstjax") from error
    if not (isinstance(manifest, dict) and isinstance(manifest.get("config"), dict) and "status" in manifest):
        raise UserError(f"{path} is not the manifest of a run of nstjax; give the folder of one")
    if manifest["status"] != "done":
        raise UserError(f"{path} says {manifest['status']!r}; only a run that is 'done' can be compared with another")
    return manifest


def _picture_difference(before: Levels, after: Levels) -> str | None:
    if before.shape != after.shape:
        return f"{RESULT} has {after.shape[1]}x{after.shape[0]} pixels, and had {before.shape[1]}x{before.shape[0]}"
    distances = np.abs(after.astype(int) - before).max(-1)
    if not distances.any():
        return None
    return f"{RESULT}: {np.mean(distances > 0):.3%} of the pixels differ, by at most {distances.max()} of 255 levels"


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
    for group in (each for each in _SURROUNDINGS if each in before):
        old, new = (dict(_flat(facts.get(group), group)) for facts in (before, after))
        for key in {**old, **new}:
            if old.get(key) != new.get(key):
                yield f"{key} is {new.get(key)}, and was {old.get(key)}"


def _flat(facts: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Nested facts with their keys in one; of files only what they hold, not where they are."""
    if isinstance(facts, Mapping):
        facts = {"sha256": facts["sha256"]} if "sha256" in facts else facts
        for name, value in facts.items():
            yield from _flat(value, f"{key}.{name}")
    elif isinstance(facts, list):
        for i, value in enumerate(facts):
            yield from _flat(value, f"{key}[{i}]")
    else:
        yield key, facts
