"""Runs on disks that are too small."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from nstjax import checkpoint
from trials.runs import RUNS, as_table, same_picture, start, status

SIZES = (4, 12, 16, 20, 24, 32, 48, 64, 96, 256, 1024, 5000, 6000, 10000, 12000, 16000)  # KiB


def disk_full(work: Path, sizes: Sequence[int]) -> bool:
    """Runs on disks too small, looks at what is left, makes room, and resumes."""
    overrides, undisturbed = RUNS["lbfgs, one scale"], work / "undisturbed"
    start(*overrides, f"hydra.run.dir={undisturbed}").communicate()
    rows = []
    for size in sizes:
        disk = work / f"disk{size}"
        mounted = _mounted(disk, size)
        arguments = (*overrides, "checkpoint.every=0", f"hydra.run.dir={disk}/run")
        process = start(*arguments, largest_file=None if mounted else size)
        _, errors = process.communicate()
        row = {"KiB of a " + ("disk" if mounted else "file"): size, "exit code": process.returncode}
        lines = [
            line for line in errors.splitlines() if not line.startswith("step ") and " evaluations in " not in line
        ]
        row |= {"lines": len(lines), "the last": "".join(lines[-1:]).replace(str(disk), "").partition(";")[0][:100]}
        row |= _left(disk / "run")
        if mounted:
            subprocess.run(["mount", "-o", "remount,size=256m", disk], check=True)
        process = start(*arguments, "resume=true")
        process.communicate()
        same = process.returncode == 0 and same_picture(disk / "run", undisturbed)
        rows.append(row | {"then, with room": "the same picture" if same else "DIFFERS"})
        if mounted:
            subprocess.run(["umount", disk], check=True)
    print(as_table(rows))
    return all(
        row["lines"] in {0: (0, 1), 2: (1, 2)}.get(row["exit code"], ()) and row["damaged"] == 0
        and row["then, with room"] == "the same picture" for row in rows
    )  # fmt: skip


def _mounted(folder: Path, size: int) -> bool:
    """Puts a disk of so many KiB under a folder; False on machines where that can't be done."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "nstjax", folder]
    return "NSTJAX_OWN_MOUNTS" in os.environ and subprocess.run(command, capture_output=True).returncode == 0


def _left(folder: Path) -> dict[str, object]:
    """What a run that ran out of space has left, and how much of it can't be read."""
    damaged = len(list(folder.rglob(".*.tmp")))
    if (folder / "history.csv").exists():
        damaged += not (folder / "history.csv").read_bytes().endswith(b"\n")
    checkpoints = sorted((folder / "checkpoints").glob("*.npz"))
    newest = checkpoint.newest(folder / "checkpoints")
    damaged += bool(checkpoints) and (newest is None or newest.path != checkpoints[-1])
    return {"manifest": status(folder), "checkpoints": len(checkpoints), "damaged": damaged}


def with_mounts_of_its_own() -> None:
    """Starts this program again where it may mount, and where all mounts are gone when it ends, if there is such."""
    if "NSTJAX_OWN_MOUNTS" in os.environ or not shutil.which("unshare"):
        return
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode == 0:
        os.environ["NSTJAX_OWN_MOUNTS"] = "1"
        os.execvp("unshare", ["unshare", "-rm", sys.executable, *sys.argv])
