"""What SECURITY.md promises of the package as it is written; what files from anywhere may do is in their own tests."""

import ast
import os
import re
import subprocess
import sys

import pytest
from small_runs import REPOSITORY, environment
from weight_files import refusal

from nstjax import assets, fetch

SOURCES = sorted((REPOSITORY / "nstjax").rglob("*.py"))
CONFIGS = sorted((REPOSITORY / "configs").rglob("*.yaml"))

# Functions that run what they are given, or load what can run.
RUNNING = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.fork", "pickle.load", "pickle.loads",
    "pickle.Unpickler", "marshal.loads", "shelve.open", "yaml.load", "yaml.unsafe_load", "importlib.import_module",
    "runpy.run_path", "runpy.run_module", "ctypes.CDLL", "np.fromfile", "torch.load",
    "hydra.utils.instantiate", "instantiate", "tempfile.mktemp",
}  # fmt: skip


def calls():
    """Every call in the package: its file, the dotted name of what is called, and the call."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield path.relative_to(REPOSITORY), ast.unparse(node.func), node


def imported():
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield (node.module or "").split(".")[0]


@pytest.mark.parametrize("document", ["SECURITY.md", "docs/reliability.md"])
def test_the_tests_that_a_document_names_are_there(document):
    named = set(re.findall(r"\btests/[\w./]*\w", (REPOSITORY / document).read_text(encoding="utf-8")))
    assert named
    assert not [path for path in named if not (REPOSITORY / path).exists()]


def test_nothing_runs_or_loads_what_it_is_given():
    assert not [(path, name) for path, name, _ in calls() if name in RUNNING]


def test_arrays_are_loaded_without_pickles():
    loads = [ast.unparse(call) for _, name, call in calls() if name in ("np.load", "numpy.load")]
    assert loads
    assert all("allow_pickle=False" in load for load in loads)


def test_nothing_is_imported_that_could():
    assert not set(imported()) & {"pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle", "yaml", "torch"}


def test_the_only_program_that_is_started_is_the_installer_without_a_shell():
    started = [(str(path), call) for path, name, call in calls() if name.startswith("subprocess.")]
    assert [path for path, _ in started] == ["nstjax/fetch/wheels.py"]
    anew = [
        (str(path), ast.unparse(call))
        for path, name, call in calls()
        if re.match(r"os\.(exec|spawn|posix_spawn|fork)", name)
    ]
    assert anew == [("nstjax/memory.py", "os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])")]
    assert not [call for _, _, call in calls() if any(keyword.arg == "shell" for keyword in call.keywords)]


def test_no_configuration_names_code():
    for path in CONFIGS:
        assert not re.search(r"_target_|_partial_|!!python|\$\{oc\.", path.read_text(encoding="utf-8")), path


def test_every_address_is_https():
    """But for the loopback, which `fetch.web` names to allow it."""
    for path in [*SOURCES, *CONFIGS, assets.REGISTRY]:
        addresses = re.findall(r"\b(?:http|ftp|file)://[^\s\"')]*", path.read_text(encoding="utf-8"))
        assert not addresses, path


def test_the_registry_names_plain_files_at_pinned_https_addresses():
    for asset in map(assets.info, assets.names()):
        assert re.fullmatch(r"[\w.-]+", asset.file) and not asset.file.startswith(".")
        assert not asset.url or asset.url.startswith("https://")
        assert re.fullmatch("[0-9a-f]{64}", asset.sha256)


CLIMBING = ["../../etc/passwd", "/etc/passwd", "..", "", "starry/../starry", "~", "con\0"]


@pytest.mark.parametrize("name", CLIMBING)
def test_an_asset_is_a_name_and_never_a_path(name, cache):
    assert refusal(assets.resolve, name).startswith("no picture is called ")
    assert not cache.exists()


@pytest.mark.parametrize("member", ["../../outside", "/tmp/outside", "a/../../outside"])
def test_a_member_of_a_wheel_lands_in_the_cache(cache, member, monkeypatch):
    """By its last name, wherever it says that it lies."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    refusal(fetch.wheel_member, "plates==1", "0" * 64, member, "0" * 64)
    assert os.listdir(cache) == ["fetched"]
    assert not (cache.parent / "outside").exists()


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        (
            "style=../../x",
            "'style=../../x' is not the name of a file in configs/style; give a picture as style.path=FILE",
        ),
        ("style.name=../../etc/passwd", "no picture is called '../../etc/passwd'; known: "),
        ("weights.path=/etc/passwd", "/etc/passwd is no weight file that nstjax knows"),
        ("+style._target_=os.system", "unknown key '_target_'"),
    ],
)
def test_a_name_in_a_setting_never_becomes_a_path(tmp_path, setting, reason):
    """The real command: one line, code 2, and nothing but the folder of the run."""
    done = subprocess.run(
        [sys.executable, "-m", "nstjax.train", setting, "size=64", "hydra.run.dir=run"],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2
    said = (done.stdout + done.stderr).splitlines()
    assert len(said) == 1 and f"nstjax.train: {reason}" in said[0]
    assert "root:" not in said[0]
    assert set(os.listdir(tmp_path)) <= {"run"}
