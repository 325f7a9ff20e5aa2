"""What the jobs of a command line have come to, wherever they ran: each adds a line to a file in the sweep's folder.

A launcher may run jobs in other processes, or on other machines, and Hydra keeps what they return to itself and its
sweeper. A job that leaves no line was killed.
"""

import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_JOBS = ".jobs.jsonl"


@dataclass
class Outcome:
    """What a command line has come to.

    Attributes:
        code: 0: done. 2: a mistake of the user's, which was said in one line. 1: something else went wrong; the run's
            log.txt has the traceback. 130, 143: interrupted by Ctrl-C, by SIGTERM.
        result: the last picture that was made.
        sweep: the folder of all runs, if there were several.
        experiment: the name of the experiment that they are.
        folders: of the runs that have begun.
    """

    code: int = 0
    result: Path | None = None
    sweep: Path | None = None
    experiment: str | None = None
    folders: list[Path] = field(default_factory=list)

    def add(self, job: "Job") -> None:
        """What one more job has come to: the first mistake is said by the exit code, and any crash."""
        self.code = job.code if job.code == 1 else self.code or job.code
        self.result = job.result or self.result
        self.folders += [job.folder] if job.begun else []


@dataclass(frozen=True)
class Job:
    """What one job has come to: its folder, its exit code, its picture, and whether the folder has its run."""

    folder: Path
    code: int
    result: Path | None
    begun: bool


class Journal:
    """The file of a sweep's jobs: the first line says how many there are to be, and when the sweep began."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _JOBS

    def begin(self, count: int | None) -> None:
        """Forgets an earlier sweep in the same folder."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps({"jobs": count, "began": time.time()}) + "\n", encoding="utf-8")

    def add(self, job: Job) -> None:
        """One line, in one piece, so that jobs in many processes don't mix theirs."""
        line = {
            "folder": str(job.folder),
            "code": job.code,
            "result": job.result and str(job.result),
            "begun": job.begun,
        }
        with suppress(OSError), open(self._path, "ab", buffering=0) as file:  # a full disk: the run has said so
            file.write(json.dumps(line).encode() + b"\n")

    def jobs(self) -> list[Job]:
        """Those that have ended, in the order of their folders' numbers."""
        found = [
            Job(Path(line["folder"]), line["code"], Path(line["result"]) if line["result"] else None, line["begun"])
            for line in self._lines()[1:]
        ]
        return sorted(found, key=lambda job: (len(job.folder.name), job.folder.name))

    def expected(self) -> int | None:
        """How many jobs there are to be; None where the sweeper decides that as it goes."""
        return next((line["jobs"] for line in self._lines()[:1]), None)

    def progress(self, number: int) -> str:
        """Where the sweep is, for a job that begins: `job 4 of 24, some 2 min left`."""
        head, *ended = self._lines() or [{"jobs": None, "began": time.time()}]
        if head["jobs"] is None:
            return f"job {number + 1}"
        where = f"job {number + 1} of {head['jobs']}"
        if not ended or number < 1:
            return where
        left = (time.time() - head["began"]) / len(ended) * (head["jobs"] - len(ended))
        return f"{where}, some {_duration(left)} left"

    def _lines(self) -> list[dict[str, Any]]:
        try:
            return [json.loads(line) for line in self._path.read_text(encoding="utf-8").splitlines()]
        except (OSError, ValueError):
            return []


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
