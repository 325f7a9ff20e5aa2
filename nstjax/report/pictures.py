"""The pictures of a report: results and what they were made from, small enough that a page of them opens at once."""

import base64
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32

from nstjax import files, images
from nstjax.errors import UserError, printable
from nstjax.report.reading import Run

MAX_EDGE, MIN_EDGE = 1024, 96  # pixels of a picture's long edge
MAX_PIXELS = 16_000_000  # of all pictures together; in a page some 10 MB: edges of 800 pixels for 24, of 178 for 500

Result = Float32[np.ndarray, "_ _ 3"]


class Thumbnail(NamedTuple):
    """A picture within the page."""

    uri: str
    width: int
    height: int


class Input(NamedTuple):
    """A picture that runs were made from: what for ("content", "style", "init"), its file's name and digest."""

    kind: str
    name: str
    sha256: str
    thumbnail: Thumbnail | None  # None: the file is not there any more, or another one by now


def shrunk(runs: Sequence[Run]) -> list[Result | None]:
    """Each run's picture, smaller where so many have more than `MAX_PIXELS`; None where it can't be read."""
    return [_shrunk(_read(run.picture), MAX_PIXELS // len(runs)) for run in runs]


def thumbnails(pictures: Sequence[Result | None], inputs: int) -> list[Thumbnail | None]:
    """The pictures as data, for a page with a number of inputs beside them."""
    return [_thumbnail(pixels, _edge(len(pictures) + inputs)) for pixels in pictures]


def inputs_of(runs: Sequence[Run]) -> dict[str, Input]:
    """Every picture that runs were made from, once, by its digest."""
    found: dict[str, tuple[str, Path, Path]] = {}
    for run in runs:
        for kind, path, sha256 in _inputs(run.manifest):
            found.setdefault(sha256, (kind, path, run.folder))
    edge = _edge(len(runs) + len(found))
    return {
        sha256: Input(kind, printable(path.name), sha256, _thumbnail(_read(_located(path, folder, sha256)), edge))
        for sha256, (kind, path, folder) in found.items()
    }


def content_of(run: Run) -> str | None:
    """The digest of a run's content picture."""
    return next((sha256 for kind, _, sha256 in _inputs(run.manifest) if kind == "content"), None)


def _inputs(manifest: Mapping[str, Any]) -> Iterator[tuple[str, Path, str]]:
    """What for, path and digest of every picture that a manifest names."""
    pictures = manifest.get("pictures")
    for kind, facts in pictures.items() if isinstance(pictures, dict) else ():
        for each in facts if isinstance(facts, list) else [facts]:
            match each:
                case {"path": str(path), "sha256": str(sha256)}:
                    yield printable(kind), Path(path), printable(sha256)


def _located(path: Path, folder: Path, sha256: str) -> Path | None:
    """The file where it was, or beside the manifest, if it is still the same."""
    for candidate in (path, folder / path.name):
        try:
            small = candidate.is_file() and candidate.stat().st_size <= images.MAX_BYTES
            if small and files.sha256(candidate) == sha256:
                return candidate
        except (OSError, ValueError):  # ValueError: a null character
            continue
    return None


def _read(path: Path | None) -> Result | None:
    try:
        return images.load(path).pixels if path else None
    except UserError:
        return None


def _shrunk(pixels: Result | None, limit: int) -> Result | None:
    if pixels is None or pixels.size <= 3 * limit:
        return pixels
    share = math.sqrt(3 * limit / pixels.size)
    height, width = (max(1, round(side * share)) for side in pixels.shape[:2])
    return images.resize(pixels, height, width)


def _thumbnail(pixels: Result | None, edge: int) -> Thumbnail | None:
    if pixels is None:
        return None
    height, width, _ = pixels.shape
    data = base64.b64encode(images.thumbnail(pixels, edge)).decode()
    return Thumbnail(f"data:image/jpeg;base64,{data}", width, height)


def _edge(count: int) -> int:
    """The long edge that so many pictures may have."""
    return max(MIN_EDGE, min(MAX_EDGE, math.isqrt(MAX_PIXELS // max(1, count))))
