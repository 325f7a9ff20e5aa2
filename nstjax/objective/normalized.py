"""The gradient of a term, of one L1 norm whatever the term is: its weight alone says how much it pulls."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from nstjax.objective.terms import Term
from nstjax.types import FeatureMap, Scalar

_TINY = 1e-8  # neural-style's


def plain_loss(term: Term, feature_map: FeatureMap, target: Any, key: PRNGKeyArray) -> Scalar:
    """The term's loss at its layer."""
    return term.loss(feature_map, target, key)


def normalized_loss(term: Term, feature_map: FeatureMap, target: Any, key: PRNGKeyArray) -> Scalar:
    """The same, with another gradient: at the term's layer it is divided by (its L1 norm + 1e-8).

    Terms that look at no picture, as total variation, keep theirs.
    Source: jcjohnson/neural-style, `-normalize_gradients`.
    """
    return (_normalized if term.pictures else plain_loss)(term, feature_map, target, key)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _normalized(term: Term, feature_map: FeatureMap, target: Any, key: PRNGKeyArray) -> Scalar:
    return term.loss(feature_map, target, key)


def _forward(term: Term, feature_map: FeatureMap, target: Any, key: PRNGKeyArray) -> tuple[Scalar, FeatureMap]:
    loss, gradient = jax.value_and_grad(term.loss)(feature_map, target, key)
    return loss, gradient / (jnp.sum(jnp.abs(gradient)) + _TINY)


def _backward(term: Term, gradient: FeatureMap, weight: Array) -> tuple[FeatureMap, None, None]:
    return weight * gradient, None, None


_normalized.defvjp(_forward, _backward)
