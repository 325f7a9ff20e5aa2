"""What is fuzzed: the readers of files from anywhere, the files to begin with, and all that a reader may answer."""

import warnings
from collections.abc import Callable
from pathlib import Path

import bad_pictures
import weight_files

from nstjax import images
from nstjax.errors import UserError
from nstjax.weights import foreign

WEIGHTS = tuple(weight_files.FORMATS)
TARGETS = (*WEIGHTS, "images")
MAX_SEED = 64 << 10  # bytes; a larger file is slow to mutate, and says no more


def write_seeds(target: str, folder: Path) -> None:
    """Writes the files that a target begins with: sound ones, and for pictures the odd and damaged ones as well."""
    folder.mkdir(parents=True)
    if target == "images":
        bad_pictures.write(folder)
    else:
        arrays = weight_files.network()
        for name, write in weight_files.FORMATS[target].items():
            write(folder / name, arrays)
    for path in folder.iterdir():
        if not path.is_file() or not 0 < path.stat().st_size <= MAX_SEED:
            path.rmdir() if path.is_dir() else path.unlink()


def reader(target: str) -> Callable[[Path], bool]:
    """Reads a file as the commands do; returns whether it was taken. Anything but a `UserError` of one line escapes."""
    load = images.load if target == "images" else foreign.read

    def read(path: Path) -> bool:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a warning is a line that no user can mend
            try:
                load(path)
                return True
            except UserError as error:
                refusal = str(error)
        if "\n" in refusal or len(refusal) > 600:
            raise AssertionError(f"a refusal that is no line: {refusal}")
        return False

    return read
