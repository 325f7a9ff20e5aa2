"""Statistics: what all of them keep to, and every distance against its naive NumPy twin in float64."""

from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_runs import history, small
from test_losses import REDUCTIONS

from nstjax import assets, features, images, losses, weights
from nstjax.config import StyleTermsConfig
from nstjax.run import run
from nstjax.statistics import (
    GRAM_NORMALIZATIONS,
    STATISTICS,
    blend_moments,
    gaussian,
    gram_distance,
    moments,
    positions,
    sliced_wasserstein_distance,
    wasserstein_distance,
    wasserstein_target,
)
from nstjax.train import compose

SEEDS = st.integers(0, 2**32 - 1)
quick = settings(max_examples=15, deadline=None)


def feature_map(seed, height=5, width=4, channels=6):
    generator = np.random.default_rng(seed)
    return jnp.asarray(generator.normal(1, generator.uniform(0.1, 100), (height, width, channels)), jnp.float32)


# Gram matrices


def naive_gram(x):
    """One entry after the other, in float64."""
    x = np.asarray(x, np.float64)
    channels = range(x.shape[2])
    return np.array([[(x[:, :, i] * x[:, :, j]).sum() for j in channels] for i in channels])


@quick
@given(SEEDS)
def test_gram_is_the_sum_of_products_over_positions(seed):
    x = feature_map(seed)
    gram = moments(x)
    np.testing.assert_allclose(gram.products, naive_gram(x), rtol=1e-5, atol=1e-5 * float(jnp.abs(gram.products).max()))
    assert gram.positions == 20


@quick
@given(SEEDS)
def test_gram_is_symmetric_and_positive_semidefinite(seed):
    products = np.asarray(moments(feature_map(seed)).products, np.float64)
    np.testing.assert_array_equal(products, products.T)
    assert np.linalg.eigvalsh(products).min() >= -1e-5 * products.max()


@quick
@given(SEEDS)
def test_gram_is_blind_to_where_things_are(seed):
    x = feature_map(seed)
    order = np.random.default_rng(seed).permutation(20)
    shuffled = x.reshape(20, 6)[order].reshape(4, 5, 6)
    products = moments(x).products
    np.testing.assert_allclose(moments(shuffled).products, products, rtol=1e-5, atol=1e-5 * products.max())


@quick
@given(SEEDS, st.integers(1, 4))
def test_grams_of_the_parts_add_up_to_the_gram_of_the_whole(seed, cut):
    x = feature_map(seed)
    parts = jax.tree.map(jnp.add, moments(x[:cut]), moments(x[cut:]))
    whole = moments(x)
    np.testing.assert_allclose(parts.products, whole.products, rtol=1e-5, atol=1e-5 * whole.products.max())
    assert parts.positions == whole.positions


# Normalisations and reductions

NORMALIZATIONS = {
    "none": lambda gram, c, m: gram,
    "per_position": lambda gram, c, m: gram / m,
    "per_element": lambda gram, c, m: gram / (c * m),
}


@pytest.mark.parametrize("reduction", losses.REDUCTIONS)
@pytest.mark.parametrize("normalization", GRAM_NORMALIZATIONS)
def test_gram_loss_is_its_formula(normalization, reduction):
    """With a target from a picture of another size."""
    x, y = feature_map(1), feature_map(2, height=3, width=7)
    normalize, reduce = NORMALIZATIONS[normalization], REDUCTIONS[reduction]
    expected = reduce(normalize(naive_gram(x), 6, 20) - normalize(naive_gram(y), 6, 21))
    x, y = moments(x), moments(y)
    found = gram_distance(x, y, normalization=normalization, reduction=reduction)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@quick
@given(SEEDS)
def test_quarter_mean_per_position_is_equation_4_of_gatys(seed):
    """1 / (4 C^2 M^2) times the sum of squared differences of Gram matrices that are not normalised."""
    x, y = moments(feature_map(seed)), moments(feature_map(seed + 1))
    found = gram_distance(x, y, normalization="per_position", reduction="quarter_mean")
    plain = gram_distance(x, y, normalization="none", reduction="sum")
    np.testing.assert_allclose(found, plain / (4 * 6**2 * 20**2), rtol=1e-5)


@pytest.mark.parametrize("reduction", losses.REDUCTIONS)
@pytest.mark.parametrize("normalization", GRAM_NORMALIZATIONS)
def test_losses_and_their_gradients_are_zero_at_the_own_target(normalization, reduction):
    """On noise, on nothing, and on one value everywhere."""

    @jax.jit
    @jax.value_and_grad
    def loss(x):
        gram, y = moments(x), jax.lax.stop_gradient(x)
        target = jax.lax.stop_gradient(gram)
        style = gram_distance(gram, target, normalization=normalization, reduction=reduction)
        return style + losses.squared_error(x, y, reduction=reduction)

    for x in (feature_map(1), jnp.zeros((5, 4, 6)), jnp.full((5, 4, 6), 3.0)):
        value, gradient = loss(x)
        assert value == 0
        np.testing.assert_array_equal(gradient, jnp.zeros_like(x))


# Blends of styles


def test_a_blend_is_the_weighted_mean_of_grams_per_position():
    """Styles of any sizes."""
    styles = [feature_map(1), feature_map(2, height=9), feature_map(3, width=2)]
    blended = blend_moments([moments(each) for each in styles], [0.125, 0.375, 0.5])
    parts = [naive_gram(each) / (each.shape[0] * each.shape[1]) for each in styles]
    expected = (1 * parts[0] + 3 * parts[1] + 4 * parts[2]) / 8
    found = GRAM_NORMALIZATIONS["per_position"](blended)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * expected.max())


def test_a_blend_of_one_style_is_that_style():
    gram = moments(feature_map(1))
    for found, expected in zip(blend_moments([gram], [1.0]), gram, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("normalization", GRAM_NORMALIZATIONS)
def test_a_style_blended_with_itself_is_that_style(normalization):
    gram, normalize = moments(feature_map(1)), GRAM_NORMALIZATIONS[normalization]
    blended = blend_moments([gram, gram], [0.25, 0.75])
    np.testing.assert_allclose(normalize(blended), normalize(gram), rtol=1e-5)


# Guides


def test_a_guide_of_ones_changes_nothing():
    x = feature_map(1)
    for found, expected in zip(moments(x, jnp.ones((5, 4))), moments(x), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_guide_of_zeros_and_ones_cuts_a_region_out():
    x = feature_map(1)
    guide = jnp.zeros((5, 4)).at[1:4, :3].set(1.0)
    for found, expected in zip(moments(x, guide), moments(x[1:4, :3]), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3)


def test_a_soft_guide_multiplies_features():
    """Gatys et al. (2017), equations 5 and 6: G = (T o F)^T (T o F), with T normalised so that its squares sum to 1."""
    x, guide = feature_map(1), np.random.default_rng(0).uniform(0, 1, (5, 4))
    guided = np.asarray(x, np.float64) * guide[:, :, None] / np.sqrt((guide**2).sum())
    found = GRAM_NORMALIZATIONS["per_position"](moments(x, jnp.float32(guide)))
    np.testing.assert_allclose(found, naive_gram(guided), rtol=1e-4)


# Every statistic: what all of them keep to

CONFIGURED = StyleTermsConfig()
KEY = jax.random.key(3)


def compared(name, x, y, guide=None, guide_of_y=None):
    """The distance between two feature maps, as a term of an objective takes it."""
    return to_target(name, x, target_of(name, [y], [1.0], [guide_of_y]), guide)


def target_of(name, pictures, shares, guides=None):
    statistic = STATISTICS[name]
    summaries = [statistic.summarize(*each) for each in zip(pictures, guides or [None] * len(pictures), strict=True)]
    return statistic.prepare(statistic.blend(summaries, shares), **options(name))


def to_target(name, x, target, guide=None):
    statistic = STATISTICS[name]
    draws = {"key": KEY} if statistic.random else {}
    return statistic.distance(statistic.summarize(x, guide), target, **options(name), **draws)


def options(name):
    return {option: getattr(CONFIGURED, option) for option in STATISTICS[name].options}


each_statistic = pytest.mark.parametrize("name", STATISTICS)


@each_statistic
def test_a_picture_is_at_no_distance_from_itself_and_has_no_slope_there(name):
    """On noise, on nothing, and on one value everywhere; with more channels than positions, too."""
    loss = jax.jit(jax.value_and_grad(partial(to_target, name)))
    far, _ = loss(feature_map(1), target_of(name, [feature_map(2)], [1.0]))
    for x in (feature_map(1), feature_map(1, 2, 2), jnp.zeros((5, 4, 6)), jnp.full((5, 4, 6), 300.0)):
        value, gradient = loss(x, target_of(name, [x], [1.0]))
        _, elsewhere = loss(x, target_of(name, [feature_map(2)], [1.0]))
        assert 0 <= value <= 1e-9 * far
        assert jnp.isfinite(gradient).all()
        assert jnp.abs(gradient).max() <= 1e-4 * jnp.abs(elsewhere).max()


@each_statistic
@pytest.mark.parametrize("x", [jnp.zeros((5, 4, 6)), jnp.full((5, 4, 6), 300.0), feature_map(1, 1, 1)])
def test_the_slope_on_a_flat_feature_map_is_finite(name, x):
    value, gradient = jax.value_and_grad(lambda x: compared(name, x, feature_map(2)))(x)
    assert value > 0
    assert jnp.isfinite(gradient).all()


@each_statistic
def test_other_features_are_at_a_distance(name):
    assert compared(name, feature_map(1), feature_map(2)) > 0.01


@each_statistic
def test_the_gradient_is_the_slope(name):
    """Along a random direction, by central differences in steps that float32 resolves."""
    x, target = feature_map(1), target_of(name, [feature_map(2)], [1.0])
    loss = jax.jit(lambda x: to_target(name, x, target))
    direction = feature_map(5)
    step = 1e-3 * jnp.linalg.norm(x) / jnp.linalg.norm(direction)
    slope = (loss(x + step * direction) - loss(x - step * direction)) / (2 * step)
    np.testing.assert_allclose(jnp.vdot(jax.grad(loss)(x), direction), slope, rtol=2e-2)


@each_statistic
@quick
@given(SEEDS)
def test_where_things_are_does_not_matter(name, seed):
    x, y = feature_map(seed), feature_map(seed + 1)
    order = np.random.default_rng(seed).permutation(20)
    shuffled = x.reshape(20, 6)[order].reshape(4, 5, 6)
    np.testing.assert_allclose(compared(name, shuffled, y), compared(name, x, y), rtol=1e-3)


@each_statistic
def test_the_parts_of_a_picture_blend_into_the_whole(name):
    """By their shares of its positions."""
    x, y = feature_map(1), feature_map(2)
    whole, parts = target_of(name, [y], [1.0]), target_of(name, [y[:2], y[2:]], [0.4, 0.6])
    np.testing.assert_allclose(to_target(name, x, parts), to_target(name, x, whole), rtol=1e-3)
    assert to_target(name, y, parts) <= 1e-7 * to_target(name, x, whole)


@each_statistic
def test_a_share_of_nothing_is_no_part_of_a_blend(name):
    x, y, z = feature_map(1), feature_map(2), feature_map(3, height=9)
    blended = target_of(name, [y, z], [1.0, 0.0])
    np.testing.assert_allclose(to_target(name, x, blended), compared(name, x, y), rtol=1e-5)


@pytest.mark.parametrize("name", [name for name in STATISTICS if name != "gram"])
def test_shares_are_proportions(name):
    """Twice a mean and twice a second moment are no picture's; only Gram matrices add up beyond 1."""
    x, styles = feature_map(1), [feature_map(2), feature_map(3)]
    once, twice = (target_of(name, styles, shares) for shares in ([0.25, 0.75], [0.5, 1.5]))
    np.testing.assert_allclose(to_target(name, x, twice), to_target(name, x, once), rtol=1e-5)


@each_statistic
def test_a_guide_of_ones_is_none(name):
    x, y, ones = feature_map(1), feature_map(2), jnp.ones((5, 4))
    np.testing.assert_allclose(compared(name, x, y, ones, ones), compared(name, x, y), rtol=1e-5)


@each_statistic
def test_a_guide_of_zeros_and_ones_cuts_out(name):
    """In the image and in the style; and the gradient is nothing elsewhere."""
    x, y, guide = feature_map(1), feature_map(2), jnp.zeros((5, 4)).at[1:4, :3].set(1.0)
    cut = compared(name, x[1:4, :3], y[1:4, :3])
    np.testing.assert_allclose(compared(name, x, y, guide, guide), cut, rtol=1e-3)
    gradient = jax.grad(lambda x: compared(name, x, y, guide, guide))(x)
    expected = jnp.zeros_like(x).at[1:4, :3].set(jax.grad(lambda x: compared(name, x, y[1:4, :3]))(x[1:4, :3]))
    np.testing.assert_allclose(gradient, expected, atol=1e-4 * jnp.abs(expected).max())


@pytest.mark.parametrize("name", [name for name in STATISTICS if name not in ("histogram", "sliced_wasserstein")])
def test_a_position_counts_by_the_square_of_its_guide(name):
    """A guide of the root of 2 counts positions twice; transport, with naive weights, is below."""
    x, y, doubled = feature_map(1), feature_map(2), jnp.ones((5, 4)).at[:2].set(2**0.5)
    twice = [jnp.concatenate([each, each[:2]]) for each in (x, y)]
    np.testing.assert_allclose(compared(name, x, y, doubled, doubled), compared(name, *twice), rtol=1e-3)


# Covariance; mean and variance


@quick
@given(SEEDS)
def test_covariance_distance_is_its_formula(seed):
    x, y = feature_map(seed), feature_map(seed + 1, height=3, width=7)
    covariances = [np.cov(np.asarray(each, np.float64).reshape(-1, 6), rowvar=False, bias=True) for each in (x, y)]
    expected = ((covariances[0] - covariances[1]) ** 2).mean()
    np.testing.assert_allclose(compared("covariance", x, y), expected, rtol=1e-3)


@quick
@given(SEEDS)
def test_mean_variance_distance_is_its_formula(seed):
    x, y = feature_map(seed), feature_map(seed + 1, height=3, width=7)
    f, g = (np.asarray(each, np.float64).reshape(-1, 6) for each in (x, y))
    expected = ((f.mean(0) - g.mean(0)) ** 2).mean() + ((f.std(0) - g.std(0)) ** 2).mean()
    np.testing.assert_allclose(compared("mean_variance", x, y), expected, rtol=1e-3)


def test_covariance_is_blind_to_means_and_mean_variance_is_not():
    x = feature_map(1)
    scale = float(jnp.var(x))
    assert compared("covariance", x + 2 * scale**0.5, x) < 1e-6 * scale**2
    np.testing.assert_allclose(compared("mean_variance", x + 2 * scale**0.5, x), 4 * scale, rtol=1e-3)


def test_mean_variance_is_blind_to_correlations_and_covariance_is_not():
    x = feature_map(1)
    turned = x.at[:, :, 0].set(x[::-1, :, 0])
    assert compared("mean_variance", turned, x) < 1e-9 * float(jnp.var(x))
    assert compared("covariance", turned, x) > 1e-3 * float(jnp.var(x)) ** 2


# Wasserstein


def eigendecomposed(x, y, epsilon):
    """The distance and its gradient to the letter of the formula, by eigenvalues of covariances in float64."""

    def covariance(f):
        return np.cov(f, rowvar=False, bias=True) + epsilon * np.eye(f.shape[1])

    def power(matrix, exponent, least):
        values, vectors = np.linalg.eigh(matrix)
        return vectors * np.maximum(values, least) ** exponent @ vectors.T

    f, g = (np.asarray(each, np.float64).reshape(-1, each.shape[-1]) for each in (x, y))
    of_x, of_y, apart = covariance(f), covariance(g), f.mean(0) - g.mean(0)
    root = power(of_y, 0.5, epsilon)
    product = root @ of_x @ root
    traces = np.trace(of_x) + np.trace(of_y) - 2 * np.trace(power(product, 0.5, epsilon**2))
    transport = root @ power(product, -0.5, epsilon**2) @ root
    centered = f - f.mean(0)
    gradient = 2 / f.size * (apart + centered - centered @ transport)
    return (apart**2).mean() + traces / f.shape[1], gradient.reshape(x.shape)


@partial(jax.jit, static_argnames="epsilon")
def wasserstein(x, y, epsilon):
    target = wasserstein_target(gaussian(y), epsilon=epsilon)
    return jax.value_and_grad(lambda x: wasserstein_distance(gaussian(x), target, epsilon=epsilon))(x)


def assert_is_eigendecomposed(x, y, epsilon, rtol=1e-4):
    value, gradient = wasserstein(x, y, epsilon)
    expected, slopes = eigendecomposed(x, y, epsilon)
    np.testing.assert_allclose(value, expected, rtol=1e-4)
    error = np.linalg.norm(gradient - slopes) / np.linalg.norm(slopes)
    cosine = (np.asarray(gradient, np.float64) * slopes).sum() / np.linalg.norm(gradient) / np.linalg.norm(slopes)
    assert error < rtol and cosine > 1 - 1e-5, (error, 1 - cosine)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 4), (2, 3), (5, 4), (30, 20)])
def test_wasserstein_is_its_formula(height, width):
    """With fewer positions than channels, too: the covariance has not full rank."""
    for seed in range(3):
        assert_is_eigendecomposed(feature_map(seed, height, width), feature_map(seed + 1), 1e-4, rtol=1e-3)


STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


@lru_cache
def real_features(name, side):
    network = weights.load("caffe-8bit")
    pixels = images.resize(images.load(assets.resolve(name)).pixels, side * 3 // 4, side)
    extract = jax.jit(features.extractor(pooling="average"), static_argnums=2)
    return extract(network, jnp.asarray(pixels), STYLE_LAYERS)


def of_real_features():
    """Every layer at every size; two of them in the fast tests."""
    for side in (64, 128, 256):
        for layer in STYLE_LAYERS:
            fast = side == 64 and layer in ("relu1_1", "relu5_1")
            yield pytest.param(side, layer, marks=() if fast else pytest.mark.slow)


@pytest.mark.parametrize(("side", "layer"), list(of_real_features()))
def test_wasserstein_on_real_features(side, layer):
    """At relu5_1 of 64 px there are 12 positions and 512 channels; eigenvalues reach from 0 to 1e7."""
    x, y = (real_features(name, side)[layer] for name in ("grace_hopper", "starry"))
    assert_is_eigendecomposed(x, y, 1e-4, rtol=5e-3)


def test_wasserstein_of_moved_features_is_how_far_they_moved():
    x = feature_map(1)
    np.testing.assert_allclose(compared("wasserstein", x + 3.0, x), 9, rtol=1e-4)


def test_wasserstein_of_scaled_deviations_is_the_change_of_their_roots():
    """Covariances that commute: mean (sigma - sigma*)^2, whatever the correlations."""
    x = feature_map(1)
    x = x - x.mean((0, 1), keepdims=True)
    np.testing.assert_allclose(compared("wasserstein", 3 * x, x), 4 * (np.asarray(x) ** 2).mean(), rtol=1e-4)


# Histogram and sliced Wasserstein


def transported(x, y):
    """Sorted values against sorted values, of equally many positions; of each column."""
    return ((np.sort(x, 0) - np.sort(y, 0)) ** 2).mean()


def rows(x):
    return np.asarray(x, np.float64).reshape(-1, x.shape[-1])


def directions_of(channels, count):
    drawn = np.asarray(jax.random.normal(KEY, (count, channels)), np.float64)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


@quick
@given(SEEDS)
def test_histogram_of_a_picture_of_the_same_size_is_the_difference_of_sorted_values(seed):
    x, y = feature_map(seed), feature_map(seed + 1)
    np.testing.assert_allclose(compared("histogram", x, y), transported(rows(x), rows(y)), rtol=1e-4)


@quick
@given(SEEDS, st.integers(0, 9))
def test_sliced_wasserstein_is_that_along_random_directions(seed, count):
    x, y = feature_map(seed), feature_map(seed + 1)
    found = sliced_wasserstein_distance(positions(x), positions(y), key=KEY, directions=count)
    turn = directions_of(6, count or 6).T
    np.testing.assert_allclose(found, transported(rows(x) @ turn, rows(y) @ turn), rtol=1e-4)


def test_each_evaluation_draws_its_own_directions():
    x, y = positions(feature_map(1)), positions(feature_map(2))
    drawn = {float(sliced_wasserstein_distance(x, y, key=jax.random.key(seed), directions=4)) for seed in (0, 1, 2, 0)}
    assert len(drawn) == 3


def naive_quantile(values, weights, level):
    """Of weighted values, interpolated between the middles of their weights, and constant beyond these."""
    values, weights = values[weights > 0], weights[weights > 0] / weights.sum()
    order = np.argsort(values)
    middles = np.cumsum(weights[order]) - weights[order] / 2
    return np.interp(level, middles, values[order])


def naive_transport(x, y, of_x, of_y):
    """The distance of weighted rows, one channel and one position after the other."""
    total = 0.0
    for values, others in zip(x.T, y.T, strict=True):
        done = 0.0
        for k in np.argsort(values):
            share = of_x[k] / of_x.sum()
            total += share * (values[k] - naive_quantile(others, of_y, done + share / 2)) ** 2
            done += share
    return total / x.shape[1]


@pytest.mark.parametrize("channels", [1, 6])
@pytest.mark.parametrize("width", [4, 7])
@pytest.mark.parametrize("guided", [(False, False), (True, False), (False, True), (True, True)])
def test_sizes_and_weights_may_differ(guided, width, channels):
    """Quantiles of the target at the levels of the image, both weighted by squares of guides, some of them zero."""
    x, y = feature_map(1, channels=channels), feature_map(2, width=width, channels=channels)
    guides = [
        jnp.asarray(np.random.default_rng(0).uniform(0, 1, each.shape[:2]), jnp.float32).at[0].set(0.0) if one else None
        for each, one in zip((x, y), guided, strict=True)
    ]
    weights = [
        np.ones(len(rows(each))) if guide is None else np.asarray(guide, np.float64).reshape(-1) ** 2
        for each, guide in zip((x, y), guides, strict=True)
    ]
    expected = naive_transport(rows(x), rows(y), *weights)
    np.testing.assert_allclose(compared("histogram", x, y, *guides), expected, rtol=1e-4)
    turn = directions_of(channels, channels).T
    expected = naive_transport(rows(x) @ turn, rows(y) @ turn, *weights)
    np.testing.assert_allclose(compared("sliced_wasserstein", x, y, *guides), expected, rtol=1e-4)


@pytest.mark.parametrize("name", ["histogram", "sliced_wasserstein"])
def test_styles_of_different_sizes_join_by_their_shares(name):
    """Half of each of two constant pictures: half of all values are the one's, half the other's."""
    low, high = jnp.zeros((2, 2, 6)), jnp.full((5, 8, 6), 2.0)
    target = target_of(name, [low, high], [1.0, 1.0])
    half_and_half = jnp.concatenate([jnp.zeros((1, 1, 6)), jnp.full((1, 1, 6), 2.0)])
    assert to_target(name, half_and_half, target) < 1e-9
    assert to_target(name, low, target) > 0.1


def test_the_gradient_leads_each_value_to_its_quantile():
    """A step of M C / 2 along it makes the histograms equal."""
    x, y = feature_map(1), feature_map(2)
    moved = x - x.size / 2 * jax.grad(lambda x: compared("histogram", x, y))(x)
    np.testing.assert_allclose(np.sort(rows(moved), 0), np.sort(rows(y), 0), rtol=1e-3, atol=1e-4 * np.abs(y).max())


def test_equal_values_are_each_their_own_position():
    """Features after a ReLU are zero at many positions; the target's values are shared out among them."""
    x, y = jnp.maximum(feature_map(1), 0.0).at[:3].set(0.0), feature_map(2)
    np.testing.assert_allclose(compared("histogram", x, y), transported(rows(x), rows(y)), rtol=1e-4)


@pytest.mark.parametrize("name", [name for name in STATISTICS if name not in ("gram", "covariance")])
def test_a_guide_that_leaves_nothing_gives_a_number(name):
    """In a region that a deep layer has no position of."""
    x, nothing = feature_map(1), jnp.zeros((5, 4))
    value, gradient = jax.value_and_grad(lambda x: compared(name, x, feature_map(2), nothing))(x)
    assert jnp.isfinite(value)
    np.testing.assert_array_equal(gradient, jnp.zeros_like(x))
    assert jnp.isfinite(compared(name, x, feature_map(2), None, nothing))


# Runs


@pytest.mark.slow
def test_one_run_compares_layers_by_every_statistic(tmp_path):
    """All at one layer, and two at another; each is a column of the log."""
    layers = ["relu1_1"] * len(STATISTICS) + ["relu2_1"] * 2
    names = [*STATISTICS, "gram", "wasserstein"]
    weighted = [1e-5 if name in ("gram", "covariance") else 1.0 for name in names]
    config = small(
        f"objective.style.layers=[{','.join(layers)}]",
        f"objective.style.statistic=[{','.join(names)}]",
        f"objective.style.layer_weights={weighted}".replace(" ", ""),
        "objective.content_weight=0.01",
        "schedule.steps=[10]",
    )
    run(config, tmp_path)
    first, *_, last = history(tmp_path)
    terms = [last[f"style/{layer}/{name}"] for layer, name in zip(layers, names, strict=True)]
    assert min(terms) > 0
    assert last["style"] == pytest.approx(sum(terms), rel=1e-5)
    assert last["style"] < 0.5 * first["style"]


@pytest.mark.slow
@pytest.mark.parametrize("name", STATISTICS)
def test_a_run_by_each_statistic(name, tmp_path):
    """The default network at 64 pixels, with the style weight that the statistic's file gives."""
    quick = ["runtime.convolution=direct", "output.metrics=false"]  # to compile: the weight is the same
    run(compose([f"statistic={name}", "size=64", "schedule=single", "schedule.steps=[30]", *quick]), tmp_path)
    first, *_, last = history(tmp_path)
    assert 0 < last["style"] < 0.3 * first["style"]
