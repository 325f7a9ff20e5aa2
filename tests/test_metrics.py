"""Metrics are their formulas, whatever was optimised; and a run leaves them where they can be compared."""

import re

import jax.numpy as jnp
import numpy as np
import pytest
from small_runs import REPOSITORY, manifest, picture, small

from nstjax import color, metrics, weights
from nstjax.config import settings, to_dict
from nstjax.features import extract
from nstjax.metrics import PROBES, SMALLEST, color_shift, measured, ssim
from nstjax.objective import from_config
from nstjax.run import run
from nstjax.train import compose

SIMILARITY = "ssim"  # all others are distances
SHAPE = (24, 20)


def noise(seed, height=SHAPE[0], width=SHAPE[1]):
    return np.random.default_rng(seed).uniform(0, 1, (height, width, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def network():
    return weights.load("caffe-8bit")


@pytest.fixture(scope="module")
def found(network):
    return measured(network, noise(0), noise(1), [noise(2)], [1.0])


@pytest.mark.parametrize(
    ("light", "share", "expected"),
    [(1, 0, 0.08673321381883972), (1, 0.5, 0.6833814800417215), (0.05, 0, 0.8486880977061946)],
)
def test_ssim_is_scikit_images(light, share, expected):
    """0.26.0, of the luma L of the same pictures; `share` of one is in the other, dark ones depend on K1, K2:

    structural_similarity(L, M, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1)
    """
    one, other = (np.float32(light) * each for each in (noise(0), share * noise(0) + (1 - share) * noise(1)))
    assert ssim(one, other.astype(np.float32)) == pytest.approx(expected, rel=1e-6)


def test_a_picture_is_like_itself(network):
    same = measured(network, noise(0), noise(0), [noise(0)], [1.0])
    assert same.pop(SIMILARITY) == pytest.approx(1)
    assert all(abs(value) < 1e-5 for value in same.values()), same


def test_another_is_not(found):
    assert found[SIMILARITY] < 0.5
    assert all(value > 1e-3 for name, value in found.items() if name != SIMILARITY)


def test_distances_of_features_are_their_formulas(network, found):
    """Naively, in float64."""
    r, c, s = (
        {k: np.float64(v) for k, v in extract(network, jnp.asarray(noise(seed)), PROBES).items()} for seed in range(3)
    )

    def relative(of, a, b):
        a, b = of(a), of(b)
        return ((a - b) ** 2).sum() / (b**2).sum()

    def gram(f):
        flat = f.reshape(-1, f.shape[2])
        return flat.T @ flat / len(flat)

    def directed(f):
        return f / (np.linalg.norm(f, axis=2, keepdims=True) + 1e-10)

    naive = {
        "content_distance": np.mean([relative(lambda f: f, r[k], c[k]) for k in PROBES]),
        "perceptual": sum(((directed(r[k]) - directed(c[k])) ** 2).sum(2).mean() for k in PROBES),
        "style_gram": np.mean([relative(gram, r[k], s[k]) for k in PROBES]),
        "style_moments": np.mean(
            [relative(lambda f: np.stack([f.mean((0, 1)), f.std((0, 1))]), r[k], s[k]) for k in PROBES]
        ),
    }
    for name, value in naive.items():
        assert found[name] == pytest.approx(value, rel=1e-4), name


def test_style_does_not_see_where_things_are(network, monkeypatch):
    """Nor how many there are: the quantiles of a picture are those of it twice."""
    monkeypatch.setattr(metrics, "_features", lambda network, image: dict.fromkeys(PROBES, image))
    once, twice = noise(0, 40, 40), np.concatenate([noise(0, 40, 40)[::-1]] * 2)
    style = measured(network, once, once, [twice], [1.0])
    assert max(style[name] for name in ("style_gram", "style_moments")) < 1e-8
    assert style["style_sliced"] < 1e-4


def test_the_sliced_distance_of_a_shift_is_the_shift():
    """Along every direction all quantiles move as far: by the direction's share of the shift."""
    f = np.random.default_rng(0).normal(size=(30, 30, 8)).astype(np.float32)
    shift = np.arange(8, dtype=np.float32)
    before, after = (metrics._style(each).quantiles for each in (f, f + shift))
    moved = after - before
    assert np.ptp(moved, axis=1).max() < 1e-4
    assert (moved[:, 0] ** 2).mean() == pytest.approx((shift**2).sum() / 8, rel=0.5)  # as 32 directions have it


def test_color_shift_between_two_colors_is_delta_e_of_1976():
    """CIE 15:2004, 8.2.1: the Euclidean distance in CIELAB."""
    one, other = (np.broadcast_to(np.float32(rgb), (16, 12, 3)) for rgb in ((0.8, 0.2, 0.2), (0.2, 0.3, 0.7)))
    lab = [100 * color.SPACES["lab"].of_srgb(np.float64(each[0, 0])[None, None]) for each in (one, other)]
    assert color_shift(one, other) == pytest.approx(np.linalg.norm(lab[0] - lab[1]), rel=1e-6)
    assert color_shift(noise(0), noise(0)[::-1]) == pytest.approx(0, abs=1e-4)


def test_several_styles_count_by_their_shares(network):
    both, first, second = (
        measured(network, noise(0), noise(1), styles, shares)
        for styles, shares in (
            ([noise(2), noise(3)], [3.0, 1.0]),
            ([noise(2)], [1.0]),
            ([noise(3)], [1.0]),
        )
    )
    for name in ("style_gram", "style_moments", "style_sliced"):
        assert both[name] == pytest.approx((3 * first[name] + second[name]) / 4, rel=1e-5)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_constant_pictures_have_numbers(network, value):
    plain = np.full((*SHAPE, 3), value, np.float32)
    for result, other in ((plain, noise(1)), (noise(1), plain), (plain, plain)):
        assert np.isfinite(list(measured(network, result, other, [other], [1.0]).values())).all()


def test_a_picture_that_ssims_window_does_not_fit_has_none(network):
    least = noise(0, SMALLEST, SMALLEST)
    assert np.isfinite(list(measured(network, least, least, [least], [1.0]).values())).all()
    less = noise(0, SMALLEST, SMALLEST - 1)
    assert measured(network, less, less, [least], [1.0]) == measured(network, least, least, [less], [1.0]) == {}


def test_what_is_not_a_number_has_none(network):
    broken = noise(0)
    broken[3, 4, 1] = np.nan
    assert measured(network, broken, noise(1), [noise(2)], [1.0]) == {}


def test_no_preset_optimises_what_it_is_measured_by():
    for path in (REPOSITORY / "configs/preset").glob("*.yaml"):
        terms = from_config(compose([f"preset={path.stem}"]).objective, extract)
        assert not set(PROBES) & set(terms.layers), path.stem


def test_every_metric_has_its_line_in_the_docs(found):
    page = (REPOSITORY / "docs/metrics.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)`", page, re.MULTILINE) == list(found)
    assert all(layer in page for layer in PROBES)


def test_a_run_says_what_it_is_measured_by_and_which_probes_it_has_seen(tmp_path, network):
    content, style = picture(tmp_path / "c.png"), picture(tmp_path / "s.png", 1)
    run(
        small(
            f"content.path={content}", f"style.path={style}", "output.metrics=true",
            "objective.content.layers=[relu2_2]", "schedule.steps=[1]",
        ),
        tmp_path / "run",
    )  # fmt: skip
    left = manifest(tmp_path / "run")["metrics"]
    assert left.pop("optimized") == ["relu2_2"]
    assert 0 < left["content_distance"] < 1
    assert left["ssim"] > 0.5


def test_whether_a_run_is_measured_is_not_what_it_makes():
    on, off = (settings(to_dict(compose([f"output.metrics={each}"]))) for each in ("true", "false"))
    assert on == off
    assert "bits" in on["output"]
