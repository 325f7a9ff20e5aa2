"""`python -m nstjax.weights list | fetch [SOURCE] | convert FILE OUT | check FILE`: the VGG19 weights."""

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nstjax import files
from nstjax.errors import UserError
from nstjax.weights import SOURCES, convert, foreign, locate, store
from nstjax.weights.layouts import LAYERS, Array, Arrays, Weights
from nstjax.weights.sources import cache_file


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit code, 2 for what the user can mend, 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("nstjax").setLevel(logging.INFO)
    try:
        options.command(options)
    except UserError as error:
        print(f"nstjax.weights: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("nstjax.weights: interrupted", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m nstjax.weights", description="The VGG19 weights.")
    commands = parser.add_subparsers(required=True)
    commands.add_parser("list", help="where weights can come from").set_defaults(command=_list)
    command = commands.add_parser("fetch", help="get a source into the cache and print its path")
    command.add_argument("source", nargs="?", default="caffe-8bit", help="default: %(default)s")
    command.set_defaults(command=_fetch)
    command = commands.add_parser("convert", help="convert a .pth, .h5 or .mat file to .safetensors")
    command.add_argument("file", type=Path)
    command.add_argument("out", type=Path)
    command.set_defaults(command=lambda options: print(convert(options.file, options.out)))
    command = commands.add_parser("check", help="say what a weight file holds")
    command.add_argument("file", type=Path)
    command.set_defaults(command=_check)
    return parser


def _list(options: argparse.Namespace) -> None:
    for name, source in SOURCES.items():
        cached = cache_file(name)
        origin = f"your file (weights.path): {source.origin}" if source.needs_file else source.origin
        state = "" if source.needs_file else f"\n  in the cache: {cached if cached.exists() else 'no'}"
        print(f"{name}\n  {source.title}\n  license: {source.license}\n  from: {origin}{state}")


def _fetch(options: argparse.Namespace) -> None:
    print(locate(options.source))


def _check(options: argparse.Namespace) -> None:
    weights = foreign.read(options.file)
    fault = _fault(weights)
    print(_report(options.file, weights, fault))
    if fault:
        raise UserError(f"{options.file} is the original network, but {fault}; convert the file again")


def _report(file: Path, weights: Weights, fault: str | None) -> str:
    about = weights.about
    count = sum(array.size for array in weights.arrays.values())
    facts = {
        "file": f"{file}, {file.stat().st_size:,} bytes",
        "sha256": files.sha256(file),
        "layout": f"{foreign.kind(file)}, read as {about.source}",
        "license": about.license,
        "input": f"(RGB in [0, 1] * {about.scale:g} - {list(about.mean)}) / {list(about.std)}",
        "parameters": f"{count:,} in {len(LAYERS)} convolutions",
        "content": f"{store.digest(weights)}, whatever the file's format",
        "kernels": _spread(weights.arrays),
        "compared": f"WRONG: the original network, but {fault}" if fault else _comparison(weights),
    }
    return "\n".join(f"{name + ':':12}{text}" for name, text in facts.items())


def _spread(arrays: Arrays) -> str:
    deviations = {layer: float(arrays[f"{layer}/kernel"].std()) for layer in ("conv1_1", "conv3_1", "conv5_1")}
    return "standard deviation " + ", ".join(f"{value:.4f} in {layer}" for layer, value in deviations.items())


def _comparison(weights: Weights) -> str:
    """How the kernels relate to the original network's, when that is in the cache (nothing is fetched for this)."""
    original = cache_file("caffe-8bit")
    if not original.exists():
        return "no; `python -m nstjax.weights fetch` gets the original network to compare with"
    same = _correlation(weights.arrays, store.read(original).arrays)
    which = "the original network" if same > SAME else "another network than the original one"
    return f"{which} (kernels correlate {same:.4f})"


def _fault(weights: Weights) -> str | None:
    """What was done to the original network's kernels, if the file holds those, and the original is in the cache."""
    original = cache_file("caffe-8bit")
    reference = store.read(original).arrays if original.exists() else None
    if reference is None or _correlation(weights.arrays, reference) > SAME:
        return None
    for fault, change in FAULTS.items():
        if _correlation({name: change(name, array) for name, array in weights.arrays.items()}, reference) > SAME:
            return fault
    return None


SAME = 0.9  # correlation of kernels from which on they are the same

FAULTS: dict[str, Callable[[str, Array], Array]] = {
    "height and width are swapped": lambda name, array: array.swapaxes(0, 1) if array.ndim == 4 else array,
    "red and blue are swapped": lambda name, array: array[:, :, ::-1] if name == "conv1_1/kernel" else array,
    "kernels are rotated by 180 degrees": lambda name, array: array[::-1, ::-1] if array.ndim == 4 else array,
}


def _correlation(arrays: Arrays, reference: Arrays) -> float:
    """The lowest correlation over the convolutions' kernels; 0 where a kernel is constant."""
    pairs = [(_centered(arrays[f"{layer}/kernel"]), _centered(reference[f"{layer}/kernel"])) for layer in LAYERS]
    return min(float(np.vdot(a, b)) for a, b in pairs)


def _centered(kernel: Array) -> Array:
    deviation: Array = (kernel - kernel.mean()).ravel().astype(np.float64)  # float32 sums depend on the machine
    return deviation / max(float(np.linalg.norm(deviation)), 1e-30)


if __name__ == "__main__":
    sys.exit(main())
