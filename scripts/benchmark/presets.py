"""A preset's configuration as `python -m nstjax.train preset=NAME` composes it, without Hydra."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from nstjax.config import Config, from_dict

_CONFIGS = Path(__file__).resolve().parents[2] / "configs"


class _Loader(yaml.SafeLoader):
    """Reads 1e3 as a number, as YAML 1.2 has it and Hydra does."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9.]+[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def config(preset: str, changes: Mapping[str, Any] | None = None) -> Config:
    """The preset, with changes by dotted key or by group: {"size": 256, "content.path": "me.jpg", "init": "noise"}."""
    changes = changes or {}
    body = _read(f"preset/{preset}")
    groups = {**_groups(_read("config")["defaults"]), **_groups(body.pop("defaults", []), "override /")}
    groups.pop("preset")
    groups |= {key: changes[key] for key in groups if key in changes}
    values: dict[str, Any] = {group: _read(f"{group}/{choice}") for group, choice in groups.items()}
    _merge(values, body)
    for key, value in changes.items():
        if key in groups:
            continue
        for part in reversed(key.split(".")):
            value = {part: value}
        _merge(values, value)
    return from_dict(values)


def _groups(defaults: list[Any], prefix: str = "") -> dict[str, str]:
    pairs = [pair for each in defaults if isinstance(each, dict) for pair in each.items()]
    chosen = [(key.removeprefix(prefix), choice) for key, choice in pairs if key.startswith(prefix)]
    return {key: choice for key, choice in chosen if choice is not None and not key.startswith("override")}


def _read(name: str) -> dict[str, Any]:
    text = (_CONFIGS / f"{name}.yaml").read_text(encoding="utf-8")
    return yaml.load(text, _Loader) or {}


def _merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, dict):
            _merge(into.setdefault(key, {}), value)
        else:
            into[key] = value
