"""The rooms and the one direction in which they may know of each other; and that they stay small."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter

import pytest
from small_runs import REPOSITORY, environment

PACKAGE = REPOSITORY / "nstjax"

LAYERS = {
    "words": {"errors", "layers", "types", "config"},
    "leaves": {
        "files", "fetch", "memory", "images", "assets", "weights", "winograd", "convolution", "features", "losses",
        "color", "guides", "octaves", "parametrizations", "statistics", "inits", "lbfgs", "optimizers",
    },
    "composition": {"objective", "scales", "metrics"},
    "loop": {"optimize", "checkpoint", "outputs"},
    "stories": {"run", "report", "comparison"},
    "doors": {"train", "cli", "sweep", "rerun", "weights.__main__", "report.__main__"},
}  # fmt: skip
ORDER = {room: depth for depth, rooms in enumerate(LAYERS.values()) for room in rooms}
MODULES = sorted(path.relative_to(REPOSITORY) for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
MAX_LINES, MAX_BODY = 250, 40


def room(module):
    """The room of a module's dotted name: "images" for nstjax.images.reading."""
    parts = module.split(".")[1:]
    return ".".join(parts) if ".".join(parts) in ORDER else parts[0]


def name(path):
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_module(dotted):
    path = REPOSITORY / dotted.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").exists()


def imported(path):
    """The dotted names of all modules that a file imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse((REPOSITORY / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            children = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {child for child in children if is_module(child)} or {node.module}
    return found


def rooms_known_to(path):
    return {room(module) for module in imported(path) if module.startswith("nstjax.")} - {room(name(path))}


def importers(*packages):
    """The rooms that import any of these packages."""
    return {room(name(path)) for path in MODULES if any(each.split(".")[0] in packages for each in imported(path))}


def functions():
    for path in MODULES:
        for node in ast.walk(ast.parse((REPOSITORY / path).read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield path, node


def body_lines(function):
    first = function.body[1] if ast.get_docstring(function) and len(function.body) > 1 else function.body[0]
    return function.end_lineno - first.lineno + 1


def test_every_room_has_its_layer():
    assert {room(name(path)) for path in MODULES} == set(ORDER)


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_room_knows_only_rooms_of_its_layer_and_below(path):
    above = {other for other in rooms_known_to(path) if ORDER[other] > ORDER[room(name(path))]}
    assert not above


def test_no_two_rooms_know_each_other():
    known = {each: set() for each in ORDER}
    for path in MODULES:
        known[room(name(path))] |= rooms_known_to(path)
    assert set(TopologicalSorter(known).static_order()) == set(ORDER)  # raises CycleError


def test_pure_rooms_take_values_and_no_configuration():
    leaves = [path for path in MODULES if room(name(path)) in LAYERS["leaves"]]
    assert not [path for path in leaves if "config" in rooms_known_to(path)]


def test_only_one_room_knows_each_of_the_large_libraries():
    assert importers("hydra", "omegaconf") == {"train"}
    assert importers("PIL") == {"images"}
    assert importers("flax") == {"features"}
    assert importers("optax") <= {"optimizers", "lbfgs"}
    assert importers("tqdm") == {"run"}
    assert importers("safetensors", "h5py") == {"weights"}
    assert importers("requests") == {"fetch"}
    assert importers("tensorboardX") == {"outputs"}
    assert importers("matplotlib", "jinja2") == {"report"}


def test_the_schema_is_plain_python():
    schema = [path for path in MODULES if room(name(path)) == "config"]
    packages = {module.split(".")[0] for path in schema for module in imported(path)}
    assert packages <= {"nstjax", *sys.stdlib_module_names}


@pytest.mark.parametrize(
    "statement",
    [
        "import nstjax.config",
        "import nstjax.train",
        "from nstjax.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass",
        "from nstjax.train import main\nassert main(['size=-1']) == 2",
        "from nstjax.train import main\nassert main(['style=nosuch']) == 2",
    ],
    ids=["the schema", "the door", "help", "a wrong value", "a wrong name"],
)
def test_what_computes_nothing_does_not_wait_for_jax(statement, tmp_path):
    code = f"{statement}\nimport sys; sys.exit(f'jax was imported' if 'jax' in sys.modules else 0)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_is_read_in_one_sitting(path):
    assert len((REPOSITORY / path).read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def test_a_function_fits_on_a_screen():
    assert not [f"{path}: {each.name}" for path, each in functions() if body_lines(each) > MAX_BODY]


def test_most_functions_are_a_few_lines():
    lengths = sorted(body_lines(each) for _, each in functions())
    assert lengths[len(lengths) // 2] <= 8


def test_nothing_is_called_utils_or_helpers():
    assert not [path for path in MODULES if path.stem in ("utils", "helpers", "common", "misc")]


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_says_what_it_is_about(path):
    assert ast.get_docstring(ast.parse((REPOSITORY / path).read_text(encoding="utf-8")))
