"""Where and when: what a figure means nothing without."""

import os
import platform
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def conditions(answers: Iterable[Mapping[str, Any]]) -> str:
    """One line: the date, the machine, the load on it, and what the workers say of their devices and versions."""
    answers = list(answers)
    devices = dict.fromkeys(answer["device"] for answer in answers if answer["device"] != "cpu")
    versions = dict(pair for answer in answers for pair in answer["versions"].items())
    return "; ".join(
        [
            time.strftime("%Y-%m-%d"),
            f"{_processor()}, {cores()} cores, {_memory()}{platform.system()}",
            *devices,
            f"load {os.getloadavg()[0]:.1f} before",
            f"Python {platform.python_version()}, " + ", ".join(f"{name} {v}" for name, v in versions.items()),
        ]
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _memory() -> str:
    size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return f"{size / 2**30:.0f} GiB, "
