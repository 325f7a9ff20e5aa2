"""The frozen convolution: JAX's own convolution in values and input gradient, with a kernel that is not trained."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from nstjax.convolution import frozen


def jax_own(x, kernel, padding):
    return lax.conv_general_dilated(x, kernel, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def picture_and_kernel(height, width, side=3, channels=4):
    generator = np.random.default_rng(0)
    shapes = (1, height, width, channels), (side, side, channels, 5)
    return tuple(jnp.asarray(generator.normal(size=shape), jnp.float32) for shape in shapes)


CASES = pytest.mark.parametrize(
    ("height", "width", "side", "padding"),
    [
        (7, 5, 3, "SAME"),
        (7, 5, 3, "VALID"),
        (6, 9, 3, "SAME"),
        (8, 8, 1, "SAME"),
        (9, 7, 5, "SAME"),
        (9, 7, 5, "VALID"),
    ],
)


@CASES
def test_values_are_those_of_jax(height, width, side, padding):
    x, kernel = picture_and_kernel(height, width, side)
    np.testing.assert_array_equal(frozen(x, kernel, (1, 1), padding), jax_own(x, kernel, padding))


@CASES
@pytest.mark.parametrize("channels", [3, 64])
def test_input_gradient_is_that_of_jax(height, width, side, padding, channels):
    """Of few channels, which is a product and a sum on a CPU, and of many."""
    x, kernel = picture_and_kernel(height, width, side, channels)
    ours, theirs = (
        jax.grad(lambda x, convolve=convolve: jnp.sum(jnp.sin(convolve(x))))(x)
        for convolve in (lambda x: frozen(x, kernel, (1, 1), padding), lambda x: jax_own(x, kernel, padding))
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_a_batch_by_vmap_is_the_pictures_one_by_one():
    x, kernel = picture_and_kernel(7, 5)
    batch = jnp.stack([x, 2 * x, -x])
    gradient = jax.grad(lambda x: jnp.sum(frozen(x, kernel, (1, 1), "SAME") ** 2))
    one_by_one = jnp.stack([gradient(each) for each in batch])
    np.testing.assert_allclose(jax.vmap(gradient)(batch), one_by_one, rtol=1e-5, atol=1e-4)


def test_gradient_descent_in_a_loop_is_the_steps_one_by_one():
    x, kernel = picture_and_kernel(7, 5)

    def step(_, x):
        return x - 1e-3 * jax.grad(lambda x: jnp.sum(frozen(x, kernel, (1, 1), "SAME") ** 2))(x)

    one_by_one = x
    for i in range(3):
        one_by_one = step(i, one_by_one)
    np.testing.assert_allclose(lax.fori_loop(0, 3, step, x), one_by_one, rtol=1e-5, atol=1e-5)


def test_the_kernel_has_no_gradient():
    x, kernel = picture_and_kernel(7, 5)
    gradient = jax.grad(lambda kernel: jnp.sum(frozen(x, kernel, (1, 1), "SAME") ** 2))(kernel)
    np.testing.assert_array_equal(gradient, jnp.zeros_like(kernel))
