"""The pictures of a page: results and what they were made from, small enough that the page opens at once."""

import base64
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nstjax import files, images
from nstjax.errors import UserError, printable
from nstjax.report.reading import Run

MAX_EDGE, MIN_EDGE = 1024, 96  # pixels of a picture's long edge
_MAX_PIXELS = 16_000_000  # of all pictures of a page, which are some 10 MB: 800 pixels of edge for 24, 178 for 500


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


def gathered(runs: Sequence[Run]) -> tuple[list[Thumbnail | None], dict[str, Input]]:
    """Each run's picture, and every picture that runs were made from, once, by its digest."""
    found: dict[str, tuple[str, Path, Path]] = {}
    for run in runs:
        for kind, path, sha256 in _inputs(run.manifest):
            found.setdefault(sha256, (kind, path, run.folder))
    edge = _edge(len(runs) + len(found))
    inputs = {
        sha256: Input(kind, printable(path.name), printable(sha256), _thumbnail(_located(path, folder, sha256), edge))
        for sha256, (kind, path, folder) in found.items()
    }
    return [_thumbnail(run.picture, edge) for run in runs], inputs


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
                    yield printable(kind), Path(path), sha256


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


def _thumbnail(path: Path | None, edge: int) -> Thumbnail | None:
    """The picture as data; None where there is none, or it can't be read."""
    if path is None:
        return None
    try:
        pixels = images.load(path).pixels
    except UserError:
        return None
    height, width, _ = pixels.shape
    data = base64.b64encode(images.thumbnail(pixels, edge)).decode()
    return Thumbnail(f"data:image/jpeg;base64,{data}", width, height)


def _edge(count: int) -> int:
    """The long edge that so many pictures may have."""
    return max(MIN_EDGE, min(MAX_EDGE, math.isqrt(_MAX_PIXELS // max(1, count))))
