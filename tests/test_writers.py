"""Writers are told what a run records, as it does; and a run goes on without one that fails."""

import gc
import io
import json
import struct
from contextlib import suppress
from dataclasses import replace

import numpy as np
import PIL.Image
import pytest
from small_runs import history, largest_file, manifest
from tensorboardX.proto.event_pb2 import Event, SessionLog

from nstjax.config import Config, OutputConfig, from_dict, settings, to_dict
from nstjax.config.schema import CheckpointConfig
from nstjax.errors import UserError
from nstjax.outputs import WRITERS, Kind, Place, RunFolder, Writer

IMAGE = np.full((16, 20, 3), 0.5, np.float32)
RECORDS = {"total": np.array([10.0, 8.0]), "content/relu4_2": np.array([1.0, 2.0]), "tv": np.array([9.0, 6.0])}
CONFIG = Config(output=OutputConfig(writers=("tensorboard",)), checkpoint=CheckpointConfig(0.0))
FACTS = {"pictures": {}, "weights": {"sha256": "1"}, "device": "cpu: cpu", "environment": {"threads": 2}}


def begun(folder, **changes):
    """A run's folder at the moment when its evaluations begin."""
    out = RunFolder(folder, replace(CONFIG, **changes))
    out.manifest |= FACTS
    return out


def events(folder):
    """Those of all event files, in the order in which TensorBoard reads them: length, its CRC, event, its CRC."""
    found = []
    for path in sorted((folder / "tensorboard").iterdir()):
        file = io.BytesIO(path.read_bytes())
        while head := file.read(12):
            found.append(Event.FromString(file.read(struct.unpack("<Q", head[:8])[0])))
            assert len(file.read(4)) == 4
    return found


def scalars(folder, name):
    """By step, after what TensorBoard is told to forget."""
    found = {}
    for event in events(folder):
        if event.session_log.status == SessionLog.START:
            found = {step: value for step, value in found.items() if step < event.step}
        found.update((event.step, value.simple_value) for value in event.summary.value if value.tag == name)
    return found


def pictures(folder, name):
    return {
        event.step: np.asarray(PIL.Image.open(io.BytesIO(value.image.encoded_image_string)))
        for event in events(folder)
        for value in event.summary.value
        if value.tag == name
    }


def test_tensorboard_has_the_history_the_pictures_and_what_came_of_it(tmp_path):
    with begun(tmp_path) as out:
        out.begin()
        out.record(RECORDS, scale=0, first_step=0)
        out.preview(IMAGE * 1.2, 0, 1)
        out.record(RECORDS, scale=1, first_step=0)
        out.result(IMAGE)
        out.manifest |= {"final": {"total": 7.5}, "metrics": {"ssim": 0.25, "optimized": ["relu2_2"]}}
    for name in ("total", "content/relu4_2", "style"):
        assert scalars(tmp_path, name) == {row["evaluations"]: row[name] for row in history(tmp_path)}
    assert pictures(tmp_path, "preview")[2][0, 0].tolist() == [153] * 3
    assert pictures(tmp_path, "result")[4].shape == IMAGE.shape
    assert (scalars(tmp_path, "final.total"), scalars(tmp_path, "metrics.ssim")) == ({0: 7.5}, {0: 0.25})
    told = [value for event in events(tmp_path) for value in event.summary.value if value.tag.startswith("_hparams_/")]
    assert len(told) == 3
    assert b"optimizer.learning_rate" in told[1].metadata.plugin_data.content


def test_a_resumed_run_takes_back_what_was_told_after_its_checkpoint(tmp_path):
    with suppress(KeyboardInterrupt), begun(tmp_path) as out:
        out.begin()
        out.record(RECORDS, scale=0, first_step=0)
        out.checkpoint(IMAGE, Place(0, 2), now=True)
        out.record({name: values + 100 for name, values in RECORDS.items()}, scale=0, first_step=2)
        raise KeyboardInterrupt
    assert scalars(tmp_path, "total") == {1: 10, 2: 8, 3: 110, 4: 108}
    with begun(tmp_path, resume=True) as out:
        assert out.begin().done == 2
        assert scalars(tmp_path, "total") == {1: 10, 2: 8}
        out.record(RECORDS, scale=0, first_step=2)
    assert scalars(tmp_path, "total") == {1: 10, 2: 8, 3: 10, 4: 8}
    with begun(tmp_path) as out:
        out.begin()
        assert scalars(tmp_path, "total") == {}  # of a run that begins anew


class Failing:
    """A writer that has had enough at one of its calls."""

    def __init__(self, method):
        self.method, self.calls = method, []

    def _called(self, method):
        self.calls.append(method)
        if method == self.method:
            raise ValueError("no more")

    def scalars(self, row):
        self._called("scalars")

    def picture(self, name, image, evaluations):
        self._called("picture")

    def summary(self, settings, metrics):
        self._called("summary")

    def close(self):
        self._called("close")


@pytest.mark.parametrize("method", ["open", "scalars", "picture", "summary", "close"])
def test_a_writer_that_fails_is_one_warning_and_the_run_goes_on(method, tmp_path, monkeypatch, caplog):
    writer = Failing(method)
    assert isinstance(writer, Writer)

    def opened(folder, rows):
        if method == "open":
            raise ValueError("no more")
        return writer

    monkeypatch.setitem(WRITERS, "tensorboard", Kind(opened, "json", "none"))
    with begun(tmp_path) as out:
        out.begin()
        for step in (0, 2):
            out.record(RECORDS, scale=0, first_step=step)
            out.preview(IMAGE, 0, step)
    assert caplog.messages == ["output.writers: tensorboard is left out from here on: ValueError: no more"]
    assert (manifest(tmp_path)["status"], len(history(tmp_path))) == ("done", 4)
    if method != "open":
        assert writer.calls.count(method) == 1
        assert writer.calls[-1] == "close"


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # which tensorboardX can't close
def test_tensorboard_on_a_full_disk_is_one_warning(tmp_path, caplog):
    with begun(tmp_path, checkpoint=CheckpointConfig(None)) as out:
        out.begin()
        with largest_file(3000):
            for step in range(0, 10, 2):
                out.preview(np.random.default_rng(step).uniform(size=(24, 24, 3)).astype(np.float32), 0, step)
        out.record(RECORDS, scale=0, first_step=0)
    assert [message.partition(":")[2] for message in caplog.messages] == [
        " tensorboard is left out from here on: OSError: [Errno 27] File too large"
    ]
    gc.collect()
    assert manifest(tmp_path)["status"] == "done"


def test_a_package_that_is_not_there_is_said_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setitem(WRITERS, "tensorboard", Kind(Failing, "nosuch", "tensorboard"))
    said = "output.writers=tensorboard needs nosuch; pip install 'nstjax[tensorboard]', or leave it out"
    with pytest.raises(UserError) as error:
        begun(tmp_path / "run")
    assert str(error.value) == said
    assert not (tmp_path / "run").exists()


def test_an_unknown_writer_is_told_those_that_there_are():
    with pytest.raises(UserError, match=r"output.writers\[0\]=wandb is not known; choose one of tensorboard"):
        from_dict({"output": {"writers": ["wandb"]}})


def test_who_is_told_is_not_what_a_run_makes():
    assert settings(to_dict(CONFIG)) == settings(to_dict(Config()))


def test_json_lines_are_the_rows_of_the_table(tmp_path):
    with RunFolder(tmp_path, Config()) as out:
        out.record({"total": np.float32([1 / 3, np.inf, np.nan, 1e-30])}, scale=0, first_step=0)
        lines = (tmp_path / "history.jsonl").read_text(encoding="utf-8").splitlines()

    def refused(word):
        raise AssertionError(f"{word} is no JSON")

    found = [json.loads(line, parse_constant=refused) for line in lines]
    assert [list(row) for row in found] == [list(row) for row in history(tmp_path)]
    assert [row["total"] for row in found] == [0.333333343, None, None, 1e-30]  # nine digits of float32's
    assert [row["evaluations"] for row in found] == [1, 2, 3, 4]
    assert all(row["seconds"] == told["seconds"] for row, told in zip(found, history(tmp_path), strict=True))
