"""`python -m nstjax.report DIR`: a page that needs nothing else, of any folder of runs, in whatever state they are."""

import base64
import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import filelock
import numpy as np
import pytest
from permissions import binding
from run_folders import COLORS, HEADER, Page, copied, leave_run
from small_runs import SMALL, at_step, environment, history, interrupted, manifest, picture, pixels, small, truncated

from nstjax.config import to_dict
from nstjax.outputs import RunFolder, going_on
from nstjax.report import find, report
from nstjax.report.__main__ import main
from nstjax.run import run

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7 * 7 }}|`$a$ &amp; </script>\x1b[31m\u202e"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Four real runs, two styles by two weights; their content picture lies beside them."""
    folder = tmp_path_factory.mktemp("made")
    picture(folder / "photo.png")
    for n, (style, weight) in enumerate([(s, w) for s in ("starry", "great_wave") for w in ("1e2", "1e3")]):
        overrides = f"content.path={folder}/photo.png", f"style={style}", f"objective.style_weight={weight}"
        run(small(*overrides), folder / "sweep" / str(n))
    return folder


@pytest.fixture
def sweep(made, tmp_path):
    """A copy of the four, to be changed."""
    return shutil.copytree(made / "sweep", tmp_path / "sweep")


@pytest.fixture
def call(capsys):
    def called(*arguments):
        code = main([*map(str, arguments)])
        return code, *capsys.readouterr()

    return called


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def statuses(folder):
    return {run.name: (run.status, run.reason) for run in find(folder)[0]}


def test_the_command_prints_where_the_page_is_and_leaves_the_same_as_pictures_and_tables(sweep, call):
    before = {path.name for path in sweep.iterdir()}
    assert call(sweep) == (0, f"{sweep}/report.html\n", "")
    left = {path.name for path in sweep.iterdir()} - before
    assert left == {"report.html", "sheet.png", "curves.png", "table.csv", "table.md"}
    assert pixels(sweep / "sheet.png").shape[1] == 12 + 2 * (41 + 12)
    curves = pixels(sweep / "curves.png")
    assert curves.shape[1] > 1000
    assert ((curves.max(-1) - curves.min(-1)) > 0.3).sum() > 1000  # colored lines


def test_the_page_asks_nothing_of_anyone(sweep):
    page = Page(report(sweep).page)
    references = [had[name] for _, had in page.elements for name in ("src", "href", "action", "poster") if name in had]
    assert len(references) > 4
    assert all(each.startswith(("data:image/jpeg;base64,", "#")) for each in references)
    assert not re.search(r"https?:|@import|url\((?!#)", page.source)
    assert not page.all("link") + page.all("iframe")
    (policy,) = page.all("meta", http_equiv="Content-Security-Policy")
    assert policy["content"].startswith("default-src 'none'; img-src data:;")


def test_pictures_are_laid_out_by_the_two_axes(sweep):
    page = Page(report(sweep).page)
    heads = re.findall(r"<th[^>]*>(.*?)</th>", page.source.partition('class="matrix"')[2])
    assert heads[:6] == ["style_weight", "style", "100", "1000", "starry", "great_wave"]
    assert [figure["data-run"] for figure in page.all("figure", class_="run")] == ["0", "1", "2", "3"]
    shown = [had for had in page.all("img") if "decoding" in had]
    assert [had["alt"] for had in shown][-4:] == [
        f"style={style} style_weight={weight}" for style in ("starry", "great_wave") for weight in (100, 1000)
    ]
    data = base64.b64decode(shown[-1]["src"].partition(",")[2])
    (sweep / "shown.jpg").write_bytes(data)
    assert np.abs(pixels(sweep / "shown.jpg") - pixels(sweep / "3" / "result.png")).mean() < 0.05


def test_the_table_has_what_runs_have_recorded_and_nothing_else(sweep):
    rows = rows_of(report(sweep).csv)
    for n, row in enumerate(rows):
        facts = manifest(sweep / str(n))
        assert (row["run"], row["style.name"]) == (str(n), facts["config"]["style"]["name"])
        assert float(row["objective.style_weight"]) == facts["config"]["objective"]["style_weight"]
        assert float(row["total"]) == facts["final"]["total"]
        style = [value for name, value in facts["final"].items() if name.startswith("style/")]
        assert float(row["style"]) == pytest.approx(sum(style), rel=1e-12)
        assert int(row["evaluations"]) == len(history(sweep / str(n))) == 4
        assert (row["status"], float(row["seconds"])) == ("done", facts["seconds"]["total"])
    assert "tv" not in rows[0]  # nobody asked for it
    assert "reason" not in rows[0]


def test_metrics_are_columns_that_say_what_they_are(tmp_path):
    """Of runs that were measured; a number that isn't one, as of a hand that wrote it, is none."""
    config = to_dict(small())
    leave_run(tmp_path / "0", config, metrics={"ssim": 0.5, "style_gram": 2.0, "optimized": ["relu2_2", "relu3_3"]})
    leave_run(tmp_path / "1", config, metrics={"ssim": 0.123456, "style_gram": "high", "optimized": []})
    leave_run(tmp_path / "2", config)
    made = report(tmp_path)
    rows = rows_of(made.csv)
    assert [row["metrics.ssim"] for row in rows] == ["0.5", "0.123456", ""]
    assert [row["metrics.style_gram"] for row in rows] == ["2.0", "", ""]
    assert [row["metrics.optimized"] for row in rows] == ["relu2_2, relu3_3", "", ""]
    assert "| 0.123 |" in made.markdown.read_text(encoding="utf-8")
    titles = [each["title"] for each in Page(made.page).all("button") if "title" in each]
    assert "metrics.ssim: structural similarity to the photograph; 1: the same" in titles


def test_the_curves_are_the_histories(sweep):
    page = Page(report(sweep).page)
    data = json.loads(re.search(r'id="data">(.*?)</script>', page.source, re.DOTALL)[1])
    for n, drawn in enumerate(data["points"]):
        rows = history(sweep / str(n))
        assert drawn["evaluations"] == [row["evaluations"] for row in rows]
        for name in ("total", "content", "style"):
            assert drawn["losses"][name] == pytest.approx([row[name] for row in rows], rel=1e-5)
    assert len(page.all("path")) == 3 * 4


def test_markdown_is_one_table(sweep):
    copied(sweep / "0", sweep / "9", small("seed=1"), status="failed", reason="a | b *c* <d> [e](f)\nnext")
    lines = report(sweep).markdown.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2 + 5
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
    assert r"a \| b \*c\* &lt;d&gt; \[e\](f)?next" in lines[-1]


def test_settings_are_told_once_where_all_runs_have_them(sweep):
    page = Page(report(sweep).page)
    assert page.text.count("objective.content.layers") == 1
    assert page.text.count("objective.style_weight") == 1  # the head of the column of what differs
    assert "versions.jax" in page.text


def test_what_names_and_reasons_hold_is_text(sweep, call):
    hostile = sweep / HOSTILE.replace("/", "")
    copied(sweep / "0", hostile, small(), status="failed", reason=HOSTILE, device=HOSTILE)
    facts = manifest(hostile)
    facts["config"]["style"]["name"] = facts["config"][HOSTILE] = HOSTILE
    facts["pictures"]["content"] |= {"path": f"/{HOSTILE}", "sha256": HOSTILE}
    facts["versions"][HOSTILE] = HOSTILE
    (hostile / "manifest.json").write_text(json.dumps(facts))
    (sweep / "note" / HOSTILE.replace("/", "")).mkdir(parents=True)
    (sweep / "note" / HOSTILE.replace("/", "") / "manifest.json").write_text("{}")
    usual = Page(report(sweep / "1").page)
    assert call(sweep)[0] == 0
    page = Page(sweep / "report.html")
    assert len(page.all("script")) == len(usual.all("script")) == 2
    tags, usual_tags = ({tag for tag, _ in each.elements} for each in (page, usual))
    assert tags <= usual_tags | {"a", "h3", "li", "strong", "ul"}
    assert not [name for _, had in page.elements for name in had if name.startswith("on")]
    assert HOSTILE.replace("\x1b", "?").replace("\u202e", "?").replace("  ", " ") in page.text
    for name in ("report.html", "table.md", "table.csv"):
        assert "\x1b" not in (sweep / name).read_text(encoding="utf-8")
    (json_data,) = re.findall(r'id="data">(.*?)</script>', page.source, re.DOTALL)
    assert any(HOSTILE[:20] in label for label in json.loads(json_data)["labels"])


def test_a_run_that_is_going_on_is_shown_as_far_as_it_is_and_not_disturbed(sweep, tmp_path):
    with RunFolder(sweep / "9", small("seed=7", "preview_every=1")) as out:
        assert statuses(sweep)["9"] == ("running", "")
        report(sweep)  # before the first evaluation
        out.begin()
        out.record({"total": np.ones(3), "content": np.ones(3), "style/relu1_1": np.zeros(3)}, scale=0, first_step=0)
        with open(sweep / "9" / "history.csv", "a") as file:
            file.write("0,3,4,1.5,99,9,9,0")  # half a row
        for step, color in ((9, COLORS[0]), (10, COLORS[1])):
            out.preview(np.broadcast_to(color, (32, 40, 3)), 0, step)
        row = rows_of(report(sweep).csv)[-1]
        assert (row["status"], row["total"], row["evaluations"]) == ("running", "1.0", "3")
        assert len(Page(sweep / "report.html").all("img", width="40")) == 1
        assert (find(sweep)[0][-1].picture).name == "scale0_step00010.png"
        assert going_on(sweep / "9")
    assert statuses(sweep)["9"] == ("done", "")


def test_looking_at_a_folder_keeps_no_run_out_of_it(tmp_path):
    config = small()
    (tmp_path / ".lock").touch()
    assert not going_on(tmp_path)
    look = filelock.FileLock(tmp_path / ".lock", thread_local=False)
    look.acquire()  # as `going_on` does, for less time
    threading.Timer(0.05, look.release).start()
    with RunFolder(tmp_path, config):
        assert going_on(tmp_path)
    assert not going_on(tmp_path)


def test_a_run_that_ended_without_a_word_is_not_called_running(tmp_path):
    folder = leave_run(tmp_path / "run", {"seed": 1}, status="running")
    assert statuses(tmp_path)["run"][0] == "killed or lost"
    (folder / ".lock").touch()  # what kill -9 leaves
    status, reason = statuses(tmp_path)["run"]
    assert (status, "its process ended without a word" in reason) == ("killed or lost", True)
    assert json.loads((folder / "manifest.json").read_text())["status"] == "running"
    page = Page(report(tmp_path).page)
    assert "1 killed or lost" in page.text
    assert "its process ended without a word" in page.text


def test_an_interrupted_run_says_so_and_keeps_its_numbers(tmp_path):
    with pytest.raises(KeyboardInterrupt), interrupted(at_step(0)):
        run(small(), tmp_path / "run")
    (row,) = rows_of(report(tmp_path).csv)
    assert (row["status"], row["reason"]) == ("interrupted", "stopped by Ctrl-C or SIGTERM")
    assert float(row["total"]) == manifest(tmp_path / "run")["final"]["total"]


def test_damaged_rows_of_a_history_are_left_out(tmp_path):
    folder = leave_run(tmp_path / "run", {})
    rows = [
        "0,0,1,0.1,5,2,3,0,3",
        "0,1,2,x,4,2,2,0,2",
        "0,2",
        "\0\xff",
        "0,3,4,0.4,nan,2,nan,0,2",
        "0,4,5,0.5,3,2,1,0,1",
    ]
    (folder / "history.csv").write_bytes((HEADER + "\n".join(rows) + "\n0,5,6,0.").encode("latin-1"))
    (found,), _ = find(tmp_path)
    assert found.history["evaluations"].tolist() == [1, 4, 5]
    assert found.final["total"] == 3
    page = Page(report(tmp_path).page)
    (total,) = [had["d"] for had in page.all("path") if had["data-run"] == "0"][:1]
    assert total.count("M") == 2  # the curve has a gap where the loss was no number
    assert total.count("L") == 0


@pytest.mark.parametrize(
    "text", ["", "no rows", HEADER, "a,b\n1,2\n", HEADER + "1e999,1,1,1,-1,0,inf,0,0\n", '"' * 200_000 + "\n"]
)
def test_any_history_is_a_history(text, tmp_path):
    (leave_run(tmp_path / "0", {}) / "history.csv").write_text(text)
    made = report(tmp_path)
    assert made.curves is None
    assert rows_of(made.csv)[0]["status"] == "done"


@pytest.mark.parametrize(
    "facts",
    [
        {"status": None},
        {"status": ["done"], "final": [], "seconds": 3, "evaluations": "many", "pictures": [], "environment": 5},
        {"status": "done", "final": {"total": 10**400}, "seconds": {"total": "1"}, "evaluations": 10**400},
        {"status": "done", "final": {"total": float("nan"), "content/x": None, "style": "a"}, "evaluations": np.nan},
        {"status": "failed", "reason": {"a": 1}, "pictures": {"content": {"path": "\0", "sha256": "0"}, "style": [3]}},
        {"status": "done", "pictures": {"content": {"path": "/dev/zero", "sha256": "0"}, "style": {"path": 3}}},
    ],
)  # fmt: skip
def test_a_manifest_of_odd_facts_is_shown_as_far_as_it_makes_sense(facts, tmp_path):
    leave_run(tmp_path / "odd", {"a": {"b": [1, None, {"c": True}]}, "d": float("inf")}, **facts)
    leave_run(tmp_path / "usual", {"a": 3, "d": 1e300}, COLORS[0])
    assert len(rows_of(report(tmp_path).csv)) == 2
    Page(tmp_path / "report.html")


def test_what_is_no_run_is_a_note(sweep):
    for name, text in (("extension", '{"name": "of a browser"}'), ("broken", '{"status": "do')):
        (sweep / name).mkdir()
        (sweep / name / "manifest.json").write_text(text)
    (sweep / "refused" / ".hydra").mkdir(parents=True)
    error = "2026-01-01 00:00:00,000 ERROR nstjax.train: job 4: size=-1 is out of range\n"
    (sweep / "refused" / "log.txt").write_text(error)
    found, notes = find(sweep)
    assert len(found) == 4
    assert notes == [
        "broken/manifest.json is not a run's, or damaged",
        "extension/manifest.json is not a run's, or damaged",
        "refused has not begun: nstjax.train: job 4: size=-1 is out of range",
    ]
    assert all(note in Page(report(sweep).page).text for note in notes)


def test_runs_are_found_at_any_depth_in_the_order_of_their_numbers(tmp_path):
    for name in ("10", "9", "a/2/x", "a/10/x"):
        leave_run(tmp_path / name, {"seed": name})
    leave_run(tmp_path / "9" / "previews" / "no", {})
    assert [run.name for run in find(tmp_path)[0]] == ["9", "10", "a/2/x", "a/10/x"]


def test_a_single_run_has_a_report_of_its_own(sweep, call):
    assert call(sweep / "2")[0] == 0
    page = Page(sweep / "2" / "report.html")
    assert "1 run: 1 done" in page.text
    assert len(page.all("figure", class_="run")) == 1
    assert rows_of(sweep / "2" / "table.csv")[0]["run"] == "2"


def test_in_a_notebook_the_report_shows_itself(sweep):
    shown = report(str(sweep))._repr_html_()
    assert shown.startswith('<iframe srcdoc="&lt;!doctype html&gt;')
    assert shown.count("<") == 2


def test_a_content_picture_that_is_another_by_now_is_not_shown_as_the_one_before(made, sweep):
    sha256 = manifest(sweep / "0")["pictures"]["content"]["sha256"]
    assert len(Page(report(sweep).page).all("img", data_sha256=sha256)) == 1
    moved = shutil.copytree(sweep, sweep.parent / "elsewhere")
    for path in moved.glob("?/manifest.json"):
        path.write_text(path.read_text().replace(f"{made}/photo.png", f"{moved}/photo.png"))
    picture(moved / "photo.png", seed=1)
    assert not Page(report(moved).page).all("img", data_sha256=sha256)
    assert "not here any more" in Page(moved / "report.html").text
    shutil.copy(made / "photo.png", moved / "0")  # beside the manifest, as for a re-run
    assert Page(report(moved).page).all("img", data_sha256=sha256)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda path: None, r"DIR is not a folder; give one with runs in it, or a run's own"),
        (lambda path: path.write_text(""), r"DIR is not a folder; .*"),
        (lambda path: path.mkdir(), r"no run in DIR; give a folder that nstjax.train has written"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(make, text, tmp_path, call):
    make(tmp_path / "DIR")
    code, out, err = call(tmp_path / "DIR")
    assert (code, out) == (2, "")
    assert re.fullmatch(f"nstjax.report: {text}\n", err.replace(f"{tmp_path}/", ""))


def test_a_folder_that_may_not_be_written_is_one_line(sweep, call):
    os.chmod(sweep, 0o555)
    try:
        with binding():
            code, out, err = call(sweep)
    finally:
        os.chmod(sweep, 0o755)
    assert (code, out) == (2, "")
    assert err == f"nstjax.report: cannot write to {sweep}: Permission denied; free space, or report on a copy\n"


@pytest.mark.slow
def test_500_runs_are_a_page_that_opens(made, tmp_path):
    config = small()
    for n in range(500):
        objective = replace(config.objective, style_weight=float(1 + n % 25))
        copied(made / "sweep" / "0", tmp_path / str(n), replace(config, seed=n // 25, objective=objective))
    began = time.process_time()
    page = Page(report(tmp_path).page)
    assert time.process_time() - began < 30
    assert len(page.all("figure", class_="run")) == 500
    assert page.text.count(" total ") >= 500
    assert (tmp_path / "report.html").stat().st_size < 12e6
    assert len(rows_of(tmp_path / "table.csv")) == 500


@pytest.mark.slow
def test_a_sweep_with_jobs_that_fail_shows_the_others_and_every_reason(tmp_path):
    """A bad picture, a loss that becomes NaN, a process that is killed."""
    truncated(tmp_path / "half.jpg")
    picture(tmp_path / "photo.png")
    picture(tmp_path / "other.png", seed=1)

    def command(*arguments):
        return [sys.executable, "-m", "nstjax.train", *SMALL, *arguments]

    where = {"cwd": tmp_path, "env": environment(), "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    pictures, rates = "content.path=photo.png,half.jpg,other.png", "optimizer.learning_rate=1e-9,1e30"
    sweeping = [*command(pictures, "optimizer=sgd", rates, "hydra.sweep.dir=sweep"), "-m"]
    done = subprocess.run(sweeping, **where, check=False)
    assert done.returncode == 2
    killed = subprocess.Popen(command("schedule.steps=[500000]", "hydra.run.dir=sweep/6"), **where)
    rows = tmp_path / "sweep" / "6" / "history.csv"
    while not (rows.exists() and rows.read_text().count("\n") > 2):
        assert killed.poll() is None
        time.sleep(0.1)
    assert statuses(tmp_path / "sweep")["6"] == ("running", "")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    made = report(tmp_path / "sweep")
    table = {row["run"]: row for row in rows_of(made.csv)}
    assert [table[str(n)]["status"] for n in range(7)] == [
        "done", "failed", "failed", "failed", "done", "failed", "killed or lost"
    ]  # fmt: skip
    reasons = {"1": "became nan", "2": "half.jpg: can't be decoded", "6": "its process ended without a word"}
    page = Page(made.page)
    for name, reason in reasons.items():
        assert reason in table[name]["reason"]
        assert page.text.count(table[name]["reason"]) >= 2  # in the list, and in the table
    assert float(table["6"]["total"]) > 0
