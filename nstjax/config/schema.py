"""The schema: every key of a run, what it may be, and what it is when nobody says."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from nstjax.layers import CHANNELS


def one_of(default: str | int, *others: str | int) -> Any:
    """A field that holds one of a few names or numbers."""
    return field(default=default, metadata={"names": (default, *others)})


MAX_SIZE = 65536  # pixels
LARGEST = 3.4e38  # of what float32 can hold, in which everything is computed


def within(default: float | tuple[float, ...], low: float, high: float = LARGEST) -> Any:
    """A field whose numbers are from `low` to `high`."""
    return field(default=default, metadata={"range": (low, high)})


def names(default: str, *others: str) -> Any:
    """A field that holds some of a few names."""
    return field(default=(default,), metadata={"names": (default, *others)})


def each(values: tuple[Any, ...], count: int) -> tuple[Any, ...]:
    """The values of a list in which a single one stands for `count` of them."""
    return values * count if len(values) == 1 else values


def layers() -> Any:
    """A field that holds names of VGG19's layers."""
    return field(default=(), metadata={"names": tuple(CHANNELS)})


@dataclass(frozen=True)
class PictureConfig:
    """A picture: the name of an asset, or a file, which wins."""

    name: str | None = None
    path: str | None = None


@dataclass(frozen=True)
class StyleConfig(PictureConfig):
    """The style picture, and further ones to blend with it."""

    blend: tuple[str, ...] = ()  # assets or files
    shares: tuple[float, ...] = within((), 0)  # of the style and each further one; empty: equal
    normalize_shares: bool = True  # made to sum to 1
    combine: str = one_of("statistics", "losses")  # one target, their blend; or a target each, and the losses summed


@dataclass(frozen=True)
class SizingConfig:
    """What `size` measures, and how pictures are resized to it."""

    edge: str = one_of("long", "short", "area")  # area: the picture gets size * size pixels
    style: str = one_of("own", "content")  # sized by the same rule, or stretched to the content's height and width
    resample: str = one_of("lanczos", "bicubic", "bilinear")
    space: str = one_of("linear", "srgb", "srgb8")  # average light, or the file's numbers, or these in 8 bits


@dataclass(frozen=True)
class WeightsConfig:
    """The pretrained VGG19: a source's name, or a file, which wins."""

    source: str = one_of("caffe-8bit", "keras", "torchvision", "matconvnet", "random")
    path: str | None = None


@dataclass(frozen=True)
class NetworkConfig:
    """How features are computed from the weights."""

    pooling: str = one_of("max", "average")
    pool_edges: str = one_of("floor", "ceil")  # an odd last row is dropped, or pooled alone
    padding: str = one_of("zero", "reflect", "replicate", "replicate_first")  # _first: conv1_1 only, zero elsewhere
    # What it is fed: as the weights were trained, or pixels from 0 to 255 less their mean color, whatever they were.
    preprocessing: str = one_of("own", "levels")


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
    """Style layers, the statistic compared in each, and what these are computed with (`reduction`: of moments only)."""

    statistic: tuple[str, ...] = names("gram", "covariance", "mean_variance", "wasserstein")
    normalization: str = one_of("per_position", "per_element", "none")  # of Gram matrices: by M, by C M, or not
    epsilon: float = within(1e-4, 0)  # of wasserstein: what is added to the variances
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
class ObjectiveConfig:
    """content_weight (alpha), style_weight (beta) and tv_weight, and what each of them weighs."""

    content_weight: float = within(1.0, 0)
    style_weight: float = within(1.0, 0)
    tv_weight: float = within(0.0, 0)
    tuned_for: str = one_of("caffe", "torchvision", "normalized")  # the VGG19 that these weights balance
    normalize_gradients: bool = False  # each term's, at its layer, to an L1 norm of its weight; not total variation's
    content: LayersConfig = field(default_factory=LayersConfig)
    style: StyleTermsConfig = field(default_factory=StyleTermsConfig)
    tv: TotalVariationConfig = field(default_factory=TotalVariationConfig)


@dataclass(frozen=True)
class InitConfig:
    """Where the optimisation starts."""

    kind: str = one_of("content", "style", "noise", "mixed", "statistics", "picture")
    path: str | None = None  # of the picture that `kind: picture` starts from
    distribution: str = one_of("normal", "uniform")
    amplitude: float = within(0.0, 0)  # of the noise, pixels from 0 to 1: standard deviation, or half width if uniform
    noise_share: float = within(1.0, 0, 1)  # of `kind: mixed`; the rest is the content picture


@dataclass(frozen=True)
class OptimizerConfig:
    """An optimizer by name; learning rates are for pixels from 0 to 1."""

    name: str = one_of(
        "lbfgs", "adabelief", "adam", "adamw", "amsgrad", "lion", "nadam", "radam", "rmsprop", "sgd", "yogi"
    )
    learning_rate: float = within(1.0, 0)
    decay: str = one_of("constant", "linear", "cosine", "exponential")
    final: float = within(1.0, 0, 1)  # what decay leaves of the learning rate at the end of each scale, as a share
    clamp: bool = False  # to [0, 1] after every step
    average: float = within(0.0, 0, 0.99999)  # EMA of the iterates; 0: none, the best iterate is the result
    parameters: dict[str, Any] = field(default_factory=dict)  # the optimizer's own, under their Python names


@dataclass(frozen=True)
class ScheduleConfig:
    """One scale or several, coarse to fine: each a share of the final size, with its number of steps."""

    scales: tuple[float, ...] = within((1.0,), 0.01, 1)
    steps: tuple[int, ...] = within((500,), 0, 10**6)


@dataclass(frozen=True)
class RuntimeConfig:
    """How it is computed: what changes the seconds, and the digits of the result but not the picture."""

    convolution: str = one_of("auto", "direct", "winograd")  # auto: Winograd's algorithm on a CPU, direct elsewhere
    # Of convolutions: float32, then what the device has that is faster, as TF32; bf16: features in bfloat16, anywhere.
    precision: str = one_of("highest", "high", "default", "bf16")


@dataclass(frozen=True)
class OutputConfig:
    """What `result.png` holds."""

    bits: int = one_of(8, 16)  # a channel
    alpha: bool = False  # keeps the content picture's transparency


@dataclass(frozen=True)
class CheckpointConfig:
    """How often a run saves where it is, so that `resume` can go on from there."""

    every: float | None = within(60.0, 0)  # seconds; 0: about every second; null: never


@dataclass(frozen=True)
class Config:
    """One run, whole."""

    preset: str = "default"  # the name of the preset that the other values came from
    content: PictureConfig = field(default_factory=PictureConfig)
    style: StyleConfig = field(default_factory=StyleConfig)
    size: int = within(512, 16, MAX_SIZE)
    seed: int = within(0, 0, 2**32 - 1)
    preview_every: int = within(0, 0, 10**6)  # steps; 0: no previews
    background: tuple[float, ...] = within((1.0, 1.0, 1.0), 0, 1)  # RGB behind what is transparent in a picture
    resume: bool = False  # go on where a stopped run in the same folder left off
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    sizing: SizingConfig = field(default_factory=SizingConfig)
    weights: WeightsConfig = field(default_factory=WeightsConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    init: InitConfig = field(default_factory=InitConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    output: OutputConfig = field(default_factory=OutputConfig)
