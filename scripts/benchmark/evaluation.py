"""Loss and gradient of one image, by size: checked against the reference first, then timed in turn."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from statistics import median
from typing import Any, NamedTuple

from benchmark import flops
from benchmark.checks import TOLERANCES, check_cosine, check_loss
from benchmark.results import Entry, Row
from benchmark.variants import DIRECT, Bench, Variant, build, problem_file, variants
from benchmark.workers import Worker, in_turn, worker

_LONGEST = 64  # evaluations of a sample: nstjax.optimize.LONGEST_CHUNK
_MIB = 2**20


class Checked(NamedTuple):
    """A variant that computes what it should: its process, what its build said and took, and how far off it is."""

    worker: Worker
    build: dict[str, float]
    peak_bytes: int
    loss_error: float
    cosine: float


class Reference:
    """Loss and gradient in float64, or above `--float64` pixels of side, those of direct convolution."""

    def __init__(self, bench: Bench, size: int, precision: str, process: Worker) -> None:
        self._bench, self._process = bench, process
        self._problem, self._float64 = problem_file(bench, size, precision), size <= bench.options.float64
        self.allowed, self._least = TOLERANCES[precision]
        self.loss = 0.0
        self.name = "float64" if self._float64 else "nstjax direct"

    def learn(self, direct: Worker, loss: float) -> None:
        """Takes the problem from the worker that has built it first."""
        direct.ask("export", path=self._problem)
        if self._float64:
            self.loss = self._process.ask("compute", problem=self._problem)["loss"]
        else:
            self.loss = loss
            self._process.ask("read", path=self._gradient_of(direct))

    def check(self, process: Worker, build: dict[str, float], peak_bytes: int) -> Checked:
        """Raises WrongAnswerError."""
        error = check_loss(process.name, build["loss"], self.loss, self.allowed)
        cosine = self._process.ask("compare", path=self._gradient_of(process))["cosine"]
        return Checked(process, build, peak_bytes, error, check_cosine(process.name, cosine, self._least))

    def _gradient_of(self, process: Worker) -> str:
        path = str(self._bench.folder / "gradient.npy")
        process.ask("gradient", path=path)
        return path


def evaluation(bench: Bench, size: int, precision: str) -> Entry:
    """Seconds of an evaluation, of every variant at one size and precision."""
    with ExitStack() as stack:
        cpu = worker("float64", bench.options.python, "reference_side", JAX_PLATFORMS="cpu", JAX_ENABLE_X64="1")
        reference = Reference(bench, size, precision, stack.enter_context(cpu))
        built, missing = _built(stack, variants(bench, size, precision), reference)
        samples: dict[str, Callable[[], dict[str, Any]]] = {
            name: partial(_sample, each, reference, bench.options.seconds) for name, each in built.items()
        }
        samples["matrix product"] = partial(built[DIRECT].worker.ask, "matmul")
        taken = in_turn(samples, bench.options.rounds)
    peak = median(each["flops"] for each in taken.pop("matrix product"))
    rows = [_row(name, built[name], answers, size, peak) for name, answers in taken.items()]
    seconds = {name: [each["seconds"] for each in answers] for name, answers in taken.items()}
    notes = [_amounts(size, peak, reference.name), *ratios(seconds), *missing]
    title = f"Loss and gradient, {size}x{size}, precision={precision}"
    return {"title": title, "conditions": bench.conditions, "rows": rows, "notes": notes}


def _built(stack: ExitStack, wanted: Sequence[Variant], reference: Reference) -> tuple[dict[str, Checked], list[str]]:
    """The variants that could be built, all of them checked, and a note on each that couldn't."""
    checked: dict[str, Checked] = {}
    missing: list[str] = []
    for variant in wanted:
        if built := build(stack, variant, missing):
            process, answer = built
            peak_bytes = process.peak_bytes  # before anything but evaluating adds to it
            if variant.name == DIRECT:
                reference.learn(process, answer["loss"])
            checked[variant.name] = reference.check(process, answer, peak_bytes)
    return checked, missing


def _sample(checked: Checked, reference: Reference, seconds: float) -> dict[str, Any]:
    """About as many evaluations as asked for seconds of; what was timed must have computed the loss, too."""
    count = min(max(math.ceil(seconds / checked.build["seconds"]), 1), _LONGEST)
    answer = checked.worker.ask("evaluate", evaluations=count)
    check_loss(checked.worker.name, answer["loss"], reference.loss, reference.allowed)
    return answer


def _row(name: str, checked: Checked, answers: Sequence[dict[str, Any]], size: int, peak: float) -> Row:
    seconds = [each["seconds"] for each in answers]
    needed, executed = flops.direct(size, size), flops.winograd(size, size)
    device = answers[-1].get("device_peak_bytes")
    return {
        "variant": name,
        "seconds": median(seconds),
        "min": min(seconds),
        "max": max(seconds),
        "GFLOP/s": needed / median(seconds) / 1e9,
        "share of peak": needed / median(seconds) / peak,
        "executed share": executed / median(seconds) / peak if "winograd" in name else None,
        "compile s": checked.build["compile"],
        "peak MiB": checked.peak_bytes / _MIB,
        "device MiB": device / _MIB if device else None,
        "loss error": checked.loss_error,
        "cosine": checked.cosine,
    }


def _amounts(size: int, peak: float, reference: str) -> str:
    needed, executed = (count(size, size) / 1e9 for count in (flops.direct, flops.winograd))
    return (
        f"{needed:,.0f} GFLOP by the direct algorithm, {executed:,.0f} in the products of Winograd's; "
        f"a large matrix product runs at {peak / 1e9:,.0f} GFLOP/s; the reference is {reference}"
    )


def ratios(seconds: Mapping[str, Sequence[float]]) -> list[str]:
    """A note on each of nstjax' variants, beside PyTorch's fastest."""
    theirs = [name for name in seconds if name.startswith("PyTorch")]
    if not theirs:
        return ["PyTorch was not measured"]
    best = min(theirs, key=lambda name: median(seconds[name]))
    return [speedup(name, seconds[name], best, seconds[best]) for name in seconds if name not in theirs]


def speedup(name: str, seconds: Sequence[float], other: str, others: Sequence[float]) -> str:
    """How many times as fast one is as the other: the ratio of medians, and the range of the rounds' own ratios."""
    rounds = [b / a for a, b in zip(seconds, others, strict=True)]
    ratio = median(others) / median(seconds)
    return f"{name} is {ratio:.2f} times as fast as {other} ({min(rounds):.2f} to {max(rounds):.2f} by round)"


def memory(bench: Bench, precision: str) -> Entry:
    """Peak resident memory of one evaluation, each variant alone in a fresh process."""
    rows: dict[str, Row] = {}
    missing: list[str] = []
    for size in bench.sizes:
        loss = math.nan
        for variant in variants(bench, size, precision):
            with ExitStack() as stack:
                if not (built := build(stack, variant, missing)):
                    continue
                process, answer = built
                device = process.ask("evaluate", evaluations=1).get("device_peak_bytes")
                row = rows.setdefault(variant.name, {"variant": variant.name})
                row[f"{size} px, MiB"] = process.peak_bytes / _MIB
                row[f"{size} px, device MiB"] = device / _MIB if device else None
                if variant.name == DIRECT:
                    process.ask("export", path=problem_file(bench, size, precision))
                    loss = answer["loss"]
                check_loss(variant.name, answer["loss"], loss, TOLERANCES[precision][0])
    title = f"Peak memory of a process that evaluates once, precision={precision}"
    return {"title": title, "conditions": bench.conditions, "rows": list(rows.values()), "notes": missing}
