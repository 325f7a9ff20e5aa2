"""Weight files that mean harm: one line each, and nothing else happens. And damaged ones, by the thousand."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import weight_files
from fuzz import mutate, targets
from hostile import CANARY, CASES, write
from small_runs import REPOSITORY, environment

SPARE_BYTES = 2 << 30  # of addresses: what the largest weight files need


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The corpus, beside a local file that none of it may show."""
    folder = tmp_path_factory.mktemp("hostile")
    write(folder)
    return folder


@pytest.fixture(scope="module")
def read(folder):
    """What a process that watches itself saw when it read each file; and the whole of what it printed."""
    before = sorted(os.listdir(folder))
    command = [sys.executable, REPOSITORY / "tests" / "hostile" / "watch.py", f"{SPARE_BYTES}"]
    done = subprocess.run(
        [*command, *(folder / name for name in CASES)],
        cwd=folder, env=environment(), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert sorted(os.listdir(folder)) == before  # nothing was written, such as a file called "hacked"
    return json.loads(done.stdout), done.stdout


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_file_is_refused_in_one_line_and_nothing_else_happens(read, name):
    came_to = read[0][name]
    assert came_to["answer"].startswith("UserError: ")
    assert CASES[name][1] in came_to["answer"]
    assert came_to["answer"].isprintable()
    assert len(came_to["answer"]) < 600
    assert came_to["did"] == []  # it opened no other file, and no process, socket or module
    assert came_to["seconds"] < 10


def test_no_hostile_file_shows_another(read, folder):
    assert CANARY in (folder / "canary").read_bytes()
    assert CANARY.decode() not in read[1]


@pytest.mark.parametrize("name", [name for writers in weight_files.FORMATS.values() for name in writers])
def test_the_sound_file_of_each_format_is_read(tmp_path, name):
    """So that what is refused above is refused for its one fault."""
    with weight_files.shrunk():
        arrays = weight_files.network()
        write_sound = {name: write for writers in weight_files.FORMATS.values() for name, write in writers.items()}
        write_sound[name](tmp_path / name, arrays)
        assert targets.reader("torch")(tmp_path / name)


def test_damaged_files_are_refused_in_one_line_or_read(tmp_path, capsys):
    """`python tests/fuzz/mutate.py --count 20000` tries more."""
    with weight_files.shrunk():
        for target in targets.WEIGHTS:
            targets.write_seeds(target, tmp_path / target)
        assert mutate.mutate(sorted(tmp_path.glob("*/*")), tmp_path, 150, np.random.default_rng(1)) == 0
    assert "150 files, 0 escapes" in capsys.readouterr().out


def test_an_escape_is_noticed(tmp_path, capsys, monkeypatch):
    targets.write_seeds("images", tmp_path / "images")
    monkeypatch.setattr(targets.images, "load", lambda path: path.parent.read_bytes())
    assert mutate.mutate(sorted(tmp_path.glob("*/*")), tmp_path, 10, np.random.default_rng(1)) == 1
    assert "ESCAPED: IsADirectoryError" in capsys.readouterr().err
