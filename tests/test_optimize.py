"""The loop: n + 1 evaluations for n steps, one compilation for chunks of any length, and the result that it keeps.

On a network that only halves the picture, so that hundreds of evaluations take no time.
"""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_runs import gram_term

from nstjax import inits, optimize, optimizers
from nstjax.objective import ContentTerm, Objective, TotalVariationTerm, evaluate, make_targets
from nstjax.types import Network, Preprocessing

NETWORK = Network({}, Preprocessing(jnp.float32(1), jnp.zeros(3), jnp.ones(3)))
TERMS = (
    ContentTerm("relu1_1", "mean"),
    gram_term("relu1_1", "per_position", "mean"),
    TotalVariationTerm("mean_of_squares", 1.0),
)
WEIGHTS = {"content/relu1_1": 1.0, "style/relu1_1": 2.0, "tv": 0.1}
SHAPE = (6, 8, 3)
KEY = jax.random.key(0)


def halved(network, image, layers):
    """An extractor: the means of 2 x 2 pixels, under the name of each layer."""
    height, width, _ = image.shape
    means = image.reshape(height // 2, 2, width // 2, 2, 3).mean((1, 3))
    return dict.fromkeys(layers, means)


OBJECTIVE = Objective(TERMS, halved)
ADAM = optimizers.create("adam", {}, 100)
LBFGS = optimizers.create("lbfgs", {"memory": 5, "first_step": 0.05}, 100)
SGD = optimizers.create("sgd", {}, 100)


def picture(seed, shape=SHAPE):
    return jnp.asarray(np.random.default_rng(seed).uniform(size=shape), jnp.float32)


@cache
def targets():
    return make_targets(NETWORK, picture(1), [picture(2, (4, 10, 3))], objective=OBJECTIVE)


def start(optimizer, image=None):
    image = picture(0) if image is None else image
    return optimize.start(image, optimizer.init(image))


def advanced(state, rates, count, *, optimizer=ADAM, average=0.0, keep=None):
    """`optimize.advance` on the toy problem."""
    rates = np.pad(np.float32(rates), (0, 150 - len(rates)))
    return optimize.advance(
        state, NETWORK, targets(), WEIGHTS, rates, count, average, KEY, keep, objective=OBJECTIVE, optimizer=optimizer
    )


def optimized(rates, *, optimizer=ADAM, weights=None, objective=OBJECTIVE, **settings):
    """All chunks of `optimize.optimize` on the toy problem: images, results and records."""
    chunks = optimize.optimize(
        start(optimizer), NETWORK, targets(), weights or WEIGHTS, np.float32(rates),
        objective=objective, optimizer=optimizer, **settings,
    )  # fmt: skip
    images, results, records = zip(
        *((np.array(state.image), np.array(state.result), rows) for state, rows in chunks), strict=True
    )
    return images, results, records


@jax.jit
def loss_of(image):
    total, terms = evaluate(image, NETWORK, targets(), WEIGHTS, objective=OBJECTIVE)
    return {"total": total, **terms}


@pytest.mark.parametrize("optimizer", [ADAM, LBFGS])
@pytest.mark.parametrize("average", [0.0, 0.9])
def test_no_steps_are_one_evaluation_of_the_init_which_is_the_result(optimizer, average):
    _, [result], [records] = optimized([0.1], optimizer=optimizer, average=average)
    np.testing.assert_array_equal(result, picture(0))
    assert {name: len(values) for name, values in records.items()} == dict.fromkeys(("total", *WEIGHTS), 1)


@pytest.mark.parametrize("optimizer", [ADAM, LBFGS])
@pytest.mark.parametrize("average", [0.0, 0.9])
def test_one_chunk_of_twenty_is_two_of_ten_bit_for_bit(optimizer, average):
    run = partial(advanced, optimizer=optimizer, average=average)
    rates = np.linspace(0.1, 0.01, 20)
    whole, records = run(start(optimizer), rates, 20)
    half, first = run(start(optimizer), rates, 10)
    again, second = run(half, rates[10:], 10)
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(a, b)
    for name in records:
        np.testing.assert_array_equal(records[name][:20], np.concatenate([first[name][:10], second[name][:10]]))


def test_losses_are_recorded_before_and_after_each_step():
    """Row k holds every term of the image that k steps have led to, the first one of the init."""
    images, _, records = optimized([0.05] * 5, pause_every=1)
    np.testing.assert_array_equal(images[0], picture(0))
    for image, row in zip(images, records, strict=True):
        for name, value in loss_of(image).items():
            np.testing.assert_allclose(row[name], [value], rtol=1e-5)
    assert records[4]["total"] < records[0]["total"]


def test_each_step_has_its_own_learning_rate():
    """Gradient descent, written out."""
    rates = [0.5, 0.0, 2.0, 1.0]
    images, _, _ = optimized(rates, optimizer=SGD, pause_every=1)
    gradient = jax.jit(jax.grad(lambda image: loss_of(image)["total"]))
    for k in range(3):
        np.testing.assert_allclose(images[k + 1], images[k] - rates[k] * gradient(images[k]), atol=1e-6)


def test_the_result_is_the_best_image():
    """With last steps so long that they lead away."""
    images, results, records = optimized([0.1] * 5 + [1.0] * 5, pause_every=1)
    totals = np.concatenate([row["total"] for row in records])
    assert 0 < totals.argmin() < 9
    for k in range(10):
        np.testing.assert_array_equal(results[k], images[totals[: k + 1].argmin()])


def test_the_result_is_a_moving_average_corrected_for_its_bias():
    images, results, _ = optimized([0.3] * 20, average=0.8, pause_every=1)
    average = np.zeros(SHAPE)
    for k in range(20):
        average = 0.8 * average + 0.2 * images[k]
        np.testing.assert_allclose(results[k], average / (1 - 0.8 ** (k + 1)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("average", [0.0, 0.8])
@pytest.mark.parametrize("astray", [float("inf"), float("nan")])
def test_what_goes_astray_never_gets_into_the_result(average, astray):
    """From step 4 on; the second chunk ends at step 3."""
    _, results, records = optimized([0.1, 0.1, 0.1, astray, 0.1, 0.1], average=average, pause_every=3)
    assert not np.isfinite(records[-1]["total"]).all()
    np.testing.assert_array_equal(results[-1], results[1])


KEEP = jnp.zeros(SHAPE[:2]).at[:, :2].set(1.0).at[:, 2:4].set(0.25)  # a quarter of two columns, all of two others


@pytest.mark.parametrize("optimizer", [ADAM, LBFGS, optimizers.create("adamw", {"weight_decay": 1.0}, 100)])
@pytest.mark.parametrize("average", [0.0, 0.9])
def test_what_is_kept_stays_to_the_bit(optimizer, average):
    state, _ = advanced(start(optimizer), np.full(20, 0.1), 20, optimizer=optimizer, average=average, keep=KEEP)
    for image in (state.image, state.result):
        np.testing.assert_array_equal(image[:, :2], picture(0)[:, :2])
    assert np.abs(state.image[:, 4:] - picture(0)[:, 4:]).max(2).min() > 0
    for moments in jax.tree.leaves(state.optimizer):
        if moments.shape[-3:] == SHAPE:  # of gradients, and steps
            assert not moments[..., :2, :].any()


def test_what_is_kept_in_part_is_moved_as_its_own_gradient_says():
    """The image is keep * photo + (1 - keep) * x, and gradient descent moves x, by (1 - keep) times its gradient."""
    state, _ = advanced(start(SGD), [0.5, 0.5], 2, optimizer=SGD, keep=KEEP)
    gradient = jax.grad(lambda image: loss_of(image)["total"])(picture(0))
    photo, x = picture(3), picture(4)
    np.testing.assert_allclose(state.image, picture(0) - 0.5 * (1 - KEEP)[..., None] ** 2 * gradient, atol=1e-6)

    def painted(x):
        return inits.kept(x, photo, KEEP)

    by_definition = jax.grad(lambda x: loss_of(painted(x))["total"])(x)
    step, _ = advanced(start(SGD, painted(x)), [0.5, 0.5], 2, optimizer=SGD, keep=KEEP)
    np.testing.assert_allclose(step.image, painted(x - 0.5 * by_definition), atol=1e-6)


def test_keeping_nothing_changes_nothing():
    """Neither a mask that is black, nor none."""
    masked, _ = advanced(start(LBFGS), np.ones(9), 9, optimizer=LBFGS, keep=jnp.zeros(SHAPE[:2]))
    bare, _ = advanced(start(LBFGS), np.ones(9), 9, optimizer=LBFGS)
    np.testing.assert_allclose(masked.image, bare.image, atol=1e-5)


@pytest.mark.parametrize("evaluations", [1, 2, 64, 65, 150])
@pytest.mark.parametrize("pause_every", [0, 7])
def test_all_evaluations_are_yielded_once_in_order(evaluations, pause_every):
    rates = np.linspace(0.1, 0.001, evaluations)
    _, results, records = optimized(rates, pause_every=pause_every)
    state, expected = advanced(start(ADAM), rates, evaluations)
    for name in expected:
        np.testing.assert_array_equal(np.concatenate([rows[name] for rows in records]), expected[name][:evaluations])
    np.testing.assert_array_equal(results[-1], state.result)


@pytest.mark.parametrize("pause_every", [1, 2, 20, 100])
def test_chunks_end_at_every_pause(pause_every):
    """Step 0 counts: a preview of the init."""
    _, _, records = optimized([0.01] * 131, pause_every=pause_every)
    last_steps = np.cumsum([len(rows["total"]) for rows in records]) - 1
    assert set(range(0, 131, pause_every)) <= set(last_steps)


def test_chunks_are_never_longer_than_the_longest():
    _, _, records = optimized([0.01] * 300)
    lengths = [len(rows["total"]) for rows in records]
    assert lengths[0] == 1 and max(lengths) == optimize.LONGEST_CHUNK and sum(lengths) == 300


def test_numbers_never_compile_again():
    """Neither chunks of any length, nor weights, learning rates or their decay, nor averaging."""
    traces = []

    def counted(network, image, layers):
        traces.append(image.shape)
        return halved(network, image, layers)

    objective = Objective(TERMS, counted)
    optimized([0.1], objective=objective)
    compiled = len(traces)
    optimized(np.linspace(0.1, 0.01, 130), objective=objective, pause_every=9, average=0.9)
    optimized([0.2] * 30, objective=objective, weights=dict.fromkeys(WEIGHTS, 3.5))
    assert len(traces) == compiled > 0


def compiled(optimizer, rates, **settings):
    state = jax.eval_shape(partial(start, optimizer))
    settings = {"objective": OBJECTIVE, "optimizer": optimizer, "key": KEY, **settings}
    return optimize.compiled(state, NETWORK, targets(), WEIGHTS, np.float32(rates), **settings)


@pytest.mark.parametrize("optimizer", [ADAM, LBFGS])
def test_a_program_that_was_compiled_before_takes_the_same_steps_to_the_bit(optimizer):
    rates = np.linspace(0.1, 0.01, 30)
    jitted, before = (
        optimized(rates, optimizer=optimizer, key=KEY, **more)
        for more in ({}, {"advance": compiled(optimizer, [0.5] * 3, average=0.9)})
    )
    np.testing.assert_array_equal(jitted[1][-1], before[1][-1])
    totals, others = (np.concatenate([rows["total"] for rows in each[2]]) for each in (jitted, before))
    np.testing.assert_array_equal(totals, others)


def test_a_program_is_compiled_once_for_its_shapes_and_the_precision():
    program = compiled(ADAM, [0.1])
    assert compiled(ADAM, [0.2] * 100, average=0.5) is program
    assert compiled(ADAM, [0.1], keep=jnp.ones(SHAPE[:2])) is not program
    assert compiled(LBFGS, [0.1]) is not program
    with jax.default_matmul_precision("highest"):
        assert compiled(ADAM, [0.1]) is not program


@pytest.mark.parametrize("optimizer", [ADAM, LBFGS])
def test_the_loop_reuses_its_own_memory_and_nobody_elses(optimizer):
    image = picture(0)
    state = start(optimizer, image)
    advanced(state, [0.1] * 4, 4, optimizer=optimizer)
    assert state.image.is_deleted() and state.result.is_deleted()
    np.testing.assert_array_equal(image, picture(0))


def test_measure_is_evaluate():
    total, terms = optimize.measure(picture(0), NETWORK, targets(), WEIGHTS, objective=OBJECTIVE)
    for name, value in loss_of(picture(0)).items():
        np.testing.assert_allclose({"total": total, **terms}[name], value, rtol=1e-5)


def test_a_batch_of_images_is_evaluated_by_vmap():
    batch = jnp.stack([picture(seed) for seed in range(3)])
    together = jax.jit(jax.vmap(loss_of))(batch)
    for k in range(3):
        for name, value in loss_of(batch[k]).items():
            np.testing.assert_allclose(together[name][k], value, rtol=1e-5)
