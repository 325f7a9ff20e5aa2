"""Weight files of other programs, told apart by their first bytes."""

import stat
from pathlib import Path

from nstjax.errors import UserError
from nstjax.weights import hdf5_file, layouts, matlab_file, store, torch_file
from nstjax.weights.layouts import Weights

MAX_BYTES = 2 << 30  # of a file; the largest known, with the classifier, are 575 MB

MAGIC = {
    b"PK\x03\x04": "torch",
    b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.": "torch",  # the legacy container's magic number, pickled
    b"\x89HDF\r\n\x1a\n": "hdf5",
    b"MATLAB 5.0": "matlab",
    b"MATLAB 7.3": "matlab 7.3",
}


def kind(path: Path) -> str:
    """ "torch", "hdf5", "matlab" or "safetensors", by the file's first bytes.

    Raises:
      UserError: there is no such file, or it is none of these.
    """
    try:
        status = path.stat()
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):  # opening a FIFO would block for ever
            raise UserError(f"{path} is not a regular file; give a weight file")
        with open(path, "rb") as file:
            head = file.read(64)
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise UserError(f"can't read {path} ({getattr(error, 'strerror', error)}); check the path") from error
    if status.st_size > MAX_BYTES:
        raise UserError(f"{path} has {status.st_size:,} bytes, more than any VGG19; give another file")
    for magic, name in MAGIC.items():
        if head.startswith(magic):
            return name
    if head[8:9] == b"{":  # safetensors: eight bytes of length, then JSON
        return "safetensors"
    raise UserError(
        f"{path} is no weight file that nstjax knows; give a torch .pth, a Keras .h5, a MatConvNet .mat or .safetensors"
    )


def read(path: Path) -> Weights:
    """VGG19 out of any file that `kind` knows, in our layout.

    Raises:
      UserError: damaged, hostile, or not VGG19.
    """
    name = kind(path)
    try:
        if name == "torch":
            return layouts.from_torch(torch_file.load(path, layouts.wanted))
        if name == "hdf5":
            return layouts.from_keras(hdf5_file.load(path, layouts.wanted))
        if name == "matlab":
            return layouts.from_matconvnet(matlab_file.load(path))
        if name == "safetensors":
            return store.read(path)
    except UserError as error:
        if str(UserError(f"{path}")) in str(error):
            raise
        raise UserError(f"{path}: {error}") from error
    except Exception as error:  # what a layout meets in a file that names arrays as VGG19 does, and holds other things
        raise UserError(f"{path} is not a VGG19 ({layouts.first_line(error)}); get the file again") from error
    raise UserError(f"{path} is a MATLAB 7.3 file; save it in MATLAB with `-v7`, or give the original .mat")
