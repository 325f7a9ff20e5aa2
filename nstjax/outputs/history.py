"""`history.csv` and `history.jsonl`: one row per evaluation, every term weighted as it enters the total.

Both hold the same rows, to the same digits. JSON has no words for what isn't finite: there it is null.
"""

import csv
import io
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from nstjax import files

HISTORY, HISTORY_JSONL = "history.csv", "history.jsonl"
GROUPS = ("content", "style", "tv")  # of terms, by what their names begin with; a column each, their sums

Row = dict[str, float]


class History:
    """The files of a run: begun by its first row, and a whole number of rows at every moment but that of a kill.

    Attributes:
        rows: how many.
        sizes: of each file by name, in bytes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.rows = 0
        self.sizes = dict.fromkeys(ENCODINGS, 0)

    def append(self, rows: Sequence[Row]) -> None:
        """Writes all of the rows to all of the files, or none to any.

        Raises:
            OSError: a full disk, say.
        """
        new = {name: encode(rows, not self.rows).encode() for name, encode in ENCODINGS.items()}
        try:
            for name, data in new.items():
                _append(self._folder / name, data)
        except OSError:
            for name, size in self.sizes.items():
                if (self._folder / name).exists():
                    os.truncate(self._folder / name, size)
            raise
        self.rows += len(rows)
        self.sizes = {name: self.sizes[name] + len(data) for name, data in new.items()}

    def sync(self) -> None:
        """Waits until the disk has all rows."""
        for name in ENCODINGS:
            files.sync(self._folder / name)

    def cut(self, sizes: Mapping[str, int], rows: int) -> str | None:
        """Takes away what was written after `rows` rows, when the files had these sizes.

        Returns:
            The name of the first file that doesn't begin with so many rows, if there is one; then none is touched.
        """
        for name in ENCODINGS:
            if not _begins_with(self._folder / name, sizes[name], rows + (name == HISTORY)):  # and the CSV's header
                return name
        for name in ENCODINGS:
            os.truncate(self._folder / name, sizes[name])
        self.sizes, self.rows = dict(sizes), rows
        return None


def history_row(
    records: Mapping[str, np.ndarray], k: int, *, scale: int, step: int, evaluations: int, seconds: float
) -> Row:
    """A row of the history, of the k-th evaluation after the `evaluations` before: all terms weighted, and sums."""
    terms = {name: float(values[k]) for name, values in records.items()}
    row: Row = {"scale": scale, "step": step, "evaluations": evaluations + k + 1, "seconds": seconds}
    row["total"] = terms["total"]
    for group in GROUPS:
        row[group] = sum(value for name, value in terms.items() if name.partition("/")[0] == group)
    return row | {name: value for name, value in terms.items() if name not in row}


def _csv(rows: Sequence[Row], first: bool) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if first:
        writer.writerow(rows[0])
    writer.writerows([_text(value) for value in row.values()] for row in rows)
    return text.getvalue()


def _jsonl(rows: Sequence[Row], first: bool) -> str:
    lines = ({name: _number(value) for name, value in row.items()} for row in rows)
    return "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines)


ENCODINGS: Mapping[str, Callable[[Sequence[Row], bool], str]] = {HISTORY: _csv, HISTORY_JSONL: _jsonl}


def _text(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.9g}"


def _number(value: float) -> float | None:
    """What `_text` says, as JSON can have it."""
    if isinstance(value, int):
        return value
    return float(_text(value)) if math.isfinite(value) else None


def _append(path: Path, data: bytes) -> None:
    with open(path, "ab", buffering=0) as file:
        while data:
            data = data[file.write(data) :]


def _begins_with(path: Path, size: int, lines: int) -> bool:
    """Whether a file has at least that many bytes, which are so many whole lines."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        start = file.read(size)
    return len(start) == size and start.count(b"\n") == lines and start.endswith(b"\n")
