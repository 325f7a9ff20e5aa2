"""`nstjax photo.jpg painting.jpg -o out.png`: the same run as `nstjax.train`, for file names of any kind.

Hydra's grammar refuses a file name like `photo (1).jpg`; here names are quoted for it.
"""

import argparse
import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from nstjax import __version__, assets, files, images
from nstjax.errors import UserError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line (by default the program's own), and returns its exit code: see `nstjax.train.main`."""
    options = _parser().parse_intermixed_args(arguments)
    try:
        overrides = [_override("content", options.content), _override("style", options.style), *options.overrides]
        _check_overrides(options.overrides)
        from nstjax import train  # here, so that `nstjax --help` answers at once

        output = train.compose(overrides).output
        _check_output(options.output, (options.content, options.style), output.bits, output.alpha)
        outcome = train.execute(overrides)
        if outcome.result:
            _deliver(outcome.result, options.output)
            print(options.output)
        return outcome.code
    except UserError as error:
        print(f"nstjax: {error}", file=sys.stderr)
        return 2


def quote(text: str) -> str:
    """The text as a value in Hydra's grammar that means it to the letter."""
    text = re.sub(r"(\\*)\$\{", lambda match: match[1] * 2 + r"\${", text)  # OmegaConf would interpolate
    text = re.sub(r"(\\*)'", lambda match: match[1] * 2 + r"\'", text)
    text = re.sub(r"(\\+)\Z", lambda match: match[1] * 2, text)  # before the closing quote
    return f"'{text}'"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nstjax",
        description="Paint a photograph in the style of another picture.",
        epilog=f"Pictures that have a name: {', '.join(assets.names())}. All keys: python -m nstjax.train --cfg job",
    )
    parser.add_argument("content", help="the photograph: a file, or a name")
    parser.add_argument("style", help="the painting: a file, or a name")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="such as size=768 preset=gatys2016 seed=3")
    parser.add_argument("-o", "--output", type=Path, default=Path("stylized.png"), help="default: %(default)s")
    parser.add_argument("--version", action="version", version=f"nstjax {__version__}")
    return parser


def _override(key: str, text: str) -> str:
    if Path(text).exists() and text:
        return f"{key}.path={quote(text)}"
    if text in assets.names():
        return f"{key}.name={text}"
    named = f"{text}: No such file or directory" if text else f"the {key} picture's name is empty"
    raise UserError(f"{named}; give a file, or one of {', '.join(assets.names())}")


def _check_overrides(overrides: Sequence[str]) -> None:
    for override in overrides:
        if "=" not in override:
            raise UserError(f"{override!r} is one picture too many, or a setting without its value; give KEY=VALUE")


def _check_output(output: Path, inputs: Sequence[str], bits: int, alpha: bool) -> None:
    """Refuses before the work what could not be written after it."""
    images.check_output(output, bits=bits, transparent=alpha)
    if not output.parent.is_dir():
        raise UserError(f"{output}: its folder does not exist; create it or give another path")
    if any(output.exists() and Path(each).exists() and output.samefile(each) for each in inputs):
        raise UserError(f"{output} is one of the inputs; give another -o")


def _deliver(result: Path, output: Path) -> None:
    """Puts the run's picture where the user wants it: the same file, or in the format that the name asks for."""
    if output.suffix.lower() != result.suffix:
        images.save(output, images.load(result).pixels)
        return
    try:
        with files.atomic(Path(os.path.realpath(output))) as temporary:  # a link is followed, as `cp` does
            shutil.copyfile(result, temporary)
    except OSError as error:
        raise UserError(f"{output}: can't be written ({error.strerror}); the picture is {result}") from error
