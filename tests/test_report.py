"""Many runs on one sheet, each told from the others by what differs, laid out by the axes along which they vary."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_folders import COLORS, leave_run, wanted
from small_runs import pixels, truncated

from nstjax import images
from nstjax.report import contact_sheet, labels, varied
from nstjax.report.axes import laid_out


def labels_of(*settings):
    return labels(varied(settings), [str(number) for number in range(len(settings))])


def grid(**values):
    """The settings of a sweep, as Hydra goes through it."""
    settings = [{}]
    for key, each in values.items():
        settings = [before | {key: value} for before in settings for value in each]
    return settings


def count(sheet, color):
    return (np.abs(sheet - color) < 0.01).all(-1).sum()


def test_a_label_has_the_keys_in_which_runs_differ_and_no_others():
    both = [wanted("style=starry", f"objective.style_weight={w}", "seed=5") for w in (1, 2)]
    assert labels_of(*both) == ["style_weight=1", "style_weight=2"]


def test_labels_tell_all_runs_of_a_grid_apart():
    found = labels_of(*[wanted(f"style={s}", f"size={n}") for s in ("starry", "great_wave") for n in (64, 96)])
    assert found[1] == "style=starry size=96"
    assert len(set(found)) == 4


def test_a_choice_stands_for_all_that_came_with_it():
    lbfgs, adam = wanted("optimizer=lbfgs"), wanted("optimizer=adam")
    assert lbfgs["optimizer.learning_rate"] != adam["optimizer.learning_rate"]
    assert labels_of(lbfgs, adam) == ["optimizer=lbfgs", "optimizer=adam"]
    assert labels_of(wanted("preset=default"), wanted("preset=gatys2016"))[1] == "preset=gatys2016"


def test_what_a_choice_does_not_decide_is_on_the_label():
    rates = [wanted("optimizer=adam", f"optimizer.learning_rate={rate}") for rate in (0.1, 0.2)]
    assert labels_of(*rates, wanted("optimizer=lbfgs"))[1] == "optimizer=adam learning_rate=0.2"


def test_keys_that_vary_together_are_one_axis():
    axes = varied([wanted(f"size={n}", "schedule=single", f"schedule.steps=[{n}]") for n in (64, 96)])
    assert [axis.name for axis in axes] == ["size, steps"]
    assert axes[0].label(1) == "size=96 steps=[96]"


def test_two_keys_that_end_alike_are_told_whole():
    layers = [("relu1_1", "relu2_1"), ("relu1_1", "relu3_1"), ("relu4_1", "relu2_1")]
    found = labels_of(*[wanted(f"objective.content.layers=[{c}]", f"objective.style.layers=[{s}]") for c, s in layers])
    assert found[0] == "objective.content.layers=[relu1_1] objective.style.layers=[relu2_1]"


def test_files_go_by_their_names_where_these_tell_them_apart():
    assert labels_of({"style.path": "/a/b.jpg"}, {"style.path": "/a/c.jpg"}) == ["style=b.jpg", "style=c.jpg"]
    assert labels_of({"style.path": "/a/b.jpg"}, {"style.path": "/c/b.jpg"})[0] == "style=/a/b.jpg"


def test_runs_that_do_not_differ_go_by_their_folders_and_a_single_one_needs_no_label():
    assert labels_of({"a": 1}) == [""]
    assert labels_of({"a": 1}, {"a": 1}, {"a": 2}) == ["a=1 (0)", "a=1 (1)", "a=2"]
    assert labels_of() == []


def test_how_a_run_was_kept_is_on_no_label():
    assert labels_of(*[wanted(f"resume={r}", f"checkpoint.every={e}") for r, e in (("true", 0), ("false", 60))])[0] == (
        "(0)"
    )


values = st.one_of(
    st.none(), st.booleans(), st.integers(0, 3), st.sampled_from(["", "a", "b"]), st.lists(st.integers())
)
runs = st.lists(st.dictionaries(st.sampled_from(["preset", "a.name", "a.b", "a.path", "c"]), values), max_size=12)


@given(runs)
def test_the_axes_tell_runs_apart_exactly_where_settings_do(settings):
    axes = varied(settings)
    places = [tuple(axis.place[run] for axis in axes) for run in range(len(settings))]
    for i, one in enumerate(settings):
        for j, other in enumerate(settings):
            same = one.keys() == other.keys() and all(str(one[key]) == str(other[key]) for key in one)
            assert (places[i] == places[j]) == same


@given(runs)
def test_every_run_is_on_the_sheet_once(settings):
    axes = varied(settings)
    cells = [cell for block in laid_out(axes, len(settings)).blocks for _, row in block.rows for cell in row]
    assert sorted(run for cell in cells for run in cell) == list(range(len(settings)))


def test_two_axes_make_a_matrix_with_numbers_across_in_their_order():
    settings = grid(weight=[1e3, 1e1, 1e2], style=["b", "a"])
    sheet = laid_out(varied(settings), 6)
    (block,) = sheet.blocks
    assert (sheet.rows.name, sheet.columns.name) == ("style", "weight")
    assert block.columns == ["10", "100", "1000"]
    assert [heading for heading, _ in block.rows] == ["b", "a"]
    for heading, cells in block.rows:
        for column, (run,) in zip(block.columns, cells, strict=True):
            assert settings[run] == {"weight": float(column), "style": heading}


def test_three_axes_make_several_matrices_and_holes_stay_holes():
    settings = grid(style=["a", "b"], weight=[1, 2, 3], size=[64, 96])[:-1]
    sheet = laid_out(varied(settings), 11)
    assert [block.title for block in sheet.blocks] == ["a", "b"]
    assert [cell for _, cells in sheet.blocks[1].rows for cell in cells][-1] == []
    settings.append(settings[0])  # once more
    assert sum(len(cell) == 2 for b in laid_out(varied(settings), 12).blocks for _, row in b.rows for cell in row) == 1


def test_one_axis_is_a_row_in_its_order_and_scattered_runs_are_no_matrix():
    (block,) = laid_out(varied(grid(weight=[3, 1, 2])), 3).blocks
    assert (block.columns, block.rows) == ([], [("", [[1], [2], [0]])])
    scattered = [{"a": n, "b": n * n % 7} for n in range(20)]
    assert not laid_out(varied([*scattered, {"a": 0, "b": 1}]), 21).columns


def test_the_sheet_shows_the_result_of_every_run(tmp_path):
    for n, color in enumerate(COLORS):
        leave_run(tmp_path / "deep" / str(n), {"seed": n}, color)
    assert contact_sheet(tmp_path, sorted((tmp_path / "deep").iterdir())) == tmp_path / "sheet.png"
    sheet = pixels(tmp_path / "sheet.png")
    assert [count(sheet, color) for color in COLORS] == [32 * 40] * 5
    assert sheet.shape[1] == 12 + 3 * (40 + 12)  # 5 pictures are 3 + 2


def test_the_sheet_of_two_axes_is_a_matrix_in_which_a_run_without_a_result_leaves_a_hole(tmp_path):
    colors = [*COLORS, None]
    for n, (settings, color) in enumerate(zip(grid(style=["a", "b"], seed=[3, 2, 1]), colors, strict=True)):
        leave_run(tmp_path / str(n), settings, color)
    contact_sheet(tmp_path, [tmp_path / str(n) for n in range(6)])
    sheet = pixels(tmp_path / "sheet.png")
    rows = [sheet[12 + 16], sheet[-(sheet.shape[0] - 12) // 2 + 16]]
    across = [[n for x in (32, 84, 136) for n in range(5) if np.allclose(row[x], COLORS[n], atol=0.01)] for row in rows]
    assert across == [[2, 1, 0], [4, 3]]  # seeds 1, 2, 3


def test_a_run_without_a_result_is_skipped_and_the_others_keep_their_labels(tmp_path, monkeypatch):
    leave_run(tmp_path / "0", {"seed": 0})
    leave_run(tmp_path / "1", {"seed": 1}, COLORS[1])
    shown = []
    monkeypatch.setattr(
        images, "sheet", lambda pictures, columns: shown.extend(pictures) or np.ones((20, 20, 3), np.float32)
    )
    contact_sheet(tmp_path, [tmp_path / "0", tmp_path / "1"])
    ((label, result),) = shown
    assert label == "seed=1"
    assert np.allclose(result, COLORS[1], atol=0.01)


def test_only_the_runs_that_are_asked_for_are_on_the_sheet_and_what_is_no_manifest_is_none(tmp_path):
    for n, color in enumerate(COLORS):
        leave_run(tmp_path / str(n), {"seed": n}, color)
    (tmp_path / "1" / "manifest.json").write_text('{"name": "an extension of a browser"}')
    (tmp_path / "2" / "manifest.json").write_bytes(b"\xff not JSON")
    (tmp_path / "manifest.json").write_text("[]")
    contact_sheet(tmp_path, [tmp_path / str(n) for n in range(4)])
    sheet = pixels(tmp_path / "sheet.png")
    assert [count(sheet, color) > 0 for color in COLORS] == [True, False, False, True, False]


def test_a_damaged_result_costs_itself_only(tmp_path):
    for n, color in enumerate(COLORS[:2]):
        leave_run(tmp_path / str(n), {"seed": n}, color)
    truncated(tmp_path / "half.jpg").replace(tmp_path / "0" / "result.png")
    sheet = pixels(contact_sheet(tmp_path, [tmp_path / "0", tmp_path / "1"]))
    assert count(sheet, COLORS[1]) == 32 * 40


def test_no_result_no_sheet(tmp_path):
    assert contact_sheet(tmp_path, []) is None
    leave_run(tmp_path / "0", {"seed": 0})
    assert contact_sheet(tmp_path, [tmp_path / "0"]) is None
    assert not (tmp_path / "sheet.png").exists()


def test_many_large_results_are_made_smaller(tmp_path, monkeypatch):
    monkeypatch.setattr("nstjax.report.pictures.MAX_PIXELS", 2 * 320)
    for n in range(2):
        leave_run(tmp_path / str(n), {"seed": n}, COLORS[n])
    contact_sheet(tmp_path, [tmp_path / "0", tmp_path / "1"])
    assert pixels(tmp_path / "sheet.png").shape[1] == 12 + 2 * (20 + 12)


@pytest.mark.parametrize("edge", [16, 31, 400])
def test_a_thumbnail_is_a_small_picture_of_the_same_shape(edge, tmp_path):
    image = np.broadcast_to(COLORS[0], (60, 120, 3))
    (tmp_path / "small.jpg").write_bytes(images.thumbnail(np.ascontiguousarray(image), 2 * edge))
    small = pixels(tmp_path / "small.jpg")
    assert small.shape == ((60, 120, 3) if edge == 400 else (edge, 2 * edge, 3))
    assert np.allclose(small, COLORS[0], atol=0.02)
