"""A sweep that is killed, and resumed."""

import hashlib
import random
import sys
import time
from pathlib import Path

from trials.runs import as_table, history, modified, start, status


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
    print(as_table([table]))
    whole = ("done", "finished exactly once", "with all evaluations", "different pictures")
    return all(table[key] == jobs for key in whole) and table["of these touched later"] == 0


def _results(folder: Path) -> dict[Path, tuple[int, str]]:
    """Of each job that is done, when its manifest and picture were written, and the picture's digest."""
    return {
        path: (modified(path) + modified(path / "result.png"), _digest(path / "result.png"))
        for path in folder.glob("*")
        if path.is_dir() and status(path) == "done"
    }


def _digest(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
