"""Many runs on one sheet, each told from the others by what differs."""

import json

import numpy as np
from small_runs import pixels

from nstjax import images
from nstjax.config import to_dict
from nstjax.report import contact_sheet, distinctions
from nstjax.train import compose

COLORS = np.float32([(0.8, 0.2, 0.2), (0.2, 0.8, 0.2), (0.2, 0.2, 0.8), (0.8, 0.8, 0.2), (0.2, 0.8, 0.8)])


def leave_run(folder, config, color=None):
    """A run's folder with its manifest, and its result of one color if it has one."""
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"status": "done", "config": config}))
    if color is not None:
        images.save(folder / "result.png", np.broadcast_to(color, (32, 40, 3)))


def count(sheet, color):
    return (np.abs(sheet - color) < 0.01).all(-1).sum()


def test_a_label_has_the_keys_in_which_runs_differ_and_no_others():
    configs = [
        to_dict(compose(["style=starry", f"objective.style_weight={w}", f"seed={s}"])) for w, s in ((1, 5), (2, 5))
    ]
    assert distinctions(configs) == ["objective.style_weight=1.0", "objective.style_weight=2.0"]


def test_labels_tell_all_runs_of_a_grid_apart():
    configs = [to_dict(compose([f"style={s}", f"size={n}"])) for s in ("starry", "great_wave") for n in (64, 96)]
    labels = distinctions(configs)
    assert labels[1] == "size=96 style.name=starry"
    assert len(set(labels)) == 4


def test_a_key_that_only_one_run_has_is_on_its_label_alone():
    lbfgs, adam = (to_dict(compose([f"optimizer={name}"])) for name in ("lbfgs", "adam"))
    with_memory, with_betas = distinctions([lbfgs, adam])
    assert "optimizer.parameters.memory=100" in with_memory
    assert "memory" not in with_betas
    assert "optimizer.parameters.b1=0.9" in with_betas


def test_a_single_run_needs_no_label():
    assert distinctions([to_dict(compose())]) == [""]
    assert distinctions([]) == []


def test_the_sheet_shows_the_result_of_every_run(tmp_path):
    for n, color in enumerate(COLORS):
        leave_run(tmp_path / "deep" / str(n), {"seed": n}, color)
    assert contact_sheet(tmp_path, sorted((tmp_path / "deep").iterdir())) == tmp_path / "sheet.png"
    sheet = pixels(tmp_path / "sheet.png")
    assert [count(sheet, color) for color in COLORS] == [32 * 40] * 5
    assert sheet.shape[1] == 12 + 3 * (40 + 12)  # 5 pictures are 3 + 2


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


def test_how_a_run_was_kept_is_on_no_label():
    configs = [to_dict(compose([f"resume={r}", f"checkpoint.every={e}"])) for r, e in (("true", 0), ("false", 60))]
    assert distinctions(configs) == ["", ""]


def test_no_result_no_sheet(tmp_path):
    assert contact_sheet(tmp_path, []) is None
    leave_run(tmp_path / "0", {"seed": 0})
    assert contact_sheet(tmp_path, [tmp_path / "0"]) is None
    assert not (tmp_path / "sheet.png").exists()
