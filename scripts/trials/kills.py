"""Runs that are killed at random moments, and resumed."""

import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from trials.runs import RUNS, as_table, history, modified, same_picture, start, status


def kills(work: Path, total: int, seed: int) -> bool:
    """Kills runs with SIGKILL, resumes them until they are done, and compares each with one that nobody disturbed."""
    rng, sound = random.Random(seed), True
    rows: list[dict[str, object]] = []
    for index, (name, overrides) in enumerate([*RUNS.items()][:total]):
        count = total // len(RUNS) + (index < total % len(RUNS))
        found = _kill_and_compare(work / str(index), overrides, count, rng)
        rows.append({"run": name} | {column: found[column] for column in _FOUND})
        sound &= found["kills"] == count and not any(found[column] for column in _FOUND[5:])
    print(as_table(rows))
    return sound


_FOUND = (
    "kills", "while starting", "while computing", "inside a write", "runs",
    "resumes refused", "pictures that differ", "histories that differ",
)  # fmt: skip


def _kill_and_compare(work: Path, overrides: Sequence[str], count: int, rng: random.Random) -> Counter[str]:
    """Counts what became of runs in one folder, killed `count` times in all."""
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
        found["pictures that differ"] += not same_picture(folder, undisturbed)
        found["histories that differ"] += history(folder) != history(undisturbed)
        shutil.rmtree(folder)
    return found


def _wait_for_a_moment(process: subprocess.Popen, folder: Path, life: float, rng: random.Random) -> None:
    """A third of the moments are anywhere in a process's life, a third after its first evaluation, a third in a write.

    The last are those in which the n-th checkpoint that is seen is being written.
    """
    kind, before = rng.randrange(3), modified(folder / "history.csv")
    if kind == 2:
        for _ in range(rng.randint(1, 4)):
            _wait(process, lambda: not _being_written(folder, process.pid))
            _wait(process, lambda: _being_written(folder, process.pid))
        return
    if kind == 1:
        _wait(process, lambda: modified(folder / "history.csv") != before)
    deadline = time.monotonic() + rng.uniform(0, life / (kind + 1))
    _wait(process, lambda: time.monotonic() > deadline)


def _wait(process: subprocess.Popen, condition: Callable[[], bool]) -> None:
    """Waits until a condition holds, or the process has ended."""
    while process.poll() is None and not condition():
        time.sleep(0.001)


def _being_written(folder: Path, pid: int) -> bool:
    """Whether a process is in the middle of a checkpoint."""
    return any((folder / "checkpoints").glob(f".*.{pid}.tmp"))


def _moment(folder: Path, pid: int, began: int) -> str:
    """What a process was doing when it was killed."""
    if any(folder.rglob(f".*.{pid}.tmp")):
        return "inside a write"
    return "while computing" if modified(folder / "history.csv") > began else "while starting"
