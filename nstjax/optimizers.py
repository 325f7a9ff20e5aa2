"""Optimizers by name. Each is an Optax transformation with one form of call, whatever its method:

    updates, state = optimizer.update(gradient, state, variable, value=loss, learning_rate=rate)

The variable is the image, or what a parametrization makes of it.
The learning rate is an argument, not a part of the optimizer, so that a sweep over it, or a schedule, compiles once.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float

from nstjax.errors import UserError, shown
from nstjax.lbfgs import lbfgs
from nstjax.parametrizations import Parametrization
from nstjax.types import Image, Scalar, Variable

Optimizer: TypeAlias = optax.GradientTransformationExtraArgs
Factory = Callable[..., Optimizer]


def first_order(factory: Callable[..., optax.GradientTransformation]) -> Factory:
    """An Optax optimizer, whose updates are proportional to the learning rate, in the common form of call."""

    def create(**parameters: Any) -> Optimizer:
        inner = factory(learning_rate=1.0, **parameters)

        def update(
            gradient: Variable,
            state: Any,
            variable: Variable | None = None,
            *,
            value: Scalar,
            learning_rate: Scalar,
            **_: Any,
        ) -> tuple[Variable, Any]:
            updates, state = inner.update(gradient, state, variable)
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


_TINY, _LARGE = 1e-37, 1e37  # float32 holds them and their neighbors at full precision
_DECAY = (0, 0.999999)  # float32 tells it from 1

# The number that each parameter may be, whichever optimizer it is of; what isn't here can't be given, as a mask.
RANGES: Mapping[str, tuple[float, float]] = {
    "memory": (1, 10_000),
    "first_step": (1e-9, 10),  # a gradient of zero divides it by 1e-37
    "pixel_range": (1e-3, 1e6),
    "max_increase": (1, _LARGE),
    "octaves": (1, 16),
    "b1": _DECAY,
    "b2": _DECAY,
    "decay": _DECAY,
    "momentum": _DECAY,
    "eps": (_TINY, _LARGE),  # a gradient of zero is divided by it
    "eps_root": (0, _LARGE),
    "initial_scale": (0, _LARGE),
    "threshold": (4, _LARGE),  # RAdam takes a root that is real above 4 only
    "weight_decay": (0, _LARGE),
}

RESTARTED = ("lbfgs",)  # at each scale: a curvature measured at one size says nothing of another; the rest carry on


def create(name: str, parameters: Mapping[str, Any], num_steps: int) -> Optimizer:
    """The named optimizer; the same object for the same parameters, so that jobs of a sweep share a compilation.

    Of a `memory` no more is kept than `num_steps` can fill, which changes nothing but the memory it takes.

    Raises:
        UserError: a parameter that the optimizer doesn't have, of another type, or out of its range.
    """
    known = defaults(name)
    if unknown := sorted(set(parameters) - set(known)):
        raise UserError(f"optimizer.parameters.{unknown[0]}: {name} has no such parameter; it has {', '.join(known)}")
    for key, value in parameters.items():
        _check(key, value, known[key])
    if "memory" in parameters:
        parameters = {**parameters, "memory": max(1, min(parameters["memory"], num_steps))}
    return _create(name, tuple(sorted(parameters.items())))


def defaults(name: str) -> dict[str, Any]:
    """The parameters of an optimizer that settings can give, which are numbers and yes or no, with their defaults."""
    parameters = inspect.signature(OPTIMIZERS[name]).parameters.values()
    return {each.name: each.default for each in parameters if each.name in RANGES or isinstance(each.default, bool)}


def _check(key: str, value: Any, default: Any) -> None:
    setting = f"optimizer.parameters.{key}={shown(value)}"
    if isinstance(default, bool) and not isinstance(value, bool):
        raise UserError(f"{setting} has the wrong type; it takes true or false")
    if isinstance(default, bool) or (value is None and default is None):
        return
    whole = isinstance(default, int)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise UserError(f"{setting} has the wrong type; it takes a {'whole number' if whole else 'number'}")
    low, high = RANGES[key]
    if not low <= value <= high:  # nor does NaN get through
        raise UserError(f"{setting} is out of range; it takes a number from {low:g} to {high:g}")


@lru_cache
def _create(name: str, parameters: tuple[tuple[str, Any], ...]) -> Optimizer:
    return OPTIMIZERS[name](**dict(parameters))


@lru_cache
def parametrized(inner: Optimizer, parametrization: Parametrization) -> Optimizer:
    """An optimizer of the image that moves what a parametrization makes of it.

    Since that is linear, the variable itself needs no keeping: the gradient is pulled back to it, and the inner
    optimizer's step pushed forward to pixels. So whoever holds the image sees an optimizer like any other.
    """

    def init(image: Image) -> Any:
        return inner.init(parametrization.encode(image))

    def update(gradient: Image, state: Any, image: Image, *, value: Scalar, learning_rate: Scalar) -> tuple[Image, Any]:
        height, width, _ = image.shape
        decode = partial(parametrization.decode, height=height, width=width)
        variable = parametrization.encode(image)  # of which only weight decay sees more than the shape
        (pulled_back,) = jax.linear_transpose(decode, variable)(gradient)
        step, state = inner.update(
            pulled_back, state, variable, value=value, learning_rate=learning_rate, decode=decode
        )
        return decode(step), state

    return Optimizer(init, update)


@lru_cache
def clamped(inner: Optimizer) -> Optimizer:
    """The optimizer, after each of whose steps the image is in [0, 1]. Source: crowsonkb/style-transfer-pytorch."""

    def update(gradient: Image, state: Any, image: Image, *, value: Scalar, learning_rate: Scalar) -> tuple[Image, Any]:
        updates, state = inner.update(gradient, state, image, value=value, learning_rate=learning_rate)
        return jnp.clip(image + updates, 0, 1) - image, state

    return Optimizer(inner.init, update)


# The share of the learning rate that is left when `done`, from 0 to 1, of the steps are, and in the end `final`.
DECAYS: Mapping[str, Callable[[Float[np.ndarray, "n"], float], Float[np.ndarray, "n"]]] = {
    "constant": lambda done, final: np.ones_like(done),
    "linear": lambda done, final: 1 - done + final * done,
    "cosine": lambda done, final: final + (1 - final) * (1 + np.cos(np.pi * done)) / 2,
    "exponential": lambda done, final: final**done,
}


def learning_rates(decay: str, rate: float, final: float, num_steps: int) -> Float[np.ndarray, "{num_steps+1}"]:
    """The learning rate of each step, and of the one after the last, where decay has left the share `final` of it."""
    done = np.arange(num_steps + 1) / max(num_steps, 1)
    return (rate * DECAYS[decay](done, final)).astype(np.float32)
