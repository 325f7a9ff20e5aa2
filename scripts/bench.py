"""Measures nstjax, and PyTorch and pastiche beside it: `python scripts/bench.py evaluation --sizes 256 512`.

    evaluation   loss and gradient of an image, by size
    memory       peak memory of a process that evaluates once, by size
    parts        what an evaluation's seconds go into, on one core
    loop         a whole gatys2016 run of --evaluations, after compiling
    program      `python -m nstjax.train preset=pastiche` and `python -m pastiche`, from start to end (needs Hydra)
    target       time until a coarse-to-fine run has the loss of pastiche's 500th evaluation
    all          everything that there are programs for; `target` only with --full or --target-loss

Each variant is a process of its own; they are measured in turn, and medians are compared. A variant whose loss or
gradient differs from the reference ends the benchmark with exit code 1. docs/performance.md says more.
"""

import argparse
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmark import evaluation, parts, programs, results
from benchmark.checks import TOLERANCES, WrongAnswerError
from benchmark.results import Entry
from benchmark.variants import Bench, bench
from benchmark.workers import WorkerError

COMMANDS = ("evaluation", "memory", "parts", "loop", "program", "target", "all")


def main() -> int:
    """Measures, prints the tables, and returns the exit code: 1 after a wrong answer or a worker's failure."""
    options = parsed()
    measured: dict[str, Entry] = {}
    try:
        with bench(options) as context:
            for key, entry in entries(context):
                measured |= {key: entry}
                print(results.markdown({key: entry}), flush=True)
                results.merged(options.json, {key: entry})
    except (WrongAnswerError, WorkerError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    if options.markdown:
        results.write_markdown(options.markdown, results.markdown(results.merged(options.json, measured)))
    return 0


def entries(context: Bench) -> Iterator[tuple[str, Entry]]:
    """Measures what the command line asks for, piece by piece, each under the key that it has in the JSON file."""
    options = context.options
    every, torch = options.command == "all", bool(options.torch_python)
    for precision in options.precision:
        for size in context.sizes if every or options.command == "evaluation" else ():
            yield f"evaluation {size} {precision}", evaluation.evaluation(context, size, precision)
        if every or options.command == "memory":
            yield f"memory {precision}", evaluation.memory(context, precision)
        if every or options.command == "parts":
            yield f"parts {options.size} {precision}", parts.parts(context, options.size, precision)
        if every or options.command == "loop":
            yield f"loop {options.size} {precision}", programs.loop(context, options.size, precision)
    if options.command == "program" or (every and torch):
        yield f"program {options.size}", programs.program(context, options.size)
    if options.command == "target" or (every and torch and (options.full or options.target_loss)):
        yield f"target {options.size}", programs.target(context, options.size)


def parsed() -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=COMMANDS)
    add = parser.add_argument
    add(
        "--sizes", type=int, nargs="+", help="sides of `evaluation` and `memory` (default: 256 512 1024, 2048 on a GPU)"
    )
    add("--size", type=int, default=512, help="of `parts`, `loop`, `program` and `target`")
    add("--precision", nargs="+", choices=TOLERANCES, default=["highest"], help="of convolutions, on a GPU")
    add("--rounds", type=int, default=5, help="samples of each variant, taken in turn")
    add("--seconds", type=float, default=1.0, help="that a sample of `evaluation` takes at least, about")
    add("--evaluations", type=int, default=500, help="of `loop`")
    add("--steps", type=int, default=100, help="of `program`")
    add("--float64", type=int, default=256, help="largest side whose reference is computed in float64")
    add("--variants", nargs="+", metavar="TEXT", help="only those whose names have one of these texts")
    goal = parser.add_mutually_exclusive_group()
    goal.add_argument("--full", action="store_true", help="`target`: run all of pastiche's 500 evaluations")
    goal.add_argument("--target-loss", type=float, help="`target`: their loss, of a run before")
    add("--content", default="grace_hopper", help="the photograph, one of nstjax' pictures")
    add("--style", default="starry", help="the painting, likewise")
    add("--python", default=sys.executable, help="interpreter with nstjax' dependencies")
    add("--torch-python", default=_with_torch(), help="interpreter with PyTorch, NumPy, and for pastiche that")
    add("--json", type=Path, help="file that keeps every measurement; later ones are added")
    add("--markdown", type=Path, help="file that gets the tables of all that --json has, between its markers")
    options = parser.parse_args()
    if options.command in ("program", "target") and not options.torch_python:
        parser.error("PyTorch is not installed here; give --torch-python")
    if options.command == "target" and not (options.full or options.target_loss):
        parser.error("target needs --full, or --target-loss of a run before")
    return options


def _with_torch() -> str | None:
    return sys.executable if importlib.util.find_spec("torch") else None


if __name__ == "__main__":
    sys.exit(main())
