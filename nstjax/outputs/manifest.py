"""`manifest.json`: what a run was made from, how it ended, and whether another one would be the same."""

import importlib.metadata
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nstjax
from nstjax import files
from nstjax.config import Config, flat, settings, to_dict
from nstjax.errors import UserError

MANIFEST, RESULT = "manifest.json", "result.png"
PAINTED = "style"  # in a run's folder: that of the run which painted its style picture
_SAID_BY_OTHERS = ("platform", "JAX_PLATFORMS")  # of the environment: a system's release; what `device` came of
_PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "pillow")

Manifest = dict[str, Any]


def begun(config: Config) -> Manifest:
    """The manifest of a run before anything is known but its configuration."""
    return {
        "status": "running",
        "config": to_dict(config),
        "seed": config.seed,
        "precision": config.runtime.precision,
        "versions": versions(),
        "evaluations": 0,
    }


def ended(error: BaseException | None) -> Manifest:
    """What the manifest says of a run's end: its status, and the reason if it is `failed`."""
    if error is None:
        return {"status": "done"}
    if isinstance(error, KeyboardInterrupt):
        return {"status": "interrupted"}
    line = next(iter(str(error).splitlines()), "")
    kind = type(error).__name__
    return {"status": "failed", "reason": line if isinstance(error, UserError) else f"{kind}: {line}" if line else kind}


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Writes the manifest of a run's folder.

    Raises:
        OSError: a full disk, say; the manifest before it is still there.
    """
    with files.atomic(folder / MANIFEST) as temporary:
        text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")  # file names may hold no Unicode


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a run's folder; None where there is none, or something else of that name."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    ours = isinstance(manifest, dict) and isinstance(manifest.get("config"), dict) and "status" in manifest
    return manifest if ours else None


def finished(folder: Path, config: Config) -> bool:
    """Whether the run of this configuration is done already in a folder, on whatever machine.

    Raises:
        UserError: one is done, but of another configuration, or of a picture or weights that have changed since.
    """
    manifest = read_manifest(folder)
    if manifest is None or manifest["status"] != "done" or not (folder / RESULT).is_file():
        return False
    try:
        files_now = {name: _as_they_are_now(manifest[name]) for name in ("pictures", "weights")}
        made_with, wanted = origin(manifest), origin(manifest | {"config": to_dict(config)} | files_now)
    except (KeyError, TypeError, AttributeError):
        return False  # it is not a manifest of ours
    refuse_another(folder, made_with, wanted)
    return True


def origin(manifest: Manifest) -> dict[str, Any]:
    """All that the bits of a run's picture come from, by one key each: settings, files, versions, machine."""
    settings_of_image = {k: v for k, v in settings(manifest["config"]).items() if k != "preview_every"}
    versions_of_image = {k: v for k, v in manifest["versions"].items() if k != "python"}
    sources = {"sha256": _sha256(manifest["pictures"]) | {"weights": manifest["weights"]["sha256"]}}
    environment = {k: v for k, v in manifest["environment"].items() if k not in _SAID_BY_OTHERS}
    machine = {"device": manifest["device"], "environment": environment}
    whole = settings_of_image | sources | {"versions": versions_of_image} | machine
    return json.loads(json.dumps(flat(whole)))  # as a file would have it


def refuse_another(folder: Path, made_with: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raises a UserError if two origins aren't the same, naming the first key in which they differ."""
    differing = [key for key in {**made_with, **wanted} if made_with.get(key) != wanted.get(key)]
    if not differing:
        return
    key, *others = differing
    then, now = _text(made_with.get(key)), _text(wanted.get(key))
    more = f" (and {len(others)} more differ)" if others else ""
    remedy = f"set NPROC={then}" if key == "environment.threads" else "give the same settings"
    raise UserError(
        f"{folder} was made with {key}={then}, not {now}{more}; "
        f"{remedy}, another hydra.run.dir, or leave out resume=true"
    )


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a result depends on."""
    packages = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"nstjax": nstjax.__version__, "python": platform.python_version(), **packages}


def _sha256(pictures: Mapping[str, Any]) -> dict[str, Any]:
    """The digests in a manifest's `pictures`, where a style is several."""
    return {
        name: [each["sha256"] for each in source] if isinstance(source, list) else source["sha256"]
        for name, source in pictures.items()
    }


def _as_they_are_now(facts: Any) -> Any:
    """What a manifest says of files, with their digests of now; one that is gone, or can't be read, hasn't changed."""
    if isinstance(facts, list):
        return [_as_they_are_now(each) for each in facts]
    if "sha256" not in facts:
        return {name: _as_they_are_now(each) for name, each in facts.items()}
    try:
        path = Path(facts["path"])
        return {**facts, "sha256": files.sha256(path)} if path.is_file() else facts
    except (OSError, ValueError):
        return facts


def _text(value: Any) -> str:
    """A value as the command line has it."""
    if value is None:
        return "null"
    if isinstance(value, list):
        return f"[{','.join(map(_text, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
