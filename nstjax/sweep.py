"""`sweep([...])`: the sweep of a command line, for notebooks; what it returns shows itself."""

from collections.abc import Sequence
from pathlib import Path

from nstjax.cli import quote
from nstjax.errors import UserError
from nstjax.report import Report, report
from nstjax.train import execute


def sweep(overrides: Sequence[str], folder: Path | str | None = None) -> Report:
    """Runs every combination, as `python -m nstjax.train -m ...` does, and reports on them.

        sweep(["style=starry,great_wave", "objective.style_weight=1e2,1e3", "size=128"])

    A job that fails is in the report with its reason; the others are not affected.

    Args:
        overrides: `KEY=VALUE,VALUE` in Hydra's grammar; a launcher too, as "hydra/launcher=joblib".
        folder: for the runs, a folder in it for each; None: one by the time, in `outputs/`.

    Raises:
        UserError: no run has begun; why was said on standard error.
        KeyboardInterrupt: after an interruption; what has been done is in the folder.
    """
    given = [f"hydra.sweep.dir={quote(str(folder))}"] if folder else []
    outcome = execute(["-m", *overrides, *given])
    if outcome.code >= 128:
        raise KeyboardInterrupt
    if outcome.sweep is None or not outcome.folders:
        raise UserError("no run of the sweep has begun; the lines before this one say why")
    return report(outcome.sweep)
