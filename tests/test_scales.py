"""From one scale to the next: enlarged images stay pictures, and moments of an image's shape grow with it."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nstjax import scales


def noise(height, width, seed=0):
    return jnp.asarray(np.random.default_rng(seed).uniform(size=(height, width, 3)), jnp.float32)


@pytest.mark.parametrize("size", [(9, 7), (6, 5), (12, 10), (3, 2)])
def test_a_flat_image_stays_flat(size):
    np.testing.assert_allclose(scales.enlarged(jnp.full((6, 5, 3), 0.3), *size), jnp.full((*size, 3), 0.3), rtol=1e-6)


def test_an_enlarged_image_is_clipped_like_a_picture():
    """Also where it had left [0, 1], and where cubic interpolation overshoots an edge."""
    edge = jnp.concatenate([jnp.zeros((6, 3, 3)), jnp.ones((6, 3, 3))], axis=1)
    for image in (3 * noise(6, 6) - 1, edge):
        larger = scales.enlarged(image, 13, 12)
        assert (larger.min(), larger.max()) == (0, 1)


def test_an_image_enlarged_to_its_own_size_is_itself():
    np.testing.assert_allclose(scales.enlarged(noise(6, 5), 6, 5), noise(6, 5), atol=1e-6)


def test_a_smooth_image_is_enlarged_by_cubic_interpolation():
    """A parabola comes back as the parabola away from the border: linear interpolation would cut its corners."""

    def parabola(length):
        return ((np.arange(length) + 0.5) / length - 0.5) ** 2

    image = jnp.asarray(np.broadcast_to(parabola(16)[:, None, None], (16, 5, 3)), jnp.float32)
    np.testing.assert_allclose(scales.enlarged(image, 32, 5)[6:-6, 2, 0], parabola(32)[6:-6], atol=1e-6)


def adam_state(image):
    """After one update with a spiky gradient, whose cubic enlargement would go below zero."""
    optimizer = optax.adam(1.0)
    gradient = jnp.zeros_like(image).at[2, 2].set(10.0)
    return optimizer.update(gradient, optimizer.init(image), image)[1]


def test_moments_of_the_images_shape_are_resized_and_the_rest_is_kept():
    state = adam_state(noise(6, 5))
    moments = scales.carried(state, (6, 5, 3), (12, 10, 3))[0]
    assert moments.mu.shape == moments.nu.shape == (12, 10, 3)
    assert moments.count == state[0].count == 1
    np.testing.assert_allclose(moments.mu.mean(), state[0].mu.mean(), rtol=0.02)


def test_second_moments_stay_positive():
    moments = scales.carried(adam_state(noise(6, 5)), (6, 5, 3), (13, 9, 3))[0]
    assert moments.nu.min() >= 0


def test_an_optimizer_goes_on_with_what_was_carried():
    optimizer, larger = optax.adam(0.1), noise(12, 10)
    state = scales.carried(adam_state(noise(6, 5)), (6, 5, 3), (12, 10, 3))
    updates, state = optimizer.update(larger, state, larger)
    assert updates.shape == larger.shape and jnp.isfinite(updates).all()
    assert state[0].count == 2
