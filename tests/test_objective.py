"""The objective: a sum of named terms, each its formula.

On real weights and small pictures of odd sizes, in NumPy and float64 from the features on.
"""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_runs import gram_term

from nstjax import features, objective, optimize, weights
from nstjax.layers import IMAGE
from nstjax.objective import ContentTerm, Objective, StyleTerm, TotalVariationTerm, evaluate, make_targets
from nstjax.statistics import GRAM_NORMALIZATIONS
from nstjax.train import compose

TERMS = (
    ContentTerm("relu2_1", "half_sum"),
    gram_term("relu1_2", "per_element", "sum"),
    gram_term("relu2_1", "per_position", "mean"),
    TotalVariationTerm("half_sum_of_squares", 255.0),
)
WEIGHTS = {"content/relu2_1": 0.5, "style/relu1_2": 3.0, "style/relu2_1": 2.0, "tv": 0.125}
OBJECTIVE = Objective(TERMS, features.extractor(pooling="average"))


@pytest.fixture(scope="module")
def network():
    return weights.load("caffe-8bit")


def picture(seed, height=21, width=30):
    """Noise at two scales, so that deep layers have something to see."""
    generator = np.random.default_rng(seed)
    coarse = np.kron(generator.uniform(size=(8, 8, 3)), np.ones((8, 8, 1)))[:height, :width]
    return jnp.asarray(0.7 * coarse + 0.3 * generator.uniform(size=(height, width, 3)), jnp.float32)


def maps(network, image, layers, **settings):
    """Feature maps as rows of positions, in float64."""
    found = jax.jit(features.extractor(**settings), static_argnums=2)(network, image, layers)
    return {name: np.asarray(each, np.float64).reshape(-1, each.shape[-1]) for name, each in found.items()}


def interior_differences(image):
    """Neighbours' differences down and to the right, without the last row and column."""
    image = np.asarray(image, np.float64)
    return (image[1:] - image[:-1])[:, :-1], (image[:, 1:] - image[:, :-1])[:-1]


def of_styles(shares):
    """The objective for several styles, blended by their shares."""
    blended = {"styles": tuple(range(len(shares))), "shares": shares}
    terms = (dataclasses.replace(each, **blended) if isinstance(each, StyleTerm) else each for each in TERMS)
    return Objective(tuple(terms), OBJECTIVE.extract)


def targets_of(network, content=None, styles=None, shares=(1.0,)):
    content, styles = picture(1) if content is None else content, styles or [picture(2, 18, 26)]
    return make_targets(network, content, styles, objective=of_styles(shares))


@jax.jit
def evaluated(image, network, targets, weights):
    """Total and terms, and the total's gradient."""
    return jax.value_and_grad(partial(evaluate, objective=OBJECTIVE), has_aux=True)(image, network, targets, weights)


# The sum and its terms


def test_the_total_is_the_sum_of_the_terms_by_name(network):
    (total, terms), _ = evaluated(picture(0), network, targets_of(network), WEIGHTS)
    assert list(terms) == ["content/relu2_1", "style/relu1_2", "style/relu2_1", "tv"]
    assert all(value > 0 for value in terms.values())
    np.testing.assert_allclose(total, sum(np.float64(value) for value in terms.values()), rtol=1e-6)


def test_each_term_is_its_weighted_formula(network):
    image, content, style = picture(0), picture(1), picture(2, 18, 26)
    x, c, s = (maps(network, each, ("relu1_2", "relu2_1"), pooling="average") for each in (image, content, style))
    gram = {name: (x[name].T @ x[name], s[name].T @ s[name]) for name in x}
    (count, small), (few, half) = gram["relu1_2"], gram["relu2_1"]
    down, right = (255 * each for each in interior_differences(image))
    expected = {
        "content/relu2_1": 0.5 * ((x["relu2_1"] - c["relu2_1"]) ** 2).sum() / 2,
        "style/relu1_2": 3 * ((count / (64 * 21 * 30) - small / (64 * 18 * 26)) ** 2).sum(),
        "style/relu2_1": 2 * ((few / (10 * 15) - half / (9 * 13)) ** 2).mean(),
        "tv": 0.125 * ((down**2).sum() + (right**2).sum()) / 2,
    }
    (_, terms), _ = evaluated(image, network, targets_of(network), WEIGHTS)
    for name, value in expected.items():
        np.testing.assert_allclose(terms[name], value, rtol=1e-5, err_msg=name)


def test_a_term_without_weight_leaves_the_total(network):
    targets = targets_of(network)
    (_, terms), _ = evaluated(picture(0), network, targets, WEIGHTS)
    (total, without), _ = evaluated(picture(0), network, targets, {**WEIGHTS, "style/relu1_2": 0.0})
    assert without["style/relu1_2"] == 0
    others = sum(np.float64(value) for name, value in terms.items() if name != "style/relu1_2")
    np.testing.assert_allclose(total, others, rtol=1e-6)


# Targets


def test_a_picture_is_its_own_target(network):
    """There the losses are zero but for rounding, and so are their gradients."""
    image, without_tv = picture(0), {**WEIGHTS, "tv": 0.0}
    (total, _), gradient = evaluated(image, network, targets_of(network, image, [image]), without_tv)
    (elsewhere, _), steepness = evaluated(image, network, targets_of(network), without_tv)
    assert 0 <= total < 1e-9 * elsewhere
    assert jnp.abs(gradient).max() < 1e-4 * jnp.abs(steepness).max()


@pytest.mark.parametrize("gray", [0.0, 0.5, 1.0])
def test_the_gradient_on_a_flat_image_is_finite(network, gray):
    image, targets = jnp.full((21, 30, 3), gray), targets_of(network)
    _, gradient = evaluated(image, network, targets, WEIGHTS)
    assert jnp.isfinite(gradient).all() and jnp.abs(gradient).max() > 0


def test_styles_of_several_sizes_blend_by_their_shares(network):
    styles, shares = [picture(2, 18, 26), picture(3, 18, 26), picture(4, 40, 17)], (0.25, 0.0, 0.75)
    blended = targets_of(network, styles=styles, shares=shares)["style/relu2_1"].summary
    grams = [maps(network, style, ("relu2_1",), pooling="average")["relu2_1"] for style in styles]
    first, _, third = (x.T @ x / len(x) for x in grams)
    found = GRAM_NORMALIZATIONS["per_position"](blended)
    expected = (first + 3 * third) / 4
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6 * expected.max())


def test_content_looks_at_the_content_picture_only(network):
    """And style at the style pictures only; nothing is computed for a picture that nobody looks at."""
    before, after = targets_of(network), targets_of(network, styles=[picture(3)])
    np.testing.assert_array_equal(before["content/relu2_1"], after["content/relu2_1"])
    assert (before["style/relu1_2"].summary.products != after["style/relu1_2"].summary.products).any()
    assert set(before) == set(WEIGHTS) - {"tv"}


def test_numbers_never_compile_again(network):
    """Weights and targets are arguments of the program, so a sweep over them has one compilation for each shape."""
    traces = []

    def counted(network, image, layers):
        traces.append(image.shape)
        return OBJECTIVE.extract(network, image, layers)

    swept = Objective(TERMS, counted)
    targets = [targets_of(network), targets_of(network, picture(5), [picture(3, 40, 17)])]
    totals = {
        float(optimize.measure(picture(0), network, each, {**WEIGHTS, "tv": tv}, objective=swept)[0])
        for each in targets
        for tv in (0.0, 0.125, 3.0)
    }
    assert len(totals) == 6
    assert len(traces) == 1


def test_shares_of_styles_are_numbers_too(network):
    """Other shares make another target, and no other program."""
    styles = [picture(2, 18, 26), picture(3, 18, 26)]
    one, other = (targets_of(network, styles=styles, shares=shares) for shares in ((0.5, 0.5), (0.25, 0.75)))
    assert of_styles((0.5, 0.5)) == of_styles((0.25, 0.75)) and hash(of_styles((1.0, 0.0))) == hash(
        of_styles((0.5, 0.5))
    )
    assert (one["style/relu1_2"].summary.products != other["style/relu1_2"].summary.products).any()


def test_only_the_layers_of_the_terms_are_asked_for(network):
    asked = []

    def spy(network, image, layers):
        asked.append(layers)
        return OBJECTIVE.extract(network, image, layers)

    spied = Objective(TERMS, spy)
    assert set(spied.features(network, picture(0), TERMS)) == {"relu1_2", "relu2_1", IMAGE}
    assert set(spied.features(network, picture(0), TERMS[3:])) == {IMAGE}
    assert asked == [("relu1_2", "relu2_1"), ()]


# Configurations


def test_the_laplacian_is_a_content_term_of_the_picture_itself(network):
    """Li et al. (2017), on pixels from 0 to 255: the mean squared difference, for each size of square."""
    config = compose(["objective.laplacian.pools=[2,4]", "objective.laplacian_weight=20"]).objective
    compared = objective.from_config(config, OBJECTIVE.extract)
    image, content = picture(0, 32, 40), picture(1, 32, 40)
    targets = make_targets(network, content, [content], objective=compared)
    found = optimize.measure(image, network, targets, objective.weights_from_config(config), objective=compared)[1]
    for pool in (2, 4):
        squares = [
            255 * np.asarray(each, np.float64).reshape(32 // pool, pool, 40 // pool, pool, 3).mean((1, 3)).sum(2)
            for each in (image, content)
        ]
        edges = [4 * x[1:-1, 1:-1] - x[:-2, 1:-1] - x[2:, 1:-1] - x[1:-1, :-2] - x[1:-1, 2:] for x in squares]
        expected = 20 * ((edges[0] - edges[1]) ** 2).mean()
        np.testing.assert_allclose(found[f"content/laplacian{pool}"], expected, rtol=1e-5)


def test_weights_are_those_of_the_picture_times_those_of_the_layer():
    config = compose(
        [
            "objective.content_weight=3", "objective.style_weight=1e4", "objective.tv_weight=0.5",
            "objective.content.layers=[relu3_2,relu4_2]", "objective.content.layer_weights=[1,0.5]",
            "objective.style.layers=[relu1_1,pool4]", "objective.style.layer_weights=[2,4]",
            "objective.style.layer_scaling=inverse_square",
        ]
    )  # fmt: skip
    assert objective.weights_from_config(config.objective) == pytest.approx(
        {
            "content/relu3_2": 3,
            "content/relu4_2": 1.5,
            "style/relu1_1": 1e4 * 2 / 64**2,
            "style/pool4": 1e4 * 4 / 512**2,
            "tv": 0.5,
        },
        rel=1e-12,
    )


# Normalised gradients


def naive_gradient(network, image, targets, weights, normalized):
    """neural_style.lua, term by term: the gradient at its layer / (its L1 norm + 1e-8) * weight, then backwards."""
    gradient = np.zeros(image.shape)
    for number, term in enumerate(TERMS):
        features_of_term, backwards = jax.vjp(lambda x, term=term: OBJECTIVE.features(network, x, (term,)), image)
        key = jax.random.fold_in(jax.random.key(0), number)
        at_layer = jax.grad(term.loss)(features_of_term[term.layer], targets.get(term.name), key)
        if normalized and term.name != "tv":
            at_layer = at_layer / (np.abs(np.asarray(at_layer, np.float64)).sum() + 1e-8)
        cotangents = jax.tree.map(jnp.zeros_like, features_of_term) | {term.layer: jnp.float32(at_layer)}
        gradient += weights[term.name] * np.asarray(backwards(cotangents)[0], np.float64)
    return gradient


@pytest.mark.parametrize("normalized", [True, False])
def test_normalized_gradients_are_those_of_neural_style(network, normalized):
    image, targets = picture(0), targets_of(network)
    objective = dataclasses.replace(OBJECTIVE, normalize_gradients=normalized)
    loss = jax.value_and_grad(partial(evaluate, objective=objective), has_aux=True)
    (_, terms), gradient = jax.jit(loss)(image, network, targets, WEIGHTS)
    expected = naive_gradient(network, image, targets, WEIGHTS, normalized)
    np.testing.assert_allclose(gradient, expected, atol=1e-4 * np.abs(expected).max())
    (_, plain), _ = evaluated(image, network, targets, WEIGHTS)
    for name, value in plain.items():
        np.testing.assert_allclose(terms[name], value, rtol=1e-5)


@pytest.mark.parametrize("weight", [0.0, 1e-30, 1e30])
def test_normalized_gradients_are_finite(network, weight):
    """Also without weight, and at the target itself, where there is nothing to divide."""
    image = picture(0)
    objective = dataclasses.replace(OBJECTIVE, normalize_gradients=True)
    loss = jax.jit(jax.grad(partial(evaluate, objective=objective), has_aux=True))
    for targets in (targets_of(network), targets_of(network, image, [image])):
        gradient, _ = loss(image, network, targets, dict.fromkeys(WEIGHTS, weight))
        assert jnp.isfinite(gradient).all()
        assert (weight == 0) <= (jnp.abs(gradient).max() == 0)
