"""What Hydra calls when a sweep begins: the one moment at which a command's own process knows the sweep, and no job."""

import os
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from nstjax.train import command
from nstjax.train.outcome import Journal


class SweepBegins(Callback):
    """Tells the command where its runs will be, begins their journal, and shares the machine among processes."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        self._usual = dict(os.environ)
        for name, value in _shares(config).items():
            os.environ.setdefault(name, value)
        folder = Path(config.hydra.sweep.dir)
        command.begin_sweep(folder, config.hydra.runtime.choices.get("experiment"))
        Journal(folder).begin(_count(config))

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        for name in set(os.environ) - set(self._usual):
            del os.environ[name]


def register() -> None:
    """Makes the callback a choice of the configuration, in which no file names code."""
    node = {"sweep": {"_target_": f"{SweepBegins.__module__}.{SweepBegins.__name__}"}}
    ConfigStore.instance().store(group="hydra/callbacks", name="nstjax", node=node, provider="nstjax")


def _shares(config: DictConfig) -> dict[str, str]:
    """What joblib's processes are to inherit: a share of the cores each, and no more of a GPU's memory than is used."""
    launcher = config.hydra.launcher
    if not str(launcher.get("_target_")).endswith("JoblibLauncher"):
        return {}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = str(max(1, cores // launcher.n_jobs) if launcher.n_jobs > 0 else 1)
    return {"NPROC": threads, "OPENBLAS_NUM_THREADS": threads, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


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
