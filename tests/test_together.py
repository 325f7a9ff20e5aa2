"""Many runs in one program: each as it is alone, whatever becomes of the others."""

import csv
import json
import logging
from contextlib import contextmanager

import numpy as np
import pytest
from small_runs import SMALL, in_process, interrupted, manifest, picture, small, truncated

from nstjax.errors import Interrupted, UserError
from nstjax.run import run
from nstjax.run.together import run_together
from nstjax.train import main


def terms(folder):
    """The history of a run, without its seconds."""
    with open(folder / "history.csv", newline="", encoding="utf-8") as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def jobs(tmp_path, *overrides):
    return [(small(*each), tmp_path / f"{number}") for number, each in enumerate(overrides)]


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """Runs that differ in numbers only, alone and together."""
    folder = tmp_path_factory.mktemp("three")
    painting = picture(folder / "painting.png", seed=1)
    overrides = (
        ["seed=1", "init=noise"],
        ["objective.style_weight=10", "init=noise", f"style.path={painting}", "style.name=null"],
        ["optimizer.learning_rate=0.5", "init=noise", "objective.content_weight=3"],
    )
    overrides = [[*each, f"content.path={picture(folder / 'photo.png')}", "sizing.style=content"] for each in overrides]
    for config, path in jobs(folder / "alone", *overrides):
        run(config, path)
    together = jobs(folder / "together", *overrides)
    return folder, together, run_together(together)


def test_each_is_to_the_bit_what_it_is_alone(three):
    folder, together, ended = three
    assert [each.path for each in ended] == [path / "result.png" for _, path in together]
    for number in range(3):
        alone, here = folder / "alone" / str(number), folder / "together" / str(number)
        assert terms(alone) == terms(here)
        assert (alone / "result.png").read_bytes() == (here / "result.png").read_bytes()
        assert manifest(alone)["final"] == manifest(here)["final"] and manifest(here)["status"] == "done"


def test_lanes_differ_by_the_order_of_sums(three, tmp_path):
    folder, together, _ = three
    lanes = [(config, tmp_path / path.name) for config, path in together]
    assert not [each.error for each in run_together(lanes, lanes=3) if each.error]
    for _, path in lanes:
        alone, here = (manifest(where / path.name)["final"] for where in (folder / "alone", tmp_path))
        np.testing.assert_allclose([here[name] for name in alone], list(alone.values()), rtol=1e-4)


def test_a_lost_one_and_one_without_a_picture_cost_the_others_nothing(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    broken = truncated(tmp_path / "half")
    given = jobs(tmp_path, ["seed=1"], ["objective.style_weight=1e38"], [f"content.path={broken}"], ["seed=2"])
    ended = run_together(given)
    assert [each.path is not None for each in ended] == [True, False, False, True]
    assert isinstance(ended[1].error, UserError) and "became" in str(ended[1].error)
    assert [manifest(path)["status"] for _, path in given] == ["done", "failed", "failed", "done"]
    assert f"{broken}: can't be decoded" in manifest(tmp_path / "2")["reason"]
    assert "3 jobs in one program" in caplog.messages


def test_another_program_is_said_and_run_alone(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    given = jobs(tmp_path, ["seed=1"], ["objective.style.layers=[relu1_1]"], ["seed=2"], ["seed=3", "resume=true"])
    assert all(each.path for each in run_together(given))
    assert {"2 jobs in one program", "alone: objective", "alone: a run with resume"} <= set(caplog.messages)


def test_a_stop_saves_all_that_have_begun(tmp_path):
    given = jobs(tmp_path, ["seed=1", "schedule.steps=[5000]"], ["seed=2", "schedule.steps=[5000]"])
    with interrupted(lambda out, row: out.path.name == "0"):
        ended = run_together(given)
    assert all(isinstance(each.error, Interrupted) for each in ended)
    assert {manifest(path)["status"] for _, path in given} == {"interrupted"}
    assert all((path / "result.png").is_file() for _, path in given)


def test_what_is_done_for_one_is_done_in_its_context(tmp_path):
    entered = []

    @contextmanager
    def entering(number):
        entered.append(number)
        yield

    run_together(jobs(tmp_path, ["seed=1"], ["seed=2"]), entered=entering)
    assert set(entered) == {0, 1}


def test_the_launcher_finds_a_folder_that_is_named_by_the_time(tmp_path, monkeypatch, capsys):
    """To the microsecond, in which a sweep's journal must not be another one for each that asks."""
    with in_process(monkeypatch, tmp_path):
        assert main(["-m", "hydra/launcher=vmap", "seed=0,1", *SMALL, "schedule.steps=[0]"]) == 0
    (sweep,) = tmp_path.glob("outputs/*/*")
    assert capsys.readouterr().out.splitlines()[-1] == str((sweep / "sheet.png").relative_to(tmp_path))


@pytest.mark.slow
def test_the_launcher_leaves_what_the_usual_one_leaves(tmp_path, monkeypatch, capsys):
    sweep = ["objective.style_weight=1e2,1e3", "seed=0,-1", *SMALL]
    with in_process(monkeypatch, tmp_path):
        codes = [
            main(["-m", f"hydra/launcher={launcher}", f"hydra.sweep.dir={launcher}", *sweep])
            for launcher in ("basic", "vmap")
        ]
    assert codes == [2, 2]
    for number in range(4):
        usual, here = tmp_path / "basic" / str(number), tmp_path / "vmap" / str(number)
        assert sorted(each.name for each in usual.iterdir()) == sorted(each.name for each in here.iterdir())
        if number % 2 == 0:
            assert terms(usual) == terms(here)
            assert "evaluations in" in (here / "log.txt").read_text()
            assert json.loads((here / "manifest.json").read_text())["status"] == "done"
        else:
            assert "seed=-1 is out of range" in (here / "log.txt").read_text()
    assert (tmp_path / "vmap" / "sheet.png").is_file()
    assert "2 jobs in one program" in capsys.readouterr().err


@pytest.mark.slow
def test_a_sweep_over_weights_agrees_on_the_real_network(tmp_path, monkeypatch):
    weights = ["objective.style_weight=1e2,1e3,3e4", "objective.content_weight=1,30"]
    sizes = ["size=64", "schedule=single", "schedule.steps=[3]", "output.metrics=false"]
    with in_process(monkeypatch, tmp_path):
        for launcher in ("basic", "vmap"):
            assert main(["-m", f"hydra/launcher={launcher}", f"hydra.sweep.dir={launcher}", *weights, *sizes]) == 0
    for number in range(6):
        alone, here = (manifest(tmp_path / launcher / str(number))["final"] for launcher in ("basic", "vmap"))
        np.testing.assert_allclose([here[name] for name in alone], list(alone.values()), rtol=1e-4)
