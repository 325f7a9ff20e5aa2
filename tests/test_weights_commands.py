"""`python -m nstjax.weights`: list, fetch, convert, check, and mistakes."""

import shutil
import signal

import numpy as np
import pytest
from weight_files import save_zip, tensor

from nstjax import files, weights
from nstjax.weights import __main__ as commands
from nstjax.weights import store
from nstjax.weights.layouts import Weights


@pytest.fixture
def tmp_path(tmp_path):
    """Emptied after each test: a weight file is 80 MB, and pytest keeps these folders of three runs."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def run(capsys, *arguments):
    code = commands.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_list_tells_each_source_its_license_and_whether_it_is_there(offline, capsys):
    code, before, _ = run(capsys, "list")
    assert code == 0
    for name, source in weights.SOURCES.items():
        assert f"{name}\n  {source.title}\n  license: {source.license}\n  from: " in before
    assert "in the cache: no" in before
    code, path, _ = run(capsys, "fetch")
    assert (code, path) == (0, f"{offline / 'weights' / 'caffe-8bit.safetensors'}\n")
    assert f"in the cache: {path}" in run(capsys, "list")[1]


def test_convert_and_check(capsys, tmp_path, palette):
    out = tmp_path / "vgg19.safetensors"
    assert run(capsys, "convert", palette, out)[:2] == (0, f"{out}\n")
    code, text, _ = run(capsys, "check", out)
    assert code == 0
    for fact in (
        f"sha256:     {files.sha256(out)}",
        "layout:     safetensors, read as caffe-8bit",
        "input:      (RGB in [0, 1] * 255 - [123.68, 116.779, 103.939]) / [1.0, 1.0, 1.0]",
        "parameters: 20,024,384 in 16 convolutions",
        "compared:   the original network (kernels correlate 1.0000)",
    ):
        assert fact in text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (lambda name, array: array * 1.01, "the original network (kernels correlate 1.0000)"),
        (lambda name, array: array.swapaxes(0, 1), "WRONG: the original network, but height and width are swapped"),
        (lambda name, array: array[::-1, ::-1], "WRONG: the original network, but kernels are rotated by 180 degrees"),
        (
            lambda name, array: array[:, :, ::-1] if name == "conv1_1/kernel" else array,
            "WRONG: the original network, but red and blue are swapped",
        ),
    ],
)
def test_check_recognizes_the_original_network_and_what_was_done_to_it(original, tmp_path, capsys, change, verdict):
    arrays, about = store.read(original)
    changed = {name: change(name, array) if array.ndim == 4 else array for name, array in arrays.items()}
    store.write(tmp_path / "a.safetensors", Weights(changed, about))
    code, out, err = run(capsys, "check", tmp_path / "a.safetensors")
    assert f"compared:   {verdict}" in out
    line = f"nstjax.weights: {tmp_path}/a.safetensors is {verdict.removeprefix('WRONG: ')}; convert the file again\n"
    assert (code, err) == ((2, line) if "WRONG" in verdict else (0, ""))


def test_check_compares_with_nothing_when_there_is_nothing(cache, tmp_path, capsys, untrained):
    store.write(tmp_path / "a.safetensors", untrained)
    assert (
        "compared:   no; `python -m nstjax.weights fetch` gets" in run(capsys, "check", tmp_path / "a.safetensors")[1]
    )


def test_check_tells_another_network(original, tmp_path, capsys, untrained):
    store.write(tmp_path / "a.safetensors", untrained)
    assert "compared:   another network than the original one" in run(capsys, "check", tmp_path / "a.safetensors")[1]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("fetch", "torchvision"), "needs a file; set weights.path to vgg19-dcbb9e9d.pth, of torchvision"),
        (("fetch", "nothing"), "unknown weights source 'nothing'"),
        (("check", "none.pth"), "can't read none.pth (No such file or directory); check the path"),
        (("convert", "palette.bin", "out.npz"), "out.npz does not end in .safetensors; name it so"),
        (("convert", "text.pth", "out.safetensors"), "text.pth is no weight file that nstjax knows"),
        (
            ("convert", "other.pth", "out.safetensors"),
            "other.pth: the file has no conv1_1.weight, so it is not a VGG19",
        ),
        (("convert", "palette.bin", "text.pth/out.safetensors"), "can't write text.pth/out.safetensors"),
    ],
)
def test_mistakes_are_one_line_and_exit_with_2(tmp_path, palette, monkeypatch, capsys, arguments, reason):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.pth").write_text("hello")
    (tmp_path / "palette.bin").symlink_to(palette)
    save_zip(tmp_path / "other.pth", {"linear.weight": tensor(np.ones(3, np.float32))})
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("nstjax.weights: ")
    assert err.count("\n") == 1
    assert reason in err
    assert not (tmp_path / "out.safetensors").exists()


def test_ctrl_c_is_one_line(capsys, monkeypatch):
    monkeypatch.setattr(commands, "locate", lambda source: signal.default_int_handler(signal.SIGINT, None))
    assert run(capsys, "fetch") == (130, "", "nstjax.weights: interrupted\n")
