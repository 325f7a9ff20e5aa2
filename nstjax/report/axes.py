"""What tells runs apart: the settings in which they differ, as the axes of a picture sheet."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from nstjax.errors import printable

Settings = Mapping[str, Any]

_CHOICES = ("name", "kind")  # last parts of keys that stand for a file of a config group, and all that is in it
_LEADING = ("statistic", "layers")  # the same of keys with names of their own; layers stand for their weights
_ABSENT = "-"


class Axis(NamedTuple):
    """A setting in which runs differ, with those that vary along with it.

    Attributes:
        keys: what is shown, the leading one first; without what the leading one explains, as `optimizer.name` does
            `optimizer.learning_rate`.
        names: of the keys, shorter.
        values: each distinct one, as text, in order.
        place: of each run, among the values.
        numeric: whether the leading key's values are numbers.
    """

    keys: tuple[str, ...]
    names: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    place: tuple[int, ...]
    numeric: bool

    @property
    def name(self) -> str:
        return ", ".join(self.names)

    def text(self, value: int) -> str:
        """One of the values, as a heading."""
        return ", ".join(self.values[value])

    def label(self, run: int) -> str:
        """`name=value` of a run, for each key that it has."""
        pairs = zip(self.names, self.values[self.place[run]], strict=True)
        return " ".join(f"{name}={value}" for name, value in pairs if value != _ABSENT)


class Block(NamedTuple):
    """A part of a sheet: runs by row and column, several to a cell where they don't differ; without columns, a flow."""

    title: str
    columns: list[str]
    rows: list[tuple[str, list[list[int]]]]


class Sheet(NamedTuple):
    """Runs laid out by the axes that span them: `slices` of `rows` and `columns`, each an axis or None."""

    slices: Axis | None
    rows: Axis | None
    columns: Axis | None
    blocks: list[Block]


def differing(settings: Sequence[Settings]) -> list[str]:
    """The keys whose values aren't the same in all, in the order of the schema."""
    keys = list(dict.fromkeys(key for each in settings for key in each))
    return [key for key in keys if len(set(_classes(settings, key))) > 1]


def varied(settings: Sequence[Settings]) -> list[Axis]:
    """The axes along which runs vary; a key that says no more than another one joins that one's axis."""
    classes = {key: _classes(settings, key) for key in differing(settings)}
    groups: dict[str, list[str]] = {}
    for key in sorted(classes, key=lambda key: (-max(classes[key]), _rank(key))):
        lead = next((lead for lead in groups if _refines(classes[lead], classes[key])), key)
        groups.setdefault(lead, []).append(key)
    shown = {
        lead: [key for key in sorted(keys, key=_rank) if not _explained(key, keys, classes)]
        for lead, keys in groups.items()
    }
    names = _names([key for keys in shown.values() for key in keys])
    return [_axis(settings, shown[lead], names) for lead in classes if lead in shown]


def labels(axes: Sequence[Axis], names: Sequence[str]) -> list[str]:
    """For each run `name=value` of all that tells it from the others, and its own name where nothing does."""
    texts = [" ".join(filter(None, (axis.label(run) for axis in axes))) for run in range(len(names))]
    often = Counter(texts)
    return [text if often[text] == 1 else f"{text} ({name})".lstrip() for text, name in zip(texts, names, strict=True)]


def laid_out(axes: Sequence[Axis], count: int) -> Sheet:
    """Runs as a matrix of two axes, or several by a third one, if that leaves few holes; else one after the other.

    Columns are numbers where there are any, and the longer axis.
    """
    order = sorted(axes, key=lambda axis: (axis.numeric, len(axis.values)))
    if len(axes) not in (2, 3) or math.prod(len(axis.values) for axis in axes) > 2 * count:
        inner = sorted(range(count), key=lambda run: [axis.place[run] for axis in axes])
        return Sheet(None, None, None, [Block("", [], [("", [[run] for run in inner])])])
    *slices, rows, columns = order
    depth = slices[0] if slices else None
    return Sheet(depth, rows, columns, list(_blocks(depth, rows, columns)))


def text(value: Any) -> str:
    """A setting's value as the command line has it, numbers to six digits."""
    if isinstance(value, list | tuple):
        return f"[{','.join(map(text, value))}]"
    if isinstance(value, float):
        return f"{value:.6g}"
    return printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _blocks(depth: Axis | None, rows: Axis, columns: Axis) -> Iterator[Block]:
    cells: dict[tuple[int, int, int], list[int]] = {}
    for run, (row, column) in enumerate(zip(rows.place, columns.place, strict=True)):
        cells.setdefault((depth.place[run] if depth else 0, row, column), []).append(run)
    for k in range(len(depth.values) if depth else 1):
        lines = [
            (rows.text(i), [cells.get((k, i, j), []) for j in range(len(columns.values))])
            for i in range(len(rows.values))
        ]
        yield Block(depth.text(k) if depth else "", [columns.text(j) for j in range(len(columns.values))], lines)


def _axis(settings: Sequence[Settings], keys: Sequence[str], names: Mapping[str, str]) -> Axis:
    values = list(zip(*(_texts(settings, key) for key in keys), strict=True))
    leading = [each.get(keys[0]) for each in settings]
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in leading)
    distinct: dict[tuple[str, ...], Any] = dict(zip(values, leading, strict=True))
    order = sorted(distinct, key=distinct.__getitem__) if numeric else list(distinct)
    place = tuple(order.index(value) for value in values)
    return Axis(tuple(keys), tuple(names[key] for key in keys), tuple(order), place, numeric)


def _texts(settings: Sequence[Settings], key: str) -> list[str]:
    """Each run's value; of paths the file's name, where that is enough to tell them apart."""
    texts = [text(each[key]) if key in each else _ABSENT for each in settings]
    files = [value.replace("\\", "/").rpartition("/")[2] for value in texts]
    return files if key.endswith(".path") and len(set(files)) == len(set(texts)) else texts


def _classes(settings: Sequence[Settings], key: str) -> tuple[int, ...]:
    """For each run the number of its value, the first value being 0."""
    values = [json.dumps(each[key], sort_keys=True) if key in each else "" for each in settings]
    numbers = {value: number for number, value in enumerate(dict.fromkeys(values))}
    return tuple(numbers[value] for value in values)


def _refines(fine: Sequence[int], coarse: Sequence[int]) -> bool:
    """Whether the first classes say which the second ones are."""
    return len(set(zip(fine, coarse, strict=True))) == len(set(fine))


def _rank(key: str) -> int:
    return 0 if key == "preset" else 1 if key.endswith(tuple(f".{choice}" for choice in (*_CHOICES, *_LEADING))) else 2


def _explained(key: str, keys: Sequence[str], classes: Mapping[str, Sequence[int]]) -> bool:
    """Whether one of the keys stands for a file of configs from which this key's values came."""
    return any(_of_choice(key, each) and _refines(classes[each], classes[key]) for each in keys if each != key)


def _of_choice(key: str, choice: str) -> bool:
    group, _, last = choice.rpartition(".")
    of_group = key.startswith(f"{group}.") if last != "layers" else key == f"{group}.layer_weights"
    return choice == "preset" or (last in (*_CHOICES, *_LEADING) and of_group)


def _names(keys: Sequence[str]) -> dict[str, str]:
    """The last part of each key, or `style` of `style.name`; the whole key where that would be another's, too."""
    short = {key: _short(key) for key in keys}
    return {key: name if list(short.values()).count(name) == 1 else key for key, name in short.items()}


def _short(key: str) -> str:
    group, _, last = key.rpartition(".")
    return group.rpartition(".")[2] if group and last in (*_CHOICES, "path") else last
