"""The schema of a run: frozen dataclasses that say of every value what it may be. No JAX, no Hydra.

The values of presets are in `configs/`. What a name like `lbfgs` stands for is in the registry of its own room; a test
keeps the names here and there equal.
"""

import dataclasses
import math
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args, get_origin, get_type_hints

from nstjax.errors import UserError
from nstjax.layers import CHANNELS


def one_of(default: str, *others: str) -> Any:
    """A field that holds one of a few names."""
    return field(default=default, metadata={"names": (default, *others)})


def within(default: float | tuple[float, ...], low: float, high: float = math.inf) -> Any:
    """A field whose numbers are finite and from `low` to `high`."""
    return field(default=default, metadata={"range": (low, high)})


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
    shares: tuple[float, ...] = within((), 0)  # of the style and each further one; made to sum to 1; empty: equal


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
    padding: str = one_of("zero", "reflect", "replicate")


@dataclass(frozen=True)
class LayersConfig:
    """Layers of VGG19, the weight of each (none given: 1 each), and how squared differences are reduced."""

    layers: tuple[str, ...] = layers()
    layer_weights: tuple[float, ...] = within((), 0)
    reduction: str = one_of("mean", "sum", "half_sum", "quarter_mean")

    def weighted_layers(self) -> Iterable[tuple[str, float]]:
        return zip(self.layers, self.layer_weights or (1.0,) * len(self.layers), strict=True)


@dataclass(frozen=True)
class GramConfig(LayersConfig):
    """Style layers, and how their Gram matrices are normalised: by M positions, by C M elements, or not."""

    normalization: str = one_of("per_position", "per_element", "none")
    layer_scaling: str = one_of("equal", "inverse_square")  # inverse_square: 1 / C^2


@dataclass(frozen=True)
class TotalVariationConfig:
    """The form of total variation, on pixels counted from 0 to `pixel_range`."""

    form: str = one_of("half_sum_of_squares", "mean_of_squares", "sum_of_magnitudes", "mean_of_magnitudes")
    pixel_range: float = within(1.0, 0)


@dataclass(frozen=True)
class ObjectiveConfig:
    """content_weight (alpha), style_weight (beta) and tv_weight, and what each of them weighs."""

    content_weight: float = within(1.0, 0)
    style_weight: float = within(1.0, 0)
    tv_weight: float = within(0.0, 0)
    content: LayersConfig = field(default_factory=LayersConfig)
    style: GramConfig = field(default_factory=GramConfig)
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
    average: float = within(0.0, 0, 0.99999)  # EMA of the iterates; 0: none, the best iterate is the result
    parameters: dict[str, Any] = field(default_factory=dict)  # the optimizer's own, under their Python names


@dataclass(frozen=True)
class ScheduleConfig:
    """One scale or several, coarse to fine: each a share of the final size, with its number of steps."""

    scales: tuple[float, ...] = within((1.0,), 0.01, 1)
    steps: tuple[int, ...] = within((500,), 0)


@dataclass(frozen=True)
class Config:
    """One run, whole."""

    preset: str = "default"  # the name of the preset that the other values came from
    content: PictureConfig = field(default_factory=PictureConfig)
    style: StyleConfig = field(default_factory=StyleConfig)
    size: int = within(512, 16, 65536)
    seed: int = within(0, 0, 2**32 - 1)
    preview_every: int = within(0, 0)  # steps; 0: no previews
    precision: str = one_of("highest", "high", "default")  # of convolutions, on devices that have a choice
    sizing: SizingConfig = field(default_factory=SizingConfig)
    weights: WeightsConfig = field(default_factory=WeightsConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    init: InitConfig = field(default_factory=InitConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)


def from_dict(values: Mapping[str, Any]) -> Config:
    """Builds and checks a configuration from nested plain values, as YAML or a run's manifest holds them.

    Raises:
        UserError: a key that the schema doesn't have, a wrong type, a number out of range, an unknown name, or values
            that contradict each other.
    """
    config = _build(Config, values, "")
    _check_consistency(config)
    return config


def to_dict(config: Config) -> dict[str, Any]:
    """The nested plain values that `from_dict` builds the same configuration from."""
    return dataclasses.asdict(config)


def _build(schema: Any, values: Any, key: str) -> Any:
    if not isinstance(values, Mapping):
        raise UserError(
            f"{key} is a group of keys ({', '.join(_fields(schema))}); give one of them, as {key}.KEY=VALUE"
        )
    if unknown := sorted(set(values) - set(_fields(schema))):
        where = f"in {key} " if key else ""
        raise UserError(f"unknown key {unknown[0]!r}; the keys {where}are {', '.join(_fields(schema))}")
    prefix = f"{key}." if key else ""
    hints = get_type_hints(schema)
    return schema(
        **{
            name: _convert(hints[name], value, prefix + name, _fields(schema)[name].metadata)
            for name, value in values.items()
        }
    )


def _fields(schema: Any) -> dict[str, dataclasses.Field[Any]]:
    return {each.name: each for each in dataclasses.fields(schema)}


def _convert(hint: Any, value: Any, key: str, metadata: Mapping[str, Any]) -> Any:
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, key)
    if get_origin(hint) is types.UnionType:
        return None if value is None else _convert(get_args(hint)[0], value, key, metadata)
    if get_origin(hint) is dict and isinstance(value, Mapping):
        return dict(value)
    if get_origin(hint) is tuple and isinstance(value, list | tuple):
        return tuple(_convert(get_args(hint)[0], each, key, metadata) for each in value)
    if hint is float and type(value) is int:
        value = float(value)
    if type(value) is not hint:
        raise UserError(f"{key}={value!r} has the wrong type; it takes {_TYPE_NAMES.get(hint, 'a list, as [a,b]')}")
    _check_value(value, key, **metadata)
    return value


_TYPE_NAMES = {str: "text", int: "a whole number", float: "a number"}


def _check_value(value: Any, key: str, names: tuple[str, ...] = (), range: tuple[float, float] | None = None) -> None:
    if names and value not in names:
        raise UserError(f"{key}={value} is not known; choose one of {', '.join(names)}")
    if range is None:
        return
    low, high = range
    if not (math.isfinite(value) and low <= value <= high):
        bounds = f"from {low:g} to {high:g}" if math.isfinite(high) else f"of at least {low:g}"
        raise UserError(f"{key}={value} is out of range; it takes a number {bounds}")


def _check_consistency(config: Config) -> None:
    content, style, schedule = config.objective.content, config.objective.style, config.schedule
    for key, weighted in (("content", content), ("style", style)):
        _check_lengths(
            f"objective.{key}.layers", weighted.layers, f"objective.{key}.layer_weights", weighted.layer_weights
        )
    _check_lengths("schedule.scales", schedule.scales, "schedule.steps", schedule.steps)
    _check_lengths(
        "style and style.blend", (config.style.name, *config.style.blend), "style.shares", config.style.shares
    )
    if config.style.shares and sum(config.style.shares) == 0:
        raise UserError("style.shares are all zero; give at least one style a share")
    if not (content.layers or style.layers):
        raise UserError("neither objective.content.layers nor objective.style.layers names a layer; name at least one")
    if config.init.kind == "picture" and not config.init.path:
        raise UserError("init=picture needs the picture's file: give init.path=FILE")


def _check_lengths(key: str, values: tuple[Any, ...], other_key: str, others: tuple[Any, ...]) -> None:
    if others and len(values) != len(others):
        raise UserError(f"{other_key} has {len(others)} entries for the {len(values)} of {key}; give one for each")
