"""`nstjax photo.jpg painting.jpg -o out.png`: the same run as `nstjax.train`, for file names of any kind.

Hydra's grammar refuses a file name like `photo (1).jpg`; here names are quoted for it. A folder in place of a picture
stands for all pictures in it: `nstjax photos/ painting.jpg -o painted/` is a sweep over them, in one process.
"""

import argparse
import itertools
import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from nstjax import __version__, assets, files, images, memory
from nstjax.errors import UserError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line (by default the program's own), and returns its exit code: see `nstjax.train.main`."""
    options = _parser().parse_intermixed_args(arguments)
    if arguments is None:
        memory.use_large_pages()
    try:
        _check_overrides(options.overrides)
        return (_paint_all if _is_folder(options.content) or _is_folder(options.style) else _paint)(options)
    except UserError as error:
        print(f"nstjax: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("nstjax: interrupted", file=sys.stderr)
        return 130


def _paint(options: argparse.Namespace) -> int:
    from nstjax import train  # here, so that `nstjax --help` answers at once

    overrides = [_override("content", options.content), _override("style", options.style), *options.overrides]
    output = train.compose(overrides).output
    path = options.output or Path("stylized.png")
    _check_output(path, (options.content, options.style), output.bits, output.alpha)
    outcome = train.execute(overrides)
    if outcome.result:
        _deliver(outcome.result, path)
        print(path)
    return outcome.code


def _paint_all(options: argparse.Namespace) -> int:
    """A sweep over the pictures of folders; a bad one, or a result that can't be written, costs itself only."""
    from nstjax import train

    folder, given = options.output or Path("stylized"), (options.content, options.style)
    pictures = [_choice("content", options.content), _choice("style", options.style)]
    inputs = _files(given)
    _check_folder(folder, given, inputs)
    outcome = train.execute(["-m", *pictures, *options.overrides])
    for name, result in _named(outcome.folders, [_is_folder(text) for text in given]):
        try:
            _refuse_inputs(folder / name, inputs)  # a sweep of more keys has names that nobody foresaw
            _deliver(result, folder / name)
            print(folder / name)
        except (UserError, OSError) as error:
            print(f"nstjax: {error}", file=sys.stderr)
            outcome.code = outcome.code or 2
    return outcome.code


def _choice(key: str, text: str) -> str:
    """The setting of one picture, or of all those in a folder, one after the other."""
    if not _is_folder(text):
        return _override(key, text)
    return f"{key}.path={','.join(map(quote, _files([text])))}"


def _files(given: Sequence[str]) -> list[str]:
    """The pictures that are given, each of a folder's too."""
    return [path for text in given for path in _pictures(text)]


def _pictures(text: str) -> list[str]:
    return [str(path) for path in images.pictures_in(Path(text))] if _is_folder(text) else [text]


def _check_folder(folder: Path, given: Sequence[str], inputs: Sequence[str]) -> None:
    """Makes the folder of a sweep's results; refuses, before the work, results that could not be written there."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is not a folder; the results of a folder of pictures need one as -o")
    if folder.exists() and any(_is_folder(text) and folder.samefile(text) for text in given):
        raise UserError(f"{folder} is one of the inputs; give another -o")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: can't be made ({error.strerror}); give another -o") from error
    for pictures in itertools.product(*(_pictures(text) for text in given if _is_folder(text))):
        _check_output(folder / f"{_name(pictures)}.png", inputs)


def _named(runs: Sequence[Path], varied: Sequence[bool]) -> Iterator[tuple[str, Path]]:
    """The results of runs, each under the name of the picture, or of both, that came out of a folder."""
    from nstjax import outputs

    taken: set[str] = set()
    for run in runs:
        manifest, result = outputs.read_manifest(run), run / outputs.RESULT
        if not (manifest and result.is_file()):
            continue
        paths = [
            manifest["config"][key]["path"] for key, varies in zip(("content", "style"), varied, strict=True) if varies
        ]
        name = _name(paths)
        name = f"{name}_{run.name}" if name in taken else name  # photo.jpg beside photo.png, or a sweep of more keys
        taken.add(name)
        yield f"{name}.png", result


def _name(varied: Sequence[str]) -> str:
    """Of the result of these pictures, without its suffix."""
    return "_".join(Path(path).stem for path in varied)


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
    parser.add_argument("content", help="the photograph: a file, a name, or a folder of pictures")
    parser.add_argument("style", help="the painting: a file, a name, or a folder of pictures")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="such as size=768 preset=gatys2016 seed=3")
    parser.add_argument("-o", "--output", type=Path, help="default: stylized.png, or the folder stylized")
    parser.add_argument("--version", action="version", version=f"nstjax {__version__}")
    return parser


def _is_folder(text: str) -> bool:
    return Path(text).is_dir() and text not in ("", *assets.names())


def _override(key: str, text: str) -> str:
    if text and Path(text).exists() and not Path(text).is_dir():
        return f"{key}.path={quote(text)}"
    if text in assets.names():
        return f"{key}.name={text}"
    named = f"{text}: No such file or directory" if text else f"the {key} picture's name is empty"
    raise UserError(f"{named}; give a file, or one of {', '.join(assets.names())}")


def _check_overrides(overrides: Sequence[str]) -> None:
    for override in overrides:
        if "=" not in override:
            raise UserError(f"{override!r} is one picture too many, or a setting without its value; give KEY=VALUE")


def _check_output(output: Path, inputs: Sequence[str], bits: int = 8, alpha: bool = False) -> None:
    """Refuses before the work what could not be written after it."""
    images.check_output(output, bits=bits, transparent=alpha)
    if not output.parent.is_dir():
        raise UserError(f"{output}: its folder does not exist; create it or give another path")
    _refuse_inputs(output, inputs)


def _refuse_inputs(output: Path, inputs: Sequence[str]) -> None:
    if output.exists() and any(Path(each).exists() and output.samefile(each) for each in inputs):
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
