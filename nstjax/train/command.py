"""What a command line does: one job, or with `-m` a sweep of them, and the exit code that it has come to."""

import json
import logging
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from nstjax.config import Config, settings, to_dict
from nstjax.errors import Interrupted, UserError
from nstjax.train.composing import VERSION_BASE, checked, config_dir, hydra_errors

log = logging.getLogger("nstjax.train")


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
        with hydra_errors():
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


@hydra.main(config_path=config_dir(), config_name="config", **VERSION_BASE)
def _hydra_main(composed: DictConfig) -> None:
    """One job. What goes wrong is kept from Hydra, which would add lines, and end a sweep at its first failure."""
    job = HydraConfig.get()
    sweeping = job.mode == RunMode.MULTIRUN
    folder = Path(job.runtime.output_dir)
    _outcome.sweep = Path(job.sweep.dir) if sweeping else None
    name = f"nstjax.train: job {job.job.num}:" if sweeping else "nstjax.train:"
    config = None
    try:
        with hydra_errors():
            config = checked(composed)
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
