"""`python -m nstjax.report DIR`: the page, the picture sheet, the curves and the table of a folder of runs."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from nstjax.errors import UserError
from nstjax.report import report


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line; returns the exit code, 2 for what the user can mend, 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        print(report(options.folder).page)
    except UserError as error:
        print(f"nstjax.report: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("nstjax.report: interrupted", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m nstjax.report",
        description="Show all runs in a folder and below: report.html (pictures, losses, settings; one file that needs "
        "nothing else), sheet.png, curves.png, table.csv and table.md are written into the folder.",
        epilog="Runs may be going on. Exit code 2: a mistake, said in one line.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="a sweep's folder, a run's, or any above them")
    return parser


if __name__ == "__main__":
    sys.exit(main())
