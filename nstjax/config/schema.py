"""The schema: every key of a run, what it may be, and what it is when nobody says."""

from dataclasses import dataclass, field
from typing import Any

from nstjax.config.fields import MAX_SIZE, each, layers, one_of, some_of, within
from nstjax.config.objective import ObjectiveConfig


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
    padding: str = one_of("zero", "reflect", "replicate", "replicate_first")  # _first: conv1_1 only, zero elsewhere
    # What it is fed: as the weights were trained, or pixels from 0 to 255 less their mean color, whatever they were.
    preprocessing: str = one_of("own", "levels")


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
    """What `result.png` holds, and what else a run tells."""

    bits: int = one_of(8, 16)  # a channel
    alpha: bool = False  # keeps the content picture's transparency
    metrics: bool = True  # the picture's distances from both pictures, in the manifest: docs/metrics.md
    writers: tuple[str, ...] = some_of("tensorboard")  # who is told of losses and pictures while the run goes on


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
    published: str | None = one_of(None, "neckarfront")  # a log by somebody else, which the report has beside ours
    # The number of the manifest that a search, as hydra/sweeper=optuna, is for. Totals by different weights or
    # statistics can't be compared; metrics can.
    returned: str = "final.total"
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
