"""`python -m nstjax.train KEY=VALUE ...`: the Hydra door to one run, or with `-m` to a sweep.

"train" is the command that this field uses, though nothing is trained: the image is what gets optimised.
"""

import json
import logging
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nstjax.config import Config, from_dict, settings, to_dict
from nstjax.errors import Interrupted, UserError

log = logging.getLogger(__name__)

# Hydra 1.4 has no compatibility levels left, and warns when it is given one.
_VERSION_BASE = {"version_base": "1.3"} if hydra.__version__.startswith("1.3") else {}


def config_dir() -> str:
    """The folder of YAML files: inside an installed package, beside it in a checkout."""
    package = Path(__file__).resolve().parent
    return str(next(folder for folder in (package / "configs", package.parent / "configs") if folder.is_dir()))


def compose(overrides: Sequence[str] = ()) -> Config:
    """The configuration of a command line, for notebooks and scripts: `compose(["style=starry", "size=256"])`.

    Raises:
        UserError: as the command would refuse it.
    """
    with _hydra_errors(), hydra.initialize_config_dir(config_dir(), **_VERSION_BASE):
        return _checked(hydra.compose("config", overrides=list(overrides)))


@dataclass
class Outcome:
    """What a command line has come to.

    Attributes:
        code: 0: done. 2: a mistake of the user's, which was said in one line. 1: something else went wrong; the run's
            log.txt has the traceback. 130, 143: interrupted by Ctrl-C, by SIGTERM.
        result: the last picture that was made.
        sweep: the folder of all runs, if there were several.
        folders: of the runs that have begun.
    """

    code: int = 0
    result: Path | None = None
    sweep: Path | None = None
    folders: list[Path] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line (by default the program's own), and returns its exit code: see `Outcome`."""
    return execute(sys.argv[1:] if arguments is None else arguments).code


def execute(arguments: Sequence[str]) -> Outcome:
    """Runs one command line, says in one line what is wrong with it, and prints where its pictures are."""
    global _outcome
    _outcome = Outcome()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # so that errors come to us, and not to Hydra's printer of many lines
    usual, sys.argv = sys.argv, [sys.argv[0], *arguments]
    noisy, logging.raiseExceptions = logging.raiseExceptions, False  # a log on a full disk; the run itself will say so
    try:
        with _hydra_errors():
            _check_groups(arguments)
            _hydra_main()
    except UserError as error:
        print(f"nstjax.train: {error}", file=sys.stderr)
        _outcome.code = 2
    except KeyboardInterrupt as error:
        print("nstjax.train: interrupted", file=sys.stderr)
        _outcome.code, picture = (error.code, error.picture) if isinstance(error, Interrupted) else (130, None)
        _outcome.result = picture
    finally:
        sys.argv, logging.raiseExceptions = usual, noisy
    _print_contact_sheet(_outcome)
    return _outcome


_outcome = Outcome()  # of the command line that is running: Hydra keeps what a job returns to itself


@hydra.main(config_path=config_dir(), config_name="config", **_VERSION_BASE)
def _hydra_main(composed: DictConfig) -> None:
    """One job. What goes wrong is kept from Hydra, which would add lines, and end a sweep at its first failure."""
    job = HydraConfig.get()
    sweeping = job.mode == RunMode.MULTIRUN
    folder = Path(job.runtime.output_dir)
    _outcome.sweep = Path(job.sweep.dir) if sweeping else None
    name = f"nstjax.train: job {job.job.num}:" if sweeping else "nstjax.train:"
    config = None
    try:
        with _hydra_errors():
            config = _checked(composed)
        # Here, because JAX takes a second to import, and a mistyped key needs none of it.
        from nstjax.run import repeatable, run

        repeatable()
        _outcome.result = run(config, folder)
        print(_outcome.result)
    except UserError as error:
        log.error("%s %s", name, error)
        _outcome.code = _outcome.code or 2
    except Exception as error:
        log.debug("%s", name, exc_info=True)  # to log.txt only
        log.error("%s %s; its traceback is in %s/log.txt", name, _named(error), folder)
        _outcome.code = 1
    finally:
        if config and _begun(config, folder):
            _outcome.folders.append(folder)


def _begun(config: Config, folder: Path) -> bool:
    """Whether the folder has this run, and not only what another one has left there: it may have been refused."""
    from nstjax.outputs import read_manifest

    manifest = read_manifest(folder)
    return manifest is not None and settings(manifest["config"]) == settings(json.loads(json.dumps(to_dict(config))))


def _check_groups(arguments: Sequence[str]) -> None:
    """Refuses `style=../x`, for which Hydra would read a file from anywhere, and take settings of its own out of it."""
    for argument in arguments:
        key, _, choice = argument.lstrip("+").partition("=")
        if Path(config_dir(), key.partition("@")[0]).is_dir() and key and re.search(r"[/\\]|\.\.", choice):
            raise UserError(
                f"{argument!r} is not the name of a file in configs/{key}; give a picture as {key}.path=FILE"
            )


def _named(error: Exception) -> str:
    return ": ".join([type(error).__name__, *str(error).splitlines()[:1]])


def _print_contact_sheet(outcome: Outcome) -> None:
    if outcome.sweep is None:
        return
    from nstjax.report import contact_sheet

    try:
        if sheet := contact_sheet(outcome.sweep, outcome.folders):
            print(sheet)
    except UserError as error:
        print(f"nstjax.train: {error}", file=sys.stderr)
        outcome.code = outcome.code or 2


def _checked(composed: DictConfig) -> Config:
    return from_dict(cast(dict[str, Any], OmegaConf.to_container(composed, resolve=True)))


@contextmanager
def _hydra_errors() -> Iterator[None]:
    try:
        yield
    except OverrideParseException as error:
        raise UserError(_unreadable(error.override)) from error
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(_one_line(str(error))) from error
    except OSError as error:
        where = error.filename or "the run's folder"
        raise UserError(f"cannot write to {where}: {error.strerror}; choose another hydra.run.dir") from error
    except ValueError as error:
        if "Config group override must be" not in str(error):
            raise
        raise UserError("a group of configs can't be null; choose one of its files, as style=starry") from error


def _unreadable(override: str) -> str:
    if "=" not in override:
        return f"{override!r} is not a setting; write KEY=VALUE"
    text = f"can't read the setting {override!r}; put quotes within quotes around special characters"
    return f"{text}, as in 'content.path=\"photo (1).jpg\"', or use the command nstjax"


def _one_line(text: str) -> str:
    if unknown := re.search(r"Could not override '([^']+)'", text):
        return f"unknown key {unknown[1]!r}; `python -m nstjax.train --cfg job` shows all keys"
    text = text.partition("Config search path:")[0].partition("See https")[0]
    if missing := re.search(r"Could not find '(\w+)/([^']*)'\s+Available options in '[^']+':\s+(.*)", text, re.DOTALL):
        group, name, known = missing.groups()
        return f"{group}={name} is not known; choose one of {', '.join(known.split())}"
    return " ".join(text.split())


_schema = OmegaConf.create(to_dict(Config()))
OmegaConf.set_struct(_schema.optimizer.parameters, False)  # any key, without Hydra's `+`: `optimizers` knows which
ConfigStore.instance().store(name="schema", node=_schema)

if __name__ == "__main__":
    sys.exit(main())
