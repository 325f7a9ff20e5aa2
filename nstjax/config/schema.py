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


def within(default: float | tuple[float, ...] | None, low: float, high: float = LARGEST) -> Any:
    """A field whose numbers are from `low` to `high`."""
    return field(default=default, metadata={"range": (low, high)})


def names(default: str, *others: str) -> Any:
    """A field that holds some of a few names."""
    return field(default=(default,), metadata={"names": (default, *others)})


def each(values: tuple[Any, ...], count: int) -> tuple[Any, ...]:
    """The values of a list in which a single one stands for `count` of them."""
    return values * count if len(values) == 1 else values


def layers(*default: str) -> Any:
    """A field that holds names of VGG19's layers."""
    return field(default=default, metadata={"names": tuple(CHANNELS)})


@dataclass(frozen=True)
class PictureConfig:
    """A picture: the name of an asset, or a file, which wins."""

    name: str | None = None
    path: str | None = None


REST = "rest"  # the region that no other region is


@dataclass(frozen=True)
class FineConfig:
    """A picture whose fine strokes the style picture is painted in, before anything else."""

    picture: str | None = None  # asset or file
    layers: tuple[str, ...] = layers("relu1_1", "relu2_1")  # of objective.style.layers those that see strokes only
    content_weight: float = within(0.0, 0)  # of the style picture's own forms


@dataclass(frozen=True)
class ContentConfig(PictureConfig):
    """The photograph, and what of it stays."""

    keep: str | None = None  # a mask, of any size and the photograph's shape: white stays, black is painted


@dataclass(frozen=True)
class StyleConfig(PictureConfig):
    """The style picture, and further ones. Each list is of the style and each of `blend`; a single value is for all."""

    blend: tuple[str, ...] = ()  # assets or files
    shares: tuple[float, ...] = within((), 0)  # of the style's weight; empty: 1 each
    normalize_shares: bool = True  # made to sum to 1
    combine: str = one_of("statistics", "losses")  # in a region: one target, their mean; or one each, the losses summed
    scale: tuple[float, ...] = within((1.0,), 0.01, 100)  # of its size: strokes grow with it
    size: int | None = within(None, 16, MAX_SIZE)  # pixels, at all of schedule.scales; null: what the content's came to
    layers: tuple[tuple[str, ...], ...] = layers()  # those of objective.style.layers that look at it; empty: all
    mask: tuple[str | None, ...] = ()  # gray pictures, white where the painting counts; null: all of it
    # Gray pictures, white where in the photograph the style goes; rest: where no other one does; null: everywhere.
    region: tuple[str | None, ...] = ()
    # A position of a layer is of a mask in part; if it sees nothing but the mask; or if it sees anything of the mask.
    propagation: str = one_of("simple", "inside", "all")
    extend: int = within(0, -64, 64)  # positions by which masks then grow at every layer, or, below 0, shrink
    fine: FineConfig = field(default_factory=FineConfig)

    @property
    def count(self) -> int:
        """How many styles there are."""
        return 1 + len(self.blend)

    def layers_of(self, number: int, compared: tuple[str, ...]) -> tuple[str, ...]:
        """Of the layers that are compared, those at which a style is."""
        return each(self.layers or ((),), self.count)[number] or compared


@dataclass(frozen=True)
class SizingConfig:
    """What `size` measures, and how pictures are resized to it."""

    edge: str = one_of("long", "short", "area")  # area: the picture gets size * size pixels
    # The style's long or short edge, or its area, is made what the content's came to; own: that which `edge` says;
    # content: the style is stretched to the content's height and width.
    style: str = one_of("own", "content", "long", "short", "area")
    enlarge_style: bool = True  # beyond its file
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
    padding: str = one_of("zero", "reflect", "replicate")


@dataclass(frozen=True)
class LayersConfig:
    """Layers of VGG19, the weight of each (none given: 1), and how squared differences are reduced."""

    layers: tuple[str, ...] = layers()
    layer_weights: tuple[float, ...] = within((), 0)
    reduction: str = one_of("mean", "sum", "half_sum", "quarter_mean")

    def weighted_layers(self) -> Iterable[tuple[str, float]]:
        return zip(self.layers, each(self.layer_weights or (1.0,), len(self.layers)), strict=True)


@dataclass(frozen=True)
class StyleTermsConfig(LayersConfig):
    """Style layers, the statistic compared in each, and what these are computed with (`reduction`: of moments only)."""

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

    form: str = one_of("half_sum_of_squares", "mean_of_squares", "sum_of_magnitudes", "mean_of_magnitudes")
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
    content: LayersConfig = field(default_factory=LayersConfig)
    style: StyleTermsConfig = field(default_factory=StyleTermsConfig)
    tv: TotalVariationConfig = field(default_factory=TotalVariationConfig)
    laplacian: LaplacianConfig = field(default_factory=LaplacianConfig)


@dataclass(frozen=True)
class ColorConfig:
    """Whose colors the result has: what the transfer makes of both pictures' (`none`), or the content picture's.

    luminance: only luminance is transferred; the content's chroma is put back. original: everything is transferred, and
    then the content's chroma is put back. match, histogram: the styles get the content's colors before the transfer.
    """

    kind: str = one_of("none", "luminance", "original", "match", "histogram")
    space: str = one_of("yuv", "lab", "oklab")  # in which luminance and chroma are parted
    map: str = one_of("pca", "cholesky", "monge_kantorovich")  # of `kind: match`


@dataclass(frozen=True)
class InitConfig:
    """Where the optimisation starts."""

    kind: str = one_of("content", "style", "noise", "mixed", "statistics", "picture")
    path: str | None = None  # of the picture that `kind: picture` starts from
    distribution: str = one_of("normal", "uniform")
    amplitude: float = within(0.0, 0)  # of the noise, pixels from 0 to 1: standard deviation, or half width if uniform
    noise_share: float = within(1.0, 0, 1)  # of `kind: mixed`; the rest is the content picture


@dataclass(frozen=True)
class ParametrizationConfig:
    """The numbers that the optimizer moves, of which the image is made."""

    name: str = one_of("pixels", "laplacian", "fourier")
    levels: int = within(5, 1, 16)  # of `laplacian`: halvings of the picture
    decay: float = within(1.0, 0, 4)  # of `fourier`: amplitudes fall with frequency to this power


@dataclass(frozen=True)
class OptimizerConfig:
    """An optimizer by name; learning rates are for pixels from 0 to 1, or for what `parametrization` makes of them."""

    name: str = one_of(
        "lbfgs", "adabelief", "adam", "adamw", "amsgrad", "lion", "nadam", "radam", "rmsprop", "sgd", "yogi"
    )
    learning_rate: float = within(1.0, 0)
    decay: str = one_of("constant", "linear", "cosine", "exponential")
    final: float = within(1.0, 0, 1)  # what decay leaves of the learning rate at the end of each scale, as a share
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
    content: ContentConfig = field(default_factory=ContentConfig)
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
    color: ColorConfig = field(default_factory=ColorConfig)
    init: InitConfig = field(default_factory=InitConfig)
    parametrization: ParametrizationConfig = field(default_factory=ParametrizationConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    output: OutputConfig = field(default_factory=OutputConfig)
