"""Optimizers: one form of call for all, updates proportional to the learning rate, one object for each setting."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nstjax.errors import UserError
from nstjax.optimizers import DECAYS, OPTIMIZERS, RANGES, clamped, create, defaults, learning_rates

FIRST_ORDER = [name for name in OPTIMIZERS if name != "lbfgs"]


def target():
    return jnp.asarray(np.random.default_rng(0).uniform(size=(4, 5, 3)), jnp.float32)


def descended(optimizer, steps, learning_rate):
    """The image after some steps towards `target`, from zero, by the registry's form of call."""
    loss = jax.value_and_grad(lambda image: jnp.sum((image - target()) ** 2))

    @jax.jit
    def step(image, state):
        value, gradient = loss(image)
        updates, state = optimizer.update(gradient, state, image, value=value, learning_rate=learning_rate)
        return image + updates, state

    image = jnp.zeros((4, 5, 3))
    state = optimizer.init(image)
    for _ in range(steps):
        image, state = step(image, state)
    return image


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_descends(name):
    image = descended(create(name, {}, 20), 20, jnp.float32(0.02))
    assert jnp.sum((image - target()) ** 2) < 0.9 * jnp.sum(target() ** 2)


@pytest.mark.parametrize("name", FIRST_ORDER)
def test_updates_are_optaxs_own(name):
    """With the learning rate as an argument of each update, where Optax binds it."""
    factory = getattr(optax, name)
    theirs, image = factory(learning_rate=0.03), jnp.full((4, 5, 3), 0.5)
    ours, states = create(name, {}, 3), [each.init(image) for each in (create(name, {}, 3), theirs)]
    for seed in range(3):
        gradient = jax.random.normal(jax.random.key(seed), image.shape)
        found, states[0] = ours.update(
            gradient, states[0], image, value=jnp.float32(1), learning_rate=jnp.float32(0.03)
        )
        expected, states[1] = theirs.update(gradient, states[1], image)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9)
        image = image + found


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_learning_rate_of_zero_changes_nothing(name):
    np.testing.assert_array_equal(descended(create(name, {}, 3), 3, jnp.float32(0)), jnp.zeros((4, 5, 3)))


def test_the_same_parameters_give_the_same_object():
    """Static arguments of `jax.jit` are compared by identity: two of them would compile twice."""
    adam = create("adam", {"b1": 0.9, "b2": 0.99}, 10)
    assert create("adam", {"b2": 0.99, "b1": 0.9}, 500) is adam
    assert create("adam", {"b1": 0.9, "b2": 0.999}, 10) is not adam
    assert create("adamw", {"b1": 0.9, "b2": 0.99}, 10) is not adam


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_unknown_parameter_is_refused_with_the_known_ones(name):
    with pytest.raises(UserError) as error:
        create(name, {"betas": 1}, 10)
    known = ", ".join(defaults(name))
    assert str(error.value) == f"optimizer.parameters.betas: {name} has no such parameter; it has {known}"


def test_the_parameters_are_all_that_are_numbers_or_yes_or_no():
    """Optax's others are functions and types, which a setting can't give."""
    parameters = {name: set(inspect.signature(factory).parameters) for name, factory in OPTIMIZERS.items()}
    left = set().union(*(parameters[name] - set(defaults(name)) for name in OPTIMIZERS))
    assert left == {"learning_rate", "mask", "mu_dtype", "accumulator_dtype"}
    assert set(RANGES) <= set().union(*parameters.values())


@pytest.mark.parametrize(
    ("name", "key", "value", "said"),
    [
        ("adam", "b1", "0.9", "'0.9' has the wrong type; it takes a number"),
        ("adam", "b1", [0.9], "[0.9] has the wrong type; it takes a number"),
        ("adam", "b1", None, "null has the wrong type; it takes a number"),
        ("adam", "eps", True, "true has the wrong type; it takes a number"),
        ("adam", "nesterov", 1, "1 has the wrong type; it takes true or false"),
        ("lbfgs", "memory", 3.5, "3.5 has the wrong type; it takes a whole number"),
        ("lbfgs", "memory", None, "null has the wrong type; it takes a whole number"),
        ("lbfgs", "memory", 0, "0 is out of range; it takes a number from 1 to 10000"),
        ("lbfgs", "pixel_range", 0, "0 is out of range; it takes a number from 0.001 to 1e+06"),
        ("lbfgs", "first_step", float("nan"), "nan is out of range; it takes a number from 1e-09 to 10"),
        ("adam", "b1", 1.0, "1.0 is out of range; it takes a number from 0 to 0.999999"),
        ("sgd", "momentum", 10**400, f"{10**400} is out of range; it takes a number from 0 to 0.999999"),
    ],
)
def test_a_parameter_of_another_type_or_out_of_range_is_refused(name, key, value, said):
    with pytest.raises(UserError) as error:
        create(name, {key: value}, 10)
    assert str(error.value) == f"optimizer.parameters.{key}={said}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "key", "value"),
    [(name, key, end) for name in OPTIMIZERS for key in defaults(name) for end in RANGES.get(key, (False, True))],
)
def test_at_the_ends_of_every_range_the_image_stays_finite(name, key, value):
    """Steps may be as large as floats are, but never no numbers: also where the gradient is zero."""
    optimizer, image = create(name, {key: value}, 3), jnp.zeros((4, 5, 3))
    for gradient in (target(), jnp.zeros((4, 5, 3))):
        state = optimizer.init(image)
        for _ in range(3):
            updates, state = optimizer.update(
                gradient, state, image, value=jnp.float32(1), learning_rate=jnp.float32(0.01)
            )
            assert not jnp.isnan(updates).any()


@pytest.mark.parametrize("name", ["first_step", "momentum"])
def test_what_may_be_none_is(name):
    assert create("lbfgs" if name == "first_step" else "sgd", {name: None}, 3)


def test_the_learning_rate_is_no_parameter():
    with pytest.raises(UserError, match="learning_rate"):
        create("adam", {"learning_rate": 0.1}, 10)


def test_a_memory_longer_than_the_run_is_cut_without_changing_it():
    cut, uncut = create("lbfgs", {"memory": 100}, 5), OPTIMIZERS["lbfgs"](memory=100)
    shapes = [optimizer.init(jnp.zeros((4, 5, 3))).pairs.steps.shape for optimizer in (cut, uncut)]
    assert shapes == [(5, 4, 5, 3), (100, 4, 5, 3)]
    np.testing.assert_array_equal(*(descended(optimizer, 5, jnp.float32(0.5)) for optimizer in (cut, uncut)))
    assert create("lbfgs", {"memory": 100}, 0) is create("lbfgs", {"memory": 1}, 0)


@pytest.mark.parametrize("decay", DECAYS)
@pytest.mark.parametrize("final", [1.0, 0.1, 0.0])
@pytest.mark.parametrize("steps", [1, 10])
def test_a_decay_leads_from_the_rate_to_its_final_share(decay, final, steps):
    rates = learning_rates(decay, 0.5, final, steps)
    assert rates.shape == (steps + 1,) and rates.dtype == np.float32
    assert rates[0] == np.float32(0.5)
    np.testing.assert_allclose(rates[-1], 0.5 if decay == "constant" else 0.5 * final, atol=1e-7)
    assert (np.diff(rates) <= 0).all()


@pytest.mark.parametrize(
    ("decay", "half_way"), [("constant", 1), ("linear", 0.505), ("cosine", 0.505), ("exponential", 0.1)]
)
def test_half_way_a_decay_is_its_formula(decay, half_way):
    """From 1 to 0.01."""
    np.testing.assert_allclose(learning_rates(decay, 1.0, 0.01, 10)[5], half_way, rtol=1e-6)


def test_a_quarter_of_the_way_the_cosine_is_still_high():
    np.testing.assert_allclose(learning_rates("cosine", 1.0, 0.0, 8)[2], (1 + np.cos(np.pi / 4)) / 2, rtol=1e-6)


@pytest.mark.parametrize("decay", DECAYS)
def test_without_a_step_there_is_one_evaluation_and_its_rate(decay):
    np.testing.assert_allclose(learning_rates(decay, 0.5, 0.1, 0), [0.5])


def test_a_clamped_image_stays_in_range_and_is_otherwise_the_same():
    """Adam, written out, cut to [0, 1] after each step; its moments know nothing of the cut."""
    adam, image = create("adam", {"b1": 0.9, "b2": 0.99}, 10), jnp.full((4, 5, 3), 0.9)
    optimizer = clamped(adam)
    assert optimizer is clamped(adam)  # so that jobs of a sweep share a compilation
    state, first, second = optimizer.init(image), np.zeros(image.shape), np.zeros(image.shape)
    expected = np.asarray(image, np.float64)
    for step in range(1, 11):
        gradient = target() - 0.5
        updates, state = optimizer.update(gradient, state, image, value=jnp.float32(1), learning_rate=jnp.float32(0.05))
        image = image + updates
        first, second = 0.9 * first + 0.1 * gradient, 0.99 * second + 0.01 * gradient**2
        change = 0.05 * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.99**step)) + 1e-8)
        expected = np.clip(expected - change, 0, 1)
        np.testing.assert_allclose(image, expected, atol=1e-5)
    assert (expected == 1).any() and ((expected > 0) & (expected < 1)).any()
