"""Weight files that mean harm, or lie: each made by hand, with words of the refusal that it owes.

Networks in it are three channels wide (`weight_files.shrunk`), so that those which are VGG19 in all but one thing stay
small.
"""

from pathlib import Path

import weight_files

from hostile import archives, hdf5_files, matlab_files, networks, pickles, safetensors_files
from hostile.common import CANARY

__all__ = ["CANARY", "CASES", "write"]

CASES = (
    pickles.CASES | archives.CASES | hdf5_files.CASES | matlab_files.CASES | safetensors_files.CASES | networks.CASES
)


def write(folder: Path) -> None:
    """Writes the whole corpus into a folder."""
    with weight_files.shrunk():
        for name, (write_case, _) in CASES.items():
            write_case(folder / name)
