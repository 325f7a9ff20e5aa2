"""What a command line does: one job, or with `-m` a sweep of them, and the exit code that it has come to."""

import json
import logging
import math
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from nstjax.config import Config, flat, settings, to_dict
from nstjax.errors import Interrupted, UserError
from nstjax.train.composing import VERSION_BASE, checked, config_dir, hydra_errors
from nstjax.train.outcome import Job, Journal, Outcome

log = logging.getLogger("nstjax.train")


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
    except Exception as error:
        if type(error).__name__ not in _LOST_WORKERS:
            raise
        _outcome.code = 1  # what was lost is counted below
    except KeyboardInterrupt as error:
        print("nstjax.train: interrupted", file=sys.stderr)
        _outcome.code, picture = (error.code, error.picture) if isinstance(error, Interrupted) else (130, None)
        _outcome.result = picture
    finally:
        sys.argv, logging.raiseExceptions = usual, noisy
    if _outcome.sweep:
        _collect(_outcome, Journal(_outcome.sweep))
    _print_overview(_outcome)
    return _outcome


_LOST_WORKERS = ("TerminatedWorkerError", "BrokenProcessPool", "UncompletedJobError", "WorkerCrashedError")

_outcome = Outcome()  # of the command line that is running: Hydra keeps what a job returns to itself


def begin_sweep(folder: Path, experiment: str | None) -> None:
    """Tells the command line that is running that it is a sweep, before the first of its jobs."""
    _outcome.sweep, _outcome.experiment = folder, experiment


@hydra.main(config_path=config_dir(), config_name="config", **VERSION_BASE)
def _hydra_main(composed: DictConfig) -> float:
    return job(composed)


def job(composed: DictConfig, run: Callable[[Config, Path], Path] | None = None) -> float:
    """Runs one job, or says what has come of it where `run` knows already.

    What goes wrong is kept from Hydra, which would add lines, and end a sweep at its first failure.

    Returns:
        What a sweeper that searches is to minimize or maximize: the number that `returned` names; after a failure the
        worst there is.
    """
    hydra_config = HydraConfig.get()
    folder = Path(hydra_config.runtime.output_dir)
    if hydra_config.mode != RunMode.MULTIRUN:
        _outcome.experiment = hydra_config.runtime.choices.get("experiment")
        return _run(composed, folder, run, "nstjax.train:", _outcome.add)
    journal, number = Journal(Path(hydra_config.sweep.dir)), hydra_config.job.num
    if run is None:
        log.info(journal.progress(number))
    found = _run(composed, folder, run, f"nstjax.train: job {number}:", journal.add)
    worst = -math.inf if "maximize" in str(hydra_config.sweeper.get("direction")) else math.inf
    return worst if math.isnan(found) else found


def _run(
    composed: DictConfig,
    folder: Path,
    run: Callable[[Config, Path], Path] | None,
    name: str,
    report: Callable[[Job], None],
) -> float:
    config, code, result = None, 1, None
    try:
        with hydra_errors():
            config = checked(composed)
        result = (run or _load_run())(config, folder)
        print(result)
        number = returned(config, folder)
        code = 0
        return number
    except UserError as error:
        log.error("%s %s", name, error)
        code = 2
    except Exception as error:
        log.debug("%s", name, exc_info=True)  # to log.txt only
        log.error("%s %s; its traceback is in %s/log.txt", name, _named(error), folder)
    except KeyboardInterrupt as error:
        code = error.code if isinstance(error, Interrupted) else 130
        raise
    finally:
        report(Job(folder, code, result, bool(config and _begun(config, folder))))
    return math.nan


def _load_run() -> Callable[[Config, Path], Path]:
    """Here, because JAX takes a second to import, and a mistyped key needs none of it."""
    from nstjax.run import repeatable, run

    repeatable()
    return run


def returned(config: Config, folder: Path) -> float:
    """The number of a finished run's manifest that `config.returned` names, as `final.total`.

    Raises:
        UserError: there is none of that name; it lists those that there are.
    """
    from nstjax.outputs import read_manifest

    numbers = {
        key: float(value)
        for key, value in flat(read_manifest(folder) or {}).items()
        if isinstance(value, int | float) and not key.startswith("config.")
    }
    if config.returned in numbers:
        return numbers[config.returned]
    raise UserError(f"returned={config.returned} is no number of a manifest; choose one of {', '.join(numbers)}")


def _collect(outcome: Outcome, journal: Journal) -> None:
    """Adds up what the jobs have come to, wherever they ran; those without a word were killed."""
    jobs = journal.jobs()
    for job in jobs:
        outcome.add(job)
    missing = (journal.expected() or len(jobs)) - len(jobs)
    if missing and (outcome.code == 1 or jobs) and outcome.code < 128:
        print(
            f"nstjax.train: {missing} of {journal.expected()} jobs were killed or never began; the same command with "
            f"hydra.sweep.dir={outcome.sweep} resume=true does what is left", file=sys.stderr,
        )  # fmt: skip
        outcome.code = 1


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


def _print_overview(outcome: Outcome) -> None:
    """Where a sweep's contact sheet is, or an experiment's whole report, which it makes first."""
    if not (outcome.sweep or outcome.experiment):
        return
    from nstjax.report import contact_sheet, report

    try:
        if outcome.experiment and outcome.folders:
            print(report(outcome.sweep or outcome.folders[0]).page)
        elif outcome.sweep and (sheet := contact_sheet(outcome.sweep, outcome.folders)):
            print(sheet)
    except UserError as error:
        print(f"nstjax.train: {error}", file=sys.stderr)
        outcome.code = outcome.code or 2
