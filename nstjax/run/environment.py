"""What a result depends on besides its configuration: the devices, the compiler's settings, the code itself."""

import hashlib
import importlib.metadata
import os
import platform
from functools import cache
from pathlib import Path

import jax

import nstjax

_VARIABLES = ("XLA_FLAGS", "JAX_PLATFORMS", "JAX_ENABLE_X64", "JAX_DEFAULT_PRNG_IMPL", "NVIDIA_TF32_OVERRIDE")
_DETERMINISTIC = "xla_gpu_exclude_nondeterministic_ops", "xla_gpu_deterministic_ops"


def repeatable(threads: int | None = None) -> None:
    """Asks XLA for programs that come to the same bits at each execution; what the user's own environment says holds.

    To be called before JAX first uses a device, which is when XLA reads its variables. GPUs: of the two flags the one
    that leaves autotuning on; the fastest of the kernels that qualify is measured once, and kept in the cache.

    Args:
        threads: among which XLA divides work on CPUs, and with it the order of sums; None: as many as there are cores.
    """
    if threads:
        os.environ.setdefault("NPROC", str(threads))
    flags = os.environ.get("XLA_FLAGS", "")
    names_a_file = flags and not flags.startswith("-")
    if not names_a_file and not any(name in flags for name in _DETERMINISTIC):
        os.environ["XLA_FLAGS"] = f"{flags} --{_DETERMINISTIC[0]}=true".strip()


def environment() -> dict[str, str | int]:
    """What may be why another process comes to other bits from the same settings, by name."""
    devices = jax.devices()
    return {
        "platform": platform.platform(),
        "processor": _processor(),
        "threads": _threads(),
        "cores": _cores(),
        "devices": len(devices),
        "runtime": " ".join(devices[0].client.platform_version.split()),
        "code": _code(),
        **_accelerator_packages(),
        **{name: os.environ[name] for name in _VARIABLES if name in os.environ},
    }


def _cores() -> int:
    """That this process may use: products over a batch, as Winograd's, are divided by them, whatever NPROC says."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _threads() -> int:
    """What NPROC asks for, or the cores that this process may use, which `taskset` limits; Linux alone can say."""
    given = os.environ.get("NPROC", "")
    if given.isdecimal() and int(given):
        return int(given)
    return _cores()


def _processor() -> str:
    """The CPU's model, for which XLA chooses its instructions."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []  # not Linux
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())


@cache
def _code() -> str:
    """A digest of nstjax's own source, whose version says nothing of what was changed in a checkout."""
    folder = Path(nstjax.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


@cache  # reading every installed package's metadata takes tenths of a second
def _accelerator_packages() -> dict[str, str]:
    """Versions of what JAX runs on GPUs and TPUs with: CUDA's libraries and its plugins."""
    found = {each.name or "": each.version for each in importlib.metadata.distributions()}
    return {
        name: found[name] for name in sorted(found) if name.startswith(("nvidia-", "jax-cuda", "jax-rocm", "libtpu"))
    }
