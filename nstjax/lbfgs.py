"""L-BFGS as torch.optim.LBFGS and Torch7's optim.lbfgs run it without a line search: one evaluation a step.

Style transfer's published results come from this recursion (Nocedal & Wright 2006, algorithm 7.4, with a unit step).
Optax's own `lbfgs` is another method: its line search spends several evaluations a step.

With `octaves`, ours needs a fifth to a third fewer of them (docs/performance.md): large shapes have another curvature
than fine ones, and H0, what the recursion begins with, a number for each.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float, Int

from nstjax import octaves as octave
from nstjax.types import Scalar, Variable

_MIN_CURVATURE = 1e-10  # torch's: a pair with less is forgotten, because it would make the inverse Hessian indefinite

Decode = Callable[[Variable], Float[Array, "..."]]
_LONGEST_STEP = 1e4  # of a pixel from 0 to 1: beyond, the image that is to be gone back to would be lost in rounding

_WIDEST = 1e3  # an octave's scale over that of all, or the other way round: rounding isn't taken for curvature

_TINY = 1e-37  # keeps a gradient of zero from dividing by zero


class Pairs(NamedTuple):
    """The last m steps s and changes of gradient y, in rings; `pushed` counts all that ever were."""

    steps: Float[Array, "m *v"]
    changes: Float[Array, "m *v"]
    inverse_curvatures: Float[Array, "m"]  # 1 / (y . s)
    pushed: Int[Array, ""]


class Accepted(NamedTuple):
    """The last accepted point: its loss and gradient, and the step that was taken from there."""

    value: Scalar
    gradient: Variable
    direction: Variable
    step_size: Scalar


class LbfgsState(NamedTuple):
    """What one update remembers for the next."""

    pairs: Pairs
    scales: Float[Array, "b"]  # H0, the inverse Hessian to begin with: by octave of frequencies, the highest first
    accepted: Accepted


def lbfgs(
    memory: int = 100,
    first_step: float | None = None,
    pixel_range: float = 1.0,
    max_increase: float = 2.0,
    octaves: int = 1,
    half_history: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """The transformation; `update` takes `value` (the loss at the image) and `learning_rate` besides the gradient.

    `decode` makes pixels of what has the variable's shape: the image itself, unless it is parametrized.

    Differs from torch.optim.LBFGS: a loss that multiplies is not accepted, a shorter step is tried instead; no step is
    longer than a jump that can be undone; and there are no stopping tolerances.

    Args:
        memory: pairs to remember; each costs two images.
        first_step: root mean square of the first step, pixels from 0 to 1. None: the published rule, |step|_1 <= 1,
            which counts the variable's own numbers.
        pixel_range: the published rule counts pixels from 0 to this.
        max_increase: a loss, never negative, beyond this multiple of the last accepted one is a jump.
        octaves: of frequencies that H0 tells apart; 1, as published, for a variable that isn't an image.
        half_history: keeps the pairs as bfloat16, in half of their memory.
    """

    def rounded(x: Array) -> Array:
        return x.astype(jnp.bfloat16) if half_history else x

    def first_step_size(gradient: Variable, pixels: Float[Array, "..."]) -> Scalar:
        if first_step is not None:
            return first_step / (octave.norms(pixels, 1)[0] / pixels.size**0.5 + _TINY)
        # t = min(1, 1 / |g|_1), where the gradient for pixels from 0 to r is g / r.
        return jnp.minimum(1.0, pixel_range / (jnp.sum(jnp.abs(gradient)) + _TINY))

    def init(variable: Variable) -> LbfgsState:
        ring, zeros = rounded(jnp.zeros((memory, *variable.shape))), jnp.zeros_like(variable)
        nowhere = Accepted(jnp.float32(jnp.inf), zeros, zeros.copy(), jnp.float32(0))
        one = jnp.float32(1 / pixel_range**2)  # H0 = 1 for pixels from 0 to pixel_range
        return LbfgsState(Pairs(ring, ring.copy(), jnp.zeros(memory), jnp.int32(0)), jnp.full(octaves, one), nowhere)

    def update(
        gradient: Variable, state: LbfgsState, variable: Variable | None = None, *,
        value: Scalar, learning_rate: Scalar, decode: Decode = lambda variable: variable,
    ) -> tuple[Variable, LbfgsState]:  # fmt: skip
        last = state.accepted
        jumped = ~(value <= max_increase * last.value)  # also when it isn't a number
        step, change = rounded(last.step_size * last.direction), rounded(gradient - last.gradient)
        curvature = _dot(change, step)
        useful = ~jumped & (curvature > _MIN_CURVATURE)
        pairs = _remember(state.pairs, step, change, curvature, useful)
        scales = jnp.where(useful, _scales(step, change, curvature, octaves), state.scales)

        direction = descent_direction(gradient, pairs, scales)
        # torch's rule is for the very first step; a length of our own for as long as no curvature is known.
        unknown = jnp.isinf(last.value) if first_step is None else pairs.pushed == 0
        pixels = decode(direction)
        step_size = jnp.where(unknown, first_step_size(gradient, pixels), 1.0)
        step_size = jnp.minimum(step_size, _LONGEST_STEP / (jnp.max(jnp.abs(pixels)) + _TINY))
        onward = Accepted(value, gradient, direction, step_size * learning_rate)
        back = last._replace(step_size=last.step_size * _shrinkage(value, last.value))
        accepted = jax.tree.map(partial(jnp.where, jumped), back, onward)
        taken = jnp.where(jumped, last.step_size, 0)  # of the step in question, whose direction stays
        return (accepted.step_size - taken) * accepted.direction, LbfgsState(pairs, scales, accepted)

    return optax.GradientTransformationExtraArgs(init, update)


def descent_direction(gradient: Variable, pairs: Pairs, scales: Float[Array, "b"]) -> Variable:
    """-H g by the two-loop recursion over the remembered pairs. Source: Nocedal & Wright (2006), algorithm 7.4."""
    steps, changes, inverse_curvatures, pushed = pairs
    memory = len(inverse_curvatures)
    stored = jnp.minimum(pushed, memory)

    def newest_to_oldest(j: Array, carry: tuple[Variable, Array]) -> tuple[Variable, Array]:
        q, alphas = carry
        i = (pushed - 1 - j) % memory
        alpha = inverse_curvatures[i] * _dot(steps[i], q)
        return q - alpha * changes[i], alphas.at[i].set(alpha)

    def oldest_to_newest(j: Array, carry: tuple[Variable, Array]) -> tuple[Variable, Array]:
        r, alphas = carry
        i = (pushed - stored + j) % memory
        beta = inverse_curvatures[i] * _dot(changes[i], r)
        return r + steps[i] * (alphas[i] - beta), alphas

    q, alphas = lax.fori_loop(0, stored, newest_to_oldest, (-gradient, jnp.zeros(memory)))
    return lax.fori_loop(0, stored, oldest_to_newest, (octave.scaled(q, scales), alphas))[0]


def _scales(step: Variable, change: Variable, curvature: Scalar, octaves: int) -> Float[Array, "b"]:
    """H0 by octave: |s| / |y| of each, all times what makes y . H0 y = s . y of the newest pair.

    Differs from Nocedal & Wright (2006), equation 7.20: that is (s . y) / (y . y) for all frequencies, to which this
    comes for one octave.
    """
    lengths, slopes = octave.norms(step, octaves), octave.norms(change, octaves)
    ratio = jnp.sum(lengths) / (jnp.sum(slopes) + _TINY)
    ratios = jnp.clip(lengths / (slopes + _TINY), ratio / _WIDEST, ratio * _WIDEST)
    return ratios * (curvature / (jnp.sum(ratios * slopes * slopes) + _TINY))


def _dot(a: Variable, b: Variable) -> Scalar:
    return jnp.vdot(a, b, precision="highest", preferred_element_type=jnp.promote_types(a.dtype, jnp.float32))


def _shrinkage(value: Scalar, accepted_value: Scalar) -> Scalar:
    """The share of a step that is tried after a jump: style losses grow with the fourth power of a step too long."""
    share = (accepted_value / value) ** 0.25
    return jnp.clip(jnp.where(jnp.isfinite(share), share, 0), 1e-3, 0.5)


def _remember(pairs: Pairs, step: Variable, change: Variable, curvature: Scalar, useful: Array) -> Pairs:
    i = pairs.pushed % len(pairs.inverse_curvatures)

    def put(ring: Array, new: Array) -> Array:
        return ring.at[i].set(jnp.where(useful, new, ring[i]))

    return Pairs(
        put(pairs.steps, step),
        put(pairs.changes, change),
        put(pairs.inverse_curvatures, 1 / curvature),
        pairs.pushed + jnp.int32(useful),
    )
