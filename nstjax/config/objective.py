"""What is compared, and by how much: the keys of `objective`."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from nstjax.config.fields import each, layers, names, one_of, within


@dataclass(frozen=True)
class LayersConfig:
    """Layers of VGG19, the weight of each (none given: 1), and how squared differences are reduced."""

    layers: tuple[str, ...] = layers()
    layer_weights: tuple[float, ...] = within((), 0)
    reduction: str = one_of("mean", "sum", "half_sum", "quarter_mean", "half_sum_by_root", "scaled")

    def weighted_layers(self) -> Iterable[tuple[str, float]]:
        return zip(self.layers, each(self.layer_weights or (1.0,), len(self.layers)), strict=True)


@dataclass(frozen=True)
class StyleTermsConfig(LayersConfig):
    """Style layers, the statistic compared in each, and what these are computed with.

    `reduction` is of `gram`, `covariance` and `mean_variance`; the others are distances already.
    """

    statistic: tuple[str, ...] = names(
        "gram", "covariance", "mean_variance", "wasserstein", "histogram", "sliced_wasserstein"
    )
    normalization: str = one_of("per_position", "per_element", "none")  # of Gram matrices: by M, by C M, or not
    epsilon: float = within(1e-4, 0)  # of wasserstein: what is added to the variances
    directions: int = within(0, 0, 65536)  # of sliced_wasserstein, another draw at every evaluation; 0: one a channel
    layer_scaling: str = one_of("equal", "inverse_square")  # inverse_square: 1 / C^2

    def statistics(self) -> tuple[str, ...]:
        """One for each layer."""
        return each(self.statistic, len(self.layers))


@dataclass(frozen=True)
class TotalVariationConfig:
    """The form of total variation, on pixels counted from 0 to `pixel_range`."""

    form: str = one_of(
        "half_sum_of_squares", "mean_of_squares", "mean_of_squares_replicated", "mean_of_squares_by_direction",
        "eight_neighbors", "sum_of_magnitudes", "mean_of_magnitudes", "sum_of_powers",
    )  # fmt: skip
    pixel_range: float = within(1.0, 0)


@dataclass(frozen=True)
class LaplacianConfig:
    """The content's edges: its picture's Laplacian, after averaging squares of so many pixels; a term for each."""

    pools: tuple[int, ...] = within((), 1, 1024)  # Li et al. (2017): 4, or 4 and 16
    pixel_range: float = within(255.0, 0)


@dataclass(frozen=True)
class ObjectiveConfig:
    """content_weight (alpha), style_weight (beta) and the others, and what each of them weighs."""

    content_weight: float = within(1.0, 0)
    style_weight: float = within(1.0, 0)
    tv_weight: float = within(0.0, 0)
    laplacian_weight: float = within(100.0, 0)  # of the Laplacian of each of laplacian.pools
    tuned_for: str = one_of("caffe", "torchvision", "normalized")  # the VGG19 that these weights balance
    normalize_gradients: bool = False  # each term's, at its layer, to an L1 norm of its weight; not total variation's
    content: LayersConfig = field(default_factory=LayersConfig)
    style: StyleTermsConfig = field(default_factory=StyleTermsConfig)
    tv: TotalVariationConfig = field(default_factory=TotalVariationConfig)
    laplacian: LaplacianConfig = field(default_factory=LaplacianConfig)
