"""Sweeps: wherever the jobs run, the command says the same of them; searches; and both in a notebook."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
from small_runs import SMALL, environment, in_process, manifest, picture

from nstjax.errors import UserError
from nstjax.report import Report, Result, find
from nstjax.sweep import sweep
from nstjax.train import main
from nstjax.train.outcome import Job, Journal, Outcome

QUICK = (*SMALL, "schedule.steps=[1]")


@pytest.fixture
def inside(tmp_path, monkeypatch):
    with in_process(monkeypatch, tmp_path):
        yield tmp_path


def test_a_sweep_in_a_notebook_shows_its_report(inside):
    shown = sweep(["objective.style_weight=10,-1", *QUICK], inside / "runs (1)")
    assert isinstance(shown, Report) and "out of range" in (inside / "runs (1)" / "1" / "log.txt").read_text()
    assert "<iframe" in shown._repr_html_()
    with pytest.raises(UserError, match="no run of the sweep has begun"):
        sweep(["size=-1,-2"], inside / "none")


def test_a_run_in_a_notebook_shows_its_pictures_and_numbers(inside):
    photo = picture(inside / "a<b>.png")
    assert main([*QUICK, f"content.path='{photo}'", "hydra.run.dir=run"]) == 0
    html = Result(inside / "run")._repr_html_()
    assert html.count('<img src="data:image/jpeg;base64,') == 3
    assert "a&lt;b&gt;.png" in html and "<b>" not in html
    assert f"<td>{manifest(inside / 'run')['evaluations']}</td>" in html
    with pytest.raises(UserError, match="no run in "):
        Result(inside)


def test_the_number_that_a_search_is_for(inside, capsys):
    assert main([*QUICK, "returned=final.nosuch", "hydra.run.dir=run"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "returned=final.nosuch is no number of a manifest; choose one of seed, " in said and "final.total" in said


@pytest.mark.slow
def test_a_search_goes_on_after_a_failure(tmp_path):
    search = [
        "hydra/sweeper=optuna",
        "hydra.sweeper.n_trials=6",
        "hydra.sweeper.sampler.seed=1",
        "hydra.sweep.dir=search",
    ]
    command = [
        sys.executable,
        "-m",
        "nstjax.train",
        "-m",
        *search,
        *QUICK,
        "objective.style_weight=choice(10,100,1e38)",
    ]
    assert subprocess.run(command, cwd=tmp_path, env=environment(), check=False).returncode == 2
    runs = find(tmp_path / "search")[0]
    assert {run.status for run in runs} == {"done", "failed"} and len(runs) == 6
    best = re.search(r"best_value: (\S+)", (tmp_path / "search" / "optimization_results.yaml").read_text())
    assert float(best[1]) == min(run.final["total"] for run in runs if run.status == "done")


def test_a_journal_keeps_every_job_and_counts_those_that_are_missing(tmp_path):
    journal = Journal(tmp_path / "new")
    assert (journal.jobs(), journal.expected(), journal.progress(2)) == ([], None, "job 3")
    journal.begin(12)
    ended = [Job(tmp_path / f"{number}", number % 2 * 2, None, True) for number in (10, 9, 2)]
    for job in ended:
        journal.add(job)
    assert journal.jobs() == ended[::-1] and journal.expected() == 12
    assert re.fullmatch(r"job 4 of 12, some \d+ s left", journal.progress(3))
    journal.begin(1)
    assert journal.jobs() == []


def test_the_exit_code_is_the_first_mistakes_unless_something_crashed(tmp_path):
    def code(*codes):
        outcome = Outcome()
        for each in codes:
            outcome.add(Job(tmp_path, each, None, True))
        return outcome.code

    assert [code(0, 0), code(0, 2, 0), code(2, 1), code(1, 2)] == [0, 2, 1, 1]


def test_a_launcher_that_is_not_there_is_one_line(inside, capsys):
    assert main(["-m", "hydra/launcher=nosuch", "seed=1,2"]) == 2
    assert capsys.readouterr().err.startswith(
        "nstjax.train: hydra/launcher=nosuch is not installed; see docs/sweeps.md"
    )


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_jobs_in_other_processes_are_told_of_as_usual(tmp_path, launcher):
    settings = [*QUICK, "objective.style_weight=10,1e38", "seed=0,-1", f"hydra/launcher={launcher}"]
    command = [sys.executable, "-m", "nstjax.train", "-m", *settings, "hydra.sweep.dir=runs"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stdout.splitlines()[-1] == "runs/sheet.png"
    jobs = Journal(tmp_path / "runs").jobs()
    assert [job.code for job in jobs] == [0, 2, 2, 2] and [job.begun for job in jobs] == [True, False, True, False]
    if launcher == "joblib":
        threads = {manifest(tmp_path / "runs" / str(number))["environment"]["threads"] for number in (0, 2)}
        assert threads == {1}


@pytest.mark.slow
def test_a_killed_worker_is_counted_and_the_rest_can_be_done(tmp_path):
    settings = [*SMALL, "schedule.steps=[400]", "seed=0,1,2", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    command = [sys.executable, "-m", "nstjax.train", "-m", *settings, "hydra.sweep.dir=runs"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True) as sweeping:
        worker = _worker_of(tmp_path / "runs" / "1", sweeping)
        os.kill(worker, signal.SIGKILL)
        _, said = sweeping.communicate(timeout=120)
    assert sweeping.returncode == 1
    assert "of 3 jobs were killed or never began; the same command with hydra.sweep.dir=runs resume=true" in said
    assert "Traceback" not in said
    assert {run.name: run.status for run in find(tmp_path / "runs")[0]}["1"] == "killed or lost"
    rest = subprocess.run([*command, "resume=true"], cwd=tmp_path, env=environment(), check=False)
    assert rest.returncode == 0
    assert [run.status for run in find(tmp_path / "runs")[0]] == ["done"] * 3


def _worker_of(folder, sweeping):
    """The process whose open files are in a folder, once it has recorded something there."""
    for _ in range(600):
        time.sleep(0.2)
        assert sweeping.poll() is None
        if not (folder / "history.csv").is_file():
            continue
        for process in os.listdir("/proc"):
            try:
                names = [os.readlink(f"/proc/{process}/fd/{fd}") for fd in os.listdir(f"/proc/{process}/fd")]
            except OSError:
                continue
            if process.isdecimal() and any(name.startswith(str(folder)) for name in names):
                return int(process)
    raise AssertionError("no job has begun")
