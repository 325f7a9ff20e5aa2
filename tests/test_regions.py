"""Regions and several styles: guided losses against naive ones, in runs and out of them, and what is refused."""

import dataclasses
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_runs import HEIGHT, WIDTH, at_step, history, in_process, interrupted, manifest, picture, pixels, small

from nstjax import assets, features, guides, images, objective, rerun, train, weights
from nstjax.errors import Interrupted, UserError
from nstjax.objective import evaluate, make_targets
from nstjax.run import run
from nstjax.run.pictures import check_inputs, open_picture, style_shape
from nstjax.run.problem import prepare, stages
from nstjax.train import compose

LAYERS = ("relu1_1", "relu2_1", "relu3_1")
OF_STYLE = "objective.style.layers=[relu1_1,relu2_1,relu3_1]"
PAIR = ("style=starry", "style.blend=[great_wave]")
EXTRACT = features.extractor(pooling="average")


@pytest.fixture(scope="module")
def network():
    return weights.load("caffe-8bit")


@pytest.fixture
def masks(tmp_path, monkeypatch):
    """A folder with masks of the photograph, whose upper part is white in one, and lower in another; and of a plate."""
    monkeypatch.chdir(tmp_path)
    ramp = np.linspace(1.5, -0.5, 2 * HEIGHT)[:, None].clip(0, 1)  # a soft border in the middle
    height, width, _ = pixels(assets.resolve("great_wave")).shape
    save_mask("above.png", np.broadcast_to(ramp, (2 * HEIGHT, 2 * WIDTH)))
    save_mask("below.png", np.broadcast_to(1 - ramp, (2 * HEIGHT, 2 * WIDTH)))
    save_mask("part.png", np.indices((height // 2, width // 2))[1] < width // 6)
    return tmp_path


def save_mask(path, plane):
    images.save(Path(path), np.repeat(np.asarray(plane, np.float32)[:, :, None], 3, axis=2))


def noise(seed, height, width):
    return jnp.asarray(np.random.default_rng(seed).uniform(size=(height, width, 3)), jnp.float32)


def rectangle(height, width, rows, columns):
    mask = np.zeros((height, width), np.float32)
    mask[rows, columns] = 1
    return mask


def guided(mask, propagation="inside"):
    found = guides.propagated(mask, LAYERS, propagation=propagation, pool_edges="floor")
    return {layer: jnp.asarray(guide) for layer, guide in found.items()}


def configured(*overrides):
    """The objective, and its weights, of a configuration without content and smoothness."""
    config = compose([OF_STYLE, "objective.content.layers=[]", *overrides])
    terms = objective.from_config(config.objective, EXTRACT, config.style)
    return terms, objective.weights_from_config(config.objective, config.style)


@partial(jax.jit, static_argnames="terms")
def losses(image, network, targets, weights, *, terms):
    """Every term by its name."""
    return evaluate(image, network, targets, weights, objective=terms)[1]


@partial(jax.jit, static_argnames="terms")
def gradient(image, network, targets, weights, *, terms):
    """Of the sum of all terms."""
    return jax.grad(lambda image: evaluate(image, network, targets, weights, objective=terms)[0])(image)


def grams(network, image, guides_of=None, cut=(slice(None), slice(None))):
    """By layer, in float64: the mean over positions of outer products, weighted by a guide's squares, or of a cut."""
    found = {}
    for layer, x in jax.jit(EXTRACT, static_argnums=2)(network, image, LAYERS).items():
        cell = 2 ** LAYERS.index(layer)
        rows, columns = (slice(each.start and each.start // cell, each.stop and each.stop // cell) for each in cut)
        x = np.asarray(x, np.float64)[rows, columns]
        g = np.asarray(guides_of[layer], np.float64) if guides_of else np.ones(x.shape[:2])
        found[layer] = np.einsum("ij,ijc,ijd->cd", g**2, x, x, optimize=True) / (g**2).sum()
    return found


def style_loss(layer, one, other):
    """Gatys' code: 1e3 / C^2 times the mean of the squared differences; the default preset has the same."""
    return 1e3 / len(one[layer]) ** 2 * ((one[layer] - other[layer]) ** 2).mean()


# Guided losses


def region_losses(network, image, styles, content_guides, style_guides):
    """Every style term of two regions, each with a style of its own; half of the style's weight each."""
    terms, weighted = configured(*PAIR, "style.region=[a.png,b.png]")
    targets = make_targets(
        network, image, styles, objective=terms, style_guides=style_guides, content_guides=content_guides
    )
    found = losses(image, network, targets, weighted, terms=terms)
    assert set(found) == {f"style/{layer}/{number}" for layer in LAYERS for number in (0, 1)} | {"tv"}
    return found


def test_the_loss_of_a_rectangle_is_that_of_the_feature_maps_cut_to_it(network):
    """Two of the image, which overlap, and one of each style; all of them aligned with the deepest layer's cells."""
    image, styles = noise(0, 64, 48), [noise(1, 40, 56), noise(2, 48, 36)]
    of_image = (slice(0, 40), slice(0, 48)), (slice(32, 64), slice(8, 48))
    of_styles = (slice(8, 40), slice(16, 56)), (slice(0, 32), slice(0, 28))
    content_guides = [guided(rectangle(64, 48, *cut), "simple") for cut in of_image]
    style_guides = [
        guided(rectangle(*style.shape[:2], *cut), "simple") for style, cut in zip(styles, of_styles, strict=True)
    ]
    found = region_losses(network, image, styles, content_guides, style_guides)
    for number, style in enumerate(styles):
        here, there = grams(network, image, cut=of_image[number]), grams(network, style, cut=of_styles[number])
        for layer in LAYERS:
            expected = style_loss(layer, here, there) / 2
            np.testing.assert_allclose(found[f"style/{layer}/{number}"], expected, rtol=1e-4)


@pytest.mark.parametrize("propagation", ["inside", "simple", "all"])
def test_the_loss_of_a_soft_region_weighs_positions_by_the_square_of_its_guide(network, propagation):
    image, styles = noise(0, 64, 48), [noise(1, 40, 56), noise(2, 48, 36)]
    ramp = np.linspace(0, 1, 64, dtype=np.float32)[:, None] * np.ones((1, 48), np.float32)
    content_guides = [guided(ramp, propagation), guided(1 - ramp, propagation)]
    style_guides = [guided(ramp[:40, :1] * np.ones((1, 56), np.float32), propagation), {}]
    found = region_losses(network, image, styles, content_guides, style_guides)
    for number, style in enumerate(styles):
        here, there = grams(network, image, content_guides[number]), grams(network, style, style_guides[number])
        for layer in LAYERS:
            expected = style_loss(layer, here, there) / 2
            np.testing.assert_allclose(found[f"style/{layer}/{number}"], expected, rtol=1e-4)


def test_a_pixel_of_no_region_has_no_gradient(network):
    """With `inside`, exactly none."""
    image, mask = noise(0, 64, 48), rectangle(64, 48, slice(0, 40), slice(None))
    terms, weighted = configured("style=starry", "style.region=a.png")
    for propagation in ("inside", "simple", "all"):
        targets = make_targets(
            network, image, [noise(1, 40, 40)], objective=terms, content_guides=[guided(mask, propagation)]
        )
        found = jnp.abs(gradient(image, network, targets, {**weighted, "tv": 0.0}, terms=terms))
        assert found[:40].max() > 0
        assert (found[40:].max() == 0) == (propagation == "inside")


# Several styles


def test_summed_losses_are_the_sum_of_each_styles_own(network):
    image, styles = noise(0, 40, 32), [noise(1, 40, 56), noise(2, 48, 36)]
    both, weighted = configured(*PAIR, "style.combine=losses", "style.shares=[3,1]")
    one, alone = configured("style=starry")
    found = losses(image, network, make_targets(network, image, styles, objective=both), weighted, terms=both)
    for number, share in enumerate((0.75, 0.25)):
        targets = make_targets(network, image, [styles[number]], objective=one)
        of_style = losses(image, network, targets, alone, terms=one)
        for layer in LAYERS:
            np.testing.assert_allclose(found[f"style/{layer}/{number}"], share * of_style[f"style/{layer}"], rtol=1e-5)


def test_blended_statistics_are_their_mean_by_shares(network):
    image, styles = noise(0, 40, 32), [noise(1, 40, 56), noise(2, 48, 36)]
    terms, weighted = configured(*PAIR, "style.shares=[3,1]")
    found = losses(image, network, make_targets(network, image, styles, objective=terms), weighted, terms=terms)
    here, *there = (grams(network, each) for each in (image, *styles))
    for layer in LAYERS:
        mean = {layer: 0.75 * there[0][layer] + 0.25 * there[1][layer]}
        np.testing.assert_allclose(found[f"style/{layer}"], style_loss(layer, here, mean), rtol=1e-4)


FLAT = ("objective.style.layers=[relu1_1,relu2_1]", "objective.style.layer_scaling=equal", "objective.style_weight=1")
THREE = ("style=starry", "style.blend=[great_wave,stained_glass]")


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], {"": ((0, 1, 2), (1 / 3, 1 / 3, 1 / 3), 1)}),
        (["style.shares=[1,1,2]"], {"": ((0, 1, 2), (0.25, 0.25, 0.5), 1)}),
        (["style.shares=[1,1,2]", "style.normalize_shares=false"], {"": ((0, 1, 2), (0.25, 0.25, 0.5), 4)}),
        (["style.shares=[1,0,2]"], {"": ((0, 2), (1 / 3, 2 / 3), 1)}),
        (["style.combine=losses"], {f"/{n}": ((n,), (1,), 1 / 3) for n in range(3)}),
        (
            ["style.combine=losses", "style.shares=[1,0,2]", "style.normalize_shares=false"],
            {"/0": ((0,), (1,), 1), "/2": ((2,), (1,), 2)},
        ),
        (["style.region=[a.png,b.png,a.png]"], {"/0": ((0, 2), (0.5, 0.5), 2 / 3), "/1": ((1,), (1,), 1 / 3)}),
        (
            ["style.region=[a.png,b.png,a.png]", "style.shares=[1,2,3]", "style.normalize_shares=false"],
            {"/0": ((0, 2), (0.25, 0.75), 4), "/1": ((1,), (1,), 2)},
        ),
        (["style.region=[a.png,null,rest]"], {f"/{n}": ((n,), (1,), 1 / 3) for n in range(3)}),
        (["style.region=a.png"], {"": ((0, 1, 2), (1 / 3, 1 / 3, 1 / 3), 1)}),
    ],
    ids=str,
)
def test_styles_of_one_region_have_one_target_and_shares_say_what_it_weighs(overrides, expected):
    """Terms at each layer: the styles, their shares in the target, and the weight."""
    config = compose([*FLAT, *THREE, *overrides])
    terms = objective.from_config(config.objective, EXTRACT, config.style).terms
    weighted = objective.weights_from_config(config.objective, config.style)
    for layer in ("relu1_1", "relu2_1"):
        found = {
            term.name.removeprefix(f"style/{layer}"): (*term.styles, *term.shares, weighted[term.name])
            for term in terms
            if term.name.startswith(f"style/{layer}")
        }
        assert found == {
            name: pytest.approx((*styles, *shares, weight)) for name, (styles, shares, weight) in expected.items()
        }


@pytest.mark.parametrize(
    ("combine", "expected"),
    [
        ("losses", {"style/relu1_1/0": ((0,), 0.5), "style/relu2_1/0": ((0,), 0.5), "style/relu2_1/1": ((1,), 0.5)}),
        ("statistics", {"style/relu1_1": ((0,), 0.5), "style/relu2_1": ((0, 1), 1.0)}),
    ],
)
def test_a_style_is_compared_at_its_own_layers(combine, expected):
    config = compose([*FLAT, *PAIR, f"style.combine={combine}", "style.layers=[[],[relu2_1]]"])
    terms = objective.from_config(config.objective, EXTRACT, config.style).terms
    weighted = objective.weights_from_config(config.objective, config.style)
    found = {term.name: (term.styles, weighted[term.name]) for term in terms if term.name.startswith("style")}
    assert found == expected


# Sizes


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], (64, 48)),
        (["style.scale=0.5"], (32, 24)),
        (["style.scale=2"], (128, 96)),
        (["style.size=40"], (40, 30)),
        (["style.size=40", "style.scale=2"], (80, 60)),
        (["sizing.style=short"], (43, 32)),
        (["sizing.style=area"], (52, 39)),
        (["sizing.edge=short"], (43, 32)),
        (["sizing.style=content"], (64, 32)),
        (["sizing.style=content", "style.scale=1.5"], (96, 48)),
        (["style.scale=4"], (256, 192)),
        (["style.scale=4", "sizing.enlarge_style=false"], (160, 120)),
        (["style.scale=4", "sizing.enlarge_style=false", "sizing.style=area"], (160, 120)),
        (["style.scale=4", "sizing.enlarge_style=false", "sizing.style=content"], (160, 120)),
        (["style.scale=2", "sizing.enlarge_style=false"], (128, 96)),
    ],
    ids=str,
)
def test_the_size_of_a_style(overrides, expected, tmp_path):
    """A painting of 160 x 120 pixels, beside a photograph of 64 x 32."""
    images.save(tmp_path / "painting.png", np.asarray(noise(0, 160, 120)))
    config = compose([f"style.path={tmp_path}/painting.png", *overrides])
    assert style_shape(config, 0, open_picture(config, None, config.style.path), (64, 32)) == expected


def test_each_style_has_its_scale_at_each_of_the_scales(network):
    config = small(*PAIR, "schedule.scales=[0.75,1]", "schedule.steps=[1,1]", "style.scale=[1,2]")
    problem = prepare(config)
    for number in (0, 1):
        shapes = [style_shape(config, number, problem.styles[number], shape) for shape in ((36, 31), (48, 41))]
        assert [max(shape) for shape in shapes] == [36 * (1 + number), 48 * (1 + number)]


def test_a_scale_is_a_style_of_another_size(tmp_path):
    """The same numbers as of a style that is given so large."""
    scaled, sized, plain = (
        history(run(small("schedule.steps=[1]", override), tmp_path / name).parent)
        for name, override in (("scaled", "style.scale=2"), ("sized", "style.size=96"), ("plain", "style.scale=1"))
    )
    for row, same, other in zip(scaled, sized, plain, strict=True):
        assert {**row, "seconds": 0} == {**same, "seconds": 0}
        assert row["style"] != pytest.approx(other["style"], rel=1e-3)


# Runs


def test_a_run_with_regions_paints_each_with_its_style(masks):
    """The lower half of a flat photograph stays, but for what the upper one's style does at the soft border."""
    images.save(masks / "flat.png", np.full((96, 82, 3), 0.5, np.float32))
    save_mask("top.png", rectangle(96, 82, slice(0, 40), slice(None)))
    overrides = ("content.path=flat.png", "style.region=top.png", "style.propagation=inside")
    run(small(*overrides, "objective.content_weight=0", "schedule.steps=[5]"), masks / "run")
    changed = np.abs(pixels(masks / "run" / "result.png") - 0.5).max(2) > 1 / 255
    assert changed[:20].mean() > 0.9
    assert not changed[20:].any()


FROM_GRAY = (
    "content.path=gray.png", "objective.content_weight=0", "init=noise", "init.amplitude=0.05",
    "size=96", "schedule=single", "schedule.steps=[40]",
)  # fmt: skip


def painted_on_gray(folder, *overrides):
    """What styles alone, at all their layers, make of a gray square in the current folder."""
    images.save(Path("gray.png"), np.full((96, 96, 3), 0.5, np.float32))
    run(compose([*FROM_GRAY, *overrides]), folder)
    return pixels(folder / "result.png")


@pytest.mark.slow
def test_regions_keep_their_border(masks):
    """One turns into the other within a few pixels of where the mask does."""
    save_mask("top.png", rectangle(96, 96, slice(0, 36), slice(None)))
    squares = 0.4 * np.kron(noise(0, 12, 12).mean(2, keepdims=True), np.ones((8, 8, 1)))
    for name, color in (("red", (0.6, 0.2, 0.2)), ("blue", (0.2, 0.2, 0.6))):
        images.save(masks / f"{name}.png", (squares + color).astype(np.float32))
    styles = ("style.path=red.png", "style.blend=[blue.png]", "style.region=[top.png,rest]")
    red, _, blue = np.moveaxis(painted_on_gray(masks / "run", *styles), 2, 0)
    assert (red > blue)[:28].mean() > 0.97
    assert (red < blue)[44:].mean() > 0.97
    assert abs(int(np.argmax(red.mean(1) < blue.mean(1))) - 36) <= 5


@pytest.mark.slow
def test_strokes_grow_with_the_scale_of_a_style(masks):
    """The mean frequency of what stripes twice as wide leave is about half."""
    rows, columns = np.mgrid[:192, :192]
    save_mask("stripes.png", 0.5 + 0.4 * np.sin(2 * np.pi * (rows + columns) / 20))
    radius = np.hypot(96 * np.fft.fftfreq(96)[:, None], 96 * np.fft.rfftfreq(96))
    frequencies = []
    for scale in (0.5, 1, 2):
        gray = painted_on_gray(masks / str(scale), "style.path=stripes.png", f"style.scale={scale}").mean(2)
        power = np.abs(np.fft.rfft2(gray - gray.mean())) ** 2
        frequencies.append((radius * power).sum() / power.sum())
    assert frequencies[0] > 1.4 * frequencies[1]
    assert frequencies[1] > 1.4 * frequencies[2]


def test_a_masked_painting_is_the_part_that_counts(masks, network):
    """The history's first row is the loss against that part alone."""
    config = small("style=great_wave", "style.mask=part.png", OF_STYLE)
    rows = history(run(config, masks / "run").parent)
    (stage,) = stages(config, prepare(config))
    fitted = style_shape(config, 0, prepare(config).styles[0], stage.content.shape[:2])
    painting = images.resize(pixels(assets.resolve("great_wave")), *fitted, resample="lanczos", space="linear")
    plane = images.resize(pixels(Path("part.png"))[:, :, :1], *fitted)[:, :, 0]
    here, there = grams(network, stage.content), grams(network, jnp.asarray(painting), guided(plane, "simple"))
    whole = grams(network, jnp.asarray(painting))
    for layer in LAYERS:
        assert rows[0][f"style/{layer}"] == pytest.approx(style_loss(layer, here, there), rel=1e-3)
        assert rows[0][f"style/{layer}"] != pytest.approx(style_loss(layer, here, whole), rel=0.02)


def test_rest_is_where_no_other_region_is(masks):
    named, rest = (
        history(run(small(*PAIR, f"style.region={regions}", "schedule.steps=[1]"), masks / name).parent)
        for name, regions in (("named", "[above.png,below.png]"), ("rest", "[above.png,rest]"))
    )
    for one, other in zip(named, rest, strict=True):
        assert {**one, "seconds": 0} == pytest.approx({**other, "seconds": 0}, rel=0.02)
    assert named[0]["style/relu1_1/0"] != pytest.approx(named[0]["style/relu1_1/1"], rel=0.1)


REGIONS = (*PAIR, "style.region=[above.png,rest]", "style.mask=[null,part.png]")


def test_the_manifest_identifies_the_masks(masks):
    run(small(*REGIONS, "schedule.steps=[0]"), masks / "run")
    facts = manifest(masks / "run")["pictures"]
    assert set(facts) == {"content", "style", "style.mask[1]", "style.region[0]"}
    assert facts["style.region[0]"]["path"] == str(masks / "above.png")
    assert facts["style.region[0]"]["sha256"] == images.load(masks / "above.png").sha256


@pytest.mark.slow
def test_a_run_with_regions_goes_on_to_the_same_bytes(masks):
    config = small(*REGIONS, "schedule.steps=[4]", "checkpoint.every=0", "preview_every=2")
    run(config, masks / "whole")
    with interrupted(at_step(2)), pytest.raises(Interrupted):
        run(config, masks / "parts")
    run(dataclasses.replace(config, resume=True), masks / "parts")
    assert (masks / "parts" / "result.png").read_bytes() == (masks / "whole" / "result.png").read_bytes()


def test_a_rerun_finds_the_masks_from_any_folder(masks, monkeypatch):
    run(small(*REGIONS, "schedule.steps=[1]"), masks / "run")
    monkeypatch.chdir(masks / "run")
    report = rerun.rerun(masks / "run")
    assert not (report.differences or report.changed)


def test_a_mask_that_has_changed_is_noticed(masks):
    config = small(*REGIONS, "schedule.steps=[1]")
    run(config, masks / "run")
    save_mask("above.png", np.full((2 * HEIGHT, 2 * WIDTH), 0.25))
    with pytest.raises(UserError, match=r"run was made with sha256\.style\.region\[0\]="):
        run(dataclasses.replace(config, resume=True), masks / "run")
    with pytest.raises(UserError, match=r"^style\.region\[0\]: .*above\.png is not what the run was made from"):
        rerun.rerun(masks / "run")
    report = rerun.rerun(masks / "run", anyway=True)
    assert report.differences
    assert any(line.startswith("pictures.style.region[0].sha256 is") for line in report.changed)


def test_a_mask_in_the_folder_of_the_run_is_not_removed(masks):
    (masks / "run" / "previews").mkdir(parents=True)
    for key in ("mask", "region"):
        with pytest.raises(UserError, match="of an earlier run in this run's folder"):
            check_inputs(small(f"style.{key}=run/previews/mask.png"), masks / "run")


@pytest.mark.parametrize("mask", ["gray", "sixteen", "transparent", "large"])
def test_masks_of_every_kind_stay_within_0_and_1(mask, masks):
    """Of 8 and 16 bits, by their opacity, and of other sizes."""
    plane = np.random.default_rng(0).uniform(size=(2 * HEIGHT, 2 * WIDTH)).round(2).astype(np.float32)
    colors = np.repeat(plane[:, :, None], 3, axis=2)
    if mask == "large":
        colors = images.resize(colors, 5 * HEIGHT, 5 * WIDTH)
    if mask == "transparent":
        images.save(masks / "mask.png", np.ones_like(colors), alpha=plane[:, :, None])
    else:
        images.save(masks / "mask.png", colors, bits=16 if mask == "sixteen" else 8)
    (found,) = prepare(small("style.region=mask.png")).masks.of_content
    expected = images.resize(plane[..., None], HEIGHT, WIDTH)[..., 0]
    resized = found.resized(HEIGHT, WIDTH)
    assert 0 <= resized.min() < resized.max() <= 1
    np.testing.assert_allclose(resized, expected, atol=0.02 if mask == "large" else 0.003)


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        (["style.region=nosuch.png"], "nosuch.png: can't be read (No such file or directory); check the path"),
        (["style.region=black.png"], "black.png: the mask is black all over, so that nothing counts; paint white"),
        (["style.mask=black.png"], "black.png: the mask is black all over"),
        (["style.region=colors.png"], "colors.png: it has colors, and a mask is gray; give one that is white where"),
        (["style.region=part.png"], "part.png: the mask has 384x261 pixels, but grace_hopper.jpg 512x600; make"),
        (["style.mask=[above.png]"], "above.png: the mask has 82x96 pixels, but starry.jpg"),
        ([*PAIR, "style.region=[white.png,rest]"], "style.region[1]=rest is nothing: the other regions cover all of"),
        (
            ["style.region=dot.png", "style.propagation=inside"],
            "style.region[0]=dot.png leaves nothing at relu2_1 of 41x48 pixels with style.propagation=inside; "
            "style.propagation=simple, give a larger size= or schedule.scales, or leave that layer out of style.",
        ),
        (["style.region=dot.png", "style.extend=-4"], "leaves nothing at relu1_1 of 41x48 pixels with style.propag"),
        (["style.scale=0.1"], "size=4.8 (long edge), but no side may be below 16 pixels; give a larger size="),
        (
            ["style.size=20", "style.layers=pool5", "objective.style.layers=[relu1_1,pool5]", "size=64"],
            "pool5 has nothing left of the style picture's 20x16 pixels at scale 0; give a larger style.size, or a",
        ),
        (["style.scale=0.1", "sizing.style=content"], "the style picture starry.jpg becomes 4x5 at style.scale=0.1"),
        (["style.scale=0.4", "style.layers=pool5", "objective.style.layers=[relu1_1,pool5]", "size=64"], "pool5 has"),
    ],
    ids=str,
)
def test_a_mistake_is_one_line_before_anything_is_computed(overrides, text, masks, monkeypatch, capsys):
    save_mask("black.png", np.zeros((2 * HEIGHT, 2 * WIDTH)))
    save_mask("white.png", np.ones((2 * HEIGHT, 2 * WIDTH)))
    save_mask("dot.png", rectangle(2 * HEIGHT, 2 * WIDTH, slice(40, 54), slice(40, 54)))
    picture(masks / "colors.png")
    small_size = ["size=48", "schedule=single", "schedule.steps=[3]", "objective.content.layers=[relu2_1]"]
    layers = ["objective.style.layers=[relu1_1,relu2_1]"]
    with in_process(monkeypatch, masks):
        assert train.main([*small_size, *layers, *overrides, "hydra.run.dir=run"]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line]
    assert text in line
    assert not (masks / "run" / "history.csv").exists()
