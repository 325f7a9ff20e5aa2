"""A style picture that is first painted in the fine strokes of another: two runs, the one inside the other's folder."""

import numpy as np
import pytest
from small_runs import at_step, history, interrupted, manifest, picture, pixels, small

from nstjax import run
from nstjax.errors import Interrupted, UserError
from nstjax.report import reading
from nstjax.rerun import rerun
from nstjax.run import fine

SETTINGS = ("style.fine.picture=great_wave", "style.fine.layers=[relu1_1]")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fine") / "run"
    run.run(small(*SETTINGS), folder)
    return folder


def test_the_style_is_a_run_of_its_own_seen_by_shallow_layers_only(done):
    """Gatys et al. (2017): it begins with the coarse picture, and has no content loss."""
    made = manifest(done / "style")
    assert made["status"] == "done"
    assert made["config"]["content"]["name"] == "starry" and made["config"]["style"]["name"] == "great_wave"
    assert {name for name in history(done / "style")[0] if "/" in name} == {"style/relu1_1"}
    totals = [row["total"] for row in history(done / "style")]
    assert totals[-1] < totals[0]


def test_the_painted_style_is_what_the_run_sees(done):
    facts = manifest(done)
    (style,) = facts["pictures"]["style"]
    assert style["path"] == str(done / "style" / "result.png")
    assert facts["status"] == "done"
    assert facts["config"]["style"]["fine"]["picture"] == "great_wave"
    run.run(small(f"style.path={done}/style/result.png"), done.parent / "by hand")
    np.testing.assert_array_equal(pixels(done.parent / "by hand" / "result.png"), pixels(done / "result.png"))


def test_a_report_is_of_the_run_and_not_of_how_its_style_was_painted(done):
    assert [run.folder for run in reading.find(done)[0]] == [done]


def test_weights_and_statistics_go_with_their_layers():
    config = small(
        "objective.style.layers=[relu1_1,relu2_1,relu3_1]", "objective.style.layer_weights=[1,2,3]",
        "style.fine.picture=great_wave", "style.fine.layers=[relu2_1,relu3_1]", "style.fine.content_weight=7",
    )  # fmt: skip
    painting = fine.painting(config).objective
    assert list(painting.style.weighted_layers()) == [("relu2_1", 2), ("relu3_1", 3)]
    assert (painting.content_weight, painting.content.layers) == (7, config.objective.content.layers)


def test_one_that_is_stopped_while_it_paints_its_style_goes_on_to_the_same_bytes(done, tmp_path):
    folder = tmp_path / "run"
    with interrupted(at_step(0)), pytest.raises(Interrupted) as stopped:
        run.run(small(*SETTINGS), folder)
    assert stopped.value.picture is None  # a style isn't what was asked for
    assert manifest(folder)["status"] == manifest(folder / "style")["status"] == "interrupted"
    run.run(small(*SETTINGS, "resume=true"), folder)
    np.testing.assert_array_equal(pixels(folder / "result.png"), pixels(done / "result.png"))


def test_it_can_be_run_again_wherever_its_folder_is(done, tmp_path):
    moved = tmp_path / "moved"
    done.rename(moved)
    try:
        assert rerun(moved).differences == ()
    finally:
        moved.rename(done)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("style.fine.picture=none.jpg", "none.jpg: can't be read"),
    ],
)
def test_what_cannot_be_painted_is_refused(setting, said, tmp_path):
    with pytest.raises(UserError, match=said):
        run.run(small(*SETTINGS, setting), tmp_path / "run")
    assert manifest(tmp_path / "run")["status"] == "failed"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["style.fine.layers=[relu5_1]"], r"style.fine.layers=\[relu5_1\]: none of them is in objective.style.layers"),
        (["style.fine.layers=[]"], r"style.fine.layers=\[\]: none of them is in objective.style.layers; give one"),
        (["style.fine.picture="], "style.fine.picture is empty; give one, or leave the key out"),
    ],
)
def test_what_contradicts_itself_is_refused_at_once(settings, said):
    with pytest.raises(UserError, match=said):
        small(*SETTINGS, *settings)


def test_what_is_wrong_with_the_rest_is_said_before_the_style_is_painted(tmp_path):
    with pytest.raises(UserError, match=r"none.jpg: can't be read"):
        run.run(small(*SETTINGS, "style.blend=[none.jpg]"), tmp_path / "run")
    assert not (tmp_path / "run" / "style").exists()


def test_an_earlier_result_is_not_removed_before_it_is_read(done):
    with pytest.raises(UserError, match="is of an earlier run in this run's folder"):
        run.run(small(f"style.fine.picture={done}/result.png"), done)
    assert (done / "result.png").is_file()


def test_without_a_weight_nothing_of_the_content_is_compared():
    painting = fine.painting(small(*SETTINGS, "objective.laplacian.pools=[4]")).objective
    assert not (painting.content.layers or painting.laplacian.pools)


@pytest.mark.parametrize(("setting", "size"), [("style.scale=1.5", 72), ("style.size=40", 40), ("seed=0", 48)])
def test_it_is_painted_as_large_as_it_is_used(setting, size):
    assert fine.painting(small(*SETTINGS, setting)).size == size


def test_a_picture_may_be_a_file(tmp_path):
    config = small(f"style.fine.picture={picture(tmp_path / 'strokes.png')}")
    assert fine.painting(config).style.path == str(tmp_path / "strokes.png")
