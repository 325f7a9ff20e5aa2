"""A run that was stopped goes on, and ends as if it never had been: the same bytes, the same rows."""

import json
import logging
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import suppress

import pytest
from permissions import binding
from small_runs import (
    REPOSITORY,
    at_step,
    environment,
    history,
    interrupted,
    largest_file,
    manifest,
    picture,
    pixels,
    small,
)

import nstjax.run
from nstjax import outputs
from nstjax.errors import Interrupted, UserError
from nstjax.outputs import RunFolder
from nstjax.run import run

OFTEN = ("checkpoint.every=0", "preview_every=2")  # previews end chunks: after steps 0, 2, 4, ...
RECIPES = {
    "lbfgs": ("schedule.scales=[0.9,1]", "schedule.steps=[3,4]"),
    "adam": ("optimizer=adam", "optimizer.average=0.9", "schedule.scales=[0.9,1]", "schedule.steps=[3,4]"),
    "fourier": (
        "optimizer=adam",
        "parametrization=fourier",
        "schedule.scales=[0.9,1]",
        "schedule.steps=[3,4]",
    ),
    "laplacian": ("parametrization=laplacian", "schedule.steps=[5]"),
    "decaying": ("optimizer=adam", "optimizer.decay=cosine", "optimizer.final=0", "schedule.steps=[5]"),
}


def rows(folder):
    return [{**row, "seconds": 0} for row in history(folder)]


def json_rows(folder):
    lines = (folder / "history.jsonl").read_text(encoding="utf-8").splitlines()
    return [{**json.loads(line), "seconds": 0} for line in lines]


def kept(folder):
    """The checkpoints of a folder, oldest first."""
    return sorted((folder / "checkpoints").glob("*.npz"))


class Watched:
    """An undisturbed run, and what its folder was at each checkpoint: what a kill at that moment would have left."""

    def __init__(self, work, recipe):
        self.recipe, self.folder, self.moments = (*RECIPES[recipe], *OFTEN), work / "undisturbed", []
        save = RunFolder.checkpoint

        def watch(out, *arguments, **options):
            save(out, *arguments, **options)
            self.moments.append(shutil.copytree(self.folder, work / str(len(self.moments))))

        RunFolder.checkpoint = watch
        try:
            run(small(*self.recipe), self.folder)
        finally:
            RunFolder.checkpoint = save

    def resumed(self, moment, *overrides):
        run(small(*self.recipe, "resume=true", *overrides), moment)
        return moment

    def left(self, tmp_path, index=1):
        """A copy of what one of its moments left."""
        return shutil.copytree(self.moments[index], tmp_path / "left")


SLOW = ("adam", "fourier", "laplacian")


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in RECIPES]
)
def watched(request, tmp_path_factory):
    return Watched(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def lbfgs(tmp_path_factory):
    return Watched(tmp_path_factory.mktemp("lbfgs"), "lbfgs")


def refused(folder, *overrides):
    """The refusal of a resumption, which leaves the folder as it was."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}
    with pytest.raises(UserError) as error:
        run(small(*overrides), folder)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_run_killed_at_any_checkpoint_ends_as_if_it_never_had_been(watched):
    """Between two scales too. The history went on for a while after the checkpoint, to the middle of a row."""
    scales = len(manifest(watched.folder)["config"]["schedule"]["steps"])
    assert {history(moment)[-1]["scale"] for moment in watched.moments} == set(range(scales))
    assert len(watched.moments) >= 3
    for moment in watched.moments:
        assert manifest(moment)["status"] == "running"
        for name, rest in {"csv": b"0,1,2,3.5,4,5,6\n0,2,3,", "jsonl": b'{"scale": 0}\n{"sca'}.items():
            with open(moment / f"history.{name}", "ab") as file:
                file.write(rest)
        (moment / "checkpoints" / ".00000009.npz.4194305.tmp").write_bytes(b"half of")
        watched.resumed(moment)
        assert (moment / "result.png").read_bytes() == (watched.folder / "result.png").read_bytes()
        assert rows(moment) == rows(watched.folder) == json_rows(moment)
        assert manifest(moment)["final"] == manifest(watched.folder)["final"]
        names = [sorted(path.name for path in each.rglob("*")) for each in (moment, watched.folder)]
        assert names[0] == names[1]


def test_a_scale_that_was_over_is_not_compiled_again(lbfgs, tmp_path, monkeypatch):
    last = max(number for number, moment in enumerate(lbfgs.moments) if history(moment)[-1]["scale"] == 0)
    compiled, scales = nstjax.run._compiled, []
    monkeypatch.setattr(nstjax.run, "_compiled", lambda *of: scales.append(of[-1].number) or compiled(*of))
    lbfgs.resumed(lbfgs.left(tmp_path, last))
    assert scales == [1]


def test_seconds_go_on_from_the_checkpoint(lbfgs, tmp_path):
    """Those of all of its processes, each part of them for itself."""
    folder = lbfgs.left(tmp_path, 2)
    before = history(folder)[-1]["seconds"]
    lbfgs.resumed(folder)
    seconds = [row["seconds"] for row in history(folder)]
    assert seconds == sorted(seconds)
    assert seconds[len(history(lbfgs.moments[2])) - 1] == before
    parts = manifest(folder)["seconds"]
    assert sum(parts.values()) == pytest.approx(2 * parts["total"], abs=0.01)
    assert parts["total"] > seconds[-1] > before
    assert min(parts.values()) >= 0


def test_how_it_is_kept_and_watched_may_change(lbfgs, tmp_path):
    folder = lbfgs.left(tmp_path)
    lbfgs.resumed(folder, "preview_every=3", "checkpoint.every=null")
    assert rows(folder) == rows(lbfgs.folder)
    previews = {path.name for path in folder.glob("previews/scale1*")}
    assert previews >= {"scale1_step00003.png"}


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        (["seed=7"], "seed=0, not 7"),
        (["objective.style_weight=500"], "objective.style_weight=1000, not 500"),
        (["schedule.steps=[3,5]"], "schedule.steps=[3,4], not [3,5]"),
        (["optimizer=adam"], "optimizer.name=lbfgs, not adam (and "),
        (["weights.source=random"], "weights.source=caffe-8bit, not random (and 1 more differ)"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_with_the_difference(overrides, text, lbfgs, tmp_path):
    folder = lbfgs.left(tmp_path)
    reason = refused(folder, *lbfgs.recipe, "resume=true", *overrides)
    assert reason.startswith(f"{folder} was made with {text}")
    assert reason.endswith("; give the same settings, another hydra.run.dir, or leave out resume=true")
    lbfgs.resumed(folder)
    assert rows(folder) == rows(lbfgs.folder)


def test_a_picture_that_has_changed_is_another_run(tmp_path):
    photo = picture(tmp_path / "photo.png")
    watched = (f"content.path={photo}", "checkpoint.every=0", "resume=true")
    with pytest.raises(Interrupted), interrupted(at_step(0)):
        run(small(*watched), tmp_path / "run")
    picture(photo, seed=1)
    assert "was made with sha256.content=" in refused(tmp_path / "run", *watched)
    picture(photo)
    run(small(*watched), tmp_path / "run")
    assert manifest(tmp_path / "run")["status"] == "done"
    picture(photo, seed=1)
    assert "was made with sha256.content=" in refused(tmp_path / "run", *watched)


def test_a_run_that_keeps_some_of_the_photograph_is_resumed_with_the_same_mask_only(tmp_path):
    photo, mask = picture(tmp_path / "photo.png"), picture(tmp_path / "mask.png", 1, gray=True)
    watched = (f"content.path={photo}", f"content.keep={mask}", *RECIPES["lbfgs"], "checkpoint.every=0", "resume=true")
    run(small(*watched), tmp_path / "undisturbed")
    with pytest.raises(Interrupted), interrupted(at_step(1, scale=1)):
        run(small(*watched, "preview_every=1"), tmp_path / "run")
    picture(mask, 2, gray=True)
    assert "was made with sha256.content.keep=" in refused(tmp_path / "run", *watched)
    picture(mask, 1, gray=True)
    run(small(*watched), tmp_path / "run")
    assert (tmp_path / "run" / "result.png").read_bytes() == (tmp_path / "undisturbed" / "result.png").read_bytes()


@pytest.mark.parametrize(
    ("key", "text"),
    [("jax", "versions.jax=0.1, not "), ("nstjax", "versions.nstjax=0.1, not "), ("device", "device=gpu: old, not ")],
)
def test_another_version_or_device_is_refused(key, text, lbfgs, tmp_path, monkeypatch):
    then = {"device": "gpu: old"} if key == "device" else {"versions": outputs.versions() | {key: "0.1"}}
    folder, origin = tmp_path / "run", outputs.folder.origin
    with monkeypatch.context() as patch:
        patch.setattr(outputs.folder, "origin", lambda manifest: origin(manifest | then))
        with pytest.raises(Interrupted), interrupted(at_step(0)):
            run(small(*lbfgs.recipe), folder)
    assert text in refused(folder, *lbfgs.recipe, "resume=true")


def test_another_number_of_threads_is_refused_with_the_way_to_have_the_same(lbfgs, tmp_path, monkeypatch):
    """Sums are in another order then."""
    folder, threads = lbfgs.left(tmp_path), manifest(lbfgs.folder)["environment"]["threads"]
    monkeypatch.setenv("NPROC", str(threads + 1))
    said = f"{folder} was made with environment.threads={threads}, not {threads + 1}; set NPROC={threads}, another"
    assert refused(folder, *lbfgs.recipe, "resume=true").startswith(said)
    monkeypatch.setenv("NPROC", str(threads))
    lbfgs.resumed(folder)
    assert (folder / "result.png").read_bytes() == (lbfgs.folder / "result.png").read_bytes()


@pytest.mark.parametrize("name", ["XLA_FLAGS", "JAX_ENABLE_X64"])
def test_another_setting_of_the_compiler_is_refused(name, lbfgs, tmp_path, monkeypatch):
    folder = lbfgs.left(tmp_path)
    monkeypatch.setenv(name, "another")
    assert f"environment.{name}=" in refused(folder, *lbfgs.recipe, "resume=true")


def test_the_name_of_the_system_does_not_matter(lbfgs, tmp_path, monkeypatch):
    """An update of its kernel, most likely."""
    folder = lbfgs.left(tmp_path)
    monkeypatch.setattr("platform.platform", lambda: "another release")
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    lbfgs.resumed(folder)
    assert manifest(folder)["environment"]["platform"] == "another release"


def test_a_damaged_checkpoint_costs_the_steps_since_the_one_before(lbfgs, tmp_path, caplog):
    folder = lbfgs.left(tmp_path, 2)
    older, newer = kept(folder)
    newer.write_bytes(newer.read_bytes()[:-100])
    with caplog.at_level(logging.INFO, "nstjax"):
        lbfgs.resumed(folder)
    assert f"the checkpoint {newer} is damaged" in caplog.text
    assert f"resuming after {int(older.stem)} evaluations" in caplog.text
    assert rows(folder) == rows(lbfgs.folder)
    assert (folder / "result.png").read_bytes() == (lbfgs.folder / "result.png").read_bytes()


def test_with_nothing_to_resume_a_run_begins_and_says_so(lbfgs, tmp_path, caplog):
    damaged = lbfgs.left(tmp_path)
    for path in kept(damaged):
        path.write_bytes(b"")
    for folder in (tmp_path / "new", damaged):
        with caplog.at_level(logging.INFO, "nstjax"):
            lbfgs.resumed(folder)
        assert f"there is nothing to resume in {folder}; starting from the beginning" in caplog.text
        assert rows(folder) == rows(lbfgs.folder)


def test_a_history_that_is_not_the_checkpoints_is_refused(lbfgs, tmp_path):
    folder = lbfgs.left(tmp_path)
    before = (folder / "history.csv").read_bytes()
    (folder / "history.jsonl").write_text('{"scale": 0}\n')
    assert "history.jsonl is not what its run left" in refused(folder, *lbfgs.recipe, "resume=true")
    assert (folder / "history.csv").read_bytes() == before
    (folder / "history.csv").write_text("scale,step\n0,0\n")
    assert "history.csv is not what its run left" in refused(folder, *lbfgs.recipe, "resume=true")
    (folder / "history.csv").unlink()
    assert "history.csv is not what its run left" in refused(folder, *lbfgs.recipe, "resume=true")


def test_a_run_that_is_done_is_left_alone(lbfgs, tmp_path, monkeypatch):
    """On another machine too."""
    monkeypatch.setenv("NPROC", "77")
    folder = shutil.copytree(lbfgs.folder, tmp_path / "done")
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.rglob("*")}
    assert run(small(*lbfgs.recipe, "resume=true", "preview_every=1"), folder) == folder / "result.png"
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.rglob("*")} == before
    assert "was made with seed=0, not 7" in refused(folder, *lbfgs.recipe, "resume=true", "seed=7")


def test_a_run_whose_picture_is_gone_is_not_done(lbfgs, tmp_path):
    folder = shutil.copytree(lbfgs.folder, tmp_path / "done")
    (folder / "result.png").unlink()
    lbfgs.resumed(folder)
    assert (folder / "result.png").read_bytes() == (lbfgs.folder / "result.png").read_bytes()


def test_a_run_is_done_with_its_own_weights_only(lbfgs, tmp_path):
    """And with a picture that can't be read now, as with one that is gone."""
    folder = shutil.copytree(lbfgs.folder, tmp_path / "done")
    facts, weights, photo = manifest(folder), tmp_path / "weights", picture(tmp_path / "photo.png")
    weights.write_bytes(b"other weights")
    photo.chmod(0)
    facts["pictures"]["content"]["path"] = str(photo)
    facts["weights"]["path"] = str(tmp_path / "gone")
    (folder / "manifest.json").write_text(json.dumps(facts))
    with binding():
        assert outputs.finished(folder, small(*lbfgs.recipe))
    facts["weights"]["path"] = str(weights)
    (folder / "manifest.json").write_text(json.dumps(facts))
    with pytest.raises(UserError, match=r"was made with sha256.weights=[0-9a-f]+, not [0-9a-f]+; give"), binding():
        outputs.finished(folder, small(*lbfgs.recipe))


@pytest.mark.parametrize("key", ["pictures", "weights", "versions", "device", "environment"])
@pytest.mark.parametrize("value", [None, [], {}, 7, "text", {"content": {"sha256": "1"}}, {"sha256": "1", "path": 7}])
def test_an_odd_manifest_is_refused_or_none_of_a_run_that_is_done(key, value, lbfgs, tmp_path):
    facts = manifest(lbfgs.folder)
    (tmp_path / "result.png").touch()
    (tmp_path / "manifest.json").write_text(json.dumps(facts | {key: value}))
    with suppress(UserError):
        outputs.finished(tmp_path, small(*lbfgs.recipe))
    del facts[key]
    (tmp_path / "manifest.json").write_text(json.dumps(facts))
    assert not outputs.finished(tmp_path, small(*lbfgs.recipe))


def test_without_resume_a_run_begins_anew_and_old_checkpoints_are_gone(lbfgs, tmp_path):
    folder = lbfgs.left(tmp_path)
    with pytest.raises(UserError):
        run(small("content.name=nosuch"), folder)
    assert not kept(folder)
    assert not (folder / "history.csv").exists()


def test_the_picture_does_not_know_how_its_run_was_kept(lbfgs, tmp_path):
    run(small(*RECIPES["lbfgs"], "preview_every=2", "checkpoint.every=null"), tmp_path)
    assert (tmp_path / "result.png").read_bytes() == (lbfgs.folder / "result.png").read_bytes()
    assert manifest(tmp_path)["config"]["checkpoint"] == {"every": None}
    assert not (tmp_path / "checkpoints").exists()


def test_a_run_shorter_than_the_interval_writes_none(tmp_path):
    with pytest.raises(UserError):  # where checkpoints would stay
        run(small("optimizer=sgd", "optimizer.learning_rate=1e30", "preview_every=1"), tmp_path / "default")
    assert not (tmp_path / "default" / "checkpoints").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_all_to_go_on_from(number, code, lbfgs, tmp_path):
    with pytest.raises(Interrupted) as error, interrupted(at_step(2), number):
        run(small(*lbfgs.recipe, "checkpoint.every=60"), tmp_path)
    assert (error.value.code, error.value.picture) == (code, tmp_path / "result.png")
    assert manifest(tmp_path)["status"] == "interrupted"
    assert (tmp_path / "result.png").is_file()
    assert [path.stem for path in kept(tmp_path)] == ["00000003"]
    lbfgs.resumed(tmp_path)
    assert (tmp_path / "result.png").read_bytes() == (lbfgs.folder / "result.png").read_bytes()
    assert rows(tmp_path) == rows(lbfgs.folder)
    assert manifest(tmp_path)["status"] == "done"


@pytest.mark.parametrize("resuming", [False, True])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_all_is_prepared_is_heeded_before_the_first_compilation(
    number, code, resuming, lbfgs, tmp_path, monkeypatch
):
    folder, prepare = lbfgs.left(tmp_path) if resuming else tmp_path / "new", nstjax.run.prepare
    before = kept(folder)

    def interrupted(config):
        signal.raise_signal(number)
        return prepare(config)

    with monkeypatch.context() as patch:
        patch.setattr(nstjax.run, "prepare", interrupted)
        patch.setattr(nstjax.run, "chunks", None)
        with pytest.raises(Interrupted) as error:
            run(small(*lbfgs.recipe, "resume=true"), folder)
    assert (error.value.code, error.value.picture) == (code, None)
    assert manifest(folder)["status"] == "interrupted"
    assert not (folder / "result.png").exists()
    assert kept(folder) == before
    lbfgs.resumed(folder)
    assert (folder / "result.png").read_bytes() == (lbfgs.folder / "result.png").read_bytes()


def test_a_signal_on_a_full_disk_leaves_the_picture(lbfgs, tmp_path, caplog):
    """The checkpoint, with all pairs of L-BFGS, is several times as large as the limit."""
    with largest_file(50_000), pytest.raises(Interrupted) as error, interrupted(at_step(2)):
        run(small(*RECIPES["lbfgs"], "preview_every=2"), tmp_path)
    assert (error.value.code, error.value.picture) == (130, tmp_path / "result.png")
    assert pixels(tmp_path / "result.png").shape == (43, 37, 3)
    assert manifest(tmp_path)["status"] == "interrupted"
    assert not kept(tmp_path)
    assert "no checkpoint after 3 evaluations: cannot write to" in caplog.text


def test_a_signal_that_comes_too_late_stops_only_what_would_come_after(lbfgs, tmp_path):
    with pytest.raises(Interrupted) as error, interrupted(at_step(4, scale=1)):
        run(small(*lbfgs.recipe), tmp_path)
    assert error.value.code == 130
    assert manifest(tmp_path)["status"] == "done"
    assert (tmp_path / "result.png").read_bytes() == (lbfgs.folder / "result.png").read_bytes()


def test_a_second_run_in_the_same_folder_is_refused_and_does_no_harm(lbfgs, tmp_path):
    began, go_on, record = threading.Event(), threading.Event(), RunFolder.record

    def wait(out, *arguments, **options):
        rows = record(out, *arguments, **options)
        began.set()
        go_on.wait(60)
        return rows

    RunFolder.record = wait
    first = threading.Thread(target=run, args=(small(*lbfgs.recipe), tmp_path))
    try:
        first.start()
        assert began.wait(120)
        for overrides in ((), ("resume=true",), ("seed=7",)):
            with pytest.raises(UserError, match=f"a run is going on in {tmp_path}; wait, or choose another") as error:
                run(small(*lbfgs.recipe, *overrides), tmp_path)
            assert "\n" not in str(error.value)
    finally:
        go_on.set()
        first.join()
        RunFolder.record = record
    assert manifest(tmp_path)["status"] == "done"
    assert (tmp_path / "result.png").read_bytes() == (lbfgs.folder / "result.png").read_bytes()
    assert not (tmp_path / ".lock").exists()


def test_a_lock_left_by_a_kill_is_none(lbfgs, tmp_path):
    """The kernel has taken it from the process; only an empty file is left."""
    code = f"import sys, os; sys.path.insert(0, {str(REPOSITORY)!r})\nfrom pathlib import Path\n"
    code += "from nstjax.config import Config\nfrom nstjax.outputs import RunFolder\n"
    code += f"RunFolder(Path({str(tmp_path)!r}), Config()).__enter__()\nos.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code], env=environment()).returncode == -9
    assert (tmp_path / ".lock").exists()
    assert manifest(tmp_path)["status"] == "running"
    with RunFolder(tmp_path, small()):
        pass


def test_checkpoints_hold_what_the_architecture_says(lbfgs):
    """Where it is, and all that its bits come from."""
    newest = outputs.folder.checkpoint.newest(lbfgs.moments[-1] / "checkpoints")
    place = newest.facts["place"]
    assert (place["scale"], place["done"]) == (1, history(lbfgs.moments[-1])[-1]["step"] + 1)
    assert 0 < place["setup"] < newest.facts["seconds"]
    assert {"size", "seed", "sha256.content", "sha256.style", "sha256.weights", "versions.jax", "device"} <= set(
        newest.facts["origin"]
    )
    assert not {"resume", "checkpoint.every", "preview_every"} & set(newest.facts["origin"])
    json.dumps(newest.facts)


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [("kills", "--kills", "3"), ("sweep", "--jobs", "8", "--kills", "2"), ("disk-full", "--kib", "12", "48", "6000")],
    ids=lambda arguments: arguments[0],
)
def test_the_measurements_of_reliability_on_a_small_scale(arguments):
    script = REPOSITORY / "scripts" / "reliability.py"
    done = subprocess.run([sys.executable, script, *arguments], env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
