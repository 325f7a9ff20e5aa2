"""Many runs at a glance, from the folders that they left."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nstjax import images
from nstjax.outputs import MANIFEST, RESULT

SHEET = "sheet.png"


def contact_sheet(folder: Path) -> Path | None:
    """Saves one picture of all runs below a folder, each labelled with the values that tell it from the others.

    Returns:
        The path of the picture, `folder/sheet.png`; None where no run has left a result.
    """
    runs = {
        path.parent: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.rglob(MANIFEST), key=_in_order)
    }
    labels = distinctions([run["config"] for run in runs.values()])
    pictures = [
        (label, images.load(path / RESULT).pixels)
        for path, label in zip(runs, labels, strict=True)
        if (path / RESULT).is_file()
    ]
    if not pictures:
        return None
    images.save(folder / SHEET, images.sheet(pictures, columns=math.ceil(math.sqrt(len(pictures)))))
    return folder / SHEET


def distinctions(configs: list[Mapping[str, Any]]) -> list[str]:
    """For each configuration `key=value` of every key in which some differ."""
    flat = [dict(_flatten(config)) for config in configs]
    keys = sorted({key for each in flat for key in each})
    differing = [key for key in keys if len({json.dumps(each.get(key)) for each in flat}) > 1]
    return [" ".join(f"{key}={each[key]}" for key in differing if key in each) for each in flat]


def _in_order(path: Path) -> list[tuple[int, str]]:
    """Job 2 before job 10."""
    return [(int(part) if part.isdecimal() else 0, part) for part in path.parts]


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
