"""Kills, stops and starves real runs, and counts what was lost: the measurements of docs/reliability.md.

    python scripts/reliability.py kills --kills 100
    python scripts/reliability.py sweep --jobs 200 --kills 2
    python scripts/reliability.py disk-full

Each prints a small table, and exits with 1 if anything was lost.
"""

import argparse
import csv
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from nstjax import checkpoint

TINY = ("size=48", "objective.content.layers=[relu2_1]", "objective.style.layers=[relu1_1,relu2_1]")
RUNS = {
    "lbfgs, one scale": ("optimizer=lbfgs", "schedule=single", "schedule.steps=[400]", "preview_every=50"),
    "lbfgs, two scales": ("optimizer=lbfgs", "schedule.scales=[0.8,1]", "schedule.steps=[200,200]"),
    "adam, one scale": ("optimizer=adam", "schedule=single", "schedule.steps=[500]"),
    "adam, two scales, averaged": (
        "optimizer=adam", "optimizer.average=0.9", "schedule.scales=[0.8,1]", "schedule.steps=[200,300]"
    ),
}  # fmt: skip


def start(*arguments: object, largest_file: int | None = None) -> subprocess.Popen:
    """A command line of nstjax.train on tiny pictures; what XLA compiles is kept, so that a restart is quick.

    No file may become larger than `largest_file` KiB.
    """
    limited = ("bash", "-c", f'ulimit -f {largest_file}; exec "$@"', "limited") if largest_file else ()
    return subprocess.Popen(
        [*limited, sys.executable, "-m", "nstjax.train", *map(str, arguments), *TINY],
        env={**os.environ, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def history(folder: Path) -> list[dict[str, str]]:
    """The rows of a run's history, but for their seconds."""
    with open(folder / "history.csv", newline="", encoding="utf-8") as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def status(folder: Path) -> str:
    try:
        return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["status"]
    except FileNotFoundError:
        return "none"


def kills(work: Path, total: int, seed: int) -> bool:
    """Kills runs with SIGKILL, resumes them until they are done, and compares each with one that nobody disturbed."""
    rng, sound = random.Random(seed), True
    rows: list[dict[str, object]] = []
    for index, (name, overrides) in enumerate(RUNS.items()):
        count = total // len(RUNS) + (index < total % len(RUNS))
        found = _kill_and_compare(work / str(index), overrides, count, rng)
        rows.append({"run": name} | {column: found[column] for column in _FOUND})
        sound &= found["kills"] == count and not any(found[column] for column in _FOUND[5:])
    print(_as_table(rows))
    return sound


_FOUND = (
    "kills", "while starting", "while computing", "inside a write", "runs",
    "resumes refused", "pictures that differ", "histories that differ",
)  # fmt: skip


def _kill_and_compare(work: Path, overrides: Sequence[str], count: int, rng: random.Random) -> Counter[str]:
    undisturbed, found = work / "undisturbed", Counter[str]()
    for _ in range(2):  # the second time without compiling
        began = time.monotonic()
        start(*overrides, "checkpoint.every=0", f"hydra.run.dir={undisturbed}").communicate()
        life = time.monotonic() - began
    while found["kills"] < count:
        folder = work / f"killed{found['runs']}"
        while status(folder) != "done":
            began = time.time_ns()
            process = start(*overrides, "checkpoint.every=0", "resume=true", f"hydra.run.dir={folder}")
            if found["kills"] < count:
                _wait_for_a_moment(process, folder, life, rng)
            else:
                process.wait()
            if process.poll() is not None:
                life = min(life, (time.time_ns() - began) / 1e9)  # or most moments would come too late
            else:
                process.kill()
                found["kills"] += 1
                found[_moment(folder, process.pid, began)] += 1
            _, errors = process.communicate()
            if process.returncode > 0:
                print(errors, file=sys.stderr)
                return found + Counter({"resumes refused": 1})
        found["runs"] += 1
        found["pictures that differ"] += not _same_picture(folder, undisturbed)
        found["histories that differ"] += history(folder) != history(undisturbed)
        shutil.rmtree(folder)
    return found


def _wait_for_a_moment(process: subprocess.Popen, folder: Path, life: float, rng: random.Random) -> None:
    """A third of the moments are anywhere in a process's life, a third after its first evaluation, a third in a write.

    The last are those in which the n-th checkpoint that is seen is being written.
    """
    kind, before = rng.randrange(3), _modified(folder / "history.csv")
    if kind == 2:
        for _ in range(rng.randint(1, 4)):
            _wait(process, lambda: not _being_written(folder, process.pid))
            _wait(process, lambda: _being_written(folder, process.pid))
        return
    if kind == 1:
        _wait(process, lambda: _modified(folder / "history.csv") != before)
    deadline = time.monotonic() + rng.uniform(0, life / (kind + 1))
    _wait(process, lambda: time.monotonic() > deadline)


def _wait(process: subprocess.Popen, condition: Callable[[], bool]) -> None:
    while process.poll() is None and not condition():
        time.sleep(0.001)


def _being_written(folder: Path, pid: int) -> bool:
    return any((folder / "checkpoints").glob(f".*.{pid}.tmp"))


def _same_picture(folder: Path, other: Path) -> bool:
    return (folder / "result.png").read_bytes() == (other / "result.png").read_bytes()


def _modified(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


def _moment(folder: Path, pid: int, began: int) -> str:
    """What a process was doing when it was killed."""
    if any(folder.rglob(f".*.{pid}.tmp")):
        return "inside a write"
    return "while computing" if _modified(folder / "history.csv") > began else "while starting"


def sweep(work: Path, jobs: int, total: int, seed: int) -> bool:
    """Kills a sweep several times, resumes it, and looks whether every job was done, and once."""
    rng, folder = random.Random(seed), work / "sweep"
    schedule = ("schedule=single", "schedule.steps=[5]", "init=noise", "checkpoint.every=0", "resume=true")
    arguments = ("-m", *schedule, f"seed=range({jobs})", f"hydra.sweep.dir={folder}")
    untouched: dict[Path, tuple[int, str]] = {}
    for done in sorted(rng.sample(range(1, jobs), total)):
        process = start(*arguments)
        while process.poll() is None and len(_results(folder)) < done:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 1))
        process.kill()
        process.communicate()
        untouched |= _results(folder)
        print(f"killed with {len(_results(folder))} jobs done", flush=True)
    process = start(*arguments)
    _, errors = process.communicate()
    if process.returncode:
        print(errors, file=sys.stderr)
        return False
    folders = [folder / str(number) for number in range(jobs)]
    endings = [(each / "log.txt").read_text(encoding="utf-8").count(" evaluations in ") for each in folders]
    pictures = {(each / "result.png").read_bytes() for each in folders}
    table = {
        "jobs": jobs,
        "kills": total,
        "done": sum(status(each) == "done" for each in folders),
        "finished exactly once": endings.count(1),
        "with all evaluations": sum(len(history(each)) == 6 for each in folders),
        "different pictures": len(pictures),
        "done before a kill": len(untouched),
        "of these touched later": sum(_results(folder)[path] != facts for path, facts in untouched.items()),
    }
    print(_as_table([table]))
    whole = ("done", "finished exactly once", "with all evaluations", "different pictures")
    return all(table[key] == jobs for key in whole) and table["of these touched later"] == 0


def _results(folder: Path) -> dict[Path, tuple[int, str]]:
    """Of each job that is done, when its manifest and picture were written, and the picture's digest."""
    return {
        path: (_modified(path) + _modified(path / "result.png"), _digest(path / "result.png"))
        for path in folder.glob("*")
        if path.is_dir() and status(path) == "done"
    }


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


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
        same = process.returncode == 0 and _same_picture(disk / "run", undisturbed)
        rows.append(row | {"then, with room": "the same picture" if same else "DIFFERS"})
        if mounted:
            subprocess.run(["umount", disk], check=True)
    print(_as_table(rows))
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


def _as_table(rows: Sequence[dict[str, object]]) -> str:
    lines = [[*rows[0]], ["---"] * len(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def with_mounts_of_its_own() -> None:
    """Starts this program again where it may mount, and where all mounts are gone when it ends, if there is such."""
    if "NSTJAX_OWN_MOUNTS" in os.environ or not shutil.which("unshare"):
        return
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode == 0:
        os.environ["NSTJAX_OWN_MOUNTS"] = "1"
        os.execvp("unshare", ["unshare", "-rm", sys.executable, *sys.argv])


def main() -> int:
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
