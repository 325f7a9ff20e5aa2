"""`python -m nstjax.train`: a run or a sweep, or one line that says what is wrong; and what a terminal shows of it."""

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time

import jax
import pytest
from bad_pictures import png
from small_runs import (
    SMALL,
    at_step,
    environment,
    history,
    in_process,
    interrupted,
    manifest,
    picture,
    pixels,
    truncated,
)

import nstjax.run
from nstjax.config import Config
from nstjax.errors import UserError
from nstjax.train import compose, main

ENDLESS = (*SMALL[:2], "schedule.steps=[5000]", *SMALL[3:])


@pytest.fixture
def train(tmp_path, monkeypatch, capsys):
    """Calls the command from `tmp_path`, and returns its exit code and what it printed."""
    with in_process(monkeypatch, tmp_path):

        def call(*arguments):
            code = main([*map(str, arguments)])
            return code, *capsys.readouterr()

        yield call


def command(*arguments):
    return [sys.executable, "-m", "nstjax.train", *map(str, arguments)]


@pytest.mark.parametrize(
    ("mistake", "text"),
    [
        ("style=nosuch", r"style=nosuch is not known; choose one of gatys_starry_night, great_wave, .*, the_scream"),
        ("optimizer=nosuch", r"optimizer=nosuch is not known; choose one of adabelief, adam, .*, yogi"),
        ("preset=nosuch", r"preset=nosuch is not known; choose one of .*default, .*gatys2016, .*, tutorial"),
        ("size=-1", r"size=-1 is out of range; it takes a number from 16 to 65536"),
        ("objective.style_weight=abc", r"objective.style_weight='abc' has the wrong type; it takes a number"),
        (
            "objective.style_weight=nan",
            r"objective.style_weight=nan is out of range; it takes a number from 0 to 3.4e\+38",
        ),
        ("optimizer.learning_rate=inf", r"optimizer.learning_rate=inf is out of range; .*"),
        ("typo=1", r"unknown key 'typo'; .*"),
        ("+typo=1", r"unknown key 'typo'; the keys are preset, content, style, size, .*"),
        ("++typo=1", r"unknown key 'typo'; the keys are .*"),
        ("objective.style_weigth=1", r"unknown key 'objective.style_weigth'; .*"),
        ("+objective.style_weigth=1", r"unknown key '.*style_weigth'; the keys in objective are content_weight, .*"),
        (
            "objective.style.layers=[relu9_9]",
            r"objective.style.layers.*relu9_9 is not known; choose one of conv1_1.*",
        ),
        ("schedule.steps=[1,2]", r"schedule.steps has 2 entries for the 1 of schedule.scales; give one for each"),
        ("content.path=none.jpg", r"none.jpg: can't be read \(No such file or directory\); check the path and its .*"),
        ("content.path=folder.jpg", r"folder.jpg: not a regular file; give the path of a picture"),
        ("content.path=half.jpg", r"half.jpg: can't be decoded \(.*truncated.*\); get a sound copy or save it as PNG"),
        ("content.path=huge.png", r"huge.png: 3600000000 pixels, the limit is 100000000; make it smaller"),
        ("content.path=photo (1).jpg", r".*content.path=photo \(1\).jpg.*quote.*"),
        ("content.path=", r"content.path is empty; .*"),
        ("style=null", r".*null.*style=starry"),
        ("nosuch", r".*'?nosuch'?.*KEY=VALUE.*"),
        ("size=64,96", r".*size=64,96.*-m.*"),
        ("size=${nosuch}", r".*nosuch.*"),
        ("init=picture", r"init=picture needs the picture's file: give init.path=FILE"),
        ("hydra.run.dir=half.jpg", r".*half.jpg.*hydra.run.dir.*"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(mistake, text, train, tmp_path):
    (tmp_path / "folder.jpg").mkdir()
    truncated(tmp_path / "half.jpg")
    (tmp_path / "huge.png").write_bytes(png(60000, 60000, 8, 2, b""))
    code, out, err = train(*SMALL, mistake)
    assert re.fullmatch(f"nstjax.train: {text}\n", err)
    assert (code, out) == (2, "")
    assert not list(tmp_path.rglob("result.png"))
    assert not [path for path in tmp_path.rglob("manifest.json") if '"failed"' not in path.read_text()]


@pytest.mark.parametrize("style", ["the_scream", "shipwreck"])
def test_no_network_for_a_picture_that_is_not_there(style, train, tmp_path, monkeypatch):
    monkeypatch.setenv("NSTJAX_CACHE", str(tmp_path / "cache"))
    for proxy in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    code, _, err = train(*SMALL, f"style={style}", "hydra.run.dir=run")
    assert code == 2
    refusal = err.splitlines()[-1]
    assert refusal.startswith("nstjax.train: could not fetch https://")
    assert f"download it by hand and put it into {tmp_path}/cache/fetched as {style}.jpg" in refusal
    assert "Traceback" not in err
    assert manifest(tmp_path / "run")["status"] == "failed"


def test_compose_is_for_notebooks_and_refuses_as_the_command_does(train):
    assert isinstance(compose(["size=96", "style=great_wave"]), Config)
    assert compose(["size=96"]).size == 96
    for mistake in ("size=-1", "style=nosuch", "+typo=1", "nosuch"):
        with pytest.raises(UserError) as error:
            compose([mistake])
        assert train(mistake)[2] == f"nstjax.train: {error.value}\n"


def test_a_run_prints_where_its_picture_is_and_leaves_its_folder(train, tmp_path, original):
    code, out, err = train(*SMALL, "hydra.run.dir=run")
    assert (code, out) == (0, f"{tmp_path}/run/result.png\n")
    names = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    hydra = {f"run/.hydra/{name}.yaml" for name in ("config", "hydra", "overrides")}
    assert names == {
        "run/result.png",
        "run/history.csv",
        "run/history.jsonl",
        "run/manifest.json",
        "run/log.txt",
        *hydra,
    }
    assert re.fullmatch(r"41x48, 4 evaluations in \d+ s; total \S+, \d+ times below the content picture's \S+\n", err)
    log = (tmp_path / "run" / "log.txt").read_text()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO nstjax\.run: " + re.escape(err), log)


def test_without_a_folder_of_its_own_a_run_gets_one_by_the_time(train, tmp_path):
    folders = [train(*SMALL, "schedule.steps=[0]")[1].strip() for _ in range(2)]
    assert folders[0] != folders[1]
    assert all(re.match(rf"{tmp_path}/outputs/\d{{4}}-\d\d-\d\d/\d\d-\d\d-\d\d-\d{{6}}/result.png", f) for f in folders)


def test_the_command_twice_gives_the_same_bytes(train, tmp_path):
    for name in ("one", "two"):
        train(*SMALL, f"hydra.run.dir={name}", "init=statistics", "seed=5")
    assert (tmp_path / "one" / "result.png").read_bytes() == (tmp_path / "two" / "result.png").read_bytes()


def test_a_saved_configuration_can_be_run_again(train, tmp_path):
    train(*SMALL, "hydra.run.dir=one", "seed=9")
    code, _, _ = train("--config-path", tmp_path / "one" / ".hydra", "--config-name", "config", "hydra.run.dir=two")
    assert code == 0
    assert manifest(tmp_path / "two")["config"] == manifest(tmp_path / "one")["config"]


def test_the_configuration_can_be_looked_at(train, tmp_path):
    code, out, _ = train("--cfg", "job", "size=96")
    assert (code, "size: 96" in out) == (0, True)
    assert not list(tmp_path.iterdir())


def test_a_sweep_over_a_weight_compiles_once_and_ends_with_a_sheet(train, tmp_path, monkeypatch):
    """At sizes that no other test has, so that the first job compiles: also what is compiled ahead, once."""
    compiled, counts, run = [], [], nstjax.run.run

    def listen(event, duration, **_):
        compiled.extend([event] * (event == "/jax/core/compile/backend_compile_duration"))

    def counting(config, folder):
        compiled.clear()
        result = run(config, folder)
        counts.append(len(compiled))
        return result

    monkeypatch.setattr(nstjax.run, "run", counting)
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        code, out, err = train(
            "-m",
            *SMALL,
            "size=53",
            "objective.style_weight=1,10,1e2",
            "hydra.sweep.dir=sweep",
            "schedule.scales=[0.8,1]",
            "schedule.steps=[4,4]",
        )
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert code == 0
    assert counts[0] > 0
    assert counts[1:] == [0, 0]
    folders = [tmp_path / "sweep" / str(n) for n in range(3)]
    assert out.splitlines() == [*(str(folder / "result.png") for folder in folders), "sweep/sheet.png"]
    assert [manifest(folder)["config"]["objective"]["style_weight"] for folder in folders] == [1, 10, 100]
    style = [history(folder)[0]["style"] for folder in folders]
    assert style == pytest.approx([style[0], 10 * style[0], 100 * style[0]])
    assert pixels(tmp_path / "sweep" / "sheet.png").shape[1] > 2 * 45
    assert "Traceback" not in err


def test_one_bad_picture_of_a_sweep_costs_that_job_only(train, tmp_path):
    truncated(tmp_path / "half.jpg")
    picture(tmp_path / "photo.png")
    code, out, err = train("-m", *SMALL, "content.path=half.jpg,photo.png", "seed=1,2", "hydra.sweep.dir=sweep")
    assert code == 2
    assert [manifest(tmp_path / "sweep" / str(n))["status"] for n in range(4)] == ["failed", "failed", "done", "done"]
    assert out.splitlines() == [f"{tmp_path}/sweep/{n}/result.png" for n in (2, 3)] + ["sweep/sheet.png"]
    failures = [line for line in err.splitlines() if "half.jpg: can't be decoded" in line]
    assert [line.partition("half.jpg")[0] for line in failures] == ["nstjax.train: job 0: ", "nstjax.train: job 1: "]
    assert "Traceback" not in err
    assert "Error executing job" not in err


def test_a_sweep_in_which_nothing_works_has_no_sheet(train, tmp_path):
    code, out, err = train("-m", *SMALL, "content.path=none.jpg,nothing.jpg", "hydra.sweep.dir=sweep")
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].startswith("nstjax.train: ")


def test_ctrl_c_ends_a_sweep_after_the_job_at_hand(train, tmp_path, monkeypatch):
    run = nstjax.run.run

    def interrupted(config, folder):
        run(config, folder)
        raise KeyboardInterrupt

    monkeypatch.setattr(nstjax.run, "run", interrupted)
    code, out, err = train("-m", *SMALL, "schedule.steps=[0]", "seed=1,2", "hydra.sweep.dir=sweep")
    assert code == 130
    assert err.endswith("nstjax.train: interrupted\n")
    assert out == "sweep/sheet.png\n"
    assert not (tmp_path / "sweep" / "1").exists()


def statuses(sweep):
    return [manifest(folder)["status"] for folder in sorted(sweep.glob("[0-9]*"))]


def crash_of_seed_2(monkeypatch, error):
    prepare = nstjax.run.prepare

    def crash(config):
        if config.seed == 2:
            raise error
        return prepare(config)

    monkeypatch.setattr(nstjax.run, "prepare", crash)


def test_a_crash_of_one_job_costs_that_job_only(train, tmp_path, monkeypatch):
    crash_of_seed_2(monkeypatch, RuntimeError("RESOURCE_EXHAUSTED: Out of memory\nallocating 3 GiB"))
    code, out, err = train("-m", *SMALL, "schedule.steps=[0]", "seed=1,2,3", "hydra.sweep.dir=sweep")
    assert code == 1
    assert statuses(tmp_path / "sweep") == ["done", "failed", "done"]
    reason = "RuntimeError: RESOURCE_EXHAUSTED: Out of memory"
    assert manifest(tmp_path / "sweep" / "1")["reason"] == reason
    folder = tmp_path / "sweep" / "1"
    assert f"nstjax.train: job 1: {reason}; its traceback is in {folder}/log.txt" in err.splitlines()
    assert "Traceback" not in err
    assert "Traceback (most recent call last)" in (folder / "log.txt").read_text()
    assert "allocating 3 GiB" in (folder / "log.txt").read_text()
    assert out.splitlines()[-1] == "sweep/sheet.png"


def test_a_crash_beats_a_users_mistake_in_the_exit_code(train, tmp_path, monkeypatch):
    crash_of_seed_2(monkeypatch, OSError(5, "Input/output error", "weights.safetensors"))
    for seeds in ("2,-1", "-1,2"):
        code, _, err = train("-m", *SMALL, "schedule.steps=[0]", f"seed={seeds}", "hydra.sweep.dir=sweep")
        assert code == 1
        assert "cannot write" not in err  # it was no write
        assert "OSError: [Errno 5] Input/output error: 'weights.safetensors'; its traceback is in" in err


@pytest.mark.slow
def test_a_sweep_that_was_stopped_goes_on_with_what_is_not_done(train, tmp_path):
    arguments = ("-m", *SMALL, "seed=1,2,3", "hydra.sweep.dir=sweep", "init=noise")
    with interrupted(lambda out, row: out.path.name == "1"):
        code, out, err = train(*arguments)
    assert (code, err.splitlines()[-1]) == (130, "nstjax.train: interrupted")
    assert statuses(tmp_path / "sweep") == ["done", "interrupted"]
    before = [(path, path.stat().st_mtime_ns) for path in (tmp_path / "sweep" / "0").glob("*") if path.suffix != ".txt"]
    code, out, err = train(*arguments, "resume=true")
    assert code == 0
    assert statuses(tmp_path / "sweep") == ["done"] * 3
    assert [(path, path.stat().st_mtime_ns) for path, _ in before if path.is_file()] == [
        (path, time) for path, time in before if path.is_file()
    ]
    assert f"there is nothing left to do in {tmp_path}/sweep/0: the run is done" in err
    assert f"resuming after 1 evaluations, in {tmp_path}/sweep/1" in err
    assert out.splitlines() == [f"{tmp_path}/sweep/{n}/result.png" for n in range(3)] + ["sweep/sheet.png"]


@pytest.mark.slow
def test_the_sheet_is_of_this_sweeps_jobs(train, tmp_path):
    """Not of others in the same folder, nor of what is no run's manifest."""
    train("-m", *SMALL, "schedule.steps=[0]", "seed=1,2,3,4,5", "hydra.sweep.dir=sweep")
    (tmp_path / "sweep" / "3" / "manifest.json").write_text("{}")
    (tmp_path / "sweep" / "manifest.json").write_text("[1]")
    code, out, _ = train("-m", *SMALL, "schedule.steps=[0]", "seed=6", "hydra.sweep.dir=sweep")
    assert (code, out.splitlines()[-1]) == (0, "sweep/sheet.png")
    assert pixels(tmp_path / "sweep" / "sheet.png").shape[1] == 12 + 41 + 12


def test_a_job_that_was_refused_does_not_pass_off_an_earlier_result_as_its_own(train, tmp_path):
    arguments = ("-m", *SMALL, "schedule.steps=[0]", "hydra.sweep.dir=sweep")
    train(*arguments, "seed=1,2,3")
    code, out, _ = train(*arguments, "seed=-1,5")
    assert (code, out.splitlines()) == (2, [f"{tmp_path}/sweep/1/result.png", "sweep/sheet.png"])
    assert pixels(tmp_path / "sweep" / "sheet.png").shape[1] == 12 + 41 + 12


def test_a_run_resumed_goes_on_with_its_log(train, tmp_path):
    with interrupted(at_step(0)):
        assert train(*SMALL, "hydra.run.dir=run")[0] == 130
    for code in (0, 0):
        assert train(*SMALL, "hydra.run.dir=run", "resume=true")[0] == code
    messages = [line.partition(": ")[2] for line in (tmp_path / "run" / "log.txt").read_text().splitlines()]
    beginnings = [message.partition(" ")[0] for message in messages]
    assert beginnings == ["the", "resuming", "41x48,", "there"]
    train(*SMALL, "hydra.run.dir=run")
    assert len((tmp_path / "run" / "log.txt").read_text().splitlines()) == 1


class Stopped:
    """A run of many steps that was sent a signal after its first rows."""

    def __init__(self, folder, number):
        self.folder, self.number = folder, number
        self.process = subprocess.Popen(
            command(*ENDLESS, "hydra.run.dir=run"), cwd=folder, env=environment(),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def finish(self):
        wait_for(lambda: lines_of(self.folder / "run" / "history.csv") > 2, self.process)
        self.process.send_signal(self.number)
        self.out, self.err = self.process.communicate(timeout=60)
        return self


def lines_of(path):
    return path.read_text().count("\n") if path.exists() else 0


def wait_for(condition, process):
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """Both signals at once, because most of their time is starting."""
    runs = [Stopped(tmp_path_factory.mktemp(name), getattr(signal, name)) for name in ("SIGINT", "SIGTERM")]
    try:
        yield [run.finish() for run in runs]
    finally:
        for run in runs:
            run.process.kill()


def test_a_signal_interrupts_the_run_and_keeps_its_picture(stopped):
    for run in stopped:
        facts = manifest(run.folder / "run")
        assert run.process.returncode == 128 + run.number
        assert facts["status"] == "interrupted"
        assert 0 < facts["evaluations"] == len(history(run.folder / "run")) < 5001
        assert pixels(run.folder / "run" / "result.png").shape == (48, 41, 3)
        assert facts["final"]["total"] <= history(run.folder / "run")[0]["total"]


def test_what_is_not_a_terminal_gets_whole_lines_and_no_progress_bar(stopped):
    for run in stopped:
        kept = f"the best picture so far is {run.folder}/run/result.png\n"
        assert (run.out, run.err) == ("", f"{kept}nstjax.train: interrupted\n")
        assert (run.folder / "run" / "log.txt").read_text().endswith(f" INFO nstjax.run: {kept}")


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    """What a terminal of 100 columns gets from a run of a few seconds."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    folder = tmp_path_factory.mktemp("terminal")
    process = subprocess.Popen(
        command(*SMALL[:2], "schedule.steps=[40]", *SMALL[3:], "hydra.run.dir=run", "preview_every=10"),
        cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=slave,
    )  # fmt: skip
    os.close(slave)
    shown = b""
    with contextlib.suppress(OSError):  # EIO is how a terminal ends
        while piece := os.read(master, 4096):
            shown += piece
    os.close(master)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return shown.decode(), out.decode(), folder


def test_a_terminal_shows_percent_losses_and_the_time_left(screen):
    shown, _, _ = screen
    bars = [bar for bar in re.split(r"[\r\n]", shown) if "%|" in bar]
    assert bars
    assert re.search(r"scale 0/0 step \d+/40 +\d+%\|", bars[-1])
    assert re.search(r"\d\d:\d\d<\d\d:\d\d", bars[-1])
    for loss in ("total", "content", "style"):
        assert re.search(rf"{loss} \d", bars[-1]), bars[-1]
    assert max(map(len, bars)) <= 100


def test_the_bar_is_gone_at_the_end_and_messages_are_whole_lines(screen):
    shown, out, folder = screen
    assert out == f"{folder}/run/result.png\n"
    assert re.search(r"(^|\n|\r)step 20: total \S+, content \S+, style \S+\r\n", shown)
    assert re.search(r"\r41x48, 41 evaluations in \d+ s; total [^\r\n]*\r\n$", shown)


def test_the_log_has_our_messages_and_none_of_jax(screen):
    _, _, folder = screen
    log = (folder / "run" / "log.txt").read_text().splitlines()
    assert len(log) == 6  # five previews and the summary
    assert all(" INFO nstjax.run: " in line for line in log)
