"""Pictures through the real command: an odd one makes a picture or one line; the result holds what is asked of it."""

import time
from collections.abc import Callable
from pathlib import Path

import bad_pictures
import numpy as np
import pytest
from bad_pictures import ALPHAS, CASES, Loads
from permissions import binding
from PIL import Image
from small_runs import SMALL, in_process, manifest, picture

from nstjax import images, train
from nstjax.cli import main, quote
from nstjax.run.regions import Mask

TINY = (*SMALL, "size=32", "schedule.steps=[0]")
Command = Callable[..., tuple[int, str]]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Calls `nstjax.train` from `tmp_path`, with permissions that bind; the exit code, and what it said of mistakes."""
    with in_process(monkeypatch, tmp_path):

        def call(*arguments: str) -> tuple[int, str]:
            with binding():
                code = train.main([*TINY, *arguments])
            return code, capsys.readouterr().err

        yield call


def left(folder: Path) -> list[str]:
    """The names of what a run left, without Hydra's and the log."""
    return sorted(path.name for path in folder.iterdir() if path.name not in (".hydra", "log.txt"))


@pytest.mark.slow
@pytest.mark.parametrize("roles", [("content",), ("style",), ("content", "style")], ids=" and ".join)
def test_every_odd_picture_makes_a_picture_or_one_line(
    tmp_path: Path, command: Command, roles: tuple[str, ...]
) -> None:
    """One that is refused is refused as either; of one that loads, a picture in its own style."""
    bad_pictures.write(tmp_path)
    longest = 0.0
    assert command("content.path=plain.bmp", "style.path=plain.bmp")[0] == 0  # compiles what the others use
    for number, (name, (_, outcome)) in enumerate(CASES.items()):
        if isinstance(outcome, Loads) != (len(roles) == 2):
            continue
        folder = tmp_path / "runs" / str(number)
        pictures = {"content": "plain.bmp", "style": "plain.bmp"} | dict.fromkeys(roles, quote(name))
        began = time.thread_time()  # XLA's own threads compute, this one reads
        code, said = command(*(f"{key}.path={path}" for key, path in pictures.items()), f"hydra.run.dir={folder}")
        longest = max(longest, time.thread_time() - began)
        if isinstance(outcome, Loads):
            assert (code, manifest(folder)["status"], manifest(folder)["size"]) == (0, "done", [32, 20]), name
            assert left(folder) == ["history.csv", "history.jsonl", "manifest.json", "result.png"]
        else:
            assert (code, manifest(folder)["status"]) == (2, "failed"), name
            assert said.count("\n") == 1 and said.startswith("nstjax.train: ") and outcome.words in said, said
            assert left(folder) == ["manifest.json"]
    assert longest < 10


@pytest.fixture
def blocks(tmp_path: Path) -> Path:
    """Red, green and blue blocks: transparent, half and opaque."""
    bad_pictures.rgba.save(tmp_path / "blocks.png")
    return tmp_path / "blocks.png"


def result(command: Command, *arguments: str) -> images.Picture:
    """The picture of a run that ends with the content picture itself, at its own size, unless told otherwise."""
    code, said = command("size=64", "content.path=blocks.png", "style.path=blocks.png", "hydra.run.dir=run", *arguments)
    assert code == 0, said
    return images.load(Path("run/result.png"), background=(0, 0, 0))


def test_the_result_is_opaque_and_of_8_bits_when_nobody_asks(blocks: Path, command: Command) -> None:
    picture = result(command)
    over_white = images.load(blocks).pixels
    np.testing.assert_array_equal(picture.pixels, images.quantize(over_white) / np.float32(255))
    assert (picture.alpha, picture.notes) == (None, ())
    with Image.open("run/result.png") as file:
        assert len(file.info["icc_profile"]) < 1000 and len(file.info["nstjax"]) < 1 << 20


@pytest.mark.parametrize(("bits", "tolerance"), [(8, 0.5 / 255), (16, 0.5 / 65535)])
def test_transparency_is_kept_on_request(blocks: Path, command: Command, bits: int, tolerance: float) -> None:
    picture = result(command, "output.alpha=true", f"output.bits={bits}", "background=[1,0.5,0]")
    before = images.load(blocks, background=(1, 0.5, 0))
    np.testing.assert_allclose(picture.alpha, before.alpha, atol=1e-7)
    np.testing.assert_allclose(picture.pixels, before.pixels * before.alpha, atol=tolerance + 1e-6)
    notes = manifest(Path("run"))["pictures"]["content"]["notes"]
    assert notes == ["transparency composited over the background [1, 0.5, 0]"]
    assert manifest(Path("run"))["config"]["output"] == {"bits": bits, "alpha": True, "metrics": False, "writers": []}


def test_transparency_is_resized_with_the_picture(blocks: Path, command: Command) -> None:
    picture = result(command, "size=32", "output.alpha=true")
    assert picture.alpha.shape == (20, 32, 1)
    np.testing.assert_allclose(picture.alpha[[10, 5, 15], [8, 24, 24], 0], ALPHAS / 255, atol=0.01)


def test_an_opaque_picture_has_no_transparency_to_keep(command: Command, tmp_path: Path) -> None:
    picture(tmp_path / "blocks.png")
    assert result(command, "output.alpha=true").alpha is None


@pytest.mark.parametrize("setting", ["output.bits=16", "output.alpha=true"])
def test_what_the_output_cannot_hold_is_said_before_the_run(
    setting: str, blocks: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    what = "16 bits a channel" if "bits" in setting else "transparency"
    assert main(["blocks.png", "blocks.png", *TINY, setting, "-o", "out.jpg"]) == 2
    assert capsys.readouterr().err == f"nstjax: out.jpg: {what} can't be written as '.jpg'; use .png\n"
    assert not Path("outputs").exists()
    assert main(["blocks.png", "blocks.png", *TINY, setting, "-o", "out.png"]) == 0
    assert Path("out.png").is_file()


def test_an_output_behind_a_link(blocks: Path, command: Command) -> None:
    Path("disk").mkdir()
    Path("link.png").symlink_to("disk/new.png")
    assert main(["blocks.png", "blocks.png", *TINY, "-o", "link.png"]) == 0
    assert Path("link.png").is_symlink() and images.load(Path("disk/new.png")).pixels.shape == (20, 32, 3)


@pytest.mark.parametrize("key", ["content.path", "style.path", "init=picture init.path", "style.blend", "content.keep"])
@pytest.mark.parametrize("name", ["run/result.png", "run/previews/scale0_step00000.png", "link.png"])
def test_a_run_removes_no_picture_that_it_is_to_read(blocks: Path, command: Command, key: str, name: str) -> None:
    Path("run/previews").mkdir(parents=True)
    Path("link.png").symlink_to("run/result.png")
    for each in ("run/result.png", "run/previews/scale0_step00000.png"):
        Path(each).write_bytes(blocks.read_bytes())
    value = f"[{name}]" if key == "style.blend" else name
    code, said = command(*f"{key}={value}".split(), "hydra.run.dir=run")
    assert (code, said) == (
        2, f"nstjax.train: {name} is of an earlier run in this run's folder; choose another hydra.run.dir\n",
    )  # fmt: skip
    assert Path(name).read_bytes() == blocks.read_bytes()


def test_a_picture_of_the_users_own_may_lie_in_the_folder_of_the_run(blocks: Path, command: Command) -> None:
    assert command("content.path=blocks.png", "hydra.run.dir=.")[0] == 0
    assert blocks.exists() and Path("result.png").exists()


KEEP = "content.keep=mask.png"


def mask(levels: np.ndarray) -> str:
    """Writes a mask, of levels from 0 to 255; returns the setting that keeps what it shows."""
    Image.fromarray(np.asarray(levels, np.uint8)).save("mask.png")
    return KEEP


def band(height: int, width: int) -> np.ndarray:
    """White on the left, black on the right, and soft in between."""
    return np.broadcast_to(np.clip(np.linspace(2.5, -1.5, width), 0, 1) * 255, (height, width))


@pytest.mark.parametrize(
    "parametrization",
    ["pixels", *(pytest.param(name, marks=pytest.mark.slow) for name in ("laplacian", "fourier"))],
)
def test_what_is_white_in_the_mask_stays_the_photograph(parametrization: str, command: Command, tmp_path: Path) -> None:
    """To the last of 8 bits, in every picture of every scale, whatever the run begins with."""
    photo = images.load(picture(tmp_path / "photo.png")).pixels
    Path("style.png").write_bytes(picture(tmp_path / "other.png", seed=1).read_bytes())
    run = ("content.path=photo.png", "style.path=style.png", "hydra.run.dir=run", "init=noise", "preview_every=1")
    how = (f"parametrization={parametrization}", "schedule.scales=[0.75,1]", "schedule.steps=[2,3]")
    code, said = command(*run, *how, "size=48", mask(band(96, 82)))
    assert code == 0, said
    white = slice(0, 13)  # columns, as far as no pixel of the mask has a part in them that isn't
    content = images.resize(photo, 48, 41, resample="lanczos", space="linear")
    for name in ("result.png", "previews/scale1_step00000.png", "previews/scale1_step00003.png"):
        painted = images.load(Path("run", name)).pixels
        np.testing.assert_array_equal(painted[:, white], images.quantize(content)[:, white] / np.float32(255))
    assert np.abs(painted - content)[:, -10:].mean() > 0.02


def test_soft_edges_of_a_mask_are_mixtures(command: Command, tmp_path: Path) -> None:
    """Of the photograph and what the run begins with, before any step; what is transparent in it is black."""
    picture(tmp_path / "photo.png"), picture(tmp_path / "start.png", seed=1)
    photo, begun = (images.resize(images.load(Path(name)).pixels, 32, 27) for name in ("photo.png", "start.png"))
    levels = np.stack([band(32, 27).astype(np.uint8), np.full((32, 27), 255)], 2)
    levels[:16, :, 1] = 0
    run = ("content.path=photo.png", "init=picture", "init.path=start.png", "sizing.resample=bilinear")
    assert command(*run, "sizing.space=srgb", "hydra.run.dir=run", mask(levels))[0] == 0
    share = np.where(levels[..., 1] > 0, levels[..., 0], 0)[..., None] / 255
    np.testing.assert_allclose(
        images.load(Path("run/result.png")).pixels, share * photo + (1 - share) * begun, atol=1 / 255
    )
    assert manifest(Path("run"))["pictures"]["content.keep"]["path"] == str(tmp_path / "mask.png")


def test_white_stays_quite_white_at_any_size(tmp_path: Path) -> None:
    """One, not almost, so that what is kept is kept to the bit; for whatever the run resizes pictures with."""
    levels = np.where(np.arange(300) < 200, 255, np.arange(300) % 256).astype(np.uint8)
    Image.fromarray(np.broadcast_to(levels, (300, 300))).save(tmp_path / "mask.png")
    whole = Mask("content.keep", "mask.png", images.load_mask(tmp_path / "mask.png").pixels.mean(2), None)
    for size in (*range(16, 100), 299, 300, 301, 777):
        resized = whole.resized(size, size)
        assert (resized[:, : size // 2] == 1).all()
        assert resized.min() >= 0 and resized.max() == 1


@pytest.mark.parametrize(
    ("levels", "said"),
    [
        (
            band(30, 30),
            "mask.png: the mask has 30x30 pixels, but photo.png 82x96; make it as large, or of the same shape",
        ),
        (np.full((96, 82), 255), f"{KEEP} is all white, and keeps everything; paint some of it black"),
        (band(8, 7), "mask.png: 7x8 pixels, both sides need at least 16; give a larger picture"),
    ],
    ids=["shape", "white", "tiny"],
)
def test_a_mask_that_makes_no_sense_is_refused(levels: np.ndarray, said: str, command: Command, tmp_path: Path) -> None:
    picture(tmp_path / "photo.png")
    code, lines = command("content.path=photo.png", "hydra.run.dir=run", mask(levels))
    assert (code, lines) == (2, f"nstjax.train: {said}\n")


@pytest.mark.parametrize("shape", [(48, 41), (24, 21), (24, 20), (200, 171)])
def test_a_mask_of_the_photographs_shape_may_have_any_size(
    shape: tuple[int, int], command: Command, tmp_path: Path
) -> None:
    """Rounded to whole pixels either way."""
    picture(tmp_path / "photo.png")
    assert command("content.path=photo.png", "hydra.run.dir=run", mask(band(*shape)))[0] == 0


EXTREMES = {"black": (0, (16, 16)), "white": (255, (16, 16)), "gray": (128, (40, 64)), "wide": (255, (16, 640))}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "style"), [("black", "black"), ("white", "wide"), ("wide", "gray"), ("gray", "wide"), ("gray", "black")]
)
def test_pictures_of_one_color_and_of_extreme_shapes(content: str, style: str, command: Command) -> None:
    for name, (level, shape) in EXTREMES.items():
        Image.fromarray(np.full(shape, level, np.uint8)).save(f"{name}.png")
    pictures = (f"content.path={content}.png", f"style.path={style}.png", "hydra.run.dir=run")
    assert command(*pictures, "schedule.steps=[5]", "sizing.edge=short", "size=16")[0] == 0
    assert all(np.isfinite(value) for value in manifest(Path("run"))["final"].values())


@pytest.mark.parametrize("role", ["content", "style"])
def test_a_side_that_would_fall_below_16_pixels(role: str, command: Command) -> None:
    Image.new("RGB", (640, 16)).save("wide.png")
    code, said = command(f"{role}.path=wide.png", "hydra.run.dir=run")
    assert code == 2 and said.count("\n") == 1
    assert "a picture of 640x16 becomes 32x1 at size=32" in said and "no side may be below 16 pixels" in said
