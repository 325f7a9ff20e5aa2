"""`nstjax photo.jpg painting.jpg -o out.png`: the same run as `nstjax.train`, for file names of any kind.

Hydra's grammar refuses a file name like `photo (1).jpg`; here names are quoted for it.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from nstjax import __version__
from nstjax.errors import UserError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line (by default the program's own), and returns its exit code: see `nstjax.train.main`."""
    options = _parser().parse_args(arguments)
    folder = options.output.with_suffix(f".{datetime.now():%Y%m%d-%H%M%S}")
    try:
        _check_output(options.output, (options.content, options.style))
    except UserError as error:
        print(f"nstjax: {error}", file=sys.stderr)
        return 2
    return 0
