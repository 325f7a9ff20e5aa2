"""Our own file format: any memory layout comes back equal, and any damage is noticed."""

import json
import os
import resource
import shutil

import numpy as np
import pytest
from safetensors.numpy import save_file
from weight_files import refusal

from nstjax import weights
from nstjax.weights import store
from nstjax.weights.layouts import SHAPES, Weights


@pytest.fixture
def tmp_path(tmp_path):
    """Emptied after each test: a weight file is 80 MB, and pytest keeps these folders of three runs."""
    yield tmp_path
    shutil.rmtree(tmp_path)


LAYOUTS = [
    lambda a: np.ascontiguousarray(a.T).T,
    np.asfortranarray,
    lambda a: np.ascontiguousarray(a[::-1])[::-1],
    lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    lambda a: np.broadcast_to(a[..., :1], a.shape),
]


def test_arrays_of_any_memory_layout_come_back_equal(tmp_path, untrained):
    """safetensors 0.8.0 by itself stores the bytes of such views in the wrong order."""
    arrays = {name: LAYOUTS[i // 2 % 5](untrained.arrays[name]) for i, name in enumerate(SHAPES)}
    store.write(tmp_path / "a.safetensors", Weights(arrays, untrained.about))
    back = store.read(tmp_path / "a.safetensors")
    assert back.about == untrained.about
    for name in SHAPES:
        np.testing.assert_array_equal(back.arrays[name], arrays[name])


@pytest.mark.parametrize("place", [3, 20, 200, 3000, 50_000_000, -1])
def test_a_flipped_bit_anywhere_is_noticed(tmp_path, place):
    content = bytearray(weights.locate().read_bytes())
    content[place] ^= 4
    (tmp_path / "a.safetensors").write_bytes(content)
    assert str(tmp_path / "a.safetensors") in refusal(weights.read, tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    ("name", "array", "reason"),
    [
        ("conv2_1/kernel", None, "conv2_1/kernel is missing or unknown"),
        ("fc6/kernel", np.zeros(3, np.float32), "fc6/kernel is missing or unknown"),
        ("conv1_1/bias", np.zeros(63, np.float32), r"conv1_1/bias is float32 (63,), VGG19's is float32 (64,)"),
        ("conv1_1/bias", np.zeros(64), r"conv1_1/bias is float64 (64,), VGG19's is float32 (64,)"),
        ("conv1_1/bias", np.full(64, np.nan, np.float32), "conv1_1/bias has values that are not finite"),
    ],
)
def test_arrays_that_are_not_vgg19_are_not_written(tmp_path, untrained, name, array, reason):
    arrays = {**untrained.arrays, name: array}
    wrong = Weights({key: value for key, value in arrays.items() if value is not None}, untrained.about)
    assert reason in refusal(store.write, tmp_path / "a.safetensors", wrong)
    assert os.listdir(tmp_path) == []


GOOD = {"format": 1, "source": "x", "license": "y", "scale": 1, "mean": [0, 0, 0], "std": [1, 1, 1], "digest": "0"}
UNWRITTEN = "its metadata was not written by nstjax; make the file with `python -m nstjax.weights convert`"


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (None, UNWRITTEN),
        ("{", UNWRITTEN),
        ("[]", UNWRITTEN),
        ("{}", UNWRITTEN),
        (json.dumps({**GOOD, "mean": [0, 0]}), UNWRITTEN),
        (json.dumps({**GOOD, "format": 99}), "format 99 instead of 1; convert the file again"),
        (json.dumps({**GOOD, "std": [1, 0, 1]}), "its preprocessing is impossible"),
        (json.dumps({**GOOD, "scale": float("nan")}), "its preprocessing is impossible"),
        (json.dumps(GOOD), "a is not an array of VGG19"),
    ],
)
def test_other_safetensors_files_are_refused(tmp_path, entry, reason):
    save_file({"a": np.zeros(1, np.float32)}, tmp_path / "a.safetensors", {"nstjax": entry} if entry else None)
    assert reason in refusal(weights.read, tmp_path / "a.safetensors")


def test_the_digest_covers_the_description(untrained):
    other = untrained._replace(about=untrained.about._replace(std=(1, 1, 1)))
    assert store.digest(other) != store.digest(untrained)


def test_a_missing_file_is_named(tmp_path):
    assert refusal(weights.read, tmp_path / "none") == f"there is no file {tmp_path / 'none'}; check the path"


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, untrained):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        said = refusal(store.write, tmp_path / "a.safetensors", untrained)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert said.startswith(f"can't write {tmp_path / 'a.safetensors'} (File too large")
    assert said.endswith("; choose another place")
    assert os.listdir(tmp_path) == []


def test_a_constant_kernel_is_not_written(tmp_path, untrained):
    arrays = {**untrained.arrays, "conv4_2/kernel": np.zeros((3, 3, 512, 512), np.float32)}
    said = refusal(store.write, tmp_path / "a.safetensors", Weights(arrays, untrained.about))
    assert "conv4_2/kernel is the same number throughout" in said
