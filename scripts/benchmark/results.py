"""What was measured, as one JSON file that later measurements add to, and as Markdown tables made from it."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]  # column: value
Entry = dict[str, Any]  # title, conditions, rows, notes

_BEGIN, _END = "<!-- bench: begin -->", "<!-- bench: end -->"
_FORMATS = {
    "peak MiB": ",.0f",
    "device MiB": ",.0f",
    "share of peak": ".0%",
    "executed share": ".0%",
    "share": ".1%",
    "cosine": ".7f",
    "loss error": ".1g",
    "evaluations": "d",
}


def merged(path: Path | None, entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """The entries, in place of those with the same key in the JSON file and beside its others; kept in the file."""
    known = json.loads(path.read_text(encoding="utf-8")) if path and path.is_file() else {}
    together = {**known, **entries}
    if path:
        path.write_text(json.dumps(together, indent=1) + "\n", encoding="utf-8")
    return together


def write_markdown(path: Path, text: str) -> None:
    """Writes the text between the markers in the file, or as the file if there is none that has them."""
    old = path.read_text(encoding="utf-8") if path.is_file() else f"{_BEGIN}\n{_END}\n"
    if not (_BEGIN in old and _END in old):
        raise SystemExit(f"bench: {path} has no line {_BEGIN} and {_END}; add them where the tables belong")
    between = f"{_BEGIN}\n\n{text}\n{_END}"
    path.write_text(re.sub(f"{_BEGIN}.*{_END}", lambda _: between, old, flags=re.DOTALL), encoding="utf-8")


def markdown(entries: Mapping[str, Entry]) -> str:
    """A section for every entry: its title, where and when, a table of its rows, and what follows from them."""
    return "\n".join(_section(entry) for entry in entries.values())


def _section(entry: Entry) -> str:
    notes = "".join(f"- {note}\n" for note in entry["notes"])
    return f"### {entry['title']}\n\n{entry['conditions']}\n\n{table(entry['rows'])}\n{notes}"


def table(rows: Sequence[Row]) -> str:
    """A Markdown table with a column for every key of any row that has a value somewhere."""
    keys = dict.fromkeys(key for row in rows for key in row)
    columns = [key for key in keys if any(row.get(key) is not None for row in rows)]
    lines = [columns, ["---" if columns.index(column) == 0 else "--:" for column in columns]]
    lines += [[_text(column, row.get(column)) for column in columns] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _text(column: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value.replace("|", "\\|")
    return format(value, _FORMATS.get(column, ".4g"))
