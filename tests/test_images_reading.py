"""Pictures in: every odd file ends as upright sRGB pixels or as one line that helps."""

import hashlib
from pathlib import Path

import bad_pictures
import numpy as np
import pytest
from bad_pictures import CASES, COLORS, HEIGHT, INSIDE, WIDTH, Loads, Refused
from odd_encodings import png16, tiff
from permissions import binding
from PIL import Image

from nstjax import images
from nstjax.errors import UserError

LOADED = [name for name, (_, outcome) in CASES.items() if isinstance(outcome, Loads)]
REFUSED = [name for name, (_, outcome) in CASES.items() if isinstance(outcome, Refused)]
NOISE16 = np.random.default_rng(0).integers(0, 65536, (20, 33, 4), np.uint16)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    bad_pictures.write(folder)
    return folder


def gray(values: np.ndarray) -> images.Pixels:
    return np.repeat(values.astype(np.float32)[..., None], 3, axis=2)


@pytest.mark.parametrize("name", LOADED)
def test_an_odd_picture_becomes_upright_srgb(corpus: Path, name: str) -> None:
    expected = CASES[name][1]
    assert isinstance(expected, Loads)
    picture = images.load(corpus / name)
    assert picture.pixels.shape == (HEIGHT, WIDTH, 3)
    assert picture.pixels.dtype == np.float32
    colors = expected.colors if expected.colors.ndim == 2 else expected.colors[:, None]
    np.testing.assert_allclose(picture.pixels[INSIDE], np.broadcast_to(colors, (3, 3)), atol=expected.atol, rtol=0)
    assert len(picture.notes) == len(expected.notes)
    assert all(words in note for words, note in zip(expected.notes, picture.notes, strict=True))


@pytest.mark.parametrize("name", REFUSED)
def test_any_other_file_is_refused_in_one_line(corpus: Path, name: str) -> None:
    expected = CASES[name][1]
    assert isinstance(expected, Refused)
    with pytest.raises(UserError) as refusal, binding():
        images.load(corpus / name)
    line = str(refusal.value)
    assert expected.words in line
    assert line.isprintable() and line.startswith(str(corpus)) and "; " in line


def test_sixteen_bit_gray_keeps_its_bits(tmp_path: Path) -> None:
    levels = np.linspace(0, 65535, 64).round().astype(np.uint16)[None, :].repeat(40, axis=0)
    Image.fromarray(levels).save(tmp_path / "gray16.png")
    pixels = images.load(tmp_path / "gray16.png").pixels
    np.testing.assert_array_equal(pixels, gray(levels / np.float32(65535)))
    assert pixels.mean() == pytest.approx(0.5, abs=1e-5)


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("kind", ["png", "interlaced png", "<", ">", "deflated <", "deflated >"])
def test_sixteen_bit_colors_keep_their_bits(tmp_path: Path, kind: str, channels: int) -> None:
    levels = NOISE16[..., :channels]
    if kind.endswith("png"):
        data = png16(levels, interlaced=kind.startswith("interlaced"))
    else:
        extra = 2 if channels == 4 else None
        data = tiff(kind[-1], levels, 2, deflated=kind.startswith("deflated"), extra=extra)
    (tmp_path / "deep").write_bytes(data)
    picture = images.load(tmp_path / "deep", background=(0, 0, 0))
    fractions = levels / np.float32(65535)
    if channels == 3:
        assert picture.alpha is None
        np.testing.assert_array_equal(picture.pixels, fractions)
    else:
        np.testing.assert_array_equal(picture.alpha, fractions[..., 3:])
        np.testing.assert_allclose(picture.pixels, fractions[..., :3] * fractions[..., 3:], atol=1e-7)


def test_sixteen_bits_are_turned_upright_too(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = np.ascontiguousarray(np.rot90(NOISE16[..., :3]))
    (tmp_path / "deep.png").write_bytes(png16(turned, (b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))))
    picture = images.load(tmp_path / "deep.png")
    np.testing.assert_array_equal(picture.pixels, NOISE16[..., :3] / np.float32(65535))
    assert picture.notes == ("turned upright by its EXIF orientation",)


def test_a_float_tiff_is_taken_as_it_is(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((20, 30), np.float32)
    Image.fromarray(values).save(tmp_path / "float.tif")
    np.testing.assert_array_equal(images.load(tmp_path / "float.tif").pixels, gray(values))


def test_what_is_transparent_shows_the_background(corpus: Path) -> None:
    picture = images.load(corpus / "rgba.png", background=(0.25, 0.5, 1.0))
    alpha = np.array([0, 128, 255])[:, None] / 255
    np.testing.assert_allclose(picture.alpha[INSIDE], alpha, atol=1e-6)
    np.testing.assert_allclose(
        picture.pixels[INSIDE], COLORS / 255 * alpha + np.array([0.25, 0.5, 1]) * (1 - alpha), atol=1e-6
    )
    assert picture.notes == ("transparency composited over the background [0.25, 0.5, 1]",)


@pytest.mark.parametrize("name", ["plain.bmp", "rgba_opaque.png"])
def test_a_picture_without_transparency_has_no_alpha(corpus: Path, name: str) -> None:
    assert images.load(corpus / name).alpha is None


def test_the_smallest_picture_there_is(tmp_path: Path) -> None:
    Image.new("RGB", (16, 16), "red").save(tmp_path / "small.png")
    np.testing.assert_array_equal(images.load(tmp_path / "small.png").pixels, np.full((16, 16, 3), [1, 0, 0]))


def test_the_corpus_is_large_enough() -> None:
    assert len(CASES) >= 60


def test_the_digest_is_of_the_bytes_of_the_file(corpus: Path) -> None:
    path = corpus / "plain.bmp"
    assert images.load(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("path", "words"), [("/dev/zero", "not a regular file"), ("a\0b.png", "a[?]b.png: can't be read")]
)
def test_devices_and_impossible_names(path: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        images.load(Path(path))
