"""The benchmark: a wrong variant never passes, what is timed is what a run computes, and the tables say it."""

import json
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_runs import REPOSITORY, environment

from nstjax import train

SCRIPT = REPOSITORY / "scripts" / "bench.py"
PRESETS = sorted(path.stem for path in (REPOSITORY / "configs" / "preset").glob("*.yaml"))

# Answers as a worker of either side does, at once, and as rightly as it is told to.
PRETENDER = """#!{python}
import json, sys
for line in sys.stdin:
    request = json.loads(line)
    answer = {{"compile": 1, "seconds": {seconds}, "flops": 1e9}}
    answer |= {{"platform": "cpu", "device": "cpu", "versions": {{"version": "0"}}}}
    answer |= {{name: name for name in ("content", "style", "square_content", "square_style")}}
    answer["loss"] = {{"build": {built}, "evaluate": {timed}, "loop": {timed}}}.get(request["do"], 1)
    if request["do"] == "gradient":
        open(request["path"], "w").write("{cosine}")
    if request["do"] == "compare":
        answer["cosine"] = float(open(request["path"]).read())
    answer["peak_bytes"] = 1 << 20
    print(json.dumps(answer), flush=True)
"""


def pretender(path: Path, seconds: float = 1.0, built: float = 1.0, timed: float = 1.0, cosine: float = 1.0) -> str:
    """Writes an "interpreter" that runs such a worker, whatever it is asked to run."""
    path.write_text(
        PRETENDER.format(python=sys.executable, seconds=seconds, built=built, timed=timed, cosine=cosine),
        encoding="utf-8",
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.fixture(scope="module", autouse=True)
def scripts() -> Iterator[None]:
    """The script finds its folder beside it, and so do these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPT.parent))
        yield
    for name in [name for name in sys.modules if name.split(".")[0] == "benchmark"]:
        del sys.modules[name]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_those_of_the_command_line(preset: str) -> None:
    from benchmark import presets

    assert presets.config(preset) == train.compose([f"preset={preset}"])
    changes = {"size": 99, "content.path": "a.png", "runtime.convolution": "direct", "schedule": "coarse_to_fine"}
    changed = train.compose([f"preset={preset}", *(f"{key}={value}" for key, value in changes.items())])
    assert presets.config(preset, changes) == changed


@pytest.mark.parametrize("loss", [1.0002, 0.9998, float("nan"), float("inf")])
def test_a_wrong_loss_is_refused(loss: float) -> None:
    from benchmark.checks import WrongAnswerError, check_loss

    assert check_loss("right", 1.00005, 1.0, 1e-4) == pytest.approx(5e-5)
    with pytest.raises(WrongAnswerError, match=r"^fast: its loss"):
        check_loss("fast", loss, 1.0, 1e-4)


@pytest.mark.parametrize("cosine", [0.9999, -1.0, float("nan")])
def test_a_wrong_gradient_is_refused(cosine: float) -> None:
    from benchmark.checks import WrongAnswerError, check_cosine

    assert check_cosine("right", 0.999999, 0.99999) == 0.999999
    with pytest.raises(WrongAnswerError, match=r"^fast: its gradient"):
        check_cosine("fast", cosine, 0.99999)


def test_a_worker_answers_and_says_what_went_wrong(tmp_path: Path) -> None:
    from benchmark.workers import Worker, WorkerError

    code = """
import os
from benchmark import protocol

class Side:
    def add(self, a, b):
        print("between the answers")
        return {"sum": a + b}

    def end(self):
        os._exit(7)

protocol.serve(Side())
"""
    worker = Worker("adder", [sys.executable, "-c", code])
    assert worker.ask("add", a=1, b=2) == {"sum": 3}
    assert worker.peak_bytes > 2**20
    with pytest.raises(WorkerError, match="adder: add: TypeError"):
        worker.ask("add", a=1, b="2")
    with pytest.raises(WorkerError, match="adder: end: the process ended with exit code 7"):
        worker.ask("end")
    worker.close()


def test_samples_are_taken_in_turn() -> None:
    from benchmark.workers import in_turn

    order: list[str] = []
    taken = in_turn({"a": lambda: order.append("a") or 1, "b": lambda: order.append("b") or 2}, rounds=2)
    assert order == ["a", "b", "a", "b"]
    assert taken == {"a": [1, 1], "b": [2, 2]}


def test_speed_is_a_ratio_of_medians_with_the_range_of_the_rounds() -> None:
    from benchmark.evaluation import speedup

    said = speedup("ours", [1.0, 2.0, 4.0], "theirs", [3.0, 4.0, 4.0])
    assert said == "ours is 2.00 times as fast as theirs (1.00 to 3.00 by round)"


def test_a_loss_is_reached_when_a_picture_first_has_it() -> None:
    from benchmark.programs import reached_at

    curve = [(1.0, 9.0), (2.0, 5.0), (3.0, 4.0), (4.0, 4.5)]
    assert reached_at(curve, 5.0) == 2.0
    assert reached_at(curve, 3.9) is None


def test_operations_are_those_of_the_layers() -> None:
    from benchmark import flops

    assert flops.direct(16, 16) - flops._grams(16, 16) == 4 * 9 * (
        16 * 16 * (3 * 64 + 64 * 64)
        + 8 * 8 * (64 * 128 + 128 * 128)
        + 4 * 4 * (128 * 256 + 3 * 256 * 256)
        + 2 * 2 * (256 * 512 + 3 * 512 * 512)
        + 1 * 1 * (512 * 512)
    )
    assert flops.direct(64, 48) == 12 * flops.direct(16, 16)
    conv1_1 = 4 * 9 * 16 * 16 * 3 * 64
    grams = flops._grams(16, 16)
    assert flops.winograd(16, 16) == (flops.direct(16, 16) - grams - conv1_1) / 4 + conv1_1 + grams


def test_a_table_has_a_column_for_every_key_that_has_a_value() -> None:
    from benchmark import results

    rows = [{"variant": "a|b", "ratio": None, "never": None, "peak MiB": 1234.5}, {"variant": "c", "ratio": 0.25}]
    assert results.table(rows).splitlines() == [
        "| variant | ratio | peak MiB |",
        "| --- | --: | --: |",
        "| a\\|b |  | 1,234 |",
        "| c | 0.25 |  |",
    ]


def entry(title: str) -> dict:
    return {"title": title, "conditions": "a machine", "rows": [{"variant": "v", "seconds": 1.5}], "notes": ["fast"]}


def test_measurements_add_up_in_the_files(tmp_path: Path) -> None:
    from benchmark import results

    json_file, page = tmp_path / "bench.json", tmp_path / "page.md"
    page.write_text("before\n<!-- bench: begin -->\nold\n<!-- bench: end -->\nafter\n")
    results.merged(json_file, {"a": entry("A"), "b": entry("B")})
    together = results.merged(json_file, {"b": entry("New B")})
    assert json.loads(json_file.read_text()) == together == {"a": entry("A"), "b": entry("New B")}
    for _ in range(2):
        results.write_markdown(page, results.markdown(together))
    text = page.read_text()
    assert text.startswith("before\n<!-- bench: begin -->\n\n### A\n\na machine\n\n| variant | seconds |")
    assert text.endswith("| v | 1.5 |\n\n- fast\n\n<!-- bench: end -->\nafter\n")
    assert "old" not in text and "### B" not in text and text.count("### New B") == 1


def test_the_page_has_a_place_for_the_tables() -> None:
    page = (REPOSITORY / "docs" / "performance.md").read_text(encoding="utf-8")
    assert page.index("<!-- bench: begin -->") < page.index("<!-- bench: end -->")


def test_nothing_that_is_measured_is_imported_by_what_measures(tmp_path: Path) -> None:
    """Its children begin with its own peak of memory."""
    code = f"import sys; sys.path.insert(0, {str(SCRIPT.parent)!r}); sys.argv = ['bench']; import bench, sys; "
    code += "sys.exit(' '.join({'jax', 'numpy', 'torch', 'hydra', 'yaml'} & set(sys.modules)) or None)"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


QUICK = ("--rounds", "1", "--seconds", "0", "--json", "b.json")


def test_variants_that_agree_are_compared(tmp_path: Path) -> None:
    ours, theirs = pretender(tmp_path / "ours", seconds=1.0), pretender(tmp_path / "theirs", seconds=3.0)
    done = run(tmp_path, "evaluation", "--sizes", "64", *QUICK, "--python", ours, "--torch-python", theirs)
    assert done.returncode == 0, done.stderr
    (measured,) = json.loads((tmp_path / "b.json").read_text()).values()
    assert [row["seconds"] for row in measured["rows"]] == [1, 1, 3, 3, 3, 3]
    assert "nstjax winograd is 3.00 times as fast as PyTorch eager NCHW (3.00 to 3.00 by round)" in measured["notes"]
    assert "| PyTorch compiled channels-last | 3 | 3 | 3 |" in done.stdout


@pytest.mark.parametrize(
    ("command", "wrong", "said"),
    [
        ("evaluation", {"built": 1.001}, "its loss is 1.001, the reference's 1: off by 0.001 (0.0001 allowed)"),
        ("evaluation", {"timed": 0.5}, "its loss is 0.5, the reference's 1"),
        ("evaluation", {"cosine": 0.99}, "its gradient's cosine with the reference's is 0.9900000"),
        ("memory", {"built": 1.001}, "its loss is 1.001"),
        ("loop", {"built": 1.001}, "its loss is 1.001"),
        ("loop", {"timed": 1.5}, "its loss is 1.5"),
    ],
)
def test_a_fast_wrong_variant_ends_the_benchmark(tmp_path: Path, command: str, wrong: dict, said: str) -> None:
    ours, theirs = pretender(tmp_path / "ours"), pretender(tmp_path / "theirs", seconds=1e-6, **wrong)
    done = run(tmp_path, command, "--sizes", "64", *QUICK, "--python", ours, "--torch-python", theirs)
    assert done.returncode == 1
    assert done.stderr.startswith(f"bench: PyTorch eager NCHW: {said}") and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "b.json").exists()


@pytest.mark.slow
def test_a_measurement_without_pytorch(tmp_path: Path, original: Path) -> None:
    tiny = ("evaluation", "--sizes", "32", "--rounds", "2", "--seconds", "0.1")
    done = run(tmp_path, *tiny, "--torch-python", "", "--json", "b.json", "--markdown", "b.md")
    assert done.returncode == 0, done.stderr
    (measured,) = json.loads((tmp_path / "b.json").read_text()).values()
    rows = {row["variant"]: row for row in measured["rows"]}
    assert list(rows) == ["nstjax direct", "nstjax winograd"]
    for row in rows.values():
        assert 0 < row["min"] <= row["seconds"] <= row["max"]
        assert row["loss error"] < 1e-5 and row["cosine"] > 0.99999
    assert "| nstjax winograd |" in (tmp_path / "b.md").read_text()


@pytest.mark.slow
def test_the_parts_of_an_evaluation_are_all_of_it(tmp_path: Path, original: Path) -> None:
    """What the profiler and the compiled program are called by is theirs to change: then a part goes missing."""
    options = ("--size", "64", "--rounds", "2", "--torch-python", "", "--variants", "PyTorch", "--json", "b.json")
    done = run(tmp_path, "parts", *options)
    assert done.returncode == 0, done.stderr
    (measured,) = json.loads((tmp_path / "b.json").read_text()).values()
    shares = {row["part"]: row["share"] for row in measured["rows"]}
    assert len(shares) == 9 and min(shares.values()) > 0 and sum(shares.values()) == pytest.approx(1)
    assert shares["the rest"] < 0.25 < shares["Winograd's products"]


def test_what_needs_pytorch_says_so(tmp_path: Path) -> None:
    done = run(tmp_path, "program", "--torch-python", "")
    assert done.returncode == 2
    assert "give --torch-python" in done.stderr
