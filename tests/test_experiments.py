"""Experiments: figures of papers, each one command, with a page of what came of it."""

import re

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from PIL import Image
from small_runs import REPOSITORY, SHALLOW, in_process, manifest, picture

from nstjax.report import find
from nstjax.report.published import TITLES, beside, published
from nstjax.train import compose, main

CONFIGS, DOCS = REPOSITORY / "configs" / "experiment", REPOSITORY / "docs" / "experiments"
RUNS = {
    "gatys2015_layers": 20, "gatys2016_content_layers": 5, "gatys2016_figure3": 4, "gatys2016_figure4_inits": 6,
    "gatys2017_color": 5, "gatys2017_scale": 6, "gatys2017_spatial": 6, "neckarfront_log": 1, "optimizers": 7,
    "poolings": 4, "style_losses": 6, "tutorial_log": 1,
}  # fmt: skip


def jobs(name):
    """The settings of each of an experiment's runs."""
    params = OmegaConf.to_container(OmegaConf.load(CONFIGS / f"{name}.yaml")).get("hydra", {})
    given = [f"{key}={value}" for key, value in params.get("sweeper", {}).get("params", {}).items()]
    return BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(given), None)[0]


def test_these_are_all():
    assert sorted(RUNS) == sorted(path.stem for path in CONFIGS.glob("*.yaml"))


@pytest.mark.parametrize("name", RUNS)
def test_it_is_so_many_runs_of_the_schema(name):
    found = [compose([f"experiment={name}", *overrides]) for overrides in jobs(name)]
    assert len(found) == RUNS[name]
    assert len({repr(each) for each in found}) == len(found)
    assert all(config.content.name == "neckarfront" for config in found)


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_the_papers_size_is_its_presets(name):
    paper = compose([f"experiment={name}", "scale=paper", *jobs(name)[0]])
    preset = compose([f"preset={paper.preset}"])
    assert (paper.size, paper.schedule) == (preset.size, preset.schedule)


@pytest.mark.parametrize("name", RUNS)
def test_its_first_comment_is_its_command(name):
    lines = (CONFIGS / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    assert lines[:3] == ["# @package _global_", f"# python -m nstjax.train experiment={name}", "#"]
    assert any(line.startswith("# Cost: ") for line in lines)


@pytest.mark.parametrize("name", RUNS)
def test_its_page_shows_what_came_of_it(name):
    page = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    assert f"python -m nstjax.train experiment={name}\n" in page and "TODO" not in page
    assert "Agrees" in page and "Does not agree" in page
    assert page.count("\n| ") > RUNS[name]
    for file in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page):
        with Image.open(DOCS / file) as sheet:
            assert sheet.format == "PNG"
        assert (DOCS / file).stat().st_size <= 300_000
    assert f"[{name}]({name}.md)" in (DOCS / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_one_leaves_its_whole_report(tmp_path, monkeypatch, capsys):
    photo = picture(tmp_path / "photo.png")
    small = [*SHALLOW, "scale=tiny", "weights.source=random", "output.metrics=false", f"content.path={photo}"]
    with in_process(monkeypatch, tmp_path):
        arguments = ["experiment=gatys2016_figure3", *small, f"style.path={photo}", "hydra.sweep.dir=figure"]
        assert main(arguments) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "figure/report.html"
    assert {each.name for each in (tmp_path / "figure").glob("*.*")} >= {
        "report.html", "sheet.png", "curves.png", "table.csv", "table.md",
    }  # fmt: skip
    assert [run.manifest["config"]["objective"]["style_weight"] for run in find(tmp_path / "figure")[0]] == [
        1e4, 1e3, 1e2, 1e1,
    ]  # fmt: skip


@pytest.mark.slow
def test_a_published_log_is_beside_the_run(tmp_path, monkeypatch):
    photo = picture(tmp_path / "photo.png")
    small = [*SHALLOW, "scale=tiny", "schedule.steps=[50]", "weights.source=random", "output.metrics=false"]
    with in_process(monkeypatch, tmp_path):
        arguments = [*small, f"content.path={photo}", f"style.path={photo}", "hydra.run.dir=run"]
        assert main(["experiment=neckarfront_log", *arguments]) == 0
    (run,), _ = find(tmp_path / "run")
    (log,) = published([run])
    assert log.title == TITLES["neckarfront"] and log.totals[0] == 1388532.5
    assert beside(log, run) == [(49, 1388532.5, float(run.history["total"][48]))]
    table = (tmp_path / "run" / "table.md").read_text(encoding="utf-8")
    assert f"| evaluation | {log.title} | run run | ratio |" in table and "| 49 | 1,388,532 |" in table
    assert ">Gatys&#39; notebook (2017)</button>" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert manifest(tmp_path / "run")["status"] == "done"
