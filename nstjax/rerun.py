"""`python -m nstjax.rerun RUN_DIR`: runs what a manifest says once more, and says whether the same comes out of it."""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from nstjax import assets, files, memory
from nstjax.comparison import Report, compare, results
from nstjax.config import Config, FineConfig
from nstjax.errors import Interrupted, UserError
from nstjax.outputs import MANIFEST


class Input(NamedTuple):
    """A file that a run was made from."""

    name: str
    path: Path
    sha256: str


def rerun(folder: Path, out: Path | None = None, *, anyway: bool = False, in_charge: bool = False) -> Report:
    """Runs a finished run again, and compares.

    Args:
        folder: what the run left.
        out: a new folder for the re-run, which stays; None: a temporary one.
        anyway: go on with pictures or weights that have changed.
        in_charge: JAX has not used a device in this process yet, and can be given as many threads as the run had.

    Raises:
        UserError: `folder` holds no finished run; its files aren't there or, without `anyway`, aren't the same.
        KeyboardInterrupt: as `nstjax.run.run` does.
    """
    before = results(folder)
    config = _with_files(before.config, _found(before.manifest, before.config, folder, anyway))
    if out and out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UserError(f"{out} is there already, and not an empty folder; give another --out")
    from nstjax.run import repeatable, run  # here: JAX takes a second to import, and a mistake needs none of it

    if in_charge:
        repeatable(_threads(before.manifest))
    with nullcontext(str(out)) if out else tempfile.TemporaryDirectory(prefix="nstjax-rerun-") as fresh:
        run(config, Path(fresh))
        return compare(before, results(Path(fresh)))


def _threads(manifest: Mapping[str, Any]) -> int | None:
    match manifest:
        case {"environment": {"threads": int(threads)}}:
            return threads
    return None


def _inputs(manifest: Mapping[str, Any]) -> Iterator[Input]:
    """The pictures and weights that a manifest names."""
    pictures = manifest["pictures"]
    blend = {f"style.blend[{i}]": each for i, each in enumerate(pictures["style"][1:])}
    init = {"init": pictures["init"]} if "init" in pictures else {}
    masks = {key: facts for key, facts in pictures.items() if key.startswith(("style.", "content."))}
    named = {"content": pictures["content"], "style": pictures["style"][0], **blend, **init, **masks}
    for name, facts in {**named, "weights": manifest["weights"]}.items():
        yield Input(name, Path(facts["path"]), str(facts["sha256"]))


def _found(manifest: Mapping[str, Any], config: Config, folder: Path, anyway: bool) -> dict[str, Path]:
    """Where each input is now, by its name; all are looked for before any of the work."""
    try:
        inputs = list(_inputs(manifest))
    except (KeyError, TypeError, IndexError) as error:
        raise UserError(f"{folder / MANIFEST} doesn't say what the run was made from; run it anew") from error
    found = {each.name: _locate(each, config, folder) for each in inputs}
    for each in inputs:
        sha256 = files.sha256(found[each.name])
        if sha256 != each.sha256 and not anyway:
            raise UserError(
                f"{each.name}: {found[each.name]} is not what the run was made from (sha256 {sha256[:12]}…, "
                f"then {each.sha256[:12]}…); put that file there, or give --anyway"
            )
    return found


def _locate(wanted: Input, config: Config, folder: Path) -> Path:
    """The file where it was, or beside the manifest, where somebody may have put it; else by the name that it has."""
    candidates = [wanted.path, folder / wanted.path.name, folder / wanted.path.parent.name / wanted.path.name]
    candidates = [path for path in candidates if path.is_file()]
    same = [path for path in candidates if files.sha256(path) == wanted.sha256]
    path = next(iter([*same, *candidates]), None) or _by_name(wanted.name, config)
    if path is None:
        raise UserError(f"{wanted.name}: {wanted.path} is not there any more; put it back, or into {folder}")
    return path.absolute()


def _by_name(name: str, config: Config) -> Path | None:
    """Where something that was given by a name comes from; None for what was given as a file."""
    if name == "weights":
        from nstjax import weights  # here, as `run` below

        return None if config.weights.path else weights.locate(config.weights.source)
    given = {f"style.blend[{i}]": text for i, text in enumerate(config.style.blend) if text in assets.names()}
    for key, picture in {"content": config.content, "style": config.style}.items():
        given |= {key: picture.name} if picture.name and not picture.path else {}
    return assets.resolve(given[name]) if name in given else None


def _with_files(config: Config, found: Mapping[str, Path]) -> Config:
    """The configuration with every input by its path, wherever the command is given; a painted style is one of them."""
    path = {name: str(file) for name, file in found.items()}
    blend = tuple(path[f"style.blend[{i}]"] for i in range(len(config.style.blend)))
    return replace(
        config,
        content=replace(config.content, path=path["content"], keep=path.get("content.keep")),
        style=replace(
            config.style,
            path=path["style"],
            blend=blend,
            mask=_masks(config.style.mask, "style.mask", path),
            region=_masks(config.style.region, "style.region", path),
            fine=FineConfig(),
        ),
        init=replace(config.init, path=path.get("init", config.init.path)),
        weights=replace(config.weights, path=path["weights"]),
    )


def _masks(texts: Sequence[str | None], key: str, path: Mapping[str, str]) -> tuple[str | None, ...]:
    """The files of masks, each by the first key that names it; what is no file stays as it is."""
    return tuple(path.get(f"{key}[{texts.index(text)}]", text) for text in texts)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line; returns 0: the same again, 1: not the same, 2: a user's mistake, 130, 143: a signal."""
    options = _parser().parse_args(arguments)
    try:
        report = rerun(options.folder, options.out, anyway=options.anyway, in_charge=__name__ == "__main__")
    except (UserError, OSError) as error:
        print(f"nstjax.rerun: {_mistake(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as error:
        print("nstjax.rerun: interrupted", file=sys.stderr)
        return error.code if isinstance(error, Interrupted) else 130
    for line in report.differences or [f"{options.folder}: every pixel and every row of the history agree"]:
        print(line)
    for line in report.changed:
        print(f"changed: {line}")
    return 1 if report.differences else 0


def _mistake(error: UserError | OSError) -> UserError:
    if isinstance(error, UserError):
        return error
    where, what = error.filename or "the folder of the re-run", error.strerror or error
    return UserError(f"{where}: {what}; check its permissions, and the room on its disk")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m nstjax.rerun",
        description="Run a finished run again from its manifest, and say whether the same comes out of it.",
        epilog="Exit code 0: every pixel and every row of the history agree; 1: they don't; 2: a mistake.",
    )
    parser.add_argument("folder", type=Path, metavar="RUN_DIR", help="the folder that the run left")
    parser.add_argument("--out", type=Path, metavar="DIR", help="keep the re-run in this new folder")
    parser.add_argument("--anyway", action="store_true", help="go on though a picture or the weights have changed")
    return parser


if __name__ == "__main__":
    memory.use_large_pages()
    sys.exit(main())
