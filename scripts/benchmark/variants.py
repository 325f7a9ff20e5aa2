"""What is compared: nstjax and PyTorch, each in its variants, on one problem of a size and a precision."""

from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from benchmark import machine
from benchmark.workers import Worker, WorkerError, worker

PRESET = "gatys2016"
DIRECT = "nstjax direct"  # exports the problem for the others
_ALGORITHMS = ("direct", "winograd")
_SIZES = (256, 512, 1024)
_LAYOUTS = ("NCHW", "channels-last")


class Bench(NamedTuple):
    """What the measurements of one command line have in common.

    Attributes:
        options: the command line's.
        folder: for files that workers exchange; gone at the end.
        pictures: files of the photograph and the painting, and of square parts of them, by role.
        conditions: where and when, in one line.
        sizes: sides in pixels of `evaluation` and `memory`.
        modes: PyTorch's that are tried on this device; none if there is no PyTorch.
    """

    options: Namespace
    folder: Path
    pictures: Mapping[str, str]
    conditions: str
    sizes: tuple[int, ...]
    modes: tuple[str, ...]


class Variant(NamedTuple):
    """One way of computing the loss: the interpreter and the side that it needs, and what to ask of it."""

    name: str
    python: str
    side: str
    request: Mapping[str, Any]

    @property
    def ours(self) -> bool:
        return self.name.startswith("nstjax")


@contextmanager
def bench(options: Namespace) -> Iterator[Bench]:
    """Finds out about the machine and its programs, and makes the pictures."""
    with TemporaryDirectory(prefix="nstjax-bench-") as folder:
        with worker("nstjax", options.python, "jax_side") as ours:
            abouts = [ours.ask("about")]
            pictures = ours.ask("pictures", folder=folder, content=options.content, style=options.style)
        if options.torch_python:
            with worker("PyTorch", options.torch_python, "torch_side") as theirs:
                abouts.append(theirs.ask("about"))
        modes = () if not options.torch_python else ("eager", "compiled")
        if modes and abouts[-1]["device"] != "cpu":
            modes += ("CUDA graphs",)
        sizes = tuple(options.sizes or (_SIZES if abouts[0]["platform"] == "cpu" else (*_SIZES, 2048)))
        yield Bench(options, Path(folder), pictures, machine.conditions(abouts), sizes, modes)


def problem_file(bench: Bench, size: int, precision: str) -> str:
    """Where `DIRECT` exports the problem to."""
    return str(bench.folder / f"{size}-{precision}.npz")


def variants(bench: Bench, size: int, precision: str, **more: Any) -> list[Variant]:
    """All that the command line asks for, `DIRECT` first; `more` are changes to the preset."""
    about = {"problem": problem_file(bench, size, precision), "precision": precision, "threads": machine.cores()}
    all_ours = [ours(bench, size, precision, algorithm, **more) for algorithm in _ALGORITHMS]
    theirs = [
        Variant(f"PyTorch {mode} {layout}", bench.options.torch_python, "torch_side", request)
        for mode in bench.modes
        for layout in _LAYOUTS
        for request in [{"mode": mode, "layout": layout, **about}]
    ]
    wanted = bench.options.variants or [""]
    return [each for each in all_ours + theirs if each.name == DIRECT or any(part in each.name for part in wanted)]


def ours(bench: Bench, size: int, precision: str, algorithm: str, **more: Any) -> Variant:
    """nstjax by one algorithm of convolution; `more` are changes to the preset."""
    changes = {**_changes(bench, size, precision), "runtime.convolution": algorithm, **more}
    return Variant(f"nstjax {algorithm}", bench.options.python, "jax_side", {"preset": PRESET, "changes": changes})


def build(stack: ExitStack, variant: Variant, missing: list[str]) -> tuple[Worker, dict[str, float]] | None:
    """Starts a variant and has it compile. One of PyTorch's that can't be built (it takes a C++ compiler) is noted.

    Raises WorkerError: it is one of ours.
    """
    process = stack.enter_context(worker(variant.name, variant.python, variant.side))
    try:
        return process, process.ask("build", **variant.request)
    except WorkerError as error:
        if variant.ours:
            raise
        missing.append(f"not measured: {error}")
    return None


def _changes(bench: Bench, size: int, precision: str) -> dict[str, Any]:
    paths = {f"{role}.path": bench.pictures[f"square_{role}"] for role in ("content", "style")}
    return {"size": size, "runtime.precision": precision, **paths}
