"""Statistics: moments that add up over parts of a picture, and every distance against its naive NumPy twin."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nstjax import losses
from nstjax.statistics import GRAM_NORMALIZATIONS, blend_moments, gram_distance, moments

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
REDUCTIONS = {
    "mean": lambda d: (d**2).sum() / d.size,
    "sum": lambda d: (d**2).sum(),
    "half_sum": lambda d: (d**2).sum() / 2,
    "quarter_mean": lambda d: (d**2).sum() / (4 * d.size),
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
