"""`hydra/launcher=vmap`: jobs of a sweep that differ in numbers only, in one compiled program (`run.together`)."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import NamedTuple, cast

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.conf import HydraConf
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, configure_log
from omegaconf import DictConfig

from nstjax.config import Config
from nstjax.errors import UserError
from nstjax.train import command
from nstjax.train.composing import checked


class _Begun(NamedTuple):
    """A job whose folder and log are there, before it runs: what Hydra has composed for it, and for itself."""

    composed: DictConfig
    hydra: DictConfig

    @contextmanager
    def entered(self) -> Iterator[None]:
        """What is logged is this job's."""
        HydraConfig.instance().cfg = cast(HydraConf, self.hydra)  # `set_config` would forget what `${now:}` said
        configure_log(self.hydra.hydra.job_logging, self.hydra.hydra.verbose)
        try:
            yield
        finally:
            configure_log(self.hydra.hydra.hydra_logging, self.hydra.hydra.verbose)


class VmapLauncher(BasicLauncher):
    """Hydra's own launcher, which makes every job's folder and then runs them together instead of one by one.

    Args:
        lanes: how many are vectorised; with 1 each takes the way that it takes alone, to the bit.
    """

    __module__ = "hydra_plugins.nstjax"

    def __init__(self, lanes: int) -> None:
        super().__init__()
        self._lanes = lanes
        self._jobs: list[_Begun] = []

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        self._jobs, self.task_function = [], self._begin
        returns = super().launch(job_overrides, initial_job_idx)
        for job, result in zip(returns, self._run(), strict=True):
            job.return_value = result
        return returns

    def _begin(self, composed: DictConfig) -> None:
        self._jobs.append(_Begun(composed, cast(DictConfig, HydraConfig.instance().cfg)))

    def _run(self) -> list[float]:
        """Runs the jobs that have begun, and says of each what it came to: the number for a sweeper that searches."""
        from nstjax.run import repeatable
        from nstjax.run.together import Ended, run_together

        repeatable()
        sound = [number for number, job in enumerate(self._jobs) if _config(job.composed)]
        pairs = [(_config(self._jobs[number].composed) or Config(), _folder(self._jobs[number])) for number in sound]
        ended = run_together(pairs, lanes=self._lanes, entered=lambda k: self._jobs[sound[k]].entered())
        by_job: dict[int, Ended] = dict(zip(sound, ended, strict=True))
        numbers, stopped = [], None
        for number, job in enumerate(self._jobs):
            try:
                with job.entered():
                    numbers.append(command.job(job.composed, by_job[number].picture if number in by_job else None))
            except KeyboardInterrupt as error:
                stopped = error
        if stopped:
            raise stopped
        return numbers


def _config(composed: DictConfig) -> Config | None:
    try:
        return checked(composed)
    except UserError:
        return None  # `command.job` will say why


def _folder(job: _Begun) -> Path:
    return Path(job.hydra.hydra.runtime.output_dir)


def register() -> None:
    """Makes the launcher known to Hydra, which takes, and looks up, plugins in a package of its own name only."""
    package, module = _hydra_plugins(), ModuleType(VmapLauncher.__module__)
    module.VmapLauncher = VmapLauncher  # type: ignore[attr-defined]
    package.nstjax = sys.modules[module.__name__] = module  # type: ignore[attr-defined]
    Plugins.instance().register(VmapLauncher)
    node = {"_target_": f"{VmapLauncher.__module__}.{VmapLauncher.__name__}", "lanes": 1}
    ConfigStore.instance().store(group="hydra/launcher", name="vmap", node=node, provider="nstjax")


def _hydra_plugins() -> ModuleType:
    """The package, which is there if any other plugin is installed."""
    with suppress(ImportError):
        import hydra_plugins  # type: ignore[import-untyped]

        return cast(ModuleType, hydra_plugins)
    package = sys.modules["hydra_plugins"] = ModuleType("hydra_plugins")
    package.__path__ = []
    return package
