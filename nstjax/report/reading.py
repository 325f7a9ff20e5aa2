"""What runs have left in their folders, be they done, stopped, killed, or still going on."""

import csv
import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nstjax.config import flat, settings
from nstjax.errors import printable
from nstjax.outputs import GROUPS, HISTORY, LOG, MANIFEST, PAINTED, RESULT, going_on, read_manifest

LOST = "killed or lost"
_COLUMNS = ("evaluations", "seconds", "total", *GROUPS)
_OWN = {"previews", "checkpoints", ".hydra"}  # folders of a run, in which no other run is looked for

History = Mapping[str, np.ndarray]


class Run(NamedTuple):
    """What one run has left.

    Attributes:
        folder: where.
        name: its folder, as seen from the one that is reported on.
        status: as in the manifest; or `LOST`, if that says `running` and no process has the folder.
        reason: why there is no more of it; empty if it is done, or going on.
        settings: what was asked for, by one key each.
        manifest: all of it.
        history: `_COLUMNS` of history.csv, by evaluation; rows that are damaged or half written are left out.
    """

    folder: Path
    name: str
    status: str
    reason: str
    settings: Mapping[str, Any]
    manifest: Mapping[str, Any]
    history: History

    @property
    def picture(self) -> Path | None:
        """The result; before there is one, the last preview."""
        if (self.folder / RESULT).is_file():
            return self.folder / RESULT
        return max(self.folder.glob("previews/*.png"), key=lambda path: _natural(path.name), default=None)

    @property
    def final(self) -> dict[str, float]:
        """The total and each group's share of it: of the result; before there is one, of the last evaluation."""
        match self.manifest.get("final"):
            case {"total": total} if _number(total) is not None:
                terms = self.manifest["final"]
                return {"total": _number(total) or 0.0} | {group: _share(terms, group) for group in GROUPS}
        return {name: float(self.history[name][-1]) for name in ("total", *GROUPS) if len(self.history[name])}

    @property
    def metrics(self) -> dict[str, float]:
        """What the result is measured by; nothing before there is one."""
        found = self.manifest.get("metrics")
        pairs = found.items() if isinstance(found, dict) else ()
        return {printable(name): number for name, value in pairs if (number := _number(value)) is not None}

    @property
    def evaluations(self) -> int:
        recorded = _number(self.manifest.get("evaluations")) or 0
        return len(self.history["total"]) or (int(recorded) if math.isfinite(recorded) else 0)

    @property
    def seconds(self) -> float | None:
        """From beginning to end, or to the last evaluation."""
        match self.manifest.get("seconds"):
            case {"total": total} if _number(total) is not None:
                return _number(total)
        return next(iter(self.history["seconds"][::-1].tolist()), None)


def find(folder: Path) -> tuple[list[Run], list[str]]:
    """All runs in a folder and below, by name, and a note on each thing that only looks like one."""
    runs, notes = [], []
    for path in sorted(_folders(folder), key=lambda path: _natural(path.as_posix())):
        name = printable(path.relative_to(folder).as_posix())
        if run := read(path, printable(path.resolve().name) if name == "." else name):
            runs.append(run)
        elif (path / MANIFEST).exists():
            notes.append(f"{name}/{MANIFEST} is not a run's, or damaged")
        elif (path / ".hydra").is_dir() and (error := _last_error(path / LOG)):
            notes.append(f"{name} has not begun: {error}")
    return runs, notes


def read(folder: Path, name: str) -> Run | None:
    """What a run has left in a folder; None where no run has."""
    manifest = read_manifest(folder)
    if manifest and manifest["status"] == "running" and not going_on(folder):
        manifest = read_manifest(folder)  # it may have ended in between
        manifest = manifest and manifest | ({"status": LOST} if manifest["status"] == "running" else {})
    if manifest is None:
        return None
    status = printable(str(manifest["status"]))
    wanted = {printable(key): value for key, value in flat(settings(manifest["config"])).items()}
    return Run(folder, name, status, _reason(status, manifest), wanted, manifest, _history(folder / HISTORY))


def _folders(folder: Path) -> Iterator[Path]:
    for path, below, files in os.walk(folder):
        own = {PAINTED, *_OWN} if MANIFEST in files else _OWN
        below[:] = [name for name in below if name not in own]
        yield Path(path)


def _natural(text: str) -> list[tuple[bool, int, str]]:
    parts = re.split(r"([0-9]+)", text)
    return [(not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]


def _reason(status: str, manifest: Mapping[str, Any]) -> str:
    usual = {
        "interrupted": "stopped by Ctrl-C or SIGTERM",
        LOST: "its process ended without a word: killed, or its machine stopped",
    }
    return printable(str(manifest.get("reason") or usual.get(status, "")))


def _history(path: Path) -> History:
    """The columns of a history as far as they can be read; without a file, without rows."""
    rows: list[list[float]] = []
    try:
        with open(path, newline="", encoding="utf-8", errors="replace") as file:
            reader = csv.DictReader(line for line in file if line.endswith("\n"))
            rows = [row for each in reader if (row := _row(each))]
    except (OSError, csv.Error):
        pass  # what was read until then is what there is
    table = np.array(rows, np.float64).reshape(len(rows), len(_COLUMNS))
    return dict(zip(_COLUMNS, table.T, strict=True))


def _row(values: Mapping[str | None, Any]) -> list[float] | None:
    try:
        return [float(values[name]) for name in _COLUMNS]
    except (KeyError, TypeError, ValueError):
        return None


def _share(terms: Mapping[str, Any], group: str) -> float:
    return sum(_number(value) or 0.0 for name, value in terms.items() if name.partition("/")[0] == group)


def _number(value: Any) -> float | None:
    try:
        return float(value) if isinstance(value, int | float) else None
    except OverflowError:  # a whole number of hundreds of digits
        return None


def _last_error(log: Path) -> str:
    """The message of the last error in a log, without the time and who says it."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return printable(next((line.partition(" ERROR ")[2] for line in reversed(lines) if " ERROR " in line), ""))
