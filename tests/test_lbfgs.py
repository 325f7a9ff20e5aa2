"""L-BFGS: torch's recursion step for step, and what ours adds: the guard against jumps and the first step's length."""

from collections import deque
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nstjax.lbfgs import descent_direction, lbfgs
from nstjax.octaves import norms, scaled

SHAPE = (3, 4, 3)
UNGUARDED = {"max_increase": float("inf")}  # as torch is
ONE = jnp.float32(1)


# torch.optim.LBFGS(line_search_fn=None), one evaluation a step, in NumPy


def torch_trajectory(function, x, steps, *, memory, lr=1.0):
    """The points that are evaluated, and how many pairs were forgotten for their curvature."""
    gradient = jax.jit(jax.grad(function))
    points, pairs, scale, forgotten = [x], deque(maxlen=memory), 1.0, 0
    g = np.asarray(gradient(x))
    d, t = -g, min(1.0, 1 / np.abs(g).sum()) * lr
    for _ in range(steps):
        x, old = x + t * d, g
        points.append(x)
        g = np.asarray(gradient(x))
        y, s = g - old, t * d
        if y @ s > 1e-10:
            pairs.append((y, s, 1 / (y @ s)))
            scale = (y @ s) / (y @ y)
        else:
            forgotten += 1
        d, t = -times_inverse_hessian(g, pairs, scale), lr
    return np.array(points), forgotten


def times_inverse_hessian(q, pairs, scale):
    alphas = []
    for y, s, rho in reversed(pairs):
        alphas.append(rho * (s @ q))
        q = q - alphas[-1] * y
    q = scale * q
    for (y, s, rho), alpha in zip(pairs, reversed(alphas), strict=True):
        q = q + s * (alpha - rho * (y @ q))
    return q


# Functions of 36 numbers, none of them ever negative


def quadratic(x):
    """Condition number 1000."""
    return 0.5 * (np.logspace(-1, 2, x.size) * (x - 1) ** 2).sum()


def valley(x, steepness=3):
    """Rosenbrock's has steepness 100, on which unit steps without a line search diverge."""
    return (steepness * (x[1:] - x[:-1] ** 2) ** 2).sum() + ((1 - x[:-1]) ** 2).sum()


def double_wells(x):
    """Concave around zero: near there, pairs have negative curvature."""
    return (np.linspace(1, 4, x.size) * (x**2 - 1) ** 2 / 4).sum()


def start(scale=1.0):
    return scale * np.random.default_rng(0).normal(size=36)


def trajectory(optimizer, function, x, steps, learning_rate=ONE):
    """The points that `optimizer` evaluates, flat."""
    loss = jax.value_and_grad(lambda image: function(image.reshape(-1)))

    @jax.jit
    def step(image, state):
        value, gradient = loss(image)
        updates, state = optimizer.update(gradient, state, image, value=value, learning_rate=learning_rate)
        return image + updates, state

    image = jnp.asarray(x.reshape(SHAPE))
    points, state = [image], optimizer.init(image)
    if x.dtype == np.float64:
        state = jax.tree.map(lambda leaf: leaf.astype(float) if leaf.dtype == np.float32 else leaf, state)
    for _ in range(steps):
        image, state = step(image, state)
        points.append(image)
    return np.array(points).reshape(steps + 1, -1)


FUNCTIONS = pytest.mark.parametrize(
    ("function", "x", "steps"), [(quadratic, start(), 40), (valley, start(0.3), 40), (double_wells, start(0.01), 15)]
)


@FUNCTIONS
@pytest.mark.parametrize(("memory", "lr"), [(3, 1.0), (100, 0.5)])
def test_the_trajectory_is_torchs(function, x, steps, memory, lr):
    """In float64: a memory of 3 overflows, and the double wells' first pairs are forgotten."""
    with jax.enable_x64(True):
        expected, forgotten = torch_trajectory(function, x, steps, memory=memory, lr=lr)
        found = trajectory(lbfgs(memory, **UNGUARDED), function, x, steps, jnp.float64(lr))
    assert forgotten > 0 or function is not double_wells
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)


def test_the_trajectory_is_torchs_in_float32_too():
    """As far as rounding lets two of them agree."""
    expected, _ = torch_trajectory(quadratic, np.float32(start()), 15, memory=5)
    found = trajectory(lbfgs(5, **UNGUARDED), quadratic, np.float32(start()), 15)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


@FUNCTIONS
def test_pixel_range_counts_pixels_from_zero_to_it(function, x, steps):
    """The same as torch on a variable 256 times as large, also while H0 is still torch's 1; 256 is exact in float32."""
    with jax.enable_x64(True):
        expected, _ = torch_trajectory(function, x, steps, memory=10)
        optimizer = lbfgs(10, pixel_range=256.0, **UNGUARDED)
        found = 256 * trajectory(optimizer, lambda pixels: function(256 * pixels), x / 256, steps, jnp.float64(1))
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)


# One update at a time, with gradients made by hand


def image_of(*numbers):
    return jnp.zeros(SHAPE).at[0, 0].set(jnp.asarray(numbers, jnp.float32))


@cache
def compiled(**parameters):
    optimizer = lbfgs(**{"memory": 4} | parameters)
    return optimizer.init(jnp.zeros(SHAPE)), jax.jit(optimizer.update)


def fed(*evaluations, learning_rate=1.0, **parameters):
    """The updates and states after (value, gradient) pairs."""
    state, update = compiled(**parameters)
    outcomes = []
    for value, gradient in evaluations:
        updates, state = update(gradient, state, value=jnp.float32(value), learning_rate=jnp.float32(learning_rate))
        outcomes.append((updates, state))
    return outcomes


@pytest.mark.parametrize(("gradient", "length"), [((30, -40, 30), 0.01), ((0.3, -0.4, 0.1), 1)])
@pytest.mark.parametrize("lr", [1.0, 0.25])
def test_the_first_step_has_a_sum_of_magnitudes_of_at_most_one(gradient, length, lr):
    [(update, _)] = fed((1, image_of(*gradient)), learning_rate=lr)
    np.testing.assert_allclose(update, -lr * length * image_of(*gradient), rtol=1e-6)


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("lr", [1.0, 0.25])
def test_a_first_step_asked_for_is_met_exactly(size, lr):
    gradient = size * jnp.asarray(start().reshape(SHAPE), jnp.float32)
    [(update, _)] = fed((1, gradient), learning_rate=lr, first_step=0.01)
    np.testing.assert_allclose(np.sqrt(np.mean(np.square(update))), lr * 0.01, rtol=1e-5)
    assert jnp.vdot(update, gradient) < 0


@pytest.mark.parametrize("first_step", [None, 0.01])
def test_at_an_optimum_there_is_no_step(first_step):
    for update, state in fed(*[(0, jnp.zeros(SHAPE))] * 3, first_step=first_step):
        np.testing.assert_array_equal(update, jnp.zeros(SHAPE))
        assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(state))


@pytest.mark.parametrize(("curvature", "pushed"), [(1.1e-10, 1), (0.9e-10, 0), (0, 0), (-0.05, 0)])
def test_a_pair_with_too_little_curvature_is_forgotten(curvature, pushed):
    """The first step is -1e-5, so the change of gradient is curvature / -1e-5."""
    second = image_of(1e-5 - curvature * 1e5, 0, 0)
    update, state = fed((1, image_of(1e-5, 0, 0)), (1, second))[-1]
    assert state.pairs.pushed == pushed
    assert bool((update == -second).all()) == (pushed == 0)


def test_a_forgotten_pair_leaves_memory_and_scale_as_they_were():
    first, second = image_of(0.5, 0.25, 0), image_of(0.25, 0.2, 0)
    _, (before, _), (after, state) = fed((1, first), (1, second), (1, 2 * second))
    assert state.pairs.pushed == 1
    np.testing.assert_allclose(after, 2 * before, rtol=1e-6)  # the same inverse Hessian, twice the gradient


def test_the_newest_pair_fulfils_the_secant_equation():
    gradients = [image_of(0.5, 0.25, 0.1), image_of(0.25, 0.2, 0.09), image_of(0.05, 0.15, 0.08)]
    _, state = fed(*[(1, gradient) for gradient in gradients])[-1]
    newest = (state.pairs.pushed - 1) % 4
    found = descent_direction(state.pairs.changes[newest], state.pairs, state.scales)
    np.testing.assert_allclose(found, -state.pairs.steps[newest], rtol=1e-5, atol=1e-7)


# Octaves


def by_octave(function, image, count=3):
    return [function(scaled(image, jnp.asarray(np.eye(count)[number], image.dtype))) for number in range(count)]


def test_h0_has_a_scale_for_each_octave_and_fulfils_the_secant_equation():
    """|s| / |y|, times one number for which y . H0 y = s . y; for one octave this is s . y / y . y."""
    gradients = [jnp.asarray(start(scale).reshape(SHAPE), jnp.float32) for scale in (1.0, 0.5)]
    for octaves in (1, 3):
        (step, _), (_, state) = fed(*[(1, gradient) for gradient in gradients], octaves=octaves)
        change = gradients[1] - gradients[0]
        slopes, lengths = by_octave(jnp.linalg.norm, change), by_octave(jnp.linalg.norm, step)
        if octaves == 3:
            ratios = np.divide(lengths, slopes)
            np.testing.assert_allclose(state.scales / state.scales[0], ratios / ratios[0], rtol=1e-4)
        np.testing.assert_allclose(jnp.vdot(change, scaled(change, state.scales)), jnp.vdot(step, change), rtol=1e-4)


def test_an_octave_with_nothing_in_it_has_a_thousandth_of_the_scale_of_all():
    """Not 0 / 0: what rounding makes of nothing is no curvature."""
    flat = jnp.ones(SHAPE).at[..., 0].set(2)  # has no waves
    _, (_, state) = fed((1, flat), (1, flat / 2), octaves=2)
    np.testing.assert_allclose(state.scales[0] / state.scales[1], 1e-3, rtol=1e-3)
    assert jnp.isfinite(state.scales).all()


@pytest.mark.parametrize("octaves", [1, 3])
def test_a_heavy_loss_takes_the_same_steps_though_its_gradients_square_is_beyond_float32(octaves):
    gradients = [jnp.asarray(start(scale).reshape(SHAPE), jnp.float32) for scale in (1.0, 0.5, 0.3)]
    plain, heavy = (
        [update for update, _ in fed(*[(1, by * g) for g in gradients], first_step=0.01, octaves=octaves)]
        for by in (1.0, 2.0**80)
    )
    np.testing.assert_allclose(heavy, plain, rtol=1e-4, atol=1e-7)


def test_octaves_that_differ_in_curvature_are_descended_faster():
    """Of squares of which one octave's is a hundred times as steep as another's, with one pair to learn it from."""
    steepness = jnp.asarray([100.0, 10.0, 1.0])

    def loss(x):
        return (steepness * norms(jnp.asarray(x.reshape(SHAPE)), 3) ** 2).sum()

    one, three = (
        min(map(loss, trajectory(lbfgs(1, octaves=octaves, first_step=0.01), loss, np.float32(start()), 20)))
        for octaves in (1, 3)
    )
    assert three < one / 100


# The guard against jumps


@pytest.mark.parametrize(("jump", "share"), [(20.1, 1 / 2), (810, 1 / 3), (np.inf, 1e-3), (np.nan, 1e-3)])
def test_after_a_jump_a_share_of_the_step_is_tried_then_a_share_of_that(jump, share):
    """From the same point on: the step that is accepted in the end is the only one to be remembered."""
    gradient, wild = image_of(0.5, 0.25, 0), image_of(jump, 7, jump)
    (first, _), (second, _), (third, _), (_, state) = fed(
        (10, gradient), (jump, wild), (jump, wild), (11, gradient / 2)
    )
    np.testing.assert_allclose(first + second, share * first, rtol=1e-3)
    np.testing.assert_allclose(second + third, (share**2 - 1) * first, rtol=1e-5)
    np.testing.assert_allclose(state.pairs.steps[0], share**2 * first, rtol=1e-5)
    np.testing.assert_allclose(state.pairs.changes[0], -gradient / 2)
    assert (state.pairs.pushed, state.accepted.value) == (1, 11)


def test_a_loss_of_twice_the_last_one_is_no_jump():
    (_, _), (_, state) = fed((10, image_of(0.5, 0, 0)), (20, image_of(0.25, 0, 0)))
    assert state.accepted.value == 20


def test_the_guard_descends_where_steps_too_long_diverge():
    """Three times the unit step."""
    guarded, unguarded = (
        quadratic(trajectory(lbfgs(10, **guard), quadratic, np.float32(start()), 40, jnp.float32(3))[-1])
        for guard in ({}, UNGUARDED)
    )
    assert guarded < quadratic(start()) / 10
    assert not unguarded < quadratic(start()) * 1e6


def test_updates_compile_once():
    """What `update` returns has the types, weak ones included, of what `init` returns."""
    traces = []

    def counted(x):
        traces.append(x.shape)
        return quadratic(x)

    trajectory(lbfgs(3, first_step=0.01), counted, np.float32(start()), 5)
    assert len(traces) == 1


def test_half_a_history_takes_half_the_memory_and_descends_as_well():
    x = jnp.asarray(start().reshape(SHAPE))
    whole, half = lbfgs(memory=10), lbfgs(memory=10, half_history=True)
    sizes = [sum(ring.nbytes for ring in optimizer.init(x).pairs[:2]) for optimizer in (whole, half)]
    assert sizes[0] == 2 * sizes[1]
    lowest = [min(quadratic(point) for point in trajectory(each, quadratic, start(), 60)) for each in (whole, half)]
    assert lowest[1] < 2 * lowest[0] + 1e-3 * quadratic(start())


def test_no_step_is_so_long_that_the_way_back_is_lost_in_rounding():
    """It keeps its direction; the one that follows a jump is a thousandth of it, from where it began."""
    steep = image_of(1e6, 5e5, 0)
    _, (update, state), (back, _) = fed((1, image_of(1e-5, 0, 0)), (1, steep), (1e30, steep))
    np.testing.assert_allclose(update, -steep / 100, rtol=1e-6)
    np.testing.assert_allclose(state.accepted.step_size, 0.01, rtol=1e-6)
    np.testing.assert_allclose(back, 0.999 * steep / 100, rtol=1e-4)
