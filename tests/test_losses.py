"""The losses: Gram matrices that add up over parts of a picture, and every formula against its naive NumPy twin."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nstjax import losses, optimizers

GOLDEN = Path(__file__).parent / "golden"
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
    gram = losses.gram_matrix(x)
    np.testing.assert_allclose(gram.products, naive_gram(x), rtol=1e-5, atol=1e-5 * float(jnp.abs(gram.products).max()))
    assert gram.positions == 20


@quick
@given(SEEDS)
def test_gram_is_symmetric_and_positive_semidefinite(seed):
    products = np.asarray(losses.gram_matrix(feature_map(seed)).products, np.float64)
    np.testing.assert_array_equal(products, products.T)
    assert np.linalg.eigvalsh(products).min() >= -1e-5 * products.max()


@quick
@given(SEEDS)
def test_gram_is_blind_to_where_things_are(seed):
    x = feature_map(seed)
    order = np.random.default_rng(seed).permutation(20)
    shuffled = x.reshape(20, 6)[order].reshape(4, 5, 6)
    products = losses.gram_matrix(x).products
    np.testing.assert_allclose(losses.gram_matrix(shuffled).products, products, rtol=1e-5, atol=1e-5 * products.max())


@quick
@given(SEEDS, st.integers(1, 4))
def test_grams_of_the_parts_add_up_to_the_gram_of_the_whole(seed, cut):
    x = feature_map(seed)
    parts = jax.tree.map(jnp.add, losses.gram_matrix(x[:cut]), losses.gram_matrix(x[cut:]))
    whole = losses.gram_matrix(x)
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
@pytest.mark.parametrize("normalization", losses.GRAM_NORMALIZATIONS)
def test_gram_loss_is_its_formula(normalization, reduction):
    """With a target from a picture of another size."""
    x, y = feature_map(1), feature_map(2, height=3, width=7)
    normalize, reduce = NORMALIZATIONS[normalization], REDUCTIONS[reduction]
    expected = reduce(normalize(naive_gram(x), 6, 20) - normalize(naive_gram(y), 6, 21))
    x, y = losses.gram_matrix(x), losses.gram_matrix(y)
    found = losses.gram_loss(x, y, normalization=normalization, reduction=reduction)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("reduction", losses.REDUCTIONS)
def test_squared_error_is_its_formula(reduction):
    x, y = feature_map(1), feature_map(2)
    expected = REDUCTIONS[reduction](np.asarray(x, np.float64) - np.asarray(y, np.float64))
    np.testing.assert_allclose(losses.squared_error(x, y, reduction=reduction), expected, rtol=1e-5)


@quick
@given(SEEDS)
def test_quarter_mean_per_position_is_equation_4_of_gatys(seed):
    """1 / (4 C^2 M^2) times the sum of squared differences of Gram matrices that are not normalised."""
    x, y = losses.gram_matrix(feature_map(seed)), losses.gram_matrix(feature_map(seed + 1))
    found = losses.gram_loss(x, y, normalization="per_position", reduction="quarter_mean")
    plain = losses.gram_loss(x, y, normalization="none", reduction="sum")
    np.testing.assert_allclose(found, plain / (4 * 6**2 * 20**2), rtol=1e-5)


@pytest.mark.parametrize("reduction", losses.REDUCTIONS)
@pytest.mark.parametrize("normalization", losses.GRAM_NORMALIZATIONS)
def test_losses_and_their_gradients_are_zero_at_the_own_target(normalization, reduction):
    """On noise, on nothing, and on one value everywhere."""

    @jax.jit
    @jax.value_and_grad
    def loss(x):
        gram, y = losses.gram_matrix(x), jax.lax.stop_gradient(x)
        target = jax.lax.stop_gradient(gram)
        style = losses.gram_loss(gram, target, normalization=normalization, reduction=reduction)
        return style + losses.squared_error(x, y, reduction=reduction)

    for x in (feature_map(1), jnp.zeros((5, 4, 6)), jnp.full((5, 4, 6), 3.0)):
        value, gradient = loss(x)
        assert value == 0
        np.testing.assert_array_equal(gradient, jnp.zeros_like(x))


# Blends of styles


def test_a_blend_is_the_weighted_mean_of_grams_per_position():
    """Weights of any sum, styles of any sizes."""
    styles = [feature_map(1), feature_map(2, height=9), feature_map(3, width=2)]
    blended = losses.blend([losses.gram_matrix(each) for each in styles], [1.0, 3.0, 4.0])
    parts = [naive_gram(each) / (each.shape[0] * each.shape[1]) for each in styles]
    expected = (1 * parts[0] + 3 * parts[1] + 4 * parts[2]) / 8
    found = losses.GRAM_NORMALIZATIONS["per_position"](blended)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * expected.max())


@pytest.mark.parametrize("weight", [1.0, 0.3, 7.0])
def test_a_blend_of_one_style_is_that_style(weight):
    gram = losses.gram_matrix(feature_map(1))
    blended = losses.blend([gram], [weight])
    np.testing.assert_allclose(blended.products, gram.products, rtol=1e-6)
    assert blended.positions == gram.positions


@pytest.mark.parametrize("normalization", losses.GRAM_NORMALIZATIONS)
def test_a_style_blended_with_itself_is_that_style(normalization):
    gram, normalize = losses.gram_matrix(feature_map(1)), losses.GRAM_NORMALIZATIONS[normalization]
    blended = losses.blend([gram, gram], [1.0, 2.0])
    np.testing.assert_allclose(normalize(blended), normalize(gram), rtol=1e-5)


# Total variation


def naive_total_variation(form, x):
    """Neighbour by neighbour, in float64."""
    x = np.asarray(x, np.float64)
    (height, width, channels), squares, down, right = x.shape, [], [], []
    for i, j, c in np.ndindex(height, width, channels):
        below = x[i + 1, j, c] - x[i, j, c] if i + 1 < height else None
        beside = x[i, j + 1, c] - x[i, j, c] if j + 1 < width else None
        down += [] if below is None else [abs(below)]
        right += [] if beside is None else [abs(beside)]
        squares += [] if below is None or beside is None else [below**2 + beside**2]
    return {
        "half_sum_of_squares": sum(squares) / 2,
        "mean_of_squares": np.mean(squares),
        "sum_of_magnitudes": sum(down) + sum(right),
        "mean_of_magnitudes": (np.mean(down) + np.mean(right)) / 2,
    }[form]


@pytest.mark.parametrize("form", losses.TOTAL_VARIATIONS)
@pytest.mark.parametrize("size", [(5, 7), (2, 2), (6, 3)])
def test_total_variation_is_its_formula(form, size):
    x = feature_map(4, *size, channels=3)
    np.testing.assert_allclose(losses.TOTAL_VARIATIONS[form](x), naive_total_variation(form, x), rtol=1e-5)


@pytest.mark.parametrize("form", losses.TOTAL_VARIATIONS)
def test_a_flat_image_has_no_total_variation_and_a_finite_gradient(form):
    value, gradient = jax.jit(jax.value_and_grad(losses.TOTAL_VARIATIONS[form]))(jnp.full((4, 5, 3), 0.7))
    assert value == 0
    assert jnp.isfinite(gradient).all()


def recorded(name):
    """A picture in pystiche's layout: raw little-endian float32, channels first."""
    return np.fromfile(GOLDEN / f"pystiche_adam5_tv_{name}_3x32x32.f32", "<f4").reshape(3, 32, 32).transpose(1, 2, 0)


def test_five_adam_steps_on_total_variation_are_those_of_pystiche():
    optimizer = optimizers.create("adam", {"b1": 0.9, "b2": 0.999, "eps": 1e-8}, num_steps=5)
    image = jnp.asarray(recorded("in"))
    state, loss = optimizer.init(image), jax.jit(jax.value_and_grad(losses.mean_of_squares))
    for _ in range(5):
        value, gradient = loss(image)
        updates, state = optimizer.update(gradient, state, image, value=value, learning_rate=jnp.float32(0.1))
        image = image + updates
    np.testing.assert_allclose(image, recorded("out"), rtol=0, atol=1e-5)
