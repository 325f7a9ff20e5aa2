"""Reductions, total variation and the Laplacian: every formula against its naive NumPy twin."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st

from nstjax import losses, optimizers

GOLDEN = Path(__file__).parent / "golden"
SEEDS = st.integers(0, 2**32 - 1)
quick = settings(max_examples=15, deadline=None)


def feature_map(seed, height=5, width=4, channels=6):
    generator = np.random.default_rng(seed)
    return jnp.asarray(generator.normal(1, generator.uniform(0.1, 100), (height, width, channels)), jnp.float32)


# Reductions

REDUCTIONS = {
    "mean": lambda d: (d**2).sum() / d.size,
    "sum": lambda d: (d**2).sum(),
    "half_sum": lambda d: (d**2).sum() / 2,
    "quarter_mean": lambda d: (d**2).sum() / (4 * d.size),
    "half_sum_by_root": lambda d: (d**2).sum() / (2 * d.shape[-1] ** 0.5 * (d.size / d.shape[-1]) ** 0.5),
    "scaled": lambda d: (d**2).sum() / (np.abs(d).sum() + 1e-8),
}


@pytest.mark.parametrize("reduction", losses.REDUCTIONS)
def test_squared_error_is_its_formula(reduction):
    x, y = feature_map(1), feature_map(2)
    expected = REDUCTIONS[reduction](np.asarray(x, np.float64) - np.asarray(y, np.float64))
    np.testing.assert_allclose(losses.squared_error(x, y, reduction=reduction), expected, rtol=1e-5)


@pytest.mark.parametrize("reduction", losses.REDUCTIONS)
def test_squared_error_and_its_gradient_are_zero_at_the_target(reduction):
    for x in (feature_map(1), jnp.zeros((5, 4, 6))):
        value, gradient = jax.value_and_grad(lambda v, y=x: losses.squared_error(v, y, reduction=reduction))(x)
        assert value == 0
        np.testing.assert_array_equal(gradient, jnp.zeros_like(x))


# Total variation


def around_pixel(x, i, j):
    """Squared differences along both diagonals of the 2 x 2 pixels around a corner, the border repeated outwards."""
    (top, left), (bottom, right) = (max(i - 1, 0), max(j - 1, 0)), (min(i, len(x) - 1), min(j, x.shape[1] - 1))
    return ((x[bottom, right] - x[top, left]) ** 2 + (x[bottom, left] - x[top, right]) ** 2).sum()


def naive_total_variation(form, x):
    """Neighbour by neighbour, in float64."""
    x = np.asarray(x, np.float64)
    (height, width, channels), squares, down, right = x.shape, [], [], []
    around = [around_pixel(x, i, j) for i, j in np.ndindex(height + 1, width + 1)]
    for i, j, c in np.ndindex(height, width, channels):
        below = x[i + 1, j, c] - x[i, j, c] if i + 1 < height else None
        beside = x[i, j + 1, c] - x[i, j, c] if j + 1 < width else None
        down += [] if below is None else [abs(below)]
        right += [] if beside is None else [abs(beside)]
        squares += [] if below is None or beside is None else [below**2 + beside**2]
    return {
        "half_sum_of_squares": sum(squares) / 2,
        "mean_of_squares": np.mean(squares),
        "mean_of_squares_replicated": (np.sum(np.square(down)) + np.sum(np.square(right))) / x.size,
        "mean_of_squares_by_direction": np.mean(np.square(down)) + np.mean(np.square(right)),
        "eight_neighbors": 2 * (np.sum(np.square(down)) + np.sum(np.square(right))) / x.size / 3
        + 2 * np.sum(around) / ((height + 1) * (width + 1) * channels) / 12,
        "sum_of_powers": sum(each**1.25 for each in squares),
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


# The Laplacian


def naive_laplacian(x, pool):
    """Square by square, in float64."""
    x = np.asarray(x, np.float64)
    height, width = x.shape[0] // pool, x.shape[1] // pool
    squares = np.zeros((height, width))
    for i, j in np.ndindex(height, width):
        squares[i, j] = x[i * pool : (i + 1) * pool, j * pool : (j + 1) * pool].mean((0, 1)).sum()
    found = np.zeros((height - 2, width - 2))
    for i, j in np.ndindex(*found.shape):
        neighbors = squares[i, j + 1] + squares[i + 2, j + 1] + squares[i + 1, j] + squares[i + 1, j + 2]
        found[i, j] = 4 * squares[i + 1, j + 1] - neighbors
    return found


@pytest.mark.parametrize(("pool", "size"), [(1, (3, 3)), (1, (7, 5)), (2, (9, 8)), (4, (19, 13))])
def test_the_laplacian_is_its_formula(pool, size):
    x = feature_map(5, *size, channels=3)
    np.testing.assert_allclose(losses.laplacian(x, pool), naive_laplacian(x, pool), rtol=1e-4, atol=1e-3)


def test_a_slope_has_no_laplacian():
    """Only where brightness bends is there an edge."""
    rows, columns = np.mgrid[:12, :16]
    slope = np.repeat((0.01 * rows + 0.02 * columns)[..., None], 3, axis=2)
    np.testing.assert_allclose(losses.laplacian(jnp.float32(slope), 4), np.zeros((1, 2)), atol=1e-6)


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
