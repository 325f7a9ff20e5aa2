"""One run: what its folder holds, that it is the same every time, and what becomes of it when something is wrong."""

import dataclasses
import hashlib
import json
import os
import signal
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from small_runs import HEIGHT, SHALLOW, SMALL, WIDTH, history, manifest, picture, pixels, small, truncated

from nstjax import assets, features, images, objective, scales, weights
from nstjax.config import from_dict, to_dict
from nstjax.errors import UserError
from nstjax.run import begin, run
from nstjax.run.problem import prepare, stages
from nstjax.train import compose
from nstjax.weights import store

STYLE_LAYERS = [f"style/relu{block}_1" for block in range(1, 6)]
HEADER = [
    "scale",
    "step",
    "evaluations",
    "seconds",
    "total",
    "content",
    "style",
    "tv",
    "content/relu4_2",
    *STYLE_LAYERS,
]
FACTS = {
    "status", "config", "seed", "precision", "versions", "environment", "evaluations", "pictures", "weights", "device",
    "size", "final", "content_total", "seconds", "metrics",
}  # fmt: skip


def ran(folder, *overrides):
    """The folder of a small run."""
    run(small(*overrides), folder)
    return folder


def refusal(config, folder):
    with pytest.raises(UserError) as error:
        run(config, folder)
    return str(error.value)


def levels(folder):
    """The result's pixels, from 0 to 255."""
    return pixels(folder / "result.png") * 255


@pytest.fixture(scope="module")
def recipe():
    """The default preset as it is, but small: coarse to fine, all its layers."""
    return compose(["size=64", "schedule.scales=[0.75,1]", "schedule.steps=[2,3]"])


@pytest.fixture(scope="module")
def folder(recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("first")
    assert run(recipe, folder) == folder / "result.png"
    return folder


@pytest.fixture(scope="module")
def again(recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("again")
    run(recipe, folder)
    return folder


@pytest.fixture(scope="module")
def three_steps(tmp_path_factory):
    """A run of SMALL as it is, to compare others with."""
    return ran(tmp_path_factory.mktemp("three_steps"))


def test_the_folder_holds_what_it_should_and_nothing_else(folder):
    assert {path.name for path in folder.iterdir()} == {"result.png", "history.csv", "history.jsonl", "manifest.json"}


def test_the_history_has_a_row_for_each_evaluation_of_each_scale(folder):
    assert (folder / "history.csv").read_text().splitlines()[0] == ",".join(HEADER)
    rows = history(folder)
    assert [(row["scale"], row["step"]) for row in rows] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (1, 3)]
    assert [row["evaluations"] for row in rows] == [1, 2, 3, 4, 5, 6, 7]
    seconds = [row["seconds"] for row in rows]
    assert sorted(seconds) == seconds
    assert seconds[0] > 0


def test_terms_are_weighted_and_sum_to_the_total(folder):
    for row in history(folder):
        assert row["total"] == pytest.approx(row["content"] + row["style"] + row["tv"], rel=1e-5)
        assert row["content"] == pytest.approx(row["content/relu4_2"])
        assert row["style"] == pytest.approx(sum(row[layer] for layer in STYLE_LAYERS), rel=1e-5)


def test_the_first_row_is_the_loss_of_the_init_before_any_update(three_steps):
    config = small()
    content, style = (pixels(assets.resolve(name)) for name in ("grace_hopper", "starry"))
    content = jnp.asarray(images.resize(content, HEIGHT, WIDTH, resample="lanczos", space="linear"))
    fitted = images.fitted(*style.shape[:2], 48, "long")
    style = jnp.asarray(images.resize(style, *fitted, resample="lanczos", space="linear"))
    compared = objective.from_config(config.objective, features.extractor(pooling="average"))
    network = weights.load("caffe-8bit")
    targets = objective.make_targets(network, content, [style], objective=compared)
    of_terms = objective.weights_from_config(config.objective)
    total, terms = objective.evaluate(content, network, targets, of_terms, objective=compared)
    first = history(three_steps)[0]
    assert first["total"] == pytest.approx(float(total), rel=1e-4)
    assert first["style/relu2_1"] == pytest.approx(float(terms["style/relu2_1"]), rel=1e-4)
    assert first["content"] == pytest.approx(0, abs=1e-4 * first["total"])


def test_the_manifest_tells_everything_about_the_run(folder, recipe):
    facts = manifest(folder)
    assert set(facts) == FACTS
    assert (facts["status"], facts["seed"], facts["precision"]) == ("done", 0, "highest")
    assert from_dict(facts["config"]) == recipe
    assert set(facts["versions"]) == {"nstjax", "python", "jax", "jaxlib", "flax", "optax", "numpy", "pillow"}
    assert facts["device"].startswith(jax.devices()[0].platform)
    assert (facts["evaluations"], facts["size"]) == (7, [55, 64])


def test_the_manifest_identifies_the_pictures_and_the_weights(folder):
    facts = manifest(folder)
    photograph, painting = assets.resolve("grace_hopper"), assets.resolve("starry")
    (style,) = facts["pictures"]["style"]
    for source, path in ((facts["pictures"]["content"], photograph), (style, painting)):
        assert source["path"] == str(path)
        assert source["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert source["bytes"] == path.stat().st_size
        assert (source["height"], source["width"]) == pixels(path).shape[:2]
    assert "init" not in facts["pictures"]
    file = weights.locate("caffe-8bit")
    data = file.read_bytes()
    assert facts["weights"] == {
        "path": str(file), "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), "kind": "caffe"
    }  # fmt: skip


def test_the_manifests_last_terms_are_those_of_the_result(folder):
    """Of the best image of the last scale, that is."""
    final = manifest(folder)["final"]
    rows = history(folder)
    assert list(final) == ["total", *HEADER[8:], "tv"]
    assert final["total"] == pytest.approx(sum(value for name, value in final.items() if name != "total"), rel=1e-5)
    assert final["total"] == pytest.approx(min(row["total"] for row in rows if row["scale"] == 1), rel=1e-4)
    assert final["total"] < manifest(folder)["content_total"]


def test_seconds_are_told_apart(folder):
    seconds = manifest(folder)["seconds"]
    assert list(seconds) == ["setup", "compile", "run", "total"]
    assert sum(seconds.values()) == pytest.approx(2 * seconds["total"], abs=0.01)
    assert min(seconds.values()) >= 0


def test_the_same_run_twice_gives_the_same_bytes(folder, again):
    assert (folder / "result.png").read_bytes() == (again / "result.png").read_bytes()
    without_seconds = [[{**row, "seconds": 0} for row in history(each)] for each in (folder, again)]
    assert without_seconds[0] == without_seconds[1]
    first, second = ({**manifest(each), "seconds": 0} for each in (folder, again))
    assert first == second


def test_the_picture_carries_its_configuration(folder, recipe):
    with Image.open(folder / "result.png") as picture:
        assert picture.size == (55, 64)
        assert from_dict(json.loads(picture.text["nstjax"])) == recipe


def check_preset(preset, folder, *overrides):
    run(compose([f"preset={preset}", "size=48", "schedule.scales=[1]", "schedule.steps=[2]", *overrides]), folder)
    facts, rows = manifest(folder), history(folder)
    assert (facts["status"], facts["config"]["preset"], len(rows)) == ("done", preset, 3)
    assert facts["final"]["total"] < rows[0]["total"]
    pictures = sorted(path.name for path in folder.glob("previews/*"))
    assert pictures == (["scale0_step00000.png"] if preset == "tutorial" else [])


@pytest.mark.parametrize(
    "preset",
    ["gatys2016", "pastiche", *(pytest.param(each, marks=pytest.mark.slow) for each in ("johnson2015", "tutorial"))],
)
def test_every_preset_runs_small_on_two_layers(preset, tmp_path):
    check_preset(preset, tmp_path, *SHALLOW, "objective.style.layer_weights=[0.2,0.2]")


def test_noise_is_a_sound_start(tmp_path):
    """There L-BFGS may find no curvature to begin with; it must not take a raw gradient for a step."""
    config = compose(["init=noise", "size=48", "schedule.scales=[1]", "schedule.steps=[2]"])
    run(config, tmp_path)
    totals = [row["total"] for row in history(tmp_path)]
    assert max(totals) < 4 * totals[0]
    assert min(totals) < totals[0]


def test_what_the_optimizer_remembered_is_gone_before_the_picture_is_measured(tmp_path, monkeypatch):
    """A hundred pairs of pictures: without them there is room for the metrics' features."""
    pairs = []

    def measured(*_):
        pairs.extend(array for array in jax.live_arrays() if array.shape[1:] == (HEIGHT, WIDTH, 3))
        return {}

    monkeypatch.setattr("nstjax.run.work.measured", measured)
    ran(tmp_path, "output.metrics=true", "optimizer=lbfgs")
    assert not pairs


def test_previews_are_named_by_scale_and_step(tmp_path):
    ran(tmp_path, "preview_every=2", "schedule.scales=[0.9,1]", "schedule.steps=[1,4]")
    previews = sorted(tmp_path.glob("previews/*"))
    assert [path.name for path in previews] == [
        f"scale{scale}_step{step:05d}.png" for scale, step in ((0, 0), (1, 0), (1, 2), (1, 4))
    ]
    assert [pixels(path).shape for path in previews] == [(43, 37, 3), *3 * [(HEIGHT, WIDTH, 3)]]


def test_previews_change_nothing_of_the_result(tmp_path, three_steps):
    watched = ran(tmp_path, "preview_every=1")
    assert np.array_equal(levels(watched), levels(three_steps))


def test_an_average_is_the_mean_of_the_iterates_of_the_last_scale(tmp_path):
    """Bias corrected: after k evaluations the newest image has (1 - a) / (1 - a^k) of it."""
    photograph = picture(tmp_path / "photo.png")
    adam = ("optimizer=adam", "optimizer.average=0.9", "optimizer.learning_rate=0.01")
    scales = ("schedule.scales=[0.9,1]", "schedule.steps=[2,3]")
    ran(tmp_path / "run", f"content.path={photograph}", *adam, *scales, "preview_every=1")
    iterates = [pixels(path) * 255 for path in sorted((tmp_path / "run").glob("previews/scale1*"))]
    share = [0.9 ** (3 - k) * 0.1 / (1 - 0.9**4) for k in range(4)]
    assert sum(share) == pytest.approx(1)
    mean = sum(s * image for s, image in zip(share, iterates, strict=True))
    assert np.abs(mean - levels(tmp_path / "run")).max() <= 1.01  # both were rounded to 8 bits
    assert np.abs(iterates[-1] - levels(tmp_path / "run")).max() > 1.5


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_the_next_scale_begins_where_the_last_one_ended(optimizer, tmp_path):
    scales = ("schedule.scales=[0.9,1]", "schedule.steps=[3,0]")
    folder = ran(tmp_path, f"optimizer={optimizer}", *scales, "preview_every=3")
    coarse, fine = (pixels(folder / "previews" / f"scale{n}.png") for n in ("0_step00003", "1_step00000"))
    start = images.resize(coarse, HEIGHT, WIDTH, resample="bicubic")
    unchanged = images.resize(images.resize(pixels(assets.resolve("grace_hopper")), 43, 37), HEIGHT, WIDTH)
    assert np.abs(fine - start).mean() < 0.01
    assert np.abs(fine - unchanged).mean() > 2 * np.abs(fine - start).mean()


@pytest.mark.parametrize("kind", ["content", "style", "picture"])
def test_without_steps_the_result_is_the_picture_to_start_from(kind, tmp_path):
    files = {name: picture(tmp_path / f"{name}.png", seed) for seed, name in enumerate(("content", "style", "picture"))}
    paths = [f"content.path={files['content']}", f"style.path={files['style']}", f"+init.path={files['picture']}"]
    ran(tmp_path / "run", "schedule.steps=[0]", "sizing.style=content", *paths, f"init.kind={kind}")
    expected = images.resize(pixels(files[kind]), HEIGHT, WIDTH, resample="lanczos", space="linear")
    assert np.abs(levels(tmp_path / "run") - expected * 255).max() <= 0.51
    assert len(history(tmp_path / "run")) == 1
    assert ("init" in manifest(tmp_path / "run")["pictures"]) == (kind == "picture")


@pytest.mark.parametrize("init", ["noise", "mixed", "statistics", "neural_style"])
def test_what_is_random_comes_from_the_seed(init, tmp_path):
    one, same, other = (
        levels(ran(tmp_path / name, "schedule.steps=[0]", f"init={init}", f"seed={seed}"))
        for name, seed in (("one", 1), ("same", 1), ("other", 2))
    )
    assert np.array_equal(one, same)
    difference = np.abs(one - other)
    assert difference.max() <= 1 if init == "neural_style" else difference.mean() > 3


def test_a_share_of_zero_takes_a_style_out_of_the_blend(tmp_path, three_steps):
    alone = history(three_steps)[0]
    zero, half = (
        history(ran(tmp_path / name, "style.blend=[great_wave]", f"style.shares={shares}"))[0]
        for name, shares in (("zero", "[2,0]"), ("half", "[1,1]"))
    )
    assert zero["total"] == pytest.approx(alone["total"], rel=1e-4)
    assert half["total"] != pytest.approx(alone["total"], rel=1e-2)


def test_styles_blend_from_names_and_files(tmp_path):
    painting = picture(tmp_path / "painting.png")
    ran(tmp_path / "run", f"style.blend=[great_wave,{painting}]", "style.shares=[1,2,3]")
    paths = [style["path"] for style in manifest(tmp_path / "run")["pictures"]["style"]]
    assert paths == [str(assets.resolve("starry")), str(assets.resolve("great_wave")), str(painting)]


@pytest.mark.parametrize("key", ["content.path", "style.path", "weights.path"])
def test_a_bad_file_fails_the_run_and_leaves_no_picture(key, tmp_path):
    """Not even that of an earlier run in the same folder."""
    bad = truncated(tmp_path / "bad.jpg")
    folder = ran(tmp_path / "run", "preview_every=3", "schedule.steps=[0]")
    reason = refusal(small(f"{key}={bad}"), folder)
    assert str(bad) in reason
    assert "\n" not in reason
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["manifest.json"]
    assert (manifest(folder)["status"], manifest(folder)["reason"]) == ("failed", reason)


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        (["content.name=nosuch"], "no picture is called 'nosuch'; known: "),
        (["style.blend=[nosuch]"], "nosuch"),
        (["size=18"], "size=18"),
        (["size=48", "schedule.scales=[0.25,1]", "schedule.steps=[1,1]"], "schedule.scales"),
        (["optimizer=adam", "+optimizer.parameters.b3=1"], "optimizer.parameters.b3: adam has no such parameter; it"),
        (["optimizer.parameters.memory=abc"], "optimizer.parameters.memory='abc'"),
        (["optimizer=adam", "optimizer.parameters.b1=abc"], "optimizer.parameters.b1='abc'"),
        (["weights.source=keras"], "weights.path"),
        (["style.name=null"], "neither a name nor a path"),
    ],
)
def test_a_mistake_is_found_before_anything_is_computed(overrides, text, tmp_path):
    reason = refusal(small(*overrides), tmp_path)
    assert text in reason
    assert "\n" not in reason
    assert not (tmp_path / "history.csv").exists()


def test_a_loss_that_is_lost_fails_the_run_and_keeps_the_picture_before_it(tmp_path):
    config = small("optimizer=sgd", "optimizer.learning_rate=1e30")
    reason = refusal(config, tmp_path)
    assert "at scale 0, step 1; the picture before it is kept; lower optimizer.learning_rate" in reason  # not later
    assert manifest(tmp_path)["status"] == "failed"
    start = images.resize(pixels(assets.resolve("grace_hopper")), HEIGHT, WIDTH, resample="lanczos", space="linear")
    assert np.abs(levels(tmp_path) - start * 255).max() <= 0.51


def test_a_loss_that_never_was_a_number_fails_the_run(tmp_path):
    """With L-BFGS too, which steps back from what isn't finite, here to nowhere."""
    assert "at scale 0, step 0" in refusal(small("init=style", "objective.content_weight=3e38"), tmp_path)
    assert manifest(tmp_path)["status"] == "failed"


def test_a_loss_that_is_lost_at_the_second_scale_keeps_what_the_first_came_to(tmp_path):
    """There the photograph's own features are too far away for such a weight."""
    scales = ("schedule.scales=[0.75,1]", "schedule.steps=[0,2]", "objective.content_weight=3e38")
    reason = refusal(small(*scales, "optimizer=adam"), tmp_path)
    assert reason.startswith("content/relu2_1 became inf at scale 1, step 0; the picture before it is kept; lower")
    assert manifest(tmp_path)["status"] == "failed"
    coarse = images.resize(pixels(assets.resolve("grace_hopper")), 36, 31, resample="lanczos", space="linear")
    enlarged = jnp.clip(jax.image.resize(coarse, (HEIGHT, WIDTH, 3), "cubic"), 0, 1)
    assert np.abs(levels(tmp_path) - enlarged * 255).max() <= 0.51


PICTURES = {
    "gray": np.full((20, 18, 3), 0.5, np.float32),
    "black": np.zeros((20, 18, 3), np.float32),
    "blotches": np.random.default_rng(0).uniform(size=(20, 18, 3)).astype(np.float32),
    "strip": np.random.default_rng(1).uniform(size=(16, 640, 3)).astype(np.float32),
}
PAIRS = ["gray gray", "gray blotches", "blotches gray", "black black", "black blotches", "blotches blotches"]


def check_finite(pair, folder, *overrides):
    """A run of two steps on two of PICTURES: numbers all along."""
    for name in pair.split():
        images.save(folder / f"{name}.png", PICTURES[name])
    content, style = pair.split()
    ran(folder / "run", f"content.path={folder}/{content}.png", f"style.path={folder}/{style}.png", *overrides)
    assert np.isfinite([list(row.values()) for row in history(folder / "run")]).all()
    assert np.isfinite(list(manifest(folder / "run")["final"].values())).all()


@pytest.mark.slow
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_pictures_without_contrast_or_without_a_difference(pair, optimizer, tmp_path):
    check_finite(pair, tmp_path, "size=16", "sizing.edge=short", f"optimizer={optimizer}")


@pytest.mark.slow
@pytest.mark.parametrize("pair", [*PAIRS, "strip strip", "strip gray"])
@pytest.mark.parametrize("optimizer", ["lbfgs", "torch_lbfgs", "adam"])
@pytest.mark.parametrize("init", ["content", "noise", "statistics"])
def test_pictures_without_contrast_or_forty_times_as_long_as_high_from_every_init(pair, optimizer, init, tmp_path):
    size = ("size=640",) if "strip" in pair else ("size=16", "sizing.edge=short")
    check_finite(pair, tmp_path, *size, f"optimizer={optimizer}", f"init={init}")


@pytest.mark.parametrize(
    ("layers", "enough"), [("objective.content.layers=[pool5]", 49), ("objective.style.layers=[relu1_1,pool5]", 53)]
)
def test_a_layer_with_nothing_left_is_refused_with_the_size_that_does(layers, enough, tmp_path):
    """Five poolings need 32 pixels, at the first scale too; the painting is the slimmer picture."""
    scales = ("schedule.scales=[0.75,1]", "schedule.steps=[0,0]")
    reason = refusal(small(*scales, layers), tmp_path)
    said = "pool5 has nothing left of the content picture's 31x36 pixels at scale 0"
    assert reason == f"{said}; give size={enough} or more, or a layer before it"
    assert "pool5 has nothing left" in refusal(small(*scales, layers, f"size={enough - 1}"), tmp_path)
    prepare(small(*scales, layers, f"size={enough}"))


def test_a_style_picture_with_nothing_left_is_refused_too(tmp_path):
    images.save(tmp_path / "wide.png", np.full((40, 80, 3), 0.5, np.float32))
    reason = refusal(small(f"style.path={tmp_path}/wide.png", "objective.style.layers=[pool5]"), tmp_path)
    wanted = "pool5 has nothing left of the style picture's 48x24 pixels at scale 0; give size=63 or more, or a layer"
    assert reason.startswith(wanted)


def test_a_file_name_that_is_no_unicode_or_begins_with_a_tilde(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("caf\udce9.png", "~photo.png"):
        picture(tmp_path / "plain.png").rename(tmp_path / name)
        config = small("schedule.steps=[0]")
        run(dataclasses.replace(config, content=dataclasses.replace(config.content, path=name)), tmp_path / "run")
        assert manifest(tmp_path / "run")["pictures"]["content"]["path"] == str(tmp_path / name)


def test_a_folder_that_cannot_be_written_is_an_error_that_says_so(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    reason = refusal(small(), tmp_path / "file" / "run")
    assert reason.startswith(f"cannot write to {tmp_path}/file/run: Not a directory; choose another hydra.run.dir")


def test_a_run_in_a_thread_of_a_notebook(tmp_path, three_steps):
    usual = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=run, args=(small(), tmp_path))
    thread.start()
    thread.join()
    assert manifest(tmp_path)["status"] == "done"
    assert (tmp_path / "result.png").read_bytes() == (three_steps / "result.png").read_bytes()
    assert signal.getsignal(signal.SIGINT) is usual


def test_the_algorithm_of_convolutions_changes_no_more_than_the_last_digits(tmp_path):
    direct, winograd = (
        history(ran(tmp_path / algorithm, f"runtime.convolution={algorithm}", "optimizer=adam"))
        for algorithm in ("direct", "winograd")
    )
    totals = [[row["total"] for row in rows] for rows in (winograd, direct)]
    assert totals[0] == pytest.approx(totals[1], rel=1e-4)
    assert totals[0] != totals[1]


def test_features_in_bfloat16_are_the_same_to_two_digits(tmp_path):
    whole, half = (
        history(ran(tmp_path / precision, f"runtime.precision={precision}", "init=noise"))[0]
        for precision in ("highest", "bf16")
    )
    assert half["total"] == pytest.approx(whole["total"], rel=0.02)
    assert half["total"] != whole["total"]


def test_the_precision_of_a_run_is_not_left_behind(three_steps):
    assert jax.config.jax_default_matmul_precision is None


def test_a_configuration_out_of_a_manifest_can_be_run_again(three_steps, tmp_path):
    config = from_dict(manifest(three_steps)["config"])
    assert to_dict(config) == to_dict(small())
    run(config, tmp_path)
    assert (tmp_path / "result.png").read_bytes() == (three_steps / "result.png").read_bytes()


def test_small_runs_are_of_the_shallow_layers(three_steps):
    """So that the rest of these tests cost little."""
    assert [name for name in history(three_steps)[0] if "/" in name] == [
        "content/relu2_1", "style/relu1_1", "style/relu2_1"
    ]  # fmt: skip
    assert set(SHALLOW) < set(SMALL)


def test_weights_that_were_replaced_are_read_again(tmp_path, original):
    """Also by a file of the same size and time, as `cp -p` and `rsync -t` leave it."""
    file, config = tmp_path / "weights.safetensors", small(f"weights.path={tmp_path}/weights.safetensors")
    data = original.read_bytes()
    file.write_bytes(data)
    before, times = prepare(config).network, file.stat()
    assert prepare(config).network is before
    arrays, about = store.read(file)
    store.write(file, store.Weights({name: array * 2 for name, array in arrays.items()}, about))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (times.st_size, times.st_mtime_ns)
    bias = prepare(config).network.params["conv1_1"]["bias"]
    assert np.array_equal(bias, 2 * before.params["conv1_1"]["bias"])
    file.unlink()


@pytest.mark.parametrize("name", ["pixels", "laplacian", "fourier"])
@pytest.mark.parametrize(("optimizer", "reason"), [("lbfgs", "out of range"), ("adam", "no such parameter")])
def test_octaves_that_cannot_be_are_refused_with_every_parametrization(name, optimizer, reason):
    """Though only pixels have any."""
    config = small(f"optimizer={optimizer}", "++optimizer.parameters.octaves=99", f"parametrization={name}")
    with pytest.raises(UserError, match=rf"^optimizer\.parameters\.octaves(=99 is|: adam has) {reason}"):
        prepare(config)


@pytest.mark.parametrize(("name", "carried"), [("pixels", True), ("laplacian", False), ("fourier", False)])
def test_only_moments_of_pixels_are_carried_to_the_next_scale(name, carried):
    """Adam's count goes on with them; frequencies of one size are not those of another."""
    config = small("optimizer=adam", f"parametrization={name}", "schedule.scales=[0.9,1]", "schedule.steps=[1,1]")
    problem = prepare(config)
    first, second = stages(config, problem)
    before = begin(config, problem, first, None)
    moved = before._replace(optimizer=jax.tree.map(jnp.ones_like, before.optimizer))
    after = begin(config, problem, second, moved)
    expected = jnp.ones_like if carried else jnp.zeros_like
    fresh = second.optimizer.init(second.content)
    for found, wanted in zip(jax.tree.leaves(after.optimizer), jax.tree.leaves(fresh), strict=True):
        np.testing.assert_allclose(found, expected(wanted), rtol=1e-6)
    np.testing.assert_array_equal(after.image, scales.enlarged(before.result, *second.content.shape[:2]))
