"""A run's folder says at every moment whether the run is going on, is done, or why it is not."""

import json
from contextlib import ExitStack

import numpy as np
import pytest
from small_runs import history, largest_file, manifest, pixels

from nstjax.config import Config, from_dict
from nstjax.config.schema import CheckpointConfig
from nstjax.errors import UserError
from nstjax.outputs import Place, RunFolder, history_row, versions

IMAGE = np.full((16, 20, 3), 0.5, np.float32)
RECORDS = {
    "total": np.array([10.0, 8.0]),
    "content/relu4_2": np.array([1.0, 2.0]),
    "style/relu1_1": np.array([3.0, 1.0]),
    "style/relu2_1": np.array([4.0, 4.0]),
    "tv": np.array([2.0, 1.0]),
}


def left_by(folder, error=None):
    """The manifest after a run that ended with this error."""
    if error is None:
        with RunFolder(folder, Config()) as out:
            out.result(IMAGE)
    else:
        with pytest.raises(type(error)), RunFolder(folder, Config()):
            raise error
    return manifest(folder)


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_inside_the_context_the_run_is_running(tmp_path):
    with RunFolder(tmp_path / "new" / "folder", Config()) as out:
        assert manifest(out.path)["status"] == "running"
        assert names(out.path) == [".lock", "manifest.json"]
    assert names(out.path) == ["manifest.json"]
    assert manifest(out.path)["status"] == "done"


def test_how_it_ended_is_its_status(tmp_path):
    assert left_by(tmp_path)["status"] == "done"
    assert left_by(tmp_path, KeyboardInterrupt())["status"] == "interrupted"
    assert "reason" not in left_by(tmp_path, KeyboardInterrupt())
    failed = left_by(tmp_path, UserError("no such thing; give another"))
    assert (failed["status"], failed["reason"]) == ("failed", "no such thing; give another")
    assert left_by(tmp_path, MemoryError())["reason"] == "MemoryError"
    assert left_by(tmp_path, SystemExit(1))["status"] == "failed"


def test_what_an_earlier_run_left_is_gone_before_the_next_begins(tmp_path):
    with RunFolder(tmp_path, Config()) as out:
        out.record(RECORDS, scale=0, first_step=0)
        out.preview(IMAGE, 0, 7)
        out.result(IMAGE)
    assert names(tmp_path) == [
        "history.csv", "history.jsonl", "manifest.json", "previews/scale0_step00007.png", "result.png",
    ]  # fmt: skip
    (tmp_path / "notes.txt").write_text("the user's own")
    with RunFolder(tmp_path, Config()):
        assert names(tmp_path) == [".lock", "manifest.json", "notes.txt"]


def test_the_manifest_is_written_whole_or_not_at_all(tmp_path):
    left_by(tmp_path)
    with pytest.raises(TypeError), RunFolder(tmp_path, Config()) as out:
        out.manifest["seconds"] = object()
    assert manifest(tmp_path)["status"] == "running"
    assert names(tmp_path) == ["manifest.json"]


def test_rows_are_appended_as_they_come(tmp_path):
    with RunFolder(tmp_path, Config()) as out:
        first = out.record(RECORDS, scale=0, first_step=0)
        assert (tmp_path / "history.csv").read_bytes().count(b"\n") == 3
        out.record(RECORDS, scale=1, first_step=5)
    rows = history(tmp_path)
    assert list(rows[0]) == [
        "scale", "step", "evaluations", "seconds", "total", "content", "style", "tv",
        "content/relu4_2", "style/relu1_1", "style/relu2_1",
    ]  # fmt: skip
    assert [(row["scale"], row["step"], row["evaluations"]) for row in rows] == [
        (0, 0, 1), (0, 1, 2), (1, 5, 3), (1, 6, 4),
    ]  # fmt: skip
    assert [row["total"] for row in first] == [10.0, 8.0]
    assert manifest(tmp_path)["evaluations"] == 4
    assert b"\r" not in (tmp_path / "history.csv").read_bytes()


def test_a_row_keeps_the_digits_of_float32(tmp_path):
    values = np.float32([1 / 3, 16777217, 1e-30, np.inf])
    records = {"total": values, "content/relu4_2": values, "tv": values}
    with RunFolder(tmp_path, Config()) as out:
        out.record(records, scale=0, first_step=0)
    assert np.array_equal(np.float32([row["tv"] for row in history(tmp_path)]), values)


def test_a_row_sums_the_terms_of_each_kind():
    row = history_row(RECORDS, 1, scale=0, step=1, evaluations=1, seconds=2.5)
    assert row == {
        "scale": 0, "step": 1, "evaluations": 3, "seconds": 2.5, "total": 8.0, "content": 2.0, "style": 5.0, "tv": 1.0,
        "content/relu4_2": 2.0, "style/relu1_1": 1.0, "style/relu2_1": 4.0,
    }  # fmt: skip


def test_a_run_without_content_or_style_has_their_columns_all_the_same():
    row = history_row({"total": np.ones(1), "tv": np.ones(1)}, 0, scale=0, step=0, evaluations=0, seconds=0.0)
    assert (row["content"], row["style"]) == (0, 0)


def test_the_result_is_eight_bits_of_the_image_with_its_configuration(tmp_path):
    with RunFolder(tmp_path, Config(seed=7)) as out:
        assert out.result(IMAGE * 4) == tmp_path / "result.png"  # beyond the range of pixels
    assert (pixels(tmp_path / "result.png") == 1).all()
    facts = manifest(tmp_path)
    assert facts["config"]["seed"] == facts["seed"] == 7


def test_text_of_any_language_is_kept_as_it_is(tmp_path):
    values = {"content": {"path": "画像 «é».jpg"}, "objective": {"content": {"layers": ["relu1_1"]}}}
    with RunFolder(tmp_path, from_dict(values)):
        pass
    text = (tmp_path / "manifest.json").read_text(encoding="utf-8")
    assert "画像 «é».jpg" in text
    assert json.loads(text)["config"]["content"]["path"] == "画像 «é».jpg"


def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write to .*/file: File exists; choose another hydra.run.dir"):
        left_by(tmp_path / "file")


def test_versions_of_all_that_a_result_depends_on():
    assert set(versions()) == {"nstjax", "python", "jax", "jaxlib", "flax", "optax", "numpy", "pillow"}
    assert all(version[0].isdigit() for version in versions().values())


def test_of_a_full_disk_the_history_has_whole_rows(tmp_path):
    with RunFolder(tmp_path, Config()) as out:
        out.record(RECORDS, scale=0, first_step=0)
        before = [(tmp_path / name).read_bytes() for name in ("history.csv", "history.jsonl")]
        for part in before:  # the longer one is full when the shorter one has its rows
            with (
                largest_file(len(part) + 20),
                pytest.raises(UserError, match=r"cannot write to .*: File too large"),
            ):
                out.record(RECORDS, scale=0, first_step=2)
            assert [(tmp_path / name).read_bytes() for name in ("history.csv", "history.jsonl")] == before
        assert len(out.record(RECORDS, scale=0, first_step=2)) == 2
    assert [row["evaluations"] for row in history(tmp_path)] == [1, 2, 3, 4]
    assert manifest(tmp_path)["evaluations"] == 4


def known(out):
    """All that the origin of a run's picture is made of."""
    out.manifest |= {"pictures": {}, "weights": {"sha256": "1"}, "device": "cpu: cpu", "environment": {"threads": 2}}
    return out


def test_on_a_full_disk_a_run_goes_on_and_earlier_checkpoints_survive(tmp_path, caplog):
    def fills_the_disk():
        with RunFolder(tmp_path, Config(checkpoint=CheckpointConfig(0.0))) as out:
            known(out).record(RECORDS, scale=0, first_step=0)
            out.checkpoint(IMAGE, Place(0, 2), now=False)
            out.record(RECORDS, scale=0, first_step=2)
            with largest_file(4000):
                for now in (False, False, True):
                    out.checkpoint(IMAGE, Place(0, 4), now=now)
            out.record(RECORDS, scale=0, first_step=4)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fills_the_disk()
    told = f"no checkpoint after 4 evaluations: cannot write to {tmp_path}: File too large; free space, or choose"
    assert [told in message for message in caplog.messages] == [True, True]  # the first one's, and that of `now`
    assert names(tmp_path) == ["checkpoints/00000002.npz", "history.csv", "history.jsonl", "manifest.json"]
    with RunFolder(tmp_path, Config(resume=True)) as out:
        assert known(out).begin()[:2] == (0, 2)
        assert len(history(tmp_path)) == 2


def test_a_disk_that_has_room_again_gets_the_next_checkpoint(tmp_path):
    with RunFolder(tmp_path, Config(checkpoint=CheckpointConfig(0.0))) as out:
        known(out).record(RECORDS, scale=0, first_step=0)
        with largest_file(4000):
            out.checkpoint(IMAGE, Place(0, 2), now=False)
        assert "checkpoints/00000002.npz" not in names(tmp_path)
        out.checkpoint(IMAGE, Place(0, 2), now=False)
        assert "checkpoints/00000002.npz" in names(tmp_path)


def on_a_full_disk(folder, error=None):
    with ExitStack() as full, RunFolder(folder, Config()):
        full.enter_context(largest_file(10))
        if error:
            raise error


def test_a_manifest_that_cannot_be_written_at_the_end(tmp_path):
    """Is what went wrong, unless something else did first."""
    with pytest.raises(UserError, match="what went wrong first"):
        on_a_full_disk(tmp_path, UserError("what went wrong first; mend it"))
    assert manifest(tmp_path)["status"] == "running"
    with pytest.raises(UserError, match="cannot write to"):
        on_a_full_disk(tmp_path)


def test_when_checkpoints_are_due(tmp_path):
    def count(every, now):
        with RunFolder(tmp_path, Config(checkpoint=CheckpointConfig(every))) as out:
            known(out).record(RECORDS, scale=0, first_step=0)
            out.checkpoint(IMAGE, Place(0, 2), now=now)
            return len(list(tmp_path.glob("checkpoints/*.npz")))

    assert [count(every, now) for every in (0.0, 60.0, None) for now in (False, True)] == [1, 1, 0, 1, 0, 0]
    assert not (tmp_path / "checkpoints").exists()  # of a run that is done


def test_what_killed_writers_left_is_swept_and_nothing_else(tmp_path):
    for name in (".result.png.4711.tmp", "previews/.scale0_step00000.png.1.tmp", "checkpoints/.00000001.npz.12.tmp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("half")
    (tmp_path / ".mine.tmp").write_text("the user's own")
    with RunFolder(tmp_path, Config()):
        pass
    assert names(tmp_path) == [".mine.tmp", "manifest.json"]


def test_a_log_is_begun_anew_with_a_run_that_is(tmp_path):
    log = tmp_path / "log.txt"
    log.write_text("an earlier run\n")
    with open(log, "a", encoding="utf-8") as handler, RunFolder(tmp_path, Config()):  # as Hydra has opened it by then
        handler.write("this run\n")
    assert log.read_text() == "this run\n"
    with RunFolder(tmp_path, Config(resume=True)):
        pass
    assert log.read_text() == "this run\n"
