"""What Hydra calls when a sweep begins: the one moment at which a command's own process knows the sweep, and no job."""

from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from nstjax.train import command
from nstjax.train.outcome import Journal


class SweepBegins(Callback):
    """Tells the command where its runs will be, and begins their journal."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        folder = Path(config.hydra.sweep.dir)
        command.begin_sweep(folder, config.hydra.runtime.choices.get("experiment"))
        Journal(folder).begin(_count(config))


def _count(config: DictConfig) -> int | None:
    """How many jobs a grid has; None for other sweepers, which decide as they go, and for what they can't count."""
    sweeper = OmegaConf.to_container(config.hydra.sweeper)
    if not isinstance(sweeper, dict) or not str(sweeper["_target_"]).endswith("BasicSweeper"):
        return None
    given = [f"{key}={value}" for key, value in (sweeper["params"] or {}).items()]
    parsed = OverridesParser.create().parse_overrides([*given, *config.hydra.overrides.task])
    if any(isinstance(each.value(), Glob) for each in parsed):
        return None
    return len(BasicSweeper.split_arguments(parsed, None)[0])
