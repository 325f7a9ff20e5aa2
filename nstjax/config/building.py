"""From nested plain values to a checked configuration, or to a refusal of one line; and back."""

import dataclasses
import math
import types
from collections.abc import Mapping
from typing import Any, get_args, get_origin, get_type_hints

from nstjax.config.consistency import check_consistency
from nstjax.config.schema import Config
from nstjax.errors import UserError, shown


def from_dict(values: Mapping[str, Any]) -> Config:
    """Builds and checks a configuration from nested plain values, as YAML or a run's manifest holds them.

    Raises:
        UserError: a key that the schema doesn't have, a wrong type, a number out of range, an unknown name, or values
            that contradict each other.
    """
    config = _build(Config, values, "")
    check_consistency(config)
    return config


def to_dict(config: Config) -> dict[str, Any]:
    """The nested plain values that `from_dict` builds the same configuration from."""
    return dataclasses.asdict(config)


# Keys that say how a run is kept, not what it makes.
_KEEPING = ("resume", "checkpoint", "published", "returned", "output.metrics", "output.writers")


def settings(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Of a configuration's plain values those that say what is made, and none of how the run is kept."""
    return {
        key: settings(value, f"{prefix}{key}.") if isinstance(value, Mapping) else value
        for key, value in values.items()
        if prefix + key not in _KEEPING
    }


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
