"""What an evaluation's seconds go into, by XLA's profiler and the names that JAX gives to operations."""

import contextlib
import gzip
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmark.results import Entry
from benchmark.variants import Bench, build, ours

# The first that matches an operation's own name and JAX's, which has the function and the scope that it is from.
_PARTS = {
    "conv1_1, and its gradient": r"/conv1_1/",
    "Winograd's products": r"^dot.* .*/products/",
    "transforms of windows": r"/windows/",
    "transforms of tiles": r"/tiles/",
    "Gram matrices' gradient": r"^dot.* .*transpose\(jvp\(\)\)",
    "Gram matrices": r"^dot.* .*jvp\(\)",
    "gradient: strips cut out, through ReLU and pooling, put together": r"transpose\(.*jit\(_backward\)",
    "strips cut out, bias, ReLU and pooling, put together": r"jit\(_forward\)",
}


def parts(bench: Bench, size: int, precision: str) -> Entry:
    """Seconds that each part of an evaluation takes, on one core, where nothing runs beside anything else."""
    with _one_core(), contextlib.ExitStack() as stack:
        built = build(stack, ours(bench, size, precision, "winograd"), [])
        assert built is not None
        found = built[0].ask("parts", folder=str(bench.folder / "trace"), evaluations=bench.options.rounds)
    total = sum(found["seconds"].values())
    rows = [
        {"part": part, "seconds": seconds, "share": seconds / total}
        for part, seconds in sorted(found["seconds"].items(), key=lambda pair: -pair[1])
    ]
    notes = [f"{total:.3g} s in all, by the profiler; {found['wall']:.3g} s by the clock"]
    title = f"What an evaluation by Winograd's algorithm consists of, {size}x{size}, precision={precision}, one core"
    return {"title": title, "conditions": bench.conditions, "rows": rows, "notes": notes}


@contextlib.contextmanager
def _one_core() -> Iterator[None]:
    """What is started has one of this process's cores, where the system can say so."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def seconds_by_part(trace: Path, program: str, module: str) -> dict[str, float]:
    """Seconds of each part of a program, in a trace of JAX's profiler.

    Args:
        trace: the folder that the profiler wrote to.
        program: the compiled program's text.
        module: its name in the trace.
    """
    names = dict(re.findall(r"%([\w.\-]+) = [^\n]*op_name=\"([^\"]*)\"", program))
    seconds: Counter[str] = Counter()
    for operation, duration in _operations(_events(trace), module):
        seconds[_part(operation, names.get(operation, ""))] += duration
    return dict(seconds)


def _events(trace: Path) -> list[Mapping[str, Any]]:
    newest = max(trace.rglob("*.trace.json.gz"))
    with gzip.open(newest, "rt", encoding="utf-8") as file:
        events: list[Mapping[str, Any]] = json.load(file)["traceEvents"]
    return events


def _operations(events: Iterable[Mapping[str, Any]], module: str) -> Iterator[tuple[str, float]]:
    """Names and seconds, without loops, which consist of others."""
    for event in events:
        about = event.get("args", {})
        if about.get("hlo_module") == module and not about.get("hlo_op", "while").startswith("while"):
            yield about["hlo_op"], event["dur"] / 1e6


def _part(operation: str, name: str) -> str:
    return next((part for part, names in _PARTS.items() if re.search(names, f"{operation} {name}")), "the rest")
