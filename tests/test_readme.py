"""The README is true: its commands run, its keys exist, its Python example works.

`.ci/run` runs the two `pip install` lines to the letter. Here commands run small: the same keys, then fewer pixels.
"""

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import jax
import pytest

from nstjax import assets, cli, train
from nstjax.weights import __main__ as weights_command

README = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
SMALL = ["size=32", "schedule=single", "schedule.steps=[1]"]
DOORS: dict[str, Callable[[list[str]], int]] = {
    "nstjax": cli.main,
    "python -m nstjax.train": train.main,
    "python -m nstjax.weights": weights_command.main,
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[str]:
    lines = [part.strip() for block in blocks("bash") for line in block.splitlines() for part in line.split("&&")]
    return [line for line in lines if line and not line.startswith(("pip install", "python -m pytest"))]


@pytest.fixture(autouse=True)
def folder_with_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("photo (1).jpg", "me.jpg"):
        shutil.copy(assets.resolve("grace_hopper"), tmp_path / name)
    shutil.copy(assets.resolve("starry"), tmp_path / "painting.jpg")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("command", commands())
def test_commands_run(command: str) -> None:
    door = max((door for door in DOORS if command.startswith(door)), key=len)
    assert DOORS[door]([*shlex.split(command.removeprefix(door)), *SMALL]) == 0


def test_every_key_in_the_tables_is_one() -> None:
    table = re.findall(r"^\| (`.*?) \|", README, re.MULTILINE)
    settings = [code for cell in table for code in re.findall(r"`([^`]+=[^`]+)`", cell)]
    assert len(settings) > 8
    for setting in settings:
        train.compose(setting.split())


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
