"""`python tests/fuzz/mutate.py --count 20000`: damaged copies of weight files, each refused in one line or read.

Needs nothing but the `dev` extra. Exits with 1, and says where the file is, at the first that is neither, or takes over
`MAX_SECONDS`.
"""

import argparse
import faulthandler
import itertools
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path[0] = str(Path(__file__).parents[1])  # as pytest has it

import weight_files  # noqa: E402
from fuzz import targets  # noqa: E402

MAX_SECONDS = 10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", nargs="*", choices=[[], *targets.TARGETS], help="default: the formats of weights")
    parser.add_argument("--count", type=int, default=2000, help="copies in all (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="nstjax-mutate-"))
    faulthandler.enable()  # a parser in C may end the process; the file that did it is then in this folder
    print(f"files are written to {folder}", flush=True)
    with weight_files.shrunk():
        for target in options.target or targets.WEIGHTS:
            targets.write_seeds(target, folder / target)
        files = sorted(path for path in folder.glob("*/*"))
        code = mutate(files, folder, options.count, np.random.default_rng(options.seed))
    if code == 0:
        shutil.rmtree(folder)
    return code


def mutate(files: list[Path], folder: Path, count: int, generator: np.random.Generator) -> int:
    """Goes round the files until `count` copies are read; returns the exit code."""
    contents = {path: path.read_bytes() for path in files}
    taken, slowest, began = 0, 0.0, time.monotonic()
    for path in itertools.islice(itertools.cycle(files), count):
        copy = folder / f"copy{path.suffix}"
        copy.write_bytes(weight_files.damaged(contents[path], generator))
        start = time.monotonic()
        try:
            taken += targets.reader(path.parent.name)(copy)
        except Exception as error:
            print(f"ESCAPED: {error!r} for {copy}, made from {path}", file=sys.stderr)
            return 1
        slowest = max(slowest, time.monotonic() - start)
        if slowest > MAX_SECONDS:
            print(f"TOO SLOW: {slowest:.0f} s for {copy}, made from {path}", file=sys.stderr)
            return 1
    print(f"{count} files, 0 escapes, {time.monotonic() - began:.0f} s, slowest {slowest:.2f} s; {taken} read as sound")
    return 0


if __name__ == "__main__":
    sys.exit(main())
