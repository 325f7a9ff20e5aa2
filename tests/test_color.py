"""Color: spaces against published values, statistics that are another picture's, and what a run makes of it all."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_runs import HEIGHT, REPOSITORY, WIDTH, at_step, history, interrupted, manifest, picture, pixels, small

from nstjax import color, images
from nstjax.errors import Interrupted
from nstjax.rerun import rerun
from nstjax.run import run

SPACES, MAPS = sorted(color.SPACES), sorted(color.MAPS)

# CIELAB and Oklab of sRGB colors: colour-science 0.4.7, `XYZ_to_Lab(sRGB_to_XYZ(c))`, `XYZ_to_Oklab(sRGB_to_XYZ(c))`.
# Its white is that of two digits more: a difference below 0.02 of 100, and below 0.0002 of 1.
PUBLISHED = {
    (1, 0, 0): ((53.2329, 80.1112, 67.2237), (0.627926, 0.224888, 0.125805)),
    (0, 1, 0): ((87.7370, -86.1829, 83.1878), (0.866452, -0.233921, 0.179422)),
    (0, 0, 1): ((32.3026, 79.1981, -107.8504), (0.452033, -0.032352, -0.311621)),
    (0, 1, 1): ((91.1165, -48.0776, -14.1243), (0.905415, -0.149447, -0.039505)),
    (1, 1, 0): ((97.1382, -21.5536, 94.4895), (0.967981, -0.071393, 0.198490)),
    (1, 0, 1): ((60.3199, 98.2563, -60.8296), (0.701657, 0.274626, -0.169269)),
    (1, 1, 1): ((100.0, 0.0077, 0.0035), (1.000002, 0.000002, -0.000114)),
    (0, 0, 0): ((0, 0, 0), (0, 0, 0)),
    (0.5, 0.5, 0.5): ((53.3890, 0.0046, 0.0021), (0.598182, 0.000001, -0.000068)),
    (0.2, 0.4, 0.6): ((42.0100, -0.1435, -32.8423), (0.499322, -0.033029, -0.093035)),
    (0.01, 0.02, 0.005): ((1.1739, -1.1987, 1.2128), (0.107503, -0.012974, 0.013833)),
}
COLORS = np.array([list(PUBLISHED)], np.float32)


def blotches(seed, height=24, width=31, spread=0.25):
    """A picture of correlated channels, so far inside [0, 1] that what is matched to another of them stays there."""
    random = np.random.default_rng(seed)
    mixed = random.uniform(-1, 1, (height, width, 3)) @ random.uniform(-0.5, 0.5, (3, 3))
    return (random.uniform(0.45, 0.55, 3) + spread * mixed).astype(np.float32)


def constant(*rgb, shape=(16, 17)):
    return np.broadcast_to(np.array(rgb, np.float32), (*shape, 3)).copy()


def coordinates(picture, space):
    return color.SPACES[space].of_srgb(picture.astype(np.float64))


def moments(picture):
    flat = picture.reshape(-1, 3).astype(np.float64)
    return flat.mean(0), np.cov(flat, rowvar=False, bias=True)


# spaces


def test_colors_have_their_published_coordinates():
    lab, oklab = (np.array([[values[i] for values in PUBLISHED.values()]]) for i in (0, 1))
    np.testing.assert_allclose(100 * coordinates(COLORS, "lab"), lab, atol=0.02)
    np.testing.assert_allclose(coordinates(COLORS, "oklab"), oklab, atol=2e-4)


def test_oklab_is_that_of_its_authors_own_table():
    """Ottosson (2020), XYZ to Oklab; what has no color in sRGB, in light beyond [0, 1]."""
    xyz = np.array([[[0.950, 1, 1.089], [1, 0, 0], [0, 1, 0], [0, 0, 1]]])
    expected = [[[1, 0, 0], [0.450, 1.236, -0.019], [0.922, -0.671, 0.263], [0.153, -1.415, -0.449]]]
    cones = xyz @ np.linalg.inv(color._XYZ).T @ color._LMS.T
    np.testing.assert_allclose(np.cbrt(cones) @ color._OKLAB.T, expected, atol=0.0015)


def test_yuv_is_luma_and_scaled_differences_from_it():
    """ITU-R BT.601; scikit-image 0.26.0, `rgb2yuv`, has these to three digits."""
    np.testing.assert_allclose(coordinates(COLORS, "yuv")[0, :3, 0], [0.299, 0.587, 0.114], rtol=1e-6)
    np.testing.assert_allclose(coordinates(COLORS, "yuv")[0, 9], [0.363, 0.11663, -0.14300], atol=1e-4)


@pytest.mark.parametrize("space", SPACES)
def test_grays_have_no_chroma_and_white_has_luminance_one(space):
    grays = coordinates(np.linspace(0, 1, 50, dtype=np.float32)[:, None, None].repeat(3, axis=2), space)
    np.testing.assert_allclose(grays[..., 1:], 0, atol=1e-7)
    np.testing.assert_allclose(grays[[0, -1], 0, 0], [0, 1], atol=1e-7)
    assert (np.diff(grays[:, 0, 0]) > 0).all()


@pytest.mark.parametrize("space", SPACES)
def test_there_and_back_is_the_same_color(space):
    every = np.stack(np.meshgrid(*3 * [np.linspace(0, 1, 18)], indexing="ij"), -1).reshape(18, -1, 3)
    np.testing.assert_allclose(color.SPACES[space].to_srgb(color.SPACES[space].of_srgb(every)), every, atol=1e-12)


def test_light_and_back():
    values = np.linspace(0, 1, 1001)
    np.testing.assert_allclose(color.from_light(color.to_light(values)), values, atol=1e-7)
    np.testing.assert_allclose(color.to_light(np.array([0, 0.5, 1])), [0, 0.21404114, 1], rtol=1e-7)
    assert color.to_light(np.float32([0.1, 0.01])).dtype == color.from_light(np.float32([0.1, 0.001])).dtype == "f4"


# luminance


@pytest.mark.parametrize("space", SPACES)
def test_a_gray_picture_keeps_luminance_and_nothing_else(space):
    gray = color.gray(COLORS, space)
    np.testing.assert_allclose(gray, gray[..., :1].repeat(3, axis=2), atol=1e-6)
    np.testing.assert_allclose(coordinates(gray, space)[..., 0], coordinates(COLORS, space)[..., 0], atol=1e-6)
    np.testing.assert_allclose(color.gray(gray, space), gray, atol=1e-6)


@pytest.mark.parametrize("space", SPACES)
def test_luminance_gets_the_mean_and_the_deviation_of_another(space):
    style, content = blotches(1), blotches(2, 40, 18, spread=0.15)
    like, wanted = (coordinates(each, space)[..., 0] for each in (color.gray_like(style, content, space), content))
    assert like.mean() == pytest.approx(wanted.mean(), abs=1e-5)
    assert like.std() == pytest.approx(wanted.std(), abs=3e-4)  # the regularisation's share
    assert np.corrcoef(like.ravel(), coordinates(style, space)[..., 0].ravel())[0, 1] == pytest.approx(1)


@pytest.mark.parametrize("space", SPACES)
def test_luminance_of_one_and_chroma_of_another(space):
    image, colors = blotches(1), blotches(2, spread=0.1)
    both = coordinates(color.recombined(image, colors, space), space)
    np.testing.assert_allclose(both[..., 0], coordinates(image, space)[..., 0], atol=1e-6)
    np.testing.assert_allclose(both[..., 1:], coordinates(colors, space)[..., 1:], atol=1e-6)


@pytest.mark.parametrize("space", SPACES)
def test_the_chroma_of_its_own_gives_a_picture_back(space):
    for each in (COLORS, blotches(1)):
        np.testing.assert_allclose(color.recombined(color.gray(each, space), each, space), each, atol=3e-5)


@pytest.mark.parametrize("space", SPACES)
def test_an_image_beyond_what_a_picture_can_hold_is_cut_off_first(space):
    image, colors = blotches(1, spread=2), blotches(2)
    assert image.min() < -0.5 and image.max() > 1.5
    np.testing.assert_array_equal(
        color.recombined(image, colors, space), color.recombined(image.clip(0, 1), colors, space)
    )


# statistics


@pytest.mark.parametrize("name", MAPS)
def test_a_matched_style_has_the_contents_mean_and_covariance(name):
    style, content = blotches(1), blotches(2, 40, 18, spread=0.15)
    assert np.abs(moments(style)[1] - moments(content)[1]).max() > 0.002
    for mine, theirs in zip(moments(color.matched(style, content, name)), moments(content), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=3e-5)


@pytest.mark.parametrize("name", MAPS)
def test_a_picture_matched_to_itself_is_itself(name):
    for each in (blotches(1), COLORS, constant(0.2, 0.5, 0.7)):
        np.testing.assert_allclose(color.matched(each, each, name), each, atol=1e-6)


positive = st.lists(st.floats(-1, 1), min_size=9, max_size=9).map(
    lambda values: np.reshape(values, (3, 3)) @ np.reshape(values, (3, 3)).T + color.EPSILON * np.eye(3)
)


@pytest.mark.parametrize("name", MAPS)
@settings(deadline=None)
@given(positive, positive)
def test_every_map_takes_one_covariance_to_the_other(name, covariance, wanted):
    linear = color.MAPS[name](covariance, wanted)
    np.testing.assert_allclose(linear @ covariance @ linear.T, wanted, atol=1e-7)


@settings(deadline=None)
@given(positive, positive)
def test_monge_kantorovichs_map_is_symmetric_positive_and_moves_colors_the_least(covariance, wanted):
    """The mean square of the way that colors go is tr(Cov_S) + tr(Cov_C) - 2 tr(A Cov_S)."""
    linear = {name: color.MAPS[name](covariance, wanted) for name in MAPS}
    optimal = linear["monge_kantorovich"]
    scale = np.abs(optimal).max()
    np.testing.assert_allclose(optimal, optimal.T, atol=1e-7 * scale)
    assert np.linalg.eigvalsh((optimal + optimal.T) / 2).min() > -1e-7 * scale
    kept = {name: np.trace(each @ covariance) for name, each in linear.items()}
    assert kept["monge_kantorovich"] >= max(kept.values()) - 1e-7


def test_maps_are_their_definitions():
    """The roots: triangular, and symmetric, which `scipy.linalg.sqrtm` has by another way."""
    sqrtm = pytest.importorskip("scipy.linalg").sqrtm
    (_, a), (_, b) = moments(blotches(1)), moments(blotches(2))
    triangular = color.cholesky(a, b)
    np.testing.assert_allclose(triangular, np.tril(triangular), atol=1e-12)
    np.testing.assert_allclose(color.pca(a, b), sqrtm(b) @ np.linalg.inv(sqrtm(a)), atol=1e-9)
    inverse = np.linalg.inv(sqrtm(a))
    np.testing.assert_allclose(
        color.monge_kantorovich(a, b), inverse @ sqrtm(sqrtm(a) @ b @ sqrtm(a)) @ inverse, atol=1e-9
    )


def test_statistics_are_float64():
    """Of so many pixels that float32 would lose the third digit of the variance."""
    wide = constant(0.9, 0.8, 0.7, shape=(1500, 1500))
    wide[::2] += np.float32(0.001)
    mean, covariance = color._statistics(wide)
    np.testing.assert_allclose(mean, [0.9005, 0.8005, 0.7005], rtol=1e-7)
    np.testing.assert_allclose(np.diag(covariance) - color.EPSILON, 0.0005**2, rtol=1e-3)


def naive_quantile(values, share):
    """The value at a share of the ranks: rank k of n is at (k + 1/2) / n."""
    return np.interp(share, (np.arange(values.size) + 0.5) / values.size, np.sort(values, axis=None))


def test_a_histogram_becomes_the_contents():
    style, content = blotches(1), blotches(2, spread=0.1)
    made = color.histogram_matched(style, content)
    np.testing.assert_allclose(np.sort(made.reshape(-1, 3), axis=0), np.sort(content.reshape(-1, 3), axis=0), atol=1e-6)


def test_quantiles_of_pictures_of_different_sizes():
    style, content = blotches(1, 20, 30), blotches(2, 35, 11)
    made = color.histogram_matched(style, content)
    for channel in range(3):
        ranks = style[..., channel].argsort(axis=None).argsort()
        expected = naive_quantile(content[..., channel], (ranks + 0.5) / ranks.size)
        np.testing.assert_allclose(made[..., channel].ravel(), expected, atol=1e-6)


def test_equal_values_stay_equal_and_order_stays_order():
    style = (blotches(1) * 10).round().astype(np.float32) / 10
    made = color.histogram_matched(style, blotches(2))
    for channel in range(3):
        before, after = style[..., channel].ravel(), made[..., channel].ravel()
        order = before.argsort()
        assert (np.diff(after[order]) >= 0).all()
        assert len(np.unique(after)) == len(np.unique(before))


def test_a_histogram_matched_to_itself_is_itself():
    for each in (blotches(1), COLORS, (blotches(2) * 10).round().astype(np.float32) / 10):
        np.testing.assert_array_equal(color.histogram_matched(each, each), each)


# pictures without contrast, without color, and of extremes

EVERY_WAY = {
    **{name: lambda style, content, name=name: color.matched(style, content, name) for name in MAPS},
    "histogram": color.histogram_matched,
    **{name: lambda style, content, name=name: color.gray_like(style, content, name) for name in SPACES},
}
PLAIN = {
    "black": constant(0, 0, 0),
    "white": constant(1, 1, 1),
    "red": constant(1, 0, 0, shape=(1, 1)),
    "muddy": constant(0.3, 0.4, 0.5),
    "gray": color.gray(blotches(3), "yuv"),
    "two levels": np.indices((9, 7)).sum(0)[..., None].repeat(3, axis=2).astype(np.float32) % 2,
    "colorful": blotches(4, 40, 18),
}


@pytest.mark.parametrize("way", EVERY_WAY)
def test_every_pair_of_pictures_makes_a_picture(way):
    for (style, mine), (content, theirs) in itertools.product(PLAIN.items(), repeat=2):
        made = EVERY_WAY[way](mine, theirs)
        assert made.shape == mine.shape and made.dtype == np.float32, (style, content)
        assert np.isfinite(made).all() and made.min() >= 0 and made.max() <= 1, (style, content)


pictures = st.tuples(
    st.sampled_from([(1, 1), (1, 5), (4, 3)]), st.lists(st.floats(0, 1, width=32), min_size=36, max_size=36)
).map(lambda drawn: np.resize(np.array(drawn[1], np.float32), (*drawn[0], 3)))


@pytest.mark.parametrize("way", EVERY_WAY)
@settings(deadline=None)
@given(pictures, pictures)
def test_tiny_pictures_of_any_values_make_a_picture(way, style, content):
    made = EVERY_WAY[way](style, content)
    assert np.isfinite(made).all() and made.min() >= 0 and made.max() <= 1


@pytest.mark.parametrize("way", [*MAPS, "histogram"])
def test_a_content_of_one_color_makes_a_style_of_it(way):
    """The regularisation leaves a trace of contrast, sqrt(EPSILON): less than a level of 255."""
    made = EVERY_WAY[way](blotches(1), PLAIN["muddy"])
    assert made.std((0, 1), dtype=np.float64).max() < (0.0032 if way in MAPS else 1e-9)
    np.testing.assert_allclose(moments(made)[0], [0.3, 0.4, 0.5], atol=1e-4)


@pytest.mark.parametrize("way", [*MAPS, "histogram"])
def test_a_style_of_one_color_gets_the_contents_middle(way):
    middle = np.median if way == "histogram" else np.mean
    expected = middle(PLAIN["colorful"].reshape(-1, 3), axis=0)
    made = EVERY_WAY[way](PLAIN["muddy"], PLAIN["colorful"])
    np.testing.assert_allclose(made, np.broadcast_to(expected, made.shape), atol=1e-3)


# runs

KINDS = sorted(path.stem for path in (REPOSITORY / "configs/color").iterdir())


@pytest.fixture
def files(tmp_path):
    """A photograph and two paintings that lie on their sides, of colors inside [0, 1]."""
    names = {"content": "content.path", "style": "style.path", "other": None}
    paths = {name: picture(tmp_path / f"{name}.png", seed) for seed, name in enumerate(names)}
    for painting in ("style", "other"):
        images.save(paths[painting], np.rot90(pixels(paths[painting])))
    given = [f"{key}={paths[name]}" for name, key in names.items() if key]
    return paths, (*given, "output.bits=16")


def made(folder, given, *overrides):
    """The result of a small run."""
    run(small(*given, *overrides), folder)
    return pixels(folder / "result.png")


def at_size(path):
    return images.resize(pixels(path), HEIGHT, WIDTH, resample="lanczos", space="linear")


DEEP = 1e-4  # in coordinates: a few levels of 16 bits


@pytest.mark.parametrize("kind", ["luminance", "original"])
@pytest.mark.parametrize("space", SPACES)
def test_the_result_has_the_contents_chroma_and_another_luminance(kind, space, files, tmp_path):
    paths, given = files
    result = coordinates(made(tmp_path / "run", given, f"color={kind}", f"color.space={space}"), space)
    photo = coordinates(at_size(paths["content"]), space)
    np.testing.assert_allclose(result[..., 1:], photo[..., 1:], atol=DEEP)
    assert np.abs(result[..., 0] - photo[..., 0]).max() > 20 * DEEP


def test_original_colors_are_those_of_a_transfer_in_color(files, tmp_path):
    _, given = files
    plain, original = (made(tmp_path / kind, given, f"color={kind}") for kind in ("none", "original"))
    np.testing.assert_allclose(coordinates(original, "yuv")[..., 0], coordinates(plain, "yuv")[..., 0], atol=DEEP)
    losses = [[row["total"] for row in history(tmp_path / kind)] for kind in ("none", "original")]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("name", MAPS)
def test_a_matched_style_begins_with_the_contents_statistics(name, files, tmp_path):
    paths, given = files
    result = made(tmp_path / "run", given, "schedule.steps=[0]", "init=style", "color=match", f"color.map={name}")
    photo, painting = at_size(paths["content"]), at_size(paths["style"])
    np.testing.assert_allclose(result, color.matched(painting, photo, name), atol=1e-5)
    for mine, theirs in zip(moments(result), moments(photo), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-4)


def test_a_style_of_matched_histogram_begins_with_the_contents_values(files, tmp_path):
    paths, given = files
    result = made(tmp_path / "run", given, "schedule.steps=[0]", "init=style", "color=histogram")
    values = (np.sort(each.reshape(-1, 3), axis=0) for each in (result, at_size(paths["content"])))
    np.testing.assert_allclose(*values, atol=1e-4)  # where two pixels of the style are equal, two of the content merge


@pytest.mark.parametrize("init", ["style", "picture"])
def test_only_luminance_is_in_a_luminance_transfer(init, files, tmp_path):
    """The content's chroma on a luminance that begins as that of another picture."""
    paths, given = files
    start = f"+init.path={paths['other']}"
    result = made(tmp_path / "run", given, "schedule.steps=[0]", start, f"init.kind={init}", "color=luminance")
    luminance, photo = coordinates(result, "yuv")[..., 0], coordinates(at_size(paths["content"]), "yuv")[..., 0]
    source = coordinates(at_size(paths["style" if init == "style" else "other"]), "yuv")[..., 0]
    wanted = photo if init == "style" else source
    assert np.corrcoef(luminance.ravel(), source.ravel())[0, 1] == pytest.approx(1, abs=1e-3)
    assert (luminance.mean(), luminance.std()) == pytest.approx((wanted.mean(), wanted.std()), abs=5e-4)


def test_the_colors_of_no_picture_matter_to_a_luminance_transfer(files, tmp_path):
    paths, given = files
    start = (f"+init.path={paths['other']}", "init.kind=picture", "color=luminance", "sizing.space=srgb")
    made(tmp_path / "colorful", given, *start)
    for path in paths.values():
        images.save(path, color.gray(pixels(path), "yuv"), bits=16)
    made(tmp_path / "gray", given, *start)
    colorful, gray = ([row["total"] for row in history(tmp_path / name)] for name in ("colorful", "gray"))
    assert colorful == pytest.approx(gray, rel=1e-3)


@pytest.mark.parametrize("kind", ["luminance", "match", "histogram"])
def test_every_style_of_a_blend_is_recolored(kind, files, tmp_path):
    paths, given = files
    blend = (f"style.blend=[{paths['other']}]", "style.shares=[0,1]", "schedule.steps=[0]", f"color={kind}")
    made(tmp_path / "blend", given, *blend)
    made(tmp_path / "alone", given, f"style.path={paths['other']}", "schedule.steps=[0]", f"color={kind}")
    blended, alone = (history(tmp_path / name)[0]["style"] for name in ("blend", "alone"))
    assert blended == pytest.approx(alone, rel=1e-4)


def test_only_some_kinds_change_what_the_transfer_sees_and_all_begin_with_the_content(files, tmp_path):
    paths, given = files
    for kind in KINDS:
        result = made(tmp_path / kind, given, "schedule.steps=[0]", f"color={kind}")
        np.testing.assert_allclose(result, at_size(paths["content"]), atol=1e-5)
        assert manifest(tmp_path / kind)["config"]["color"]["kind"] == kind
    style = {kind: history(tmp_path / kind)[0]["style"] for kind in KINDS}
    assert style["original"] == style["none"]
    assert all(abs(style[kind] / style["none"] - 1) > 0.05 for kind in ("luminance", "match", "histogram"))


def test_previews_have_the_results_colors(files, tmp_path):
    """At both scales; the last one is of the last image, which here is the result."""
    paths, given = files
    adam = ("optimizer=adam", "optimizer.learning_rate=1e-3", "preview_every=2", "output.bits=8")
    scales = ("schedule.scales=[0.9,1]", "schedule.steps=[2,2]")
    result = made(tmp_path / "run", given, *adam, *scales, "color=luminance")
    np.testing.assert_array_equal(pixels(tmp_path / "run/previews/scale1_step00002.png"), result)
    coarse = pixels(tmp_path / "run/previews/scale0_step00002.png")
    photo = images.resize(pixels(paths["content"]), *coarse.shape[:2], resample="lanczos", space="linear")
    np.testing.assert_allclose(coordinates(coarse, "yuv")[..., 1:], coordinates(photo, "yuv")[..., 1:], atol=3e-3)


@pytest.mark.slow
def test_a_run_in_the_contents_colors_resumes_and_runs_again_to_the_same_bytes(files, tmp_path):
    _, given = files
    recipe = (*given, "color=luminance", "schedule.scales=[0.9,1]", "schedule.steps=[2,2]")
    whole = made(tmp_path / "whole", recipe)
    with interrupted(at_step(0, scale=1)), pytest.raises(Interrupted):
        made(tmp_path / "stopped", recipe)
    np.testing.assert_array_equal(made(tmp_path / "stopped", recipe, "resume=true"), whole)
    assert rerun(tmp_path / "whole").differences == ()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_runs_on_pictures_without_contrast_are_of_numbers(kind, tmp_path):
    plain = {name: PLAIN[name] for name in ("black", "muddy", "colorful")}
    for name, each in plain.items():
        images.save(tmp_path / f"{name}.png", each)
    for content, style in itertools.product(plain, repeat=2):
        paths = (f"content.path={tmp_path}/{content}.png", f"style.path={tmp_path}/{style}.png")
        run(small(*paths, "size=16", "sizing.edge=short", f"color={kind}"), tmp_path / content / style)
        assert np.isfinite([list(row.values()) for row in history(tmp_path / content / style)]).all()
