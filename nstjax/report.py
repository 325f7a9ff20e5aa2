"""Many runs at a glance, from the folders that they left."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nstjax import files, images
from nstjax.config import flat, settings
from nstjax.outputs import RESULT, read_manifest

SHEET = "sheet.png"


def contact_sheet(folder: Path, runs: Sequence[Path]) -> Path | None:
    """Saves one picture of the results in the folders of runs, each labelled with what tells it from the other runs.

    Returns:
        The path of the picture, `folder/sheet.png`; None where no run has left a result.

    Raises:
        UserError: a result can't be read, or the sheet not be written.
    """
    manifests = {run: manifest for run in runs if (manifest := read_manifest(run))}
    labels = distinctions([manifest["config"] for manifest in manifests.values()])
    pictures = [
        (label, images.load(run / RESULT).pixels)
        for run, label in zip(manifests, labels, strict=True)
        if (run / RESULT).is_file()
    ]
    if not pictures:
        return None
    files.remove_temporaries(folder)
    images.save(folder / SHEET, images.sheet(pictures, columns=math.ceil(math.sqrt(len(pictures)))))
    return folder / SHEET


def distinctions(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """For each configuration `key=value` of every setting in which some differ."""
    each = [flat(settings(config)) for config in configs]
    keys = sorted({key for one in each for key in one})
    differing = [key for key in keys if len({json.dumps(one.get(key)) for one in each}) > 1]
    return [" ".join(f"{key}={one[key]}" for key in differing if key in one) for one in each]
