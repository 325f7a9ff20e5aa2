"""Winograd's F(4x4, 3x3): the direct convolution's values and input gradient, to the bound that float32 allows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from nstjax import weights, winograd
from nstjax.convolution import prepare
from nstjax.layers import CHANNELS

CONVOLUTIONS = tuple(name for name in CHANNELS if name.startswith("conv"))


def direct(x, kernel, border):
    """In float64, where JAX has only float32: a sum over the nine positions of the kernel."""
    x, kernel = (
        np.pad(np.asarray(x, np.float64), ((border,) * 2, (border,) * 2, (0, 0))),
        np.asarray(kernel, np.float64),
    )
    height, width = x.shape[0] - 2, x.shape[1] - 2
    return sum(x[i : i + height, j : j + width] @ kernel[i, j] for i in range(3) for j in range(3))


def direct_gradient(gradient, kernel, border):
    """The convolution's transpose, written as it is: every output hands its share back to the nine inputs."""
    height, width, _ = gradient.shape
    x = np.zeros((height + 2, width + 2, kernel.shape[2]))
    for i in range(3):
        for j in range(3):
            x[i : i + height, j : j + width] += (
                np.asarray(gradient, np.float64) @ np.asarray(kernel[i, j], np.float64).T
            )
    return x[border : height + 2 - border, border : width + 2 - border]


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape, np.float32))


def layer_of(kernel, bias=None):
    return winograd.prepare(np.asarray(kernel), jnp.zeros(kernel.shape[3]) if bias is None else bias)


def relative_error(found, expected):
    return np.sqrt(np.mean((found - expected) ** 2) / np.mean(expected**2))


def input_gradient(x, prepared, border, weight):
    return jax.grad(lambda x: jnp.vdot(winograd.convolve(x, prepared, border), weight))(x)


@pytest.mark.parametrize("border", [0, 1])
@pytest.mark.parametrize(("height", "width"), [(4, 4), (3, 5), (16, 12), (17, 30), (6, 41)])
def test_values_and_input_gradient_are_the_direct_convolutions(height, width, border):
    x, kernel = normal(height, width, 5), normal(3, 3, 5, 7, seed=1)
    prepared = layer_of(kernel)
    expected = direct(x, kernel, border)
    assert relative_error(winograd.convolve(x, prepared, border), expected) < 2e-6
    weight = normal(*expected.shape, seed=2)
    found = input_gradient(x, prepared, border, weight)
    assert relative_error(found, direct_gradient(weight, kernel, border)) < 2e-6


@pytest.mark.parametrize(
    "layer",
    [
        name if name in ("conv1_2", "conv5_1") else pytest.param(name, marks=pytest.mark.slow)
        for name in CONVOLUTIONS[1:]
    ],
)
def test_error_bound_of_every_layer_of_the_real_network(original, layer):
    """In values and gradient less than 1e-5 of the output's own magnitude, on inputs like those after a ReLU."""
    kernel = np.asarray(weights.read(original).params[layer]["kernel"])
    x, weight = jnp.maximum(normal(9, 13, kernel.shape[2]), 0), normal(9, 13, kernel.shape[3], seed=1)
    prepared = layer_of(kernel)
    assert relative_error(winograd.convolve(x, prepared, 1), direct(x, kernel, 1)) < 1e-5
    assert relative_error(input_gradient(x, prepared, 1, weight), direct_gradient(weight, kernel, 1)) < 1e-5


def test_strips_join_without_a_seam(monkeypatch):
    """Also where the last one begins between the others' tiles, and so rounds in another way: held to float64."""
    kernel = normal(3, 3, 3, 2, seed=1)
    even, odd, prepared = normal(40, 30, 3), normal(41, 30, 3), layer_of(kernel)
    whole = winograd.convolve(even, prepared, 1)
    monkeypatch.setattr(winograd, "_strip_tiles", lambda channels: 16)
    assert winograd._strip_height(11, 8, 16) == 2
    jax.clear_caches()  # the trace of a single strip
    np.testing.assert_allclose(winograd.convolve(even, prepared, 1), whole, atol=1e-5)
    assert relative_error(winograd.convolve(odd, prepared, 1), direct(odd, kernel, 1)) < 2e-6


def pooled(values, pooling):
    """In windows of 2x2 without an odd last row or column."""
    height, width, channels = values.shape
    windows = values[: height // 2 * 2, : width // 2 * 2].reshape(height // 2, 2, width // 2, 2, channels)
    return windows.max((1, 3)) if pooling == "max" else windows.mean((1, 3))


def step_by_step(x, kernel, bias, border, pooling):
    """JAX's own convolution and gradient, a function for each layer."""
    padding, dimensions = [(border, border)] * 2, ("NHWC", "HWIO", "NHWC")
    convolved = lax.conv_general_dilated(x[None], kernel, (1, 1), padding, dimension_numbers=dimensions)[0]
    values = jax.nn.relu(convolved + jnp.broadcast_to(bias, convolved.shape))
    return pooled(values, pooling) if pooling else values


def value_and_gradient(function, x, weight):
    @jax.jit
    def both(x, weight):
        out, pull = jax.vjp(function, x)
        return out, pull(weight[: out.shape[0], : out.shape[1]])[0]

    return both(x, weight)


@pytest.mark.parametrize("pooling", ["", "max", "average"])
@pytest.mark.parametrize(
    ("height", "width", "border", "tiles"),
    [(5, 4, 0, 512), (7, 9, 1, 1), (41, 30, 0, 16), (42, 29, 1, 16)],
)
def test_what_follows_is_that_of_layers_one_by_one(height, width, border, pooling, tiles, monkeypatch):
    """ReLU and pooling, and their gradient, in one strip or many, whose seams are nowhere to be seen."""
    monkeypatch.setattr(winograd, "_strip_tiles", lambda channels: tiles)
    x, kernel, bias, weight = (
        normal(height, width, 5), normal(3, 3, 5, 7, seed=1), normal(7, seed=2), normal(height, width, 7, seed=3)
    )  # fmt: skip
    layer = layer_of(kernel, bias)
    found = value_and_gradient(lambda x: winograd.convolve(x, layer, border, True, pooling), x, weight)
    expected = value_and_gradient(lambda x: step_by_step(x, kernel, bias, border, pooling), x, weight)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, atol=2e-5 * jnp.abs(theirs).max())


def test_what_is_equally_large_shares_the_gradient():
    """As in JAX's own gradient of a maximum: a plain picture's gradient is as plain."""
    x, kernel, bias, weight = jnp.ones((8, 8, 1)), jnp.zeros((3, 3, 1, 1)).at[1, 1].set(2), jnp.ones(1), normal(4, 4, 1)
    layer = layer_of(kernel, bias)
    _, gradient = value_and_gradient(lambda x: winograd.convolve(x, layer, 1, True, "max"), x, weight)
    np.testing.assert_allclose(gradient, jnp.repeat(jnp.repeat(weight, 2, 0), 2, 1) * 2 / 4, atol=1e-5)


def test_the_last_strip_ends_with_the_map():
    for tiles_down in range(1, 200):
        height = winograd._strip_height(tiles_down, 32, 512)
        strips = -(-tiles_down // height)
        assert height * strips - tiles_down < strips  # not one row of tiles a strip is computed twice


def test_a_batch_by_vmap_is_the_pictures_one_by_one():
    batch, prepared = normal(3, 9, 7, 4), layer_of(normal(3, 3, 4, 5, seed=1))

    def gradient(x):
        return jax.grad(lambda x: jnp.sum(winograd.convolve(x, prepared, 1) ** 2))(x)

    one_by_one = jnp.stack([gradient(each) for each in batch])
    np.testing.assert_allclose(jax.vmap(gradient)(batch), one_by_one, rtol=1e-4, atol=1e-3)


def test_gradient_descent_in_a_loop_is_the_steps_one_by_one():
    x, prepared = normal(9, 7, 4), layer_of(normal(3, 3, 4, 5, seed=1))

    def step(_, x):
        return x - 1e-3 * jax.grad(lambda x: jnp.sum(winograd.convolve(x, prepared, 1) ** 2))(x)

    one_by_one = step(2, step(1, step(0, x)))
    np.testing.assert_allclose(lax.fori_loop(0, 3, step, jnp.asarray(x)), one_by_one, rtol=1e-4, atol=1e-5)


def test_the_layer_has_no_gradient():
    x, prepared = normal(9, 7, 4), layer_of(normal(3, 3, 4, 5, seed=1))
    gradient = jax.grad(lambda prepared: jnp.sum(winograd.convolve(x, prepared, 1) ** 2))(prepared)
    assert not any(jnp.any(each) for each in gradient)


def test_bfloat16_comes_and_goes_and_is_computed_in_float32():
    x, prepared = jnp.asarray(normal(9, 7, 4), jnp.bfloat16), layer_of(normal(3, 3, 4, 5, seed=1))
    found = winograd.convolve(x, prepared, 1)
    assert found.dtype == jnp.bfloat16
    np.testing.assert_array_equal(found, winograd.convolve(jnp.float32(x), prepared, 1).astype(jnp.bfloat16))


@pytest.mark.parametrize(
    ("algorithm", "backend", "prepared"),
    [("direct", "cpu", False), ("auto", "cpu", True), ("auto", "gpu", False), ("winograd", "gpu", True)],
)
def test_which_layers_are_prepared(monkeypatch, algorithm, backend, prepared):
    params = {
        "conv1_1": {"kernel": normal(3, 3, 3, 64), "bias": normal(64)},
        "conv1_2": {"kernel": normal(3, 3, 64, 8), "bias": normal(8)},
    }
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    assert set(prepare(params, ("conv1_1", "relu1_1", "conv1_2"), algorithm)) == ({"conv1_2"} if prepared else set())
    assert set(prepare(params, ("conv1_1",), algorithm)) == set()
