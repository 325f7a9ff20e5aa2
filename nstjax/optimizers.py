"""Optimizers by name. Each is an Optax transformation with one form of call, whatever its method:

    updates, state = optimizer.update(gradient, state, image, value=loss, learning_rate=rate)

The learning rate is an argument, not a part of the optimizer, so that a sweep over it, or a schedule, compiles once.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

import jax.numpy as jnp
import numpy as np
import optax

from nstjax.errors import UserError
from nstjax.lbfgs import lbfgs
from nstjax.types import Image, Scalar

Optimizer: TypeAlias = optax.GradientTransformationExtraArgs
Factory = Callable[..., Optimizer]


def first_order(factory: Callable[..., optax.GradientTransformation]) -> Factory:
    """An Optax optimizer, whose updates are proportional to the learning rate, in the common form of call."""

    def create(**parameters: Any) -> Optimizer:
        inner = factory(learning_rate=1.0, **parameters)

        def update(
            gradient: Image, state: Any, image: Image | None = None, *, value: Scalar, learning_rate: Scalar
        ) -> tuple[Image, Any]:
            updates, state = inner.update(gradient, state, image)
            return learning_rate * updates, state

        return Optimizer(inner.init, update)

    create.__signature__ = inspect.signature(factory)  # type: ignore[attr-defined]
    return create


OPTIMIZERS: Mapping[str, Factory] = {
    "lbfgs": lbfgs,
    "adabelief": first_order(optax.adabelief),
    "adam": first_order(optax.adam),
    "adamw": first_order(optax.adamw),
    "amsgrad": first_order(optax.amsgrad),
    "lion": first_order(optax.lion),
    "nadam": first_order(optax.nadam),
    "radam": first_order(optax.radam),
    "rmsprop": first_order(optax.rmsprop),
    "sgd": first_order(optax.sgd),
    "yogi": first_order(optax.yogi),
}


RESTARTED = ("lbfgs",)  # at each scale: a curvature measured at one size says nothing of another; the rest carry on


def create(name: str, parameters: Mapping[str, Any], num_steps: int) -> Optimizer:
    """The named optimizer; the same object for the same parameters, so that jobs of a sweep share a compilation.

    Of a `memory` no more is kept than `num_steps` can fill, which changes nothing but the memory it takes.

    Raises:
        UserError: a parameter that the optimizer doesn't have, or that is not a number.
    """
    known = [each for each in inspect.signature(OPTIMIZERS[name]).parameters if each != "learning_rate"]
    if unknown := sorted(set(parameters) - set(known)):
        raise UserError(f"optimizer.parameters.{unknown[0]}: {name} has no such parameter; it has {', '.join(known)}")
    for key, value in parameters.items():
        if not isinstance(value, int if key == "memory" else int | float | None):
            raise UserError(f"optimizer.parameters.{key}={value!r} has the wrong type; it takes a number")
    if "memory" in parameters:
        parameters = {**parameters, "memory": max(1, min(parameters["memory"], num_steps))}
    return _create(name, tuple(sorted(parameters.items())))


@lru_cache
def _create(name: str, parameters: tuple[tuple[str, Any], ...]) -> Optimizer:
    return OPTIMIZERS[name](**dict(parameters))


DECAYS: Mapping[str, Callable[[float, float, int], optax.Schedule]] = {
    "constant": lambda rate, final, steps: optax.constant_schedule(rate),
    "linear": lambda rate, final, steps: optax.linear_schedule(rate, rate * final, steps),
    "cosine": lambda rate, final, steps: optax.cosine_decay_schedule(rate, steps, final),
    # Optax's own takes a final share of 0 for no decay at all.
    "exponential": lambda rate, final, steps: lambda step: rate * final ** (step / steps),
}


def learning_rates(decay: str, rate: float, final: float, num_steps: int) -> np.ndarray:
    """The learning rate of each step, and of the one after the last, where decay has left the share `final` of it."""
    schedule = DECAYS[decay](rate, final, max(num_steps, 1))
    return np.asarray([schedule(jnp.float32(step)) for step in range(num_steps + 1)], np.float32)
