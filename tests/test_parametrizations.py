"""Parametrizations: linear, without loss, what their papers say; and a way for any optimizer to move the image."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Array

from nstjax import assets, images, optimizers, parametrizations
from nstjax.optimizers import parametrized
from nstjax.parametrizations import Fourier, Laplacian, Parametrization, Pixels

ALL = (Pixels(), Laplacian(3), Fourier(1.5))
SHAPE = (9, 12, 3)
SIZES = st.integers(1, 20)
each = pytest.mark.parametrize("parametrization", ALL, ids=str)
few = settings(max_examples=4, deadline=None)  # each a compilation


def noise(*shape: int, seed: int = 0) -> Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


@partial(jax.jit, static_argnums=0)
def encoded(parametrization: Parametrization, image: Array) -> Array:
    return parametrization.encode(image)


def decoded(parametrization: Parametrization, variable: Array, like: Array) -> Array:
    return _decode(variable, parametrization, *like.shape[:2])


@partial(jax.jit, static_argnums=(1, 2, 3))
def _decode(variable: Array, parametrization: Parametrization, height: int, width: int) -> Array:
    return parametrization.decode(variable, height, width)


@each
@given(SIZES, SIZES)
@few
def test_nothing_is_lost(parametrization, height, width):
    image = noise(height, width, 3)
    there_and_back = jax.jit(lambda image: decoded(parametrization, parametrization.encode(image), image))
    np.testing.assert_allclose(there_and_back(image), image, atol=1e-5)


@each
def test_both_directions_are_linear(parametrization):
    a, b = noise(*SHAPE), noise(*SHAPE, seed=1)
    encode = partial(encoded, parametrization)
    np.testing.assert_allclose(encode(2 * a - 3 * b), 2 * encode(a) - 3 * encode(b), rtol=1e-4, atol=1e-4)
    u, v = noise(*encode(a).shape), noise(*encode(a).shape, seed=1)
    sides = [decoded(parametrization, each, a) for each in (2 * u - 3 * v, u, v)]
    np.testing.assert_allclose(sides[0], 2 * sides[1] - 3 * sides[2], rtol=1e-4, atol=1e-4)


# The Laplacian pyramid


def loop_enlarged(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Linear interpolation between the centers of pixels, whose border goes on."""
    rows, columns = image.shape[:2]
    enlarged = np.zeros((height, width, 3))
    for i in range(height):
        for j in range(width):
            y = min(max((i + 0.5) * rows / height - 0.5, 0), rows - 1)
            x = min(max((j + 0.5) * columns / width - 0.5, 0), columns - 1)
            top, left = int(y), int(x)
            for k, row_share in ((top, 1 - y + top), (min(top + 1, rows - 1), y - top)):
                for m, share in ((left, 1 - x + left), (min(left + 1, columns - 1), x - left)):
                    enlarged[i, j] += row_share * share * image[k, m]
    return enlarged


def loop_levels(variable: np.ndarray, height: int, width: int, levels: int) -> list[np.ndarray]:
    """The levels of a variable, finest first: each half as high and wide as the one before, rounded down."""
    found = []
    for _ in range(levels + 1):
        count = height * width * 3
        found.append(variable[:count].reshape(height, width, 3))
        variable, height, width = variable[count:], max(height // 2, 1), max(width // 2, 1)
    assert not variable.size
    return found


@pytest.mark.parametrize(("height", "width", "levels"), [(16, 8, 1), (9, 3, 5)])
def test_a_pyramid_is_the_sum_of_its_levels_each_enlarged_step_by_step(height, width, levels):
    pyramid, like = Laplacian(levels), noise(height, width, 3)
    variable = np.asarray(noise(*encoded(pyramid, like).shape, seed=2))
    *finer, image = loop_levels(variable, height, width, levels)
    for level in reversed(finer):
        image = level + loop_enlarged(image, *level.shape[:2])
    np.testing.assert_allclose(decoded(pyramid, jnp.asarray(variable), like), image, atol=1e-5)


def test_a_pyramid_holds_averages_and_what_they_miss():
    """Of 4 x 4 pixels, [1 3 3 1] / 8 each way: jax.image's antialiasing."""
    image = np.asarray(noise(8, 6, 3))
    fine, coarse = loop_levels(np.asarray(encoded(Laplacian(1), jnp.asarray(image))), 8, 6, 1)
    inner = np.tensordot(np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64, image[1:5, 1:5], 2)
    np.testing.assert_allclose(coarse[1, 1], inner, atol=1e-6)
    np.testing.assert_allclose(fine, image - loop_enlarged(coarse, 8, 6), atol=1e-5)


def test_a_flat_image_is_in_what_is_left_after_the_last_level():
    variable = encoded(Laplacian(3), jnp.full((16, 24, 3), 0.3))
    *finer, coarsest = loop_levels(np.asarray(variable), 16, 24, 3)
    assert coarsest.shape == (2, 3, 3)
    np.testing.assert_allclose(coarsest, 0.3, rtol=1e-6)
    assert max(np.abs(level).max() for level in finer) < 1e-6


# Fourier's frequencies


@pytest.mark.parametrize("shape", [(6, 8, 3), (5, 1, 3)])
@pytest.mark.parametrize("decay", [0.0, 1.5])
def test_an_image_is_the_sum_of_its_frequencies(shape, decay):
    """One by one, cos + sin, by NumPy; in float64."""
    height, width, _ = shape
    variable, image = np.asarray(noise(*shape), np.float64), np.zeros(shape)
    amplitudes = np.zeros((height, width))
    for i, fy in enumerate(np.fft.fftfreq(height)):
        for j, fx in enumerate(np.fft.fftfreq(width)):
            amplitudes[i, j] = 1 / max(np.hypot(fy, fx), 1 / max(height, width)) ** decay
    amplitudes /= np.sqrt((amplitudes**2).mean())
    y, x = np.mgrid[:height, :width]
    for i in range(height):
        for j in range(width):
            angle = 2 * np.pi * (i * y / height + j * x / width)
            wave = (np.cos(angle) + np.sin(angle)) / np.sqrt(height * width)
            image += amplitudes[i, j] * wave[..., None] * (parametrizations.decorrelation() @ variable[i, j])
    np.testing.assert_allclose(decoded(Fourier(decay), jnp.float32(variable), noise(*shape)), image, atol=1e-5)


def test_amplitudes_fall_with_frequency_as_lucids_do():
    """lucid: 1 / max(f, 1 / max(w, h)) ** decay, up to a constant; here for 8 x 6."""
    amplitudes = np.asarray(Fourier(1.0).amplitudes(8, 6))[..., 0]
    np.testing.assert_allclose(amplitudes[0, 0] / amplitudes[4, 0], (1 / 2) / (1 / 8), rtol=1e-5)
    np.testing.assert_allclose(amplitudes[0, 0], amplitudes[1, 0], rtol=1e-5)
    np.testing.assert_allclose(amplitudes[2, 0] / amplitudes[0, 3], 2, rtol=1e-5)
    np.testing.assert_allclose((Fourier(2.0).amplitudes(8, 6)[..., 0] / amplitudes**2).std(), 0, atol=1e-5)


@pytest.mark.parametrize("shape", [(24, 24, 3), (33, 64, 3)])
@pytest.mark.parametrize("decay", [0.0, 1.0])
def test_noise_has_the_same_root_mean_square_in_pixels(shape, decay):
    """In the mean over many; so that a learning rate means about as much at any size."""
    squares = [float((decoded(Fourier(decay), v, v) ** 2).mean()) for v in (noise(*shape, seed=s) for s in range(20))]
    assert np.mean(squares) == pytest.approx(1, rel=0.1)


def test_colors_are_lucids():
    """lucid's `_linear_decorelate_color`, 23058c8: color_correlation_svd_sqrt / its largest column's norm."""
    lucids = np.array(
        [[0.5628353, 0.19482762, 0.04329503], [0.5844829, 0.0, -0.10823757], [0.5844829, -0.19482762, 0.06494254]]
    )
    ours = parametrizations.decorrelation()
    np.testing.assert_allclose(ours / ours[0, 0], lucids / lucids[0, 0], rtol=1e-6)
    assert (ours**2).sum() == pytest.approx(3)


def test_colors_of_noise_are_correlated_as_in_photographs():
    """The covariance of what white noise becomes is the matrix times its transpose: channels go together."""
    image = np.asarray(decoded(Fourier(0), noise(128, 128, 3), noise(128, 128, 3))).reshape(-1, 3)
    matrix = parametrizations.decorrelation()
    np.testing.assert_allclose(np.cov(image.T), matrix @ matrix.T, atol=0.03)
    assert np.corrcoef(image.T).min() > 0.75


def test_what_has_such_colors_is_decorrelated():
    """Of the default photograph, the channels of the variable are less correlated than those of the pixels."""
    photo = jnp.asarray(images.resize(images.load(assets.resolve("grace_hopper")).pixels, 128, 109))
    variable = encoded(Fourier(1), photo - photo.mean((0, 1), keepdims=True))
    pixels, others = (
        np.corrcoef(np.asarray(each).reshape(-1, 3).T)[np.triu_indices(3, 1)] for each in (photo, variable)
    )
    assert np.abs(others).mean() < 0.3 < 0.7 < np.abs(pixels).mean()


# The optimizer of an image that moves something else

GOAL, SLOPES = noise(*SHAPE, seed=3), 1 + noise(*SHAPE, seed=4) ** 2


def loss(image: Array) -> Array:
    return 0.5 * (SLOPES * (image - GOAL) ** 2).sum()


def descended(optimizer, start: Array, rate: float, steps: int) -> list[np.ndarray]:
    """The images that an optimizer of images goes through."""

    @jax.jit
    def step(image: Array, state):
        value, gradient = jax.value_and_grad(loss)(image)
        change, state = optimizer.update(gradient, state, image, value=value, learning_rate=jnp.float32(rate))
        return image + change, state

    images, state = [start], jax.jit(optimizer.init)(start)
    for _ in range(steps):
        start, state = step(start, state)
        images.append(start)
    return images


def through_the_variable(optimizer, parametrization, start: Array, rate: float, steps: int) -> list[np.ndarray]:
    """The same by the definition: the variable is kept, and the gradient goes through `decode`."""

    @jax.jit
    def step(variable: Array, state):
        value, gradient = jax.value_and_grad(lambda v: loss(decoded(parametrization, v, start)))(variable)
        change, state = optimizer.update(gradient, state, variable, value=value, learning_rate=jnp.float32(rate))
        return variable + change, state

    variable = encoded(parametrization, start)
    variables, state = [variable], optimizer.init(variable)
    for _ in range(steps):
        variable, state = step(variable, state)
        variables.append(variable)
    return [decoded(parametrization, each, start) for each in variables]


@each
@pytest.mark.parametrize(
    ("name", "rate", "parameters"),
    [
        ("sgd", 1e-3, {"momentum": 0.5}),
        ("adam", 0.02, {}),
        ("lbfgs", 1.0, {"first_step": None, "memory": 4}),
    ],
)
def test_images_go_the_way_that_the_variable_would_lead_them(parametrization, name, rate, parameters):
    optimizer = optimizers.create(name, parameters, 10)
    ours = descended(parametrized(optimizer, parametrization), noise(*SHAPE), rate, 6)
    theirs = through_the_variable(optimizer, parametrization, noise(*SHAPE), rate, 6)
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)
    assert not np.allclose(ours[0], ours[-1], atol=1e-2)


@each
def test_the_gradient_is_pulled_back_by_the_adjoint_of_decoding(parametrization):
    """A step of gradient descent is -decode(decode^T(gradient)): <decode u, w> = <u, decode^T w> for all u."""
    image, gradient = noise(*SHAPE), noise(*SHAPE, seed=5)
    optimizer = parametrized(optimizers.create("sgd", {}, 1), parametrization)
    settings = {"value": jnp.float32(1), "learning_rate": jnp.float32(1)}
    change, _ = jax.jit(partial(optimizer.update, **settings))(gradient, optimizer.init(image), image)
    variable = encoded(parametrization, image)
    units = jnp.eye(variable.size).reshape(-1, *variable.shape)
    pixels = np.asarray(jax.vmap(lambda unit: decoded(parametrization, unit, image).ravel())(units))
    expected = -(pixels.T @ (pixels @ np.asarray(gradient).ravel())).reshape(SHAPE)
    np.testing.assert_allclose(change, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


@each
def test_the_first_step_of_lbfgs_has_its_length_in_pixels(parametrization):
    """Until a curvature is known; so one setting means the same for all."""
    optimizer = parametrized(optimizers.create("lbfgs", {"first_step": 0.0118}, 10), parametrization)
    before, after = descended(optimizer, noise(*SHAPE), 1.0, 1)
    assert np.sqrt(np.mean((after - before) ** 2)) == pytest.approx(0.0118, rel=1e-3)


@each
def test_weight_decay_shrinks_the_image(parametrization):
    """As it does for pixels: what is encoded anew is decoded to the image itself."""
    optimizer = parametrized(optimizers.create("adamw", {"weight_decay": 0.1}, 10), parametrization)
    image, settings = noise(*SHAPE), {"value": jnp.float32(1), "learning_rate": jnp.float32(0.5)}
    change, _ = jax.jit(partial(optimizer.update, **settings))(jnp.zeros(SHAPE), optimizer.init(image), image)
    np.testing.assert_allclose(change, -0.05 * image, atol=1e-5)


@pytest.mark.parametrize("name", sorted(optimizers.OPTIMIZERS))
def test_any_optimizer_moves_a_variable_of_any_shape(name):
    images = descended(parametrized(optimizers.create(name, {}, 10), Laplacian(1)), noise(*SHAPE), 1e-3, 10)
    assert loss(images[-1]) < loss(images[0])


@pytest.mark.parametrize("name", ["lbfgs", "adam", "lion"])
def test_pixels_are_the_optimizer_itself(name):
    """The same program, to the letter."""
    plain = optimizers.create(name, {}, 10)

    def program(optimizer) -> str:
        state = optimizer.init(GOAL)
        settings = {"value": jnp.float32(1), "learning_rate": jnp.float32(1)}
        return str(jax.make_jaxpr(lambda *given: optimizer.update(*given, **settings))(GOAL, state, GOAL))

    assert program(parametrized(plain, Pixels())) == program(plain)


def test_equal_ones_share_an_optimizer():
    """Static arguments of `jax.jit`: the jobs of a sweep compile once."""
    adam = optimizers.create("adam", {}, 10)
    fourier = parametrizations.create("fourier", 5, 1.0)
    assert parametrized(adam, fourier) is parametrized(adam, parametrizations.create("fourier", 7, 1.0))
    assert parametrized(adam, fourier) is not parametrized(adam, parametrizations.create("fourier", 5, 2.0))


@pytest.mark.parametrize("name", parametrizations.PARAMETRIZATIONS)
def test_a_name_and_its_numbers_make_one(name):
    made = parametrizations.create(name, 3, 0.5)
    assert isinstance(made, Parametrization)
    assert made == {"pixels": Pixels(), "laplacian": Laplacian(3), "fourier": Fourier(0.5)}[name]
