"""What a run tells others while it goes on: the writers that `output.writers` names, TensorBoard's among them.

A run is whole without them. A writer whose package isn't installed is a mistake, said before any work begins; one that
fails later is left alone from then on, after one warning.
"""

import importlib.util
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from jaxtyping import Float
from numpy import ndarray

from nstjax.errors import UserError, shown
from nstjax.images import quantize
from nstjax.outputs.history import Row

log = logging.getLogger(__name__)

TENSORBOARD = "tensorboard"  # in a run's folder

Settings = Mapping[str, Any]
Picture = Float[ndarray, "h w 3"]


@runtime_checkable
class Writer(Protocol):
    """What a run calls as it goes on; whatever is raised ends the writer, and not the run."""

    def scalars(self, row: Row) -> None:
        """A row of the history."""

    def picture(self, name: str, image: Picture, evaluations: int) -> None:
        """A preview, or the result, after so many evaluations: sRGB, which belongs in [0, 1]."""

    def summary(self, settings: Settings, metrics: Mapping[str, float]) -> None:
        """Of a run that is done: what was asked for, by one key each, and what came of it."""

    def close(self) -> None:
        """The run has ended, however it did; nothing is called after."""


class Kind(NamedTuple):
    """How a writer is made for a run's folder, whose history has so many rows; and the package that it needs."""

    open: Callable[[Path, int], Writer]
    package: str
    extra: str


class TensorBoard:
    """Event files in `tensorboard/` of the run's folder, for `tensorboard --logdir` of it or of any folder above.

    They are written at once: tensorboardX's own queue would wait forever for a thread that a full disk has ended.

    Args:
        folder: the run's.
        rows: of its history; what is beyond, of a run that was killed, TensorBoard is told to forget.
    """

    def __init__(self, folder: Path, rows: int) -> None:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import SessionLog

        (folder / TENSORBOARD).mkdir(exist_ok=True)
        self._file = EventsWriter(str(folder / TENSORBOARD / "events"), f".{rows:07}")
        if rows:
            self._write(step=rows + 1, session_log=SessionLog(status=SessionLog.START))

    def scalars(self, row: Row) -> None:
        self._numbers({name: value for name, value in row.items() if name != "evaluations"}, int(row["evaluations"]))

    def picture(self, name: str, image: Picture, evaluations: int) -> None:
        from tensorboardX.summary import image as as_png

        self._write(step=evaluations, summary=as_png(name, quantize(image), dataformats="HWC"))

    def summary(self, settings: Settings, metrics: Mapping[str, float]) -> None:
        from tensorboardX.summary import hparams

        plain = {k: v if isinstance(v, bool | int | float | str) else shown(v) for k, v in settings.items()}
        for each in hparams(plain, metrics):
            self._write(summary=each)
        self._numbers(metrics, 0)

    def close(self) -> None:
        self._file.close()

    def _numbers(self, values: Mapping[str, float], step: int) -> None:
        from tensorboardX.proto.summary_pb2 import Summary

        summary = Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in values.items()])
        self._write(step=step, summary=summary)

    def _write(self, **event: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event

        self._file.write_event(Event(wall_time=time.time(), **event))
        self._file.flush()


WRITERS: Mapping[str, Kind] = {"tensorboard": Kind(TensorBoard, "tensorboardX", "tensorboard")}


def check_writers(names: Sequence[str]) -> None:
    """Raises a UserError if one of the writers needs a package that isn't there."""
    for name in names:
        kind = WRITERS[name]
        if importlib.util.find_spec(kind.package) is None:
            raise UserError(
                f"output.writers={name} needs {kind.package}; pip install 'nstjax[{kind.extra}]', or leave it out"
            )


class Writers:
    """Some writers as one, which never fails."""

    def __init__(self, names: Sequence[str], folder: Path, rows: int) -> None:
        self._open: dict[str, Writer] = {}
        for name in names:
            with self._guarded(name):
                self._open[name] = WRITERS[name].open(folder, rows)

    def each(self, call: Callable[[Writer], None]) -> None:
        """Calls every writer that hasn't failed yet."""
        for name, writer in list(self._open.items()):
            with self._guarded(name):
                call(writer)

    def close(self) -> None:
        for name in list(self._open):
            with self._guarded(name):
                self._open.pop(name).close()

    @contextmanager
    def _guarded(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            log.warning("output.writers: %s is left out from here on: %s: %s", name, type(error).__name__, error)
            if failed := self._open.pop(name, None):
                with suppress(Exception):
                    failed.close()
