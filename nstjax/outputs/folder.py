"""What happens to a run's folder while it is a run's."""

import errno
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from operator import methodcaller
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import filelock
import numpy as np

from nstjax import checkpoint, files, images
from nstjax.checkpoint import Checkpoint
from nstjax.config import Config, flat, settings
from nstjax.errors import UserError
from nstjax.outputs.history import ENCODINGS, History, Row, history_row
from nstjax.outputs.manifest import RESULT, begun, ended, origin, refuse_another, write_manifest
from nstjax.outputs.writers import TENSORBOARD, Writers, check_writers

log = logging.getLogger(__name__)

LOG = "log.txt"
_LOCK = ".lock"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Place(NamedTuple):
    """Where a run begins: after `done` evaluations of a scale, which were saved; the very beginning by default."""

    scale: int = 0
    done: int = 0
    setup: float = 0.0  # seconds until then, as the manifest tells them apart
    compile: float = 0.0
    saved: Checkpoint | None = None


def going_on(folder: Path) -> bool:
    """Whether a process has a run in the folder right now, as far as this machine can tell.

    A killed process leaves the lock's file, and the kernel takes back the lock.
    """
    if not (folder / _LOCK).is_file():
        return False
    try:
        with filelock.FileLock(folder / _LOCK).acquire(timeout=0):
            return False
    except (filelock.Timeout, OSError):  # OSError: somebody else's folder, of whose runs the manifest alone can tell
        return True


class RunFolder:
    """A context in which a run happens, alone in its folder: what it leaves behind says whether it ended, and how.

    `manifest.json` says `running` from the first moment, and on exit `done`, `interrupted` (KeyboardInterrupt) or
    `failed` with the reason. What an earlier run left is removed first; if this one is to resume it, it stays untouched
    until `begin` has made sure that it is the same run.

    Raises:
        UserError: a writer's package isn't there; another run is going on in the folder, or it can't be written, on
            entry or at any later time.
    """

    def __init__(self, path: Path, config: Config) -> None:
        check_writers(config.output.writers)
        self.path = path
        self.manifest = begun(config)
        self._config = config
        self._history = History(path)
        self._writers = Writers((), path, 0)  # until the run begins
        self._checkpoints = path / "checkpoints"
        self._lock = filelock.FileLock(path / _LOCK)
        self._warned = False  # that a checkpoint could not be written
        self._taken = False  # whether the folder has this run's files, and no longer an earlier one's
        self._began = self._saved = time.perf_counter()

    def __enter__(self) -> "RunFolder":
        with self._on_disk():
            self.path.mkdir(parents=True, exist_ok=True)
            self._acquire()
            try:
                for folder in (self.path, self.path / "previews", self._checkpoints):
                    files.remove_temporaries(folder)
                if not (self._config.resume and checkpoint.exists(self._checkpoints)):
                    self._begin_anew()
            except BaseException:
                self._release()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if self._taken:
                self._end(error)
        finally:
            self._release()

    def begin(self) -> Place:
        """Where the run begins: where the newest checkpoint was saved if it is to resume, and there is one.

        By now the manifest has to have all that the run is made from.

        Raises:
            UserError: the checkpoint, or the history beside it, is another run's.
        """
        saved = checkpoint.newest(self._checkpoints) if self._config.resume else None
        with self._on_disk():
            if saved:
                self._take_up(saved.facts)
            elif not self._taken:
                self._begin_anew()
            write_manifest(self.path, self.manifest)
        self._writers = Writers(self._config.output.writers, self.path, self._history.rows)
        if saved:
            log.info("resuming after %d evaluations, in %s", self.manifest["evaluations"], self.path)
            return Place(**saved.facts["place"], saved=saved)
        if self._config.resume:
            log.info("there is nothing to resume in %s; starting from the beginning", self.path)
        return Place()

    def seconds(self) -> float:
        """Seconds since the run began, without what a kill has lost, and the time until it was resumed."""
        return time.perf_counter() - self._began

    def record(self, records: Mapping[str, np.ndarray], *, scale: int, first_step: int) -> list[Row]:
        """Appends a chunk's records, which hold each term by evaluation, to the history, and returns the new rows."""
        before, seconds = self._history.rows, self.seconds()
        rows = [
            history_row(records, k, scale=scale, step=first_step + k, evaluations=before, seconds=seconds)
            for k in range(len(records["total"]))
        ]
        with self._on_disk():
            self._history.append(rows)
        self.manifest["evaluations"] = self._history.rows
        for row in rows:
            self._writers.each(methodcaller("scalars", row))
        return rows

    def preview(self, image: np.ndarray, scale: int, step: int) -> None:
        """Saves the image of a step beside the others, in `previews/`."""
        images.save(self.path / "previews" / f"scale{scale}_step{step:05d}.png", image)
        self._writers.each(methodcaller("picture", "preview", image, self._history.rows))

    def checkpoint(self, state: Any, place: Place, *, now: bool) -> None:
        """Saves where the run is, `now` or if it is time to; with `checkpoint.every` null, never.

        A run is sound without: what can't be saved is said in the log, once and `now`, and tried again when it is time.
        """
        every = self._config.checkpoint.every
        if every is None or not (now or time.perf_counter() - self._saved >= every):
            return
        history = {"rows": self._history.rows, "sizes": self._history.sizes}
        where = {name: value for name, value in place._asdict().items() if name != "saved"}
        facts = {"origin": origin(self.manifest), "place": where, "seconds": self.seconds(), "history": history}
        try:
            self._history.sync()  # so that no checkpoint knows of rows that a power cut takes back
            checkpoint.save(self._checkpoints, self._history.rows, state, facts)
        except OSError as error:
            if now or not self._warned:
                log.warning("no checkpoint after %d evaluations: %s", self._history.rows, self._refusal(error))
            self._warned = True
        self._saved = time.perf_counter()

    def result(self, image: np.ndarray, alpha: np.ndarray | None = None) -> Path:
        """Saves the picture that the run is for, with its settings inside."""
        comment = json.dumps(settings(self.manifest["config"]), ensure_ascii=False)
        images.save(self.path / RESULT, image, alpha=alpha, bits=self._config.output.bits, comment=comment)
        self._writers.each(methodcaller("picture", "result", image, self._history.rows))
        return self.path / RESULT

    def _acquire(self) -> None:
        try:
            self._lock.acquire(timeout=0.2)  # longer than `going_on` has it
        except filelock.Timeout as error:
            raise UserError(f"a run is going on in {self.path}; wait, or choose another hydra.run.dir") from error

    def _release(self) -> None:
        with suppress(OSError):
            (self.path / _LOCK).unlink()  # while it is ours; who tries for it now finds it gone, and begins again
        self._lock.release()

    def _begin_anew(self) -> None:
        write_manifest(self.path, self.manifest)
        checkpoint.remove(self._checkpoints)
        old = [self.path / name for name in (RESULT, *ENCODINGS)]
        for path in (*old, *self.path.glob("previews/*.png"), *self.path.glob(f"{TENSORBOARD}/events.out.*")):
            path.unlink(missing_ok=True)
        if (self.path / LOG).exists() and not self._config.resume:
            os.truncate(self.path / LOG, 0)  # it is open by now, for the messages of this run
        self._taken = True

    def _take_up(self, facts: Mapping[str, Any]) -> None:
        refuse_another(self.path, facts["origin"], origin(self.manifest))
        if name := self._history.cut(**facts["history"]):
            raise UserError(f"{self.path / name} is not what its run left; leave out resume=true to start anew")
        self.manifest["evaluations"] = self._history.rows
        self._began -= facts["seconds"]
        self._taken = True

    def _end(self, error: BaseException | None) -> None:
        self.manifest |= ended(error)
        if error is None:
            wanted, found = flat(settings(self.manifest["config"])), _numbers(self.manifest)
            self._writers.each(methodcaller("summary", wanted, found))
        self._writers.close()
        try:
            with self._on_disk():
                write_manifest(self.path, self.manifest)
                if error is None:
                    checkpoint.remove(self._checkpoints)
        except UserError:
            if error is None:  # else what went wrong first is what counts
                raise

    @contextmanager
    def _on_disk(self) -> Iterator[None]:
        """What the operating system has against writing here, in words for users."""
        try:
            yield
        except OSError as error:
            raise UserError(self._refusal(error)) from error

    def _refusal(self, error: OSError) -> str:
        remedy = f"{'free space, or ' if error.errno in _FULL else ''}choose another hydra.run.dir"
        return f"cannot write to {self.path}: {error.strerror}; {remedy}"


def _numbers(manifest: Mapping[str, Any]) -> dict[str, float]:
    """What a run has come to: its final terms and its metrics."""
    found = flat({name: manifest.get(name, {}) for name in ("final", "metrics")})
    return {name: value for name, value in found.items() if isinstance(value, float)}
