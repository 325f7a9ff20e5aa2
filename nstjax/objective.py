"""The loss of an image: a weighted sum of named terms, each comparing one statistic of one layer with its target.

A term's name is its column in the log: `content/relu4_2`, `style/relu1_1`, `tv`. What is compared (`Objective`) is
static, part of the compiled program; targets and weights are arguments, so that a sweep over them compiles once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Protocol, runtime_checkable

import jax

from nstjax import losses
from nstjax.config import ObjectiveConfig
from nstjax.features import Extract
from nstjax.layers import CHANNELS, IMAGE
from nstjax.types import AnyImage, FeatureMap, Features, Image, Network, Scalar

Targets = dict[str, Any]  # by term: the statistics that the image must match
Weights = dict[str, Any]  # by term: a number or a scalar array


@runtime_checkable
class Term(Protocol):
    """One addend of the loss. A new kind of loss is one class like those below and its line in `from_config`."""

    picture: ClassVar[str | None]  # whose statistics are the target: "content", "style", or nobody's

    @property
    def name(self) -> str: ...
    @property
    def layer(self) -> str: ...
    def statistics(self, feature_map: FeatureMap) -> Any: ...
    def loss(self, feature_map: FeatureMap, target: Any) -> Scalar: ...


@dataclass(frozen=True)
class ContentTerm:
    """The content picture's features themselves, position by position."""

    layer: str
    reduction: str
    picture: ClassVar[str | None] = "content"

    @property
    def name(self) -> str:
        return f"content/{self.layer}"

    def statistics(self, feature_map: FeatureMap) -> FeatureMap:
        return feature_map

    def loss(self, feature_map: FeatureMap, target: FeatureMap) -> Scalar:
        return losses.squared_error(feature_map, target, reduction=self.reduction)


@dataclass(frozen=True)
class StyleTerm:
    """The style pictures' Gram matrix, blind to where things are."""

    layer: str
    normalization: str
    reduction: str
    picture: ClassVar[str | None] = "style"

    @property
    def name(self) -> str:
        return f"style/{self.layer}"

    def statistics(self, feature_map: FeatureMap) -> losses.Gram:
        return losses.gram_matrix(feature_map)

    def blend(self, statistics: Sequence[losses.Gram], shares: Sequence[float]) -> losses.Gram:
        return losses.blend(statistics, shares)

    def loss(self, feature_map: FeatureMap, target: losses.Gram) -> Scalar:
        gram = self.statistics(feature_map)
        return losses.gram_loss(gram, target, normalization=self.normalization, reduction=self.reduction)


@dataclass(frozen=True)
class TotalVariationTerm:
    """The roughness of the image itself, with pixels counted from 0 to `pixel_range`."""

    form: str
    pixel_range: float
    picture: ClassVar[str | None] = None
    name: ClassVar[str] = "tv"
    layer: ClassVar[str] = IMAGE

    def statistics(self, feature_map: FeatureMap) -> None:
        return None

    def loss(self, feature_map: FeatureMap, target: None) -> Scalar:
        return losses.TOTAL_VARIATIONS[self.form](feature_map * self.pixel_range)


@dataclass(frozen=True)
class Objective:
    """What is compared, and by which network; without its numbers, so that it can be a static argument of `jax.jit`."""

    terms: tuple[Term, ...]
    extract: Extract

    @property
    def layers(self) -> tuple[str, ...]:
        """Those that any term looks at."""
        return _layers(self.terms)

    def features(self, network: Network, image: Image, terms: Sequence[Term]) -> Features:
        return {IMAGE: image, **self.extract(network, image, _layers(terms))}


def _layers(terms: Sequence[Term]) -> tuple[str, ...]:
    return tuple(sorted({term.layer for term in terms} - {IMAGE}))


def from_config(config: ObjectiveConfig, extract: Extract) -> Objective:
    """The terms that a configuration names."""
    content, style, tv = config.content, config.style, config.tv
    return Objective(
        terms=(
            *(ContentTerm(layer, content.reduction) for layer in content.layers),
            *(StyleTerm(layer, style.normalization, style.reduction) for layer in style.layers),
            TotalVariationTerm(tv.form, tv.pixel_range),
        ),
        extract=extract,
    )


def weights_from_config(config: ObjectiveConfig) -> Weights:
    """Each term's weight: alpha, beta or the TV weight times its layer's own."""
    content, style = config.content, config.style
    scaling = LAYER_SCALINGS[style.layer_scaling]
    return {
        **{f"content/{layer}": config.content_weight * weight for layer, weight in content.weighted_layers()},
        **{
            f"style/{layer}": config.style_weight * weight * scaling(layer) for layer, weight in style.weighted_layers()
        },
        TotalVariationTerm.name: config.tv_weight,
    }


LAYER_SCALINGS = {
    "equal": lambda layer: 1.0,
    "inverse_square": lambda layer: CHANNELS[layer] ** -2,  # 1 / C^2: Gatys' code, w_l = 1e3 / C_l^2
}


@partial(jax.jit, static_argnames=("objective", "picture"))
def statistics(network: Network, image: Image, *, objective: Objective, picture: str) -> Targets:
    """What one picture, "content" or "style", gives the terms that look at it; styles of any size."""
    terms = [term for term in objective.terms if term.picture == picture]
    features = objective.features(network, image, terms)
    return {term.name: term.statistics(features[term.layer]) for term in terms}


def make_targets(
    network: Network, content: Image, styles: Sequence[AnyImage], shares: Sequence[float], *, objective: Objective
) -> Targets:
    """What the image must match: the content picture's features, and its styles' statistics blended by their shares."""
    of_styles = [statistics(network, style, objective=objective, picture="style") for style in styles]
    blended = {
        term.name: term.blend([each[term.name] for each in of_styles], shares)
        for term in objective.terms
        if isinstance(term, StyleTerm)
    }
    return statistics(network, content, objective=objective, picture="content") | blended


def evaluate(
    image: Image, network: Network, targets: Targets, weights: Weights, *, objective: Objective
) -> tuple[Scalar, dict[str, Scalar]]:
    """The total loss, and every weighted term that it is the sum of, by name."""
    features = objective.features(network, image, objective.terms)
    terms = {
        term.name: weights[term.name] * term.loss(features[term.layer], targets.get(term.name))
        for term in objective.terms
    }
    return sum(terms.values(), start=jax.numpy.float32(0)), terms
