"""Kills, stops and starves real runs, and counts what was lost: the measurements of docs/reliability.md.

    python scripts/reliability.py kills --kills 100
    python scripts/reliability.py sweep --jobs 200 --kills 2
    python scripts/reliability.py disk-full

Each prints a small table, and exits with 1 if anything was lost.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from trials.disks import SIZES, disk_full, with_mounts_of_its_own
from trials.kills import kills
from trials.sweep import sweep


def main() -> int:
    """Puts runs through what the command line says; returns the exit code: 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("kills", "sweep", "disk-full"))
    parser.add_argument("--kills", type=int, help="how many; default: 100, of a sweep 2")
    parser.add_argument("--jobs", type=int, default=200, help="of the sweep")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--kib", type=int, nargs="*", default=SIZES, help="sizes of the disks")
    options = parser.parse_args()
    if options.what == "disk-full":
        with_mounts_of_its_own()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        sound = {
            "kills": lambda: kills(work, options.kills or 100, options.seed),
            "sweep": lambda: sweep(work, options.jobs, options.kills or 2, options.seed),
            "disk-full": lambda: disk_full(work, options.kib),
        }[options.what]()
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
