"""The loss of an image: a weighted sum of named terms, each comparing one statistic of one layer with its target.

A term's name is its column in the log: `content/relu4_2`, `style/relu1_1`, `tv`. What is compared (`Objective`) is
static, part of the compiled program; targets and weights are arguments, so that a sweep over them compiles once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
from jaxtyping import Array, Float, PRNGKeyArray

from nstjax.config import ObjectiveConfig, StyleConfig
from nstjax.convolution import COMPILER
from nstjax.features import Extract
from nstjax.layers import IMAGE
from nstjax.objective.configured import LAYER_SCALINGS, terms_and_weights
from nstjax.objective.normalized import normalized_loss, plain_loss
from nstjax.objective.terms import ContentTerm, LaplacianTerm, StyleTarget, StyleTerm, Term, TotalVariationTerm
from nstjax.types import AnyImage, Features, Image, Network, Scalar

__all__ = [
    "LAYER_SCALINGS", "ContentTerm", "LaplacianTerm", "Objective", "StyleTarget", "StyleTerm", "Targets", "Term",
    "TotalVariationTerm", "Weights", "evaluate", "from_config", "make_targets", "weights_from_config",
]  # fmt: skip

Targets = dict[str, Any]  # by term: what the image must match
Weights = dict[str, Any]  # by term: a number or a scalar array
Guides = Mapping[str, Float[Array, "_ _"]]  # by layer, of its map's size


@dataclass(frozen=True)
class Objective:
    """What is compared, and by which network; without its numbers, so that it can be a static argument of `jax.jit`."""

    terms: tuple[Term, ...]
    extract: Extract
    normalize_gradients: bool = False  # of terms that compare the image with a picture: see `objective.normalized`

    @property
    def layers(self) -> tuple[str, ...]:
        """Those that any term looks at."""
        return _layers(self.terms)

    def features(self, network: Network, image: AnyImage, terms: Sequence[Term]) -> Features:
        return {IMAGE: image, **self.extract(network, image, _layers(terms))}


def _layers(terms: Sequence[Term]) -> tuple[str, ...]:
    return tuple(sorted({term.layer for term in terms} - {IMAGE}))


def from_config(config: ObjectiveConfig, extract: Extract, style: StyleConfig = StyleConfig()) -> Objective:  # noqa: B008
    """The terms that a configuration names; `style` says how several style pictures come together."""
    terms = tuple(term for term, _ in terms_and_weights(config, style))
    return Objective(terms, extract, config.normalize_gradients)


def weights_from_config(config: ObjectiveConfig, style: StyleConfig = StyleConfig()) -> Weights:  # noqa: B008
    """The weight of each term that a configuration names."""
    return {term.name: weight for term, weight in terms_and_weights(config, style)}


@partial(jax.jit, static_argnames=("objective", "terms"), compiler_options=COMPILER)
def summaries(
    network: Network, image: AnyImage, guides: Guides, *, objective: Objective, terms: tuple[Term, ...]
) -> dict[str, Any]:
    """What one picture gives each of the terms, guided layer by layer where there is a guide."""
    features = objective.features(network, image, terms)
    return {term.name: term.summary(features[term.layer], guides.get(term.layer)) for term in terms}


def make_targets(
    network: Network,
    content: Image,
    styles: Sequence[AnyImage],
    *,
    objective: Objective,
    style_guides: Sequence[Guides] = (),
    content_guides: Sequence[Guides] = (),
    shapes_only: bool = False,
) -> Targets:
    """What the image must match: the content picture's features, and statistics of the styles, blended.

    Args:
        style_guides: of each style, by layer, the part of it that counts; none: all of it.
        content_guides: for each style, by layer, the part of the image that shall have it; none: all of the image.
        shapes_only: nothing is computed, and each array is a `jax.ShapeDtypeStruct`: for compiling a program ahead.
    """
    pictures = {("content", 0): content} | {("style", number): style for number, style in enumerate(styles)}
    guides = {("style", number): guide for number, guide in enumerate(style_guides)}
    look = summaries.eval_shape if shapes_only else summaries
    seen = []
    for (kind, number), picture in pictures.items():
        terms = tuple(term for term in objective.terms if number in _numbers(term, kind))
        seen.append(look(network, picture, guides.get((kind, number), {}), objective=objective, terms=terms))
    together = partial(_targets, content_guides=content_guides, objective=objective)
    return jax.eval_shape(together, seen) if shapes_only else together(seen)


def _targets(seen: Sequence[dict[str, Any]], content_guides: Sequence[Guides], objective: Objective) -> Targets:
    targets = {}
    for term in objective.terms:
        summaries_of_term = [by_term[term.name] for by_term in seen if term.name in by_term]
        if term.pictures:
            guide = content_guides[term.styles[0]].get(term.layer) if term.styles and content_guides else None
            targets[term.name] = term.target(summaries_of_term, guide)
    return targets


def _numbers(term: Term, kind: str) -> tuple[int, ...]:
    """Of the pictures of a kind those that a term looks at."""
    if term.pictures != kind:
        return ()
    return term.styles if kind == "style" else (0,)


def evaluate(
    image: Image,
    network: Network,
    targets: Targets,
    weights: Weights,
    key: PRNGKeyArray | None = None,
    *,
    objective: Objective,
) -> tuple[Scalar, dict[str, Scalar]]:
    """The total loss, and every weighted term that it is the sum of, by name.

    Terms that draw at random do so from `key`; without one they draw the same each time.
    """
    key = jax.random.key(0) if key is None else key
    features = objective.features(network, image, objective.terms)
    loss = normalized_loss if objective.normalize_gradients else plain_loss
    terms = {
        term.name: weights[term.name]
        * loss(term, features[term.layer], targets.get(term.name), jax.random.fold_in(key, number))
        for number, term in enumerate(objective.terms)
    }
    return sum(terms.values(), start=jax.numpy.float32(0)), terms
