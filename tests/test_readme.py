"""The README is true: its commands run, its keys exist, its Python example works.

`.ci/run` runs the two `pip install` lines to the letter. Here commands run small: the same keys, then fewer pixels.
"""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import pytest

from nstjax import assets, cli, train
from nstjax.weights import __main__ as weights_command

README = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
SMALL = ["size=32", "schedule=single", "schedule.steps=[1]"]
FROM_PACKAGES = ["content=grace_hopper", "style=starry"]  # in place of an experiment's own pictures, which GitHub has


def python(arguments: list[str]) -> int:
    return subprocess.run([sys.executable, *arguments], check=False).returncode


ELSEWHERE = ("pip install", "python -m pytest")
DOORS: dict[str, Callable[[list[str]], int]] = {
    "nstjax": cli.main,
    "python -m nstjax.train": train.main,
    "python -m nstjax.weights": weights_command.main,
    "python": python,
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[list[str]]:
    """Of each block, those that are run here; one may need what the one before it makes."""
    lines = [[part.strip() for line in block.splitlines() for part in line.split("&&")] for block in blocks("bash")]
    ours = [[line for line in each if line and not line.startswith(ELSEWHERE)] for each in lines]
    return [each for each in ours if each]


@pytest.fixture(autouse=True)
def folder_with_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("photo (1).jpg", "me.jpg"):
        shutil.copy(assets.resolve("grace_hopper"), tmp_path / name)
    shutil.copy(assets.resolve("starry"), tmp_path / "painting.jpg")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "block",
    [pytest.param(block, marks=[pytest.mark.slow] * (number > 0)) for number, block in enumerate(commands())],
    ids="; ".join,
)
def test_commands_run(block: list[str]) -> None:
    for command in block:
        door = max((door for door in DOORS if command.startswith(door)), key=len)
        small = [] if door == "python" else SMALL
        pictures = FROM_PACKAGES if "experiment=" in command else []
        assert DOORS[door]([*shlex.split(command.removeprefix(door)), *small, *pictures]) == 0


def test_every_key_in_the_tables_is_one() -> None:
    table = re.findall(r"^\| (`.*?) \|", README, re.MULTILINE)
    settings = [code for cell in table for code in re.findall(r"`([^`]+=[^`]+)`", cell)]
    assert len(settings) > 8
    for setting in settings:
        train.compose(["style.blend=[great_wave]", *setting.split()])


def test_the_python_example_gives_a_loss_and_its_gradient() -> None:
    (example,) = blocks("python")
    assert len(example.split("\n\n")[1].strip().splitlines()) <= 12
    scope: dict[str, jax.Array] = {}
    exec(example, scope)
    assert scope["total"] > 0
    assert scope["gradient"].shape == (192, 256, 3)


def test_the_picture_is_small() -> None:
    (picture,) = re.findall(r"!\[[^]]*\]\((.*?)\)", README)
    assert Path(__file__).parents[1].joinpath(picture).stat().st_size < 200_000
