"""A finished run once more: that it agrees, and when it doesn't, what differs and what was not the same."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from permissions import binding
from PIL import Image
from small_runs import SMALL, at_step, environment, history, interrupted, manifest, picture, small

from nstjax import images
from nstjax.comparison import compare, results
from nstjax.errors import UserError
from nstjax.rerun import main, rerun
from nstjax.run import run


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A run whose inputs are files beside it, given by relative paths."""
    place = tmp_path_factory.mktemp("original")
    for seed, name in enumerate(("photo (1).png", "painting.png", "other.png", "start.png", "mask.png")):
        picture(place / name, seed, gray=name == "mask.png")
    files = (
        'content.path="photo (1).png"',
        "content.keep=mask.png",
        "style.path=painting.png",
        "style.blend=[other.png,starry]",
    )
    before = os.getcwd()
    os.chdir(place)
    try:
        run(small(*files, "init=picture", "init.path=start.png", "seed=3"), Path("run"))
    finally:
        os.chdir(before)
    return place / "run"


@pytest.fixture
def folder(original, tmp_path):
    """A copy of it that may be spoiled, its input files too."""
    shutil.copytree(original.parent, tmp_path / "copy")
    moved = (tmp_path / "copy" / "run" / "manifest.json").read_text().replace(str(original.parent), f"{tmp_path}/copy")
    (tmp_path / "copy" / "run" / "manifest.json").write_text(moved)
    return tmp_path / "copy" / "run"


def edit(folder, change):
    """Changes a run's manifest in place."""
    facts = manifest(folder)
    change(facts)
    (folder / "manifest.json").write_text(json.dumps(facts))


def refusal(folder, **settings):
    with pytest.raises(UserError) as error:
        rerun(folder, **settings)
    assert "\n" not in str(error.value)
    return str(error.value)


def command(*arguments, cores=None, **changes):
    """The real command; `cores` are those that it may use."""
    words = [sys.executable, "-m", *map(str, arguments)]
    if cores is not None:  # set by the child itself: Python forks for a `preexec_fn`, against which JAX warns
        limited = f"import os, sys; os.sched_setaffinity(0, {set(cores)}); os.execv(sys.argv[1], sys.argv[1:])"
        words = [sys.executable, "-c", limited, *words]
    return subprocess.run(words, env=environment(**changes), capture_output=True, text=True, check=False)


def test_a_run_agrees_with_itself_and_leaves_nothing(folder, tmp_path, monkeypatch):
    """From wherever the command is given, and in spite of keys that say only how a run is kept."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path)
    edit(folder, lambda facts: facts["config"].update(checkpoint={"every": 7}, resume=True))
    before = {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()}
    assert rerun(folder) == ((), ())
    assert {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()} == before
    assert list((tmp_path / "temporary").iterdir()) == []


def test_the_manifest_holds_absolute_paths(original):
    """Relative ones would mean nothing in another folder."""
    facts = manifest(original)
    inputs = [
        facts["pictures"]["content"],
        *facts["pictures"]["style"],
        facts["pictures"]["init"],
        facts["pictures"]["content.keep"],
        facts["weights"],
    ]
    assert [Path(each["path"]).is_file() and Path(each["path"]).is_absolute() for each in inputs] == [True] * 7


def test_a_kept_rerun_is_a_run_of_its_own(folder, tmp_path):
    assert rerun(folder, tmp_path / "kept") == ((), ())
    assert manifest(tmp_path / "kept")["status"] == "done"
    assert (tmp_path / "kept" / "result.png").is_file()


def test_a_value_of_the_history_that_differs_is_named(folder):
    row, column = 2, "style/relu1_1"
    value = f"{history(folder)[row][column]:.9g}"
    lines = (folder / "history.csv").read_text().splitlines()
    assert lines[row + 1].count(value) == 1
    wrong = f"{float(value) * 1.001:.9g}"
    lines[row + 1] = lines[row + 1].replace(value, wrong)
    (folder / "history.csv").write_text("\n".join(lines) + "\n")
    said = f"history.csv, scale 0, step 2: {column} is {value}, and was {wrong}; relative difference 1.0e-03"
    assert rerun(folder) == ((said,), ())


def test_a_history_that_is_shorter_differs_and_its_seconds_may(folder):
    header, *lines = (folder / "history.csv").read_text().splitlines()
    slower = [",".join([*line.split(",")[:3], "99.9", *line.split(",")[4:]]) for line in lines]
    (folder / "history.csv").write_text("\n".join([header, *slower]) + "\n")
    assert rerun(folder) == ((), ())
    (folder / "history.csv").write_text("\n".join([header, *slower[:-1]]) + "\n")
    assert rerun(folder).differences == ("history.csv, scale 0, step 3: scale is 0, and was None",)


def test_a_pixel_that_differs_is_measured(folder):
    levels = np.asarray(Image.open(folder / "result.png")).copy()
    levels[5, 7, 1] -= 3
    Image.fromarray(levels).save(folder / "result.png")
    share = f"{1 / levels[..., 0].size:.3%}"
    assert rerun(folder) == ((f"result.png: {share} of the pixels differ, by at most 3 of 255 levels",), ())
    Image.fromarray(levels[1:]).save(folder / "result.png")
    assert rerun(folder).differences == ("result.png has 41x48 pixels, and had 41x47",)


@pytest.fixture(scope="module")
def deep(tmp_path_factory):
    """A run whose result has 16 bits and keeps the photograph's transparency."""
    place = tmp_path_factory.mktemp("deep")
    pixels = images.load(picture(place / "photo.png")).pixels
    alpha = np.linspace(0, 1, pixels[..., :1].size, dtype=np.float32).reshape(*pixels.shape[:2], 1)
    images.save(place / "photo.png", pixels, alpha=alpha, bits=16)
    run(small(f"content.path={place}/photo.png", "output.bits=16", "output.alpha=true"), place / "run")
    return place / "run"


def test_16_bits_and_transparency_agree_with_themselves(deep):
    assert rerun(deep) == ((), ())


@pytest.mark.parametrize("channel", [1, 3])
@pytest.mark.parametrize("row", [2, 40])
def test_one_level_of_16_bits_differs_in_color_and_in_opacity(channel, row, deep, tmp_path):
    """Also where hardly anything is to be seen."""
    shutil.copytree(deep, tmp_path / "other")
    found = images.load(deep / "result.png", background=(0, 0, 0))
    levels = np.concatenate([found.pixels / np.maximum(found.alpha, 1e-9), found.alpha], axis=2) * 65535
    levels[row, 7, channel] -= 1
    whole = (np.rint(levels) / 65535).astype(np.float32)
    images.save(tmp_path / "other" / "result.png", whole[..., :3], alpha=whole[..., 3:], bits=16)
    share = f"{1 / levels[..., 0].size:.3%}"
    said = f"result.png: {share} of the pixels differ, by at most 1 of 65535 levels"
    assert compare(results(deep), results(tmp_path / "other")) == ((said,), ())


@pytest.mark.parametrize(
    ("name", "key", "place"),
    [
        ("photo (1).png", "content", "pictures.content"),
        ("other.png", "style.blend[0]", "pictures.style[1]"),
        ("start.png", "init", "pictures.init"),
        ("mask.png", "content.keep", "pictures.content.keep"),
    ],
)
def test_a_changed_picture_is_refused_before_the_work_and_named_after_it(name, key, place, folder, tmp_path):
    picture(folder.parent / name, seed=9, gray=name == "mask.png")
    assert refusal(folder, out=tmp_path / "out").startswith(f"{key}: {folder.parent / name} is not what the run was")
    assert not (tmp_path / "out").exists()
    report = rerun(folder, anyway=True)
    assert [line.split(" is ")[0] for line in report.changed] == [f"{place}.sha256"]
    assert len(report.differences) == 2


def test_a_picture_that_is_gone_is_looked_for_beside_the_manifest(folder):
    (folder.parent / "painting.png").rename(folder.parent / "elsewhere.png")
    gone = folder.parent / "painting.png"
    assert refusal(folder, anyway=True) == f"style: {gone} is not there any more; put it back, or into {folder}"
    (folder.parent / "elsewhere.png").rename(folder / "painting.png")
    assert rerun(folder) == ((), ())


def test_what_had_a_name_is_found_by_it(folder):
    """On a machine where pictures and weights are kept elsewhere."""

    def moved(facts):
        facts["pictures"]["style"][2]["path"] = facts["weights"]["path"] = "/nowhere/file"

    edit(folder, moved)
    assert rerun(folder) == ((), ())


@pytest.mark.parametrize(
    ("group", "key"), [("versions", "jax"), ("versions", "python"), ("environment", "threads"), (None, "device")]
)
def test_what_was_not_the_same_around_the_run_is_named(group, key, folder):
    now = (manifest(folder)[group] if group else manifest(folder))[key]
    edit(folder, lambda facts: (facts[group] if group else facts).update({key: "0.0"}))
    name = f"{group}.{key}" if group else key
    assert rerun(folder) == ((), (f"{name} is {now}, and was 0.0",))


def test_other_weights_are_named(folder, untrained):
    from nstjax.weights import store

    store.write(folder / "other.safetensors", untrained)
    edit(folder, lambda facts: facts["weights"].update(path=str(folder / "other.safetensors")))
    assert refusal(folder).startswith(f"weights: {folder / 'other.safetensors'} is not what the run was made from")
    report = rerun(folder, anyway=True)
    assert len(report.differences) == 2
    assert [line.split(" is ")[0] for line in report.changed] == ["weights.sha256"]


@pytest.mark.parametrize("status", ["running", "interrupted", "failed", 3, None])
def test_a_run_that_did_not_finish_cannot_be_compared(status, folder):
    edit(folder, lambda facts: facts.update(status=status))
    assert refusal(folder).endswith(f"says {status!r}; only a run that is 'done' can be compared with another")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "[" * 99999, '{"status": "done"}', '{"config": 3, "status": "done"}', "\xff"]
)
def test_a_foreign_manifest_is_refused(text, tmp_path):
    (tmp_path / "manifest.json").write_bytes(text.encode("latin-1"))
    assert str(tmp_path / "manifest.json") in refusal(tmp_path)


@pytest.mark.parametrize("key", ["pictures", "weights"])
def test_a_manifest_without_its_inputs_is_refused(key, folder):
    edit(folder, lambda facts: facts.pop(key))
    assert "doesn't say what the run was made from" in refusal(folder)


@pytest.mark.parametrize("name", ["manifest.json", "result.png", "history.csv"])
def test_a_folder_that_has_lost_a_file_is_refused(name, folder):
    (folder / name).unlink()
    assert str(folder / name) in refusal(folder)


def test_nothing_is_ever_overwritten(folder):
    """Not even what is to be compared."""
    assert "is there already" in refusal(folder, out=folder)
    assert "is there already" in refusal(folder, out=folder / "result.png")
    assert manifest(folder)["status"] == "done"


def test_the_command_says_what_it_found_and_exits_with_it(folder, capsys):
    assert main([str(folder)]) == 0
    assert capsys.readouterr().out == f"{folder}: every pixel and every row of the history agree\n"
    edit(folder, lambda facts: facts["versions"].update(optax="0.0"))
    (folder / "history.csv").write_text((folder / "history.csv").read_text().replace("total", "sum"))
    assert main([str(folder)]) == 1
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("history.csv, scale 0, step 0: sum is None, and was ")
    assert last.startswith("changed: versions.optax is ") and last.endswith(", and was 0.0")
    assert main([str(folder / "nowhere")]) == 2
    out, err = capsys.readouterr()
    wrong = f"{folder}/nowhere/manifest.json is missing, or not the manifest of a run of nstjax"
    assert (out, err) == ("", f"nstjax.rerun: {wrong}; give the folder of one\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_rerun_exits_by_its_signal(number, code, folder, capsys):
    with interrupted(at_step(0), number):
        assert main([str(folder)]) == code
    assert capsys.readouterr() == ("", "nstjax.rerun: interrupted\n")


def test_a_file_that_may_not_be_read_is_a_mistake_and_no_difference(folder, capsys):
    (folder.parent / "painting.png").chmod(0)
    with binding():
        assert main([str(folder)]) == 2
    where = f"{folder.parent}/painting.png: Permission denied"
    assert capsys.readouterr() == ("", f"nstjax.rerun: {where}; check its permissions, and the room on its disk\n")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity") or os.cpu_count() == 1, reason="needs two cores of Linux")
def test_a_run_on_two_cores_agrees_on_one(tmp_path):
    """XLA divides sums among its threads: the re-run asks for as many as the run had, whatever the cores.

    Winograd's products are divided by the cores themselves: there the difference is named.
    """
    size = [each for each in SMALL if not each.startswith("size")]
    both, one = sorted(range(os.cpu_count()))[:2], [0]
    done = command(
        "nstjax.train", *size, "size=192", "runtime.convolution=direct", f"hydra.run.dir={tmp_path}/run", cores=both
    )
    assert done.returncode == 0, done.stderr
    assert manifest(tmp_path / "run")["environment"]["threads"] == 2
    again = command("nstjax.rerun", tmp_path / "run", cores=one)
    assert (again.returncode, again.stderr) == (0, "")
    agrees, changed = again.stdout.splitlines()
    assert agrees == f"{tmp_path}/run: every pixel and every row of the history agree"
    assert changed == "changed: environment.cores is 1, and was 2"
    other = command("nstjax.rerun", tmp_path / "run", cores=one, NPROC="1")
    assert other.returncode == 1
    assert "changed: environment.threads is 1, and was 2" in other.stdout


def test_jax_knows_the_flags_that_the_doors_set():
    """An unknown one ends the process; and the user's own are kept."""
    code = (
        "from nstjax.run import repeatable; import jax, os; repeatable(3); jax.devices(); "
        "print(os.environ['XLA_FLAGS'], os.environ['NPROC'])"
    )
    flag = "--xla_gpu_exclude_nondeterministic_ops=true"
    for given, expected in (
        ("--xla_cpu_enable_fast_math=false", f"--xla_cpu_enable_fast_math=false {flag}"),
        ("--xla_gpu_deterministic_ops=true", "--xla_gpu_deterministic_ops=true"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment(XLA_FLAGS=given), capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (0, f"{expected} 3\n"), done.stderr
