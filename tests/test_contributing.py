"""CONTRIBUTING.md is true: the statistic and the writer that it adds are added here, from its own words."""

import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import test_statistics
from small_runs import REPOSITORY

from nstjax import features, statistics, weights
from nstjax.config import Config
from nstjax.config.schema import OutputConfig
from nstjax.objective import Objective, StyleTerm, evaluate, make_targets
from nstjax.outputs import WRITERS, Kind, RunFolder, Writer
from nstjax.statistics import STATISTICS

PAGE = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")


def code_of(section):
    """The blocks of a section, by the beginning of its heading."""
    (body,) = (part for part in PAGE.split("\n## ") if part.startswith(section))
    return re.findall(r"```python\n(.*?)```", body, re.DOTALL)


@pytest.fixture
def page(monkeypatch):
    """What the page defines, with its line in the registry."""
    function, line, test = code_of("A style statistic")
    scope = {**vars(statistics)}
    exec(function, scope)
    (added,) = eval(f"{{{line}}}", scope).items()
    monkeypatch.setitem(STATISTICS, *added)
    exec(test, scope)
    scope["statistic"] = added[0]
    return scope


def test_the_test_on_the_page_passes(page):
    tests = [each for name, each in page.items() if name.startswith("test_")]
    assert len(tests) == 1
    tests[0]()


def test_the_test_on_the_page_can_fail(page):
    page["squared_error"] = lambda value, target, reduction: jnp.mean(jnp.abs(value - target))
    with pytest.raises(AssertionError):
        page["test_cosine_distance_is_its_formula"]()


def laws():
    """The tests that each statistic passes by its name alone."""
    for each in vars(test_statistics).values():
        by_name = any(mark.args[1:] == (STATISTICS,) for mark in getattr(each, "pytestmark", []) if mark.args)
        if by_name and list(inspect.signature(each).parameters) == ["name"]:
            yield each


@pytest.mark.parametrize("law", list(laws()))
def test_it_keeps_to_what_all_statistics_keep_to(law, page):
    law(page["statistic"])


@pytest.mark.slow
def test_it_is_a_term_on_the_real_network(page):
    network, picture = weights.load("caffe-8bit"), test_statistics.feature_map(0, 20, 30, 3) / 100
    term = StyleTerm("style/relu2_1", "relu2_1", page["statistic"], (("reduction", "mean"),))
    objective = Objective((term,), features.extractor())
    targets = make_targets(network, picture, [picture[:, ::-1] ** 2], objective=objective)
    (total, _), gradient = jax.value_and_grad(evaluate, has_aux=True)(
        picture, network, targets, {term.name: 1.0}, objective=objective
    )
    assert total > 0
    assert jnp.isfinite(gradient).all() and jnp.abs(gradient).max() > 0


def test_the_writer_on_the_page_is_told_of_a_run(tmp_path, monkeypatch, capsys):
    definition, line = code_of("A writer")
    scope = {"Kind": Kind}
    exec(definition, scope)
    (added,) = eval(f"{{{line}}}", scope).items()
    assert isinstance(added[1].open(tmp_path, 0), Writer)
    monkeypatch.setitem(WRITERS, *added)
    with RunFolder(tmp_path / "run", Config(output=OutputConfig(writers=(added[0],)))) as out:
        out.manifest |= {"pictures": {}, "weights": {"sha256": "1"}, "device": "cpu: cpu", "environment": {}}
        out.begin()
        out.record({"total": np.array([3.0])}, scale=0, first_step=0)
        out.result(np.zeros((16, 20, 3), np.float32))
        out.manifest["final"] = {"total": 2.0}
    assert capsys.readouterr().out == "run 1 3.0\nrun 1 result (16, 20, 3)\nrun {'final.total': 2.0}\n"
