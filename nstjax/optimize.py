"""The loop: evaluations of the objective in compiled chunks, driven by a short Python generator."""

import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

from nstjax.convolution import COMPILER
from nstjax.objective import Objective, Targets, Weights, evaluate
from nstjax.optimizers import Optimizer
from nstjax.types import Image, Network, Scalar

LONGEST_CHUNK = 64  # evaluations without a look from outside
_SECONDS_A_CHUNK = 2.0  # aimed at: prompt progress and Ctrl-C, though each chunk asks anew for the memory it works in

Records = dict[str, Float[np.ndarray, "*b n"]]  # every term's weighted value, and their "total", by evaluation


class State(NamedTuple):
    """All that one evaluation hands to the next.

    The change that the optimizer proposed waits in `pending` until the next evaluation: so `image` is always the one
    that was evaluated last, and n + 1 evaluations record the losses before and after each of n steps.
    """

    image: Image
    pending: Image
    optimizer: Any
    result: Image  # the best image so far, or the running average
    lowest: Scalar  # the lowest total so far
    evaluations: Int[Array, ""]


def start(image: Image, optimizer_state: Any) -> State:
    """The state before the first evaluation of an image, with buffers of its own, which `advance` will reuse."""
    nothing = jnp.zeros_like(image)
    return State(image.copy(), nothing, optimizer_state, image.copy(), jnp.float32(jnp.inf), jnp.int32(0))


_STATIC = ("objective", "optimizer")
_jit = partial(jax.jit, donate_argnames="state", compiler_options=COMPILER)


def _advance(
    state: State,
    network: Network,
    targets: Targets,
    weights: Weights,
    learning_rates: Float[Array, "n"],
    num_evaluations: Int[Array, ""] | int,
    average: Scalar,
    key: PRNGKeyArray,
    keep: Float[Array, "h w"] | None = None,
    *,
    objective: Objective,
    optimizer: Optimizer,
) -> tuple[State, dict[str, Float[Array, "n"]]]:
    """Runs up to n evaluations, and records every term of each.

    The number is an argument of the compiled program, not a part of it: chunks of any length share one compilation, and
    their boundaries don't change a bit of the result.

    Args:
        learning_rates: of each evaluation's step; their length n is the most that can be run.
        average: decay of the iterates' exponential moving average (bias corrected); 0: `result` is the best iterate.
        key: of what terms draw at random, anew at every evaluation.
        keep: how much of each pixel stays as it is, from 0 to 1.
    """
    loss = jax.value_and_grad(partial(evaluate, objective=objective), has_aux=True)

    def evaluation(k: Array, carry: tuple[State, dict[str, Array]]) -> tuple[State, dict[str, Array]]:
        state, records = carry
        image = state.image + state.pending
        (total, terms), gradient = loss(image, network, targets, weights, jax.random.fold_in(key, state.evaluations))
        pending, optimizer_state = optimizer.update(
            _freed(gradient, keep), state.optimizer, image, value=total, learning_rate=learning_rates[k]
        )
        evaluations = state.evaluations + 1
        share = _share(average, jnp.float32(evaluations), total < state.lowest)
        mixed = jnp.where(share == 1, image, state.result + share * (image - state.result))
        result = jnp.where(jnp.isfinite(total), mixed, state.result)  # what has gone astray never gets into the picture
        lowest = jnp.fmin(total, state.lowest)
        records = {name: records[name].at[k].set(value) for name, value in {"total": total, **terms}.items()}
        return State(image, _freed(pending, keep), optimizer_state, result, lowest, evaluations), records

    names = ("total", *(term.name for term in objective.terms))
    records = {name: jnp.zeros_like(learning_rates) for name in names}
    return lax.fori_loop(0, num_evaluations, evaluation, (state, records))


advance = _jit(_advance, static_argnames=_STATIC)


@partial(_jit, static_argnames=(*_STATIC, "lanes"))
def advance_many(
    state: State,
    network: Network,
    targets: Targets,
    weights: Weights,
    learning_rates: Float[Array, "b n"],
    num_evaluations: Int[Array, ""] | int,
    average: Float[Array, "b"],
    key: Key[Array, "b"],
    keep: Float[Array, "b h w"] | None = None,
    *,
    objective: Objective,
    optimizer: Optimizer,
    lanes: int,
) -> tuple[State, dict[str, Float[Array, "b n"]]]:
    """`advance` of b images at once, each leaf of all but the network with an axis of b before its own.

    So many lanes are vectorised; the rest take turns. With one, each image goes the way that it goes alone.
    """

    def one(each: tuple[State, Targets, Weights, Array, Array, Array, Array | None]) -> Any:
        state, targets, weights, rates, average, key, keep = each
        return _advance(
            state, network, targets, weights, rates, num_evaluations, average, key, keep,
            objective=objective, optimizer=optimizer,
        )  # fmt: skip

    several = lanes if lanes > 1 else None
    return lax.map(one, (state, targets, weights, learning_rates, average, key, keep), batch_size=several)


def _freed(change: Image, keep: Float[Array, "h w"] | None) -> Image:
    """What of a change remains when some of each pixel stays."""
    return change if keep is None else (1 - keep)[..., None] * change


def _share(average: Scalar, evaluations: Scalar, better: Array) -> Scalar:
    """How much of the new image goes into the result: its share of a bias-corrected average, or all if it is better."""
    return jnp.where(average > 0, (1 - average) / (1 - average**evaluations), jnp.float32(better))


# The terms of an image, without a gradient.
measure = jax.jit(evaluate, static_argnames="objective", compiler_options=COMPILER)


def optimize(
    state: State,
    network: Network,
    targets: Targets,
    weights: Weights,
    learning_rates: Float[np.ndarray, "*b n"],
    *,
    objective: Objective,
    optimizer: Optimizer,
    key: Key[Array, "*b"] | None = None,
    keep: Float[Array, "*b h w"] | None = None,
    average: float | Float[np.ndarray, "b"] = 0.0,
    pause_every: int = 0,
    done: int = 0,
    advance: Callable[..., tuple[State, Any]] = advance,
) -> Iterator[tuple[State, Records]]:
    """Evaluates the image once for every learning rate, moving it in between, and yields after each chunk.

    A chunk is as long as fits into about two seconds, and ends at every `pause_every`-th step. A state that was saved
    has the first `done` of the evaluations behind it. A yielded state is good until the next one is asked for, which is
    computed in its buffers: copy what has to last. Of many images at once with `advance_many`.
    """
    length, num_evaluations = 1, learning_rates.shape[-1]
    key, padded = jax.random.key(0) if key is None else key, _padded(learning_rates)
    while done < num_evaluations:
        length = min(length, num_evaluations - done, _until_pause(done, pause_every))
        began = time.perf_counter()
        state, records = advance(
            state, network, targets, weights, padded[..., done : done + LONGEST_CHUNK], length, average, key, keep,
            objective=objective, optimizer=optimizer,
        )  # fmt: skip
        yield state, {name: np.asarray(values)[..., :length] for name, values in records.items()}
        done += length
        length = _next_length((time.perf_counter() - began) / length)


def compiled(
    state: Any,
    network: Network,
    targets: Targets,
    weights: Weights,
    learning_rates: Float[np.ndarray, "n"],
    *,
    objective: Objective,
    optimizer: Optimizer,
    key: PRNGKeyArray,
    keep: Float[Array, "h w"] | None = None,
    average: float = 0.0,
) -> Callable[..., tuple[State, Any]]:
    """What `optimize` needs as `advance` for these arguments, or others of their shapes, compiled before it is called.

    Once for all that have these shapes. Of the state nothing else is needed: it may be of `jax.ShapeDtypeStruct`.
    """
    rates = _padded(learning_rates)[:LONGEST_CHUNK]
    arguments = (state, network, targets, weights, rates, 1, average, key, keep)
    leaves, structure = jax.tree.flatten(jax.tree.map(jax.typeof, arguments))
    precision = jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]  # of this thread
    return _compiled(structure, tuple(leaves), objective, optimizer, precision)


@cache  # as many as `jax.jit` would keep: all
def _compiled(
    structure: Any, types: tuple[Any, ...], objective: Objective, optimizer: Optimizer, precision: str | None
) -> Callable[..., tuple[State, Any]]:
    shapes = [jax.ShapeDtypeStruct(each.shape, each.dtype, weak_type=each.weak_type) for each in types]
    arguments = jax.tree.unflatten(structure, shapes)
    with jax.default_matmul_precision(precision):
        program = advance.lower(*arguments, objective=objective, optimizer=optimizer).compile()
    return lambda *arguments, objective, optimizer: program(*arguments)


def _padded(learning_rates: Float[np.ndarray, "*b n"]) -> Float[np.ndarray, "*b more"]:
    return np.pad(learning_rates, [(0, 0)] * (learning_rates.ndim - 1) + [(0, LONGEST_CHUNK)], "edge")


def _until_pause(done: int, pause_every: int) -> int:
    """Evaluations until the next step that is a multiple of `pause_every` has been evaluated; step 0 counts."""
    return LONGEST_CHUNK if pause_every == 0 else (-done) % pause_every + 1


def _next_length(seconds_an_evaluation: float) -> int:
    return round(np.clip(_SECONDS_A_CHUNK / max(seconds_an_evaluation, 1e-9), 1, LONGEST_CHUNK))
