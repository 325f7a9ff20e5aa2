"""`history.csv`: one row per evaluation, every term weighted as it enters the total."""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from nstjax import files

HISTORY = "history.csv"
GROUPS = ("content", "style", "tv")  # of terms, by what their names begin with; a column each, their sums

Row = dict[str, float]


class History:
    """The file of a run: begun by its first row, and a whole number of rows at every moment but that of a kill."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = self.rows = 0  # in bytes; without the header

    def append(self, rows: Sequence[Row]) -> None:
        """Writes all of the rows, or none.

        Raises:
            OSError: a full disk, say.
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if not self.rows:
            writer.writerow(rows[0])
        writer.writerows([_text(value) for value in row.values()] for row in rows)
        self.size = _append(self.path, text.getvalue().encode())
        self.rows += len(rows)

    def sync(self) -> None:
        """Waits until the disk has all rows."""
        files.sync(self.path)

    def cut(self, size: int, rows: int) -> bool:
        """Takes away what was written after `rows` rows, `size` bytes; False if the file doesn't begin with these."""
        if not self.path.is_file():
            return False
        with open(self.path, "rb+") as file:
            if file.read(size).count(b"\n") != rows + 1 or file.tell() != size:
                return False
            file.truncate(size)
        self.size, self.rows = size, rows
        return True


def history_row(
    records: Mapping[str, np.ndarray], k: int, *, scale: int, step: int, evaluations: int, seconds: float
) -> Row:
    """A row of `history.csv`, of the k-th evaluation after the `evaluations` before: all terms weighted, and sums."""
    terms = {name: float(values[k]) for name, values in records.items()}
    row: Row = {"scale": scale, "step": step, "evaluations": evaluations + k + 1, "seconds": seconds}
    row["total"] = terms["total"]
    for group in GROUPS:
        row[group] = sum(value for name, value in terms.items() if name.partition("/")[0] == group)
    return row | {name: value for name, value in terms.items() if name not in row}


def _text(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.9g}"


def _append(path: Path, data: bytes) -> int:
    """Appends all of the data or none; returns the file's size."""
    with open(path, "ab", buffering=0) as file:
        size, rest = file.tell(), data
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except OSError:
            os.truncate(path, size)
            raise
    return size + len(data)
