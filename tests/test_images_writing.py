"""Pictures out: whole or not at all, in the format that the name asks for, and saying what their colors mean."""

import io
import os
import resource
import struct
from pathlib import Path

import numpy as np
import png
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from permissions import binding
from PIL import Image, ImageCms

from nstjax import images
from nstjax.errors import UserError
from nstjax.images import writing


@pytest.fixture
def noise() -> images.Pixels:
    return np.random.default_rng(0).random((24, 32, 3), np.float32)


def gray(values: np.ndarray) -> images.Pixels:
    return np.repeat(values.astype(np.float32)[..., None], 3, axis=2)


def reopened(path: Path) -> Image.Image:
    return Image.open(io.BytesIO(path.read_bytes()))


# save

finite = st.floats(-2, 3, width=32)


@settings(deadline=None)
@given(st.lists(finite, min_size=12, max_size=12))
def test_quantize_is_within_half_a_level_of_the_clipped_image(values: list[float]) -> None:
    image = np.array(values, np.float32).reshape(2, 2, 3)
    error = images.quantize(image) / 255 - image.clip(0, 1)
    assert images.quantize(image).dtype == np.uint8
    assert np.abs(error).max() <= 0.5 / 255 + 1e-6


@settings(deadline=None)
@given(st.lists(finite, min_size=12, max_size=12))
def test_sixteen_bits_are_256_times_finer(values: list[float]) -> None:
    image = np.array(values, np.float32).reshape(2, 2, 3)
    levels = images.quantize(image, 16)
    assert levels.dtype == np.uint16
    assert np.abs(levels / 65535 - image.clip(0, 1)).max() <= 0.5 / 65535 + 1e-7


@pytest.mark.parametrize("transparent", [False, True])
def test_another_reader_agrees_on_every_bit(tmp_path: Path, noise: images.Pixels, transparent: bool) -> None:
    alpha = noise[..., :1] if transparent else None
    images.save(tmp_path / "deep.png", noise, alpha=alpha, bits=16, comment=COMMENT)
    data = (tmp_path / "deep.png").read_bytes()
    width, height, rows, info = png.Reader(bytes=data).read()
    assert (width, height, info["bitdepth"], info["planes"], info["alpha"]) == (
        32,
        24,
        16,
        3 + transparent,
        transparent,
    )
    expected = noise if alpha is None else np.concatenate([noise, alpha], axis=2)
    levels = np.vstack([np.array(row, np.uint16) for row in rows]).reshape(24, 32, -1)
    np.testing.assert_array_equal(levels, np.rint(expected * 65535))
    chunks = dict(png.Reader(bytes=data).chunks())  # it compares every checksum
    assert list(chunks) == [b"IHDR", b"iCCP", b"iTXt", b"IDAT", b"IEND"]
    assert reopened(tmp_path / "deep.png").info["nstjax"] == COMMENT


@pytest.mark.parametrize(("bits", "atol"), [(8, 0.5 / 255 + 1e-6), (16, 0.5 / 65535 + 1e-6)])
def test_our_own_reader_gets_back_what_was_written(
    tmp_path: Path, noise: images.Pixels, bits: int, atol: float
) -> None:
    images.save(tmp_path / "out.png", noise, alpha=noise[..., 1:2], bits=bits)
    picture = images.load(tmp_path / "out.png", background=(0, 0, 0))
    np.testing.assert_allclose(picture.alpha, noise[..., 1:2], atol=atol)
    np.testing.assert_allclose(picture.pixels, noise * noise[..., 1:2], atol=2 * atol)
    images.save(tmp_path / "out.png", noise, bits=bits)
    picture = images.load(tmp_path / "out.png")
    np.testing.assert_allclose(picture.pixels, noise, atol=atol)
    assert (picture.alpha, picture.notes) == (None, ())  # its color profile asks for no conversion


@pytest.mark.parametrize("name", ["out.jpg", "out.webp"])
@pytest.mark.parametrize(
    ("options", "words"), [({"bits": 16}, "16 bits a channel"), ({"transparent": True}, "transparency")]
)
def test_what_only_a_png_can_hold(tmp_path: Path, name: str, options: dict, words: str) -> None:
    with pytest.raises(UserError, match=f"{name}: {words} can't be written as '{name[3:]}'; use .png"):
        images.check_output(tmp_path / name, **options)


@pytest.mark.parametrize(("name", "bits"), [("out.png", 8), ("out.png", 16), ("out.jpg", 8), ("out.webp", 8)])
def test_the_colors_are_said_to_be_srgb(tmp_path: Path, noise: images.Pixels, name: str, bits: int) -> None:
    images.save(tmp_path / name, noise, bits=bits)
    picture = reopened(tmp_path / name).convert("RGB")
    profile = ImageCms.ImageCmsProfile(io.BytesIO(picture.info["icc_profile"]))
    assert "sRGB" in ImageCms.getProfileDescription(profile)
    shown = ImageCms.profileToProfile(picture, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    np.testing.assert_array_equal(np.asarray(shown), np.asarray(picture))


@pytest.mark.parametrize("bits", [8, 16])
def test_equal_arguments_give_equal_bytes_on_another_day(tmp_path: Path, noise: images.Pixels, bits: int) -> None:
    """LittleCMS dates its profiles."""
    images.save(tmp_path / "out.png", noise, bits=bits)
    assert struct.unpack(">6H", reopened(tmp_path / "out.png").info["icc_profile"][24:36]) == (2000, 1, 1, 0, 0, 0)


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


def test_no_metadata_of_an_input_gets_into_an_output(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "the camera"
    Image.new("RGB", (32, 24)).save(tmp_path / "in.jpg", exif=exif)
    for name in ("out.jpg", "out.png", "out.webp"):
        images.save(tmp_path / name, images.load(tmp_path / "in.jpg").pixels)
        assert b"camera" in (tmp_path / "in.jpg").read_bytes()
        assert not reopened(tmp_path / name).getexif() and b"camera" not in (tmp_path / name).read_bytes()


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


def test_a_link_is_followed(tmp_path: Path, noise: images.Pixels) -> None:
    """As `cp` does: who links `out.png` to another disk wants it there."""
    (tmp_path / "disk").mkdir()
    for target in ("disk/there.png", "disk/new.png"):
        link = tmp_path / "link.png"
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        if target == "disk/there.png":
            (tmp_path / target).write_bytes(b"old")
        images.save(link, noise)
        assert link.is_symlink()
        assert images.load(tmp_path / target).pixels.shape == noise.shape
    assert sorted(os.listdir(tmp_path / "disk")) == ["new.png", "there.png"]


def test_a_full_disk(tmp_path: Path, noise: images.Pixels) -> None:
    (tmp_path / "out.png").write_bytes(b"old")
    (tmp_path / f".out.png.{os.getpid()}.tmp").symlink_to("/dev/full")  # what is written first has no room
    with pytest.raises(UserError, match=r"out.png: can't be written \(No space left on device\); free space or"):
        images.save(tmp_path / "out.png", noise)
    assert os.listdir(tmp_path) == ["out.png"]
    assert (tmp_path / "out.png").read_bytes() == b"old"


def test_what_is_read_only_stays_as_it_is(tmp_path: Path, noise: images.Pixels) -> None:
    folder, file = tmp_path / "folder", tmp_path / "file.png"
    folder.mkdir(mode=0o555)
    file.write_bytes(b"old")
    file.chmod(0o444)
    for path in (folder / "out.png", file):
        for refuse in (images.check_output, lambda path: images.save(path, noise)):
            with (
                pytest.raises(UserError, match=r"png: can't be written \(Permission denied\); give another path"),
                binding(),
            ):
                refuse(path)
    assert not list(folder.iterdir())
    assert file.read_bytes() == b"old"


def test_checking_an_output_leaves_no_trace(tmp_path: Path) -> None:
    (tmp_path / "old.png").write_bytes(b"old")
    before = (tmp_path / "old.png").stat()
    for name in ("old.png", "new.png", "none/new.png"):
        images.check_output(tmp_path / name, bits=16, transparent=True)
    assert os.listdir(tmp_path) == ["old.png"]
    assert (tmp_path / "old.png").stat()[:9] == before[:9]


def test_a_missing_folder_is_made(tmp_path: Path, noise: images.Pixels) -> None:
    images.save(tmp_path / "new" / "folder" / "out.png", noise)
    assert images.load(tmp_path / "new" / "folder" / "out.png").pixels.shape == noise.shape


def test_a_path_that_cannot_be_a_picture(tmp_path: Path, noise: images.Pixels) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "fifo.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    for name, words in {
        "file/out.png": r"out\.png: can't be written \(Not a directory\); give another path",
        "folder.png": r"can't be written \(not a regular file\)",
        "fifo.png": r"can't be written \(not a regular file\)",
        "loop.png": r"can't be written \(Too many levels of symbolic links\)",
        "a\0b.png": r"a\?b.png: can't be written",
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


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("size=64,steps=[10]", ["size=64,", "steps=[10]"]),
        ("statistic=[covariance]", ["statistic=", "[covariance]"]),
        ("wonderfulkey=1", ["wonderfulkey=", "1"]),
        ("a photograph of a cat", ["a photograph", "of a cat"]),
        ("", [""]),
    ],
)
def test_a_label_breaks_between_words_or_behind_a_setting_s_name(text, lines):
    assert writing._lines(text, 13) == lines


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
