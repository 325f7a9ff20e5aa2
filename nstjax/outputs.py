"""The folder of one run: `result.png`, `history.csv`, `manifest.json` and previews, each whole or absent."""

import csv
import importlib.metadata
import json
import logging
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

import nstjax
from nstjax import files, images
from nstjax.config import Config, to_dict
from nstjax.errors import UserError

log = logging.getLogger(__name__)

RESULT, HISTORY, MANIFEST = "result.png", "history.csv", "manifest.json"
_PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "pillow")


class RunFolder:
    """A context in which a run happens: what it leaves behind says whether it ended, and how.

    `manifest.json` says `running` on entry, and on exit `done`, `interrupted` (KeyboardInterrupt) or `failed` with the
    reason. What an earlier run in the same folder left is removed first.

    Raises:
        UserError: the folder can't be written.
    """

    def __init__(self, path: Path, config: Config) -> None:
        self.path = path
        self.manifest: dict[str, Any] = {
            "status": "running",
            "config": to_dict(config),
            "seed": config.seed,
            "precision": config.runtime.precision,
            "versions": versions(),
            "evaluations": 0,
        }
        self._comment = json.dumps(to_dict(config), ensure_ascii=False)
        self._bits = config.output.bits
        self._began = time.perf_counter()

    def __enter__(self) -> "RunFolder":
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._write_manifest()
            for old in (self.path / RESULT, self.path / HISTORY, *self.path.glob("previews/*.png")):
                old.unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f"cannot write to {self.path}: {error.strerror}; choose another hydra.run.dir") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.manifest["status"] = _status(error)
        if self.manifest["status"] == "failed":
            self.manifest["reason"] = str(error) or type(error).__name__
        self._write_manifest()

    def seconds(self) -> float:
        """Seconds since the run began."""
        return time.perf_counter() - self._began

    def record(self, records: Mapping[str, np.ndarray], *, scale: int, first_step: int) -> list[dict[str, float]]:
        """Appends a chunk's records, which hold each term by evaluation, to the history, and returns the new rows."""
        place = {"scale": scale, "evaluations": self.manifest["evaluations"], "seconds": self.seconds()}
        rows = [history_row(records, k, step=first_step + k, **place) for k in range(len(records["total"]))]
        with open(self.path / HISTORY, "a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            if not self.manifest["evaluations"]:
                writer.writerow(rows[0])
            writer.writerows([_text(value) for value in row.values()] for row in rows)
        self.manifest["evaluations"] += len(rows)
        return rows

    def preview(self, image: np.ndarray, scale: int, step: int) -> None:
        """Saves the image of a step beside the others, in `previews/`."""
        images.save(self.path / "previews" / f"scale{scale}_step{step:05d}.png", image)

    def result(self, image: np.ndarray, alpha: np.ndarray | None = None) -> Path:
        """Saves the picture that the run is for, with its configuration inside."""
        images.save(self.path / RESULT, image, alpha=alpha, bits=self._bits, comment=self._comment)
        return self.path / RESULT

    def _write_manifest(self) -> None:
        with files.atomic(self.path / MANIFEST) as temporary:
            text = json.dumps(self.manifest, indent=2, ensure_ascii=False) + "\n"
            temporary.write_text(text, encoding="utf-8", errors="backslashreplace")  # file names may hold no Unicode


def history_row(
    records: Mapping[str, np.ndarray], k: int, *, scale: int, step: int, evaluations: int, seconds: float
) -> dict[str, float]:
    """A row of `history.csv`, of the k-th evaluation after the `evaluations` before: all terms weighted, and sums."""
    terms = {name: float(values[k]) for name, values in records.items()}
    row: dict[str, float] = {"scale": scale, "step": step, "evaluations": evaluations + k + 1, "seconds": seconds}
    row["total"] = terms["total"]
    for group in ("content", "style", "tv"):
        row[group] = sum(value for name, value in terms.items() if name.partition("/")[0] == group)
    return row | {name: value for name, value in terms.items() if "/" in name}


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a result depends on."""
    packages = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"nstjax": nstjax.__version__, "python": platform.python_version(), **packages}


def _status(error: BaseException | None) -> str:
    if error is None:
        return "done"
    return "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"


def _text(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.9g}"
