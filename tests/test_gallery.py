"""docs/gallery.md: what it shows can be run, and it stays small."""

import re
import shlex

import pytest
import yaml
from small_runs import REPOSITORY

from nstjax.train import compose

ROWS = yaml.safe_load((REPOSITORY / "scripts" / "gallery.yaml").read_text(encoding="utf-8"))
PAGE = (REPOSITORY / "docs" / "gallery.md").read_text(encoding="utf-8")
PICTURES = sorted((REPOSITORY / "docs" / "gallery").iterdir())


@pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])
def test_the_commands_on_the_page_are_those_of_the_row(row):
    section = PAGE.partition(f"## {row['title']}\n")[2].partition("\n## ")[0]
    commands = [shlex.split(line) for line in section.partition("```bash\n")[2].partition("```")[0].splitlines()]
    wanted = [[*row["common"].split(), *settings.split()] for settings in row["pictures"].values()]
    assert [words[:3] for words in commands] == [["python", "-m", "nstjax.train"]] * len(wanted)
    assert [words[3:] for words in commands] == wanted
    assert f"](gallery/{row['name']}.jpg)" in section


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])
def test_the_commands_compose(row):
    for settings in row["pictures"].values():
        compose([*row["common"].split(), *settings.split()])


def test_every_file_that_a_command_names_is_there():
    files = set(re.findall(r"docs/gallery/\w+\.png", PAGE))
    assert files and all((REPOSITORY / file).is_file() for file in files)


def test_pictures_are_small():
    assert {path.stem for path in PICTURES if path.suffix == ".jpg"} == {row["name"] for row in ROWS}
    assert max(path.stat().st_size for path in PICTURES) <= 150_000
    assert sum(path.stat().st_size for path in PICTURES) <= 3_000_000
