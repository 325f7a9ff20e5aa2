"""The plates: three pictures that `scripts/paint_plates.py` paints, rich and unlike each other."""

import importlib.util
import sys
from itertools import combinations
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
PLATES = ROOT / "nstjax" / "plates"
NAMES = ["starry", "stained_glass", "great_wave"]
SKETCH = 64


@pytest.fixture(scope="module")
def script():
    """The script as a module; it finds its painters beside it, as when it's run."""
    path = ROOT / "scripts" / "paint_plates.py"
    spec = importlib.util.spec_from_file_location("paint_plates", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(path.parent))
        spec.loader.exec_module(module)
        yield module
    for name in [name for name in sys.modules if name.split(".")[0] == "painters"]:
        del sys.modules[name]


def pixels(picture: Image.Image, size: tuple[int, int] | None = None) -> np.ndarray:
    resized = picture.resize(size, Image.Resampling.BOX) if size else picture
    return np.asarray(resized, dtype=float) / 255


def shipped(name: str) -> np.ndarray:
    with Image.open(PLATES / f"{name}.jpg") as picture:
        return pixels(picture)


def histogram(picture: np.ndarray) -> np.ndarray:
    """Shares of the picture in 4 x 4 x 4 bins of color."""
    counts, _ = np.histogramdd(picture.reshape(-1, 3), bins=4, range=[(0, 1)] * 3)
    return counts / counts.sum()


def entropy(shares: np.ndarray) -> float:
    """Of a distribution, relative to a uniform one over as many bins: 0 to 1."""
    present = shares[shares > 0]
    return float(-(present * np.log(present)).sum() / np.log(shares.size))


def directions(picture: np.ndarray) -> np.ndarray:
    """Shares of the picture's contrast in 16 bins of the angle of its edges."""
    down, right = np.gradient(picture.mean(axis=-1))
    angle = np.arctan2(down, right) % np.pi
    strength, _ = np.histogram(angle, bins=16, range=(0, np.pi), weights=np.hypot(down, right))
    return strength / max(strength.sum(), 1e-9)


def block_contrast(picture: np.ndarray, side: int = 16) -> np.ndarray:
    """The standard deviation of lightness in each square block of `side` pixels."""
    height, width = (length // side * side for length in picture.shape[:2])
    blocks = picture[:height, :width].mean(axis=-1).reshape(height // side, side, width // side, side)
    return blocks.std(axis=(1, 3))


def test_the_script_paints_the_shipped_plates(script: ModuleType) -> None:
    assert list(script.PAINTERS) == NAMES
    assert sorted(path.name for path in PLATES.iterdir()) == sorted(f"{name}.jpg" for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_painter_paints_the_same_pixels_every_time(script: ModuleType, name: str) -> None:
    first, second = (script.PAINTERS[name](SKETCH) for _ in range(2))
    assert max(first.size) == SKETCH and first.mode == "RGB"
    np.testing.assert_array_equal(pixels(first), pixels(second))


def test_a_shipped_plate_is_what_its_painter_sketches(script: ModuleType) -> None:
    """Compared as thumbnails: far closer to a small sketch by its own painter than to the others'."""
    sketches = {name: pixels(paint(192), (12, 12)) for name, paint in script.PAINTERS.items()}
    for name in NAMES:
        with Image.open(PLATES / f"{name}.jpg") as picture:
            plate = pixels(picture, (12, 12))
        distance = {painter: np.abs(sketch - plate).mean() for painter, sketch in sketches.items()}
        own = distance.pop(name)
        assert own < 0.6 * min(distance.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_plate_is_small_enough_to_ship(name: str) -> None:
    path = PLATES / f"{name}.jpg"
    with Image.open(path) as picture:
        assert (picture.format, picture.mode, max(picture.size)) == ("JPEG", "RGB", 768)
    assert path.stat().st_size < 260_000


@pytest.mark.parametrize("name", NAMES)
def test_a_plate_has_many_colors_and_edges_in_every_direction(name: str) -> None:
    plate = shipped(name)
    assert entropy(histogram(plate)) > 0.5
    assert entropy(directions(plate)) > 0.95


def test_strokes_leave_no_part_of_the_default_plate_flat() -> None:
    contrast = block_contrast(shipped("starry"))
    assert contrast.min() > 0.015
    assert np.median(contrast) > 0.08


@pytest.mark.parametrize(("one", "other"), list(combinations(NAMES, 2)))
def test_two_plates_share_no_more_than_two_thirds_of_their_colors(one: str, other: str) -> None:
    shared = np.minimum(histogram(shipped(one)), histogram(shipped(other))).sum()
    assert shared < 2 / 3


def test_each_plate_has_a_character_of_its_own() -> None:
    """Black lead is the window's, pale paper the print's, and strokes everywhere the oil painting's."""
    light = {name: shipped(name).mean(axis=-1) for name in NAMES}
    black = {name: (values < 0.1).mean() for name, values in light.items()}
    pale = {name: (values > 0.7).mean() for name, values in light.items()}
    busy = {name: np.quantile(block_contrast(shipped(name)), 0.05) for name in NAMES}
    for measure, winner in ((black, "stained_glass"), (pale, "great_wave"), (busy, "starry")):
        runner_up = max(value for name, value in measure.items() if name != winner)
        assert measure[winner] > 1.5 * runner_up


def test_the_command_paints_named_plates_into_a_folder(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(script, "LONG_EDGE", SKETCH)
    monkeypatch.setattr(sys, "argv", ["paint_plates.py", "stained_glass", "--out", str(tmp_path / "new")])
    script.main()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["stained_glass.jpg"]
    assert capsys.readouterr().out == f"{tmp_path / 'new' / 'stained_glass.jpg'}\n"


def test_the_command_names_the_plates_when_asked_for_another(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["paint_plates.py", "mona_lisa"])
    with pytest.raises(SystemExit) as stopped:
        script.main()
    assert stopped.value.code == 2
    assert "mona_lisa; choose from starry, stained_glass, great_wave" in capsys.readouterr().err
