"""From nested plain values to a checked configuration, or to a refusal of one line; and back."""

import dataclasses
import math
import types
from collections.abc import Mapping
from typing import Any, get_args, get_origin, get_type_hints

from nstjax.config.schema import LARGEST, Config, OptimizerConfig
from nstjax.errors import UserError, shown


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


_KEEPING = ("resume", "checkpoint")  # keys that say how a run is kept, not what it makes


def settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Of a configuration's plain values those that say what is made, and none of how the run is kept."""
    return {key: value for key, value in values.items() if key not in _KEEPING}


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values by one key each, as the command line has it: {"a": {"b": 1}} is {"a.b": 1}."""
    keys: dict[str, Any] = {}
    for key, value in values.items():
        keys |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return keys


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
    if get_origin(hint) is tuple and isinstance(value, str | int | float):
        value = [value]
    if get_origin(hint) is tuple and isinstance(value, list | tuple):
        return tuple(_convert(get_args(hint)[0], each, f"{key}[{i}]", metadata) for i, each in enumerate(value))
    if hint is float and type(value) is int:
        value = float(value) if abs(value) < _LARGEST else math.inf
    if type(value) is not hint:
        kind = get_origin(hint) or hint
        raise UserError(f"{key}={shown(value)} has the wrong type; it takes {_TYPE_NAMES[kind]}")
    _check_value(value, key, **metadata)
    return value


_LARGEST = 1e300  # of what Python can make a float
_TYPE_NAMES = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    tuple: "a list, as [a,b]",
    dict: "keys and values, as {memory: 50}",
}


def _check_value(value: Any, key: str, names: tuple[Any, ...] = (), range: tuple[float, float] | None = None) -> None:
    if names and value not in names:
        raise UserError(f"{key}={value} is not known; choose one of {', '.join(map(str, names))}")
    if range is None:
        return
    low, high = range
    if not low <= value <= high:  # nor does NaN get through
        raise UserError(f"{key}={value} is out of range; it takes a number from {low:g} to {high:g}")


def _check_consistency(config: Config) -> None:
    content, style, schedule = config.objective.content, config.objective.style, config.schedule
    _check_pictures(config)
    if len(config.background) != 3:
        raise UserError(f"background={list(config.background)} is no color; give its red, green and blue, as [1,1,1]")
    for key, weighted in (("content", content), ("style", style)):
        _check_lengths(
            f"objective.{key}.layers", weighted.layers, f"objective.{key}.layer_weights", weighted.layer_weights
        )
    for key, weighted, weight in (
        ("content", content, config.objective.content_weight),
        ("style", style, config.objective.style_weight),
    ):
        if weight * max(weighted.layer_weights, default=1) > LARGEST:
            raise UserError(
                f"objective.{key}_weight times objective.{key}.layer_weights is beyond {LARGEST:g}; give less"
            )
    if not (schedule.scales and schedule.steps):
        raise UserError("schedule.scales or schedule.steps is empty; give at least one scale, and its steps")
    if len(schedule.scales) != len(schedule.steps):
        raise UserError(
            f"schedule.steps has {len(schedule.steps)} entries for the {len(schedule.scales)} of schedule.scales; "
            "give one for each"
        )
    _check_lengths(
        "style and style.blend", (config.style.name, *config.style.blend), "style.shares", config.style.shares
    )
    if config.style.shares and sum(config.style.shares) == 0:
        raise UserError("style.shares are all zero; give at least one style a share")
    _check_lengths("objective.style.layers", style.layers, "objective.style.statistic", style.statistic)
    compared = list(zip(style.layers, style.statistics(), strict=True))
    for key, layers in (("content", content.layers), ("style", compared)):
        if len(set(layers)) < len(layers):
            raise UserError(
                f"objective.{key}.layers names a layer twice; name it once, and give it the sum of the weights"
            )
    if not (content.layers or style.layers):
        raise UserError("neither objective.content.layers nor objective.style.layers names a layer; name at least one")
    _check_optimizer(config.optimizer)


def _check_optimizer(optimizer: OptimizerConfig) -> None:
    if optimizer.clamp and optimizer.name == "lbfgs":
        raise UserError("optimizer.clamp=true would cut steps that lbfgs remembers whole; choose another optimizer")
    if optimizer.decay == "exponential" and optimizer.final == 0:
        raise UserError("optimizer.decay=exponential never reaches optimizer.final=0; give a share above 0, as 0.01")


def _check_pictures(config: Config) -> None:
    paths = {"content": config.content.path, "style": config.style.path, "init": config.init.path}
    for key, path in {**paths, "weights": config.weights.path}.items():
        if path == "":
            raise UserError(f"{key}.path is empty; give a file, or leave the key out")
    if config.init.kind == "picture" and not config.init.path:
        raise UserError("init=picture needs the picture's file: give init.path=FILE")


def _check_lengths(key: str, values: tuple[Any, ...], other_key: str, others: tuple[Any, ...]) -> None:
    if len(others) not in (0, 1, len(values)):
        raise UserError(
            f"{other_key} has {len(others)} entries for the {len(values)} of {key}; give one for each, or one for all"
        )
