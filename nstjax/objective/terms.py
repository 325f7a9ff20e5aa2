"""The kinds of terms. A new kind is one class like these, and its lines in `objective.configured`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from jaxtyping import Array, Float, PRNGKeyArray

from nstjax import losses
from nstjax.layers import IMAGE
from nstjax.statistics import STATISTICS
from nstjax.types import FeatureMap, Guide, Scalar


@runtime_checkable
class Term(Protocol):
    """One addend of the loss: what it sees of pictures, and how far an image is from that.

    `pictures` says whose summaries are the target: "content", "style", or nobody's (None, and neither `summary` nor
    `target` is called). `styles` are the numbers of the style pictures that it looks at.
    """

    pictures: ClassVar[str | None]

    @property
    def name(self) -> str: ...
    @property
    def layer(self) -> str: ...
    @property
    def styles(self) -> tuple[int, ...]: ...
    def summary(self, feature_map: FeatureMap, guide: Guide | None) -> Any: ...
    def target(self, summaries: Sequence[Any], guide: Guide | None) -> Any: ...
    def loss(self, feature_map: FeatureMap, target: Any, key: PRNGKeyArray) -> Scalar: ...


@dataclass(frozen=True)
class ContentTerm:
    """The content picture's features themselves, position by position."""

    layer: str
    reduction: str
    pictures: ClassVar[str | None] = "content"
    styles: ClassVar[tuple[int, ...]] = ()

    @property
    def name(self) -> str:
        return f"content/{self.layer}"

    def summary(self, feature_map: FeatureMap, guide: Guide | None) -> FeatureMap:
        return feature_map

    def target(self, summaries: Sequence[FeatureMap], guide: Guide | None) -> FeatureMap:
        return summaries[0]

    def loss(self, feature_map: FeatureMap, target: FeatureMap, key: PRNGKeyArray) -> Scalar:
        return losses.squared_error(feature_map, target, reduction=self.reduction)


@dataclass(frozen=True)
class LaplacianTerm:
    """The content picture's edges, with pixels counted from 0 to `pixel_range`, averaged in squares of `pool`."""

    pool: int
    pixel_range: float
    pictures: ClassVar[str | None] = "content"
    styles: ClassVar[tuple[int, ...]] = ()
    layer: ClassVar[str] = IMAGE

    @property
    def name(self) -> str:
        return f"content/laplacian{self.pool}"

    def summary(self, feature_map: FeatureMap, guide: Guide | None) -> Float[Array, "_ _"]:
        return losses.laplacian(feature_map * self.pixel_range, self.pool)

    def target(self, summaries: Sequence[Float[Array, "_ _"]], guide: Guide | None) -> Float[Array, "_ _"]:
        return summaries[0]

    def loss(self, feature_map: FeatureMap, target: Float[Array, "_ _"], key: PRNGKeyArray) -> Scalar:
        return losses.squared_error(self.summary(feature_map, None), target, reduction="mean")


class StyleTarget(NamedTuple):
    """A prepared summary to match, and where in the image that shall be: everywhere, if the guide is None."""

    summary: Any
    guide: Guide | None


@dataclass(frozen=True)
class StyleTerm:
    """A statistic of style pictures, blind to where things are.

    Attributes:
        options: of the statistic, by name.
        styles: numbers of the pictures whose blend is the target.
        shares: of each of them in the blend. Terms that differ only in these are the same to the compiler, which never
            sees them: they are in the target.
    """

    name: str
    layer: str
    statistic: str
    options: tuple[tuple[str, Any], ...]
    styles: tuple[int, ...] = (0,)
    shares: tuple[float, ...] = field(default=(1.0,), compare=False)
    pictures: ClassVar[str | None] = "style"

    def summary(self, feature_map: FeatureMap, guide: Guide | None) -> Any:
        return STATISTICS[self.statistic].summarize(feature_map, guide)

    def target(self, summaries: Sequence[Any], guide: Guide | None) -> StyleTarget:
        statistic = STATISTICS[self.statistic]
        blended = statistic.blend(summaries, self.shares)
        return StyleTarget(statistic.prepare(blended, **dict(self.options)), guide)

    def loss(self, feature_map: FeatureMap, target: StyleTarget, key: PRNGKeyArray) -> Scalar:
        statistic, value = STATISTICS[self.statistic], self.summary(feature_map, target.guide)
        draws = {"key": key} if statistic.random else {}
        return statistic.distance(value, target.summary, **dict(self.options), **draws)


@dataclass(frozen=True)
class TotalVariationTerm:
    """The roughness of the image itself, with pixels counted from 0 to `pixel_range`."""

    form: str
    pixel_range: float
    pictures: ClassVar[str | None] = None
    styles: ClassVar[tuple[int, ...]] = ()
    name: ClassVar[str] = "tv"
    layer: ClassVar[str] = IMAGE

    def summary(self, feature_map: FeatureMap, guide: Guide | None) -> None:
        return None

    def target(self, summaries: Sequence[None], guide: Guide | None) -> None:
        return None

    def loss(self, feature_map: FeatureMap, target: None, key: PRNGKeyArray) -> Scalar:
        return losses.TOTAL_VARIATIONS[self.form](feature_map * self.pixel_range)
