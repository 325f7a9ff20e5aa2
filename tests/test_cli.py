"""`nstjax photo.jpg painting.jpg -o out.png`: file names of any kind, and mistakes said in one line before any work."""

import re
import signal

import pytest
from bad_pictures import png
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from permissions import binding
from PIL import Image
from small_runs import SMALL, at_step, in_process, interrupted, manifest, picture, pixels, truncated

from nstjax import assets, cli
from nstjax import run as nstjax_run
from nstjax.cli import main, quote

NASTY = [
    "photo (1).jpg", "a,b=c.jpg", "a(1).jpg", "~/a.jpg", "a'b.jpg", 'a"b.jpg', "a{1}.jpg", "a[1].jpg", "画像.jpg",
    "a#b.jpg", "a&b.jpg", "a!.jpg", "https://x/z?q=1", "1e5", "null", "true", "${x}", "\\${x}", "$x", "\\", "\\\\",
    "\\'", "'", "''", " a ", "a:b", "C:\\b\\", "a%b", "*", "?", "${oc.env:HOME}", "@a", "+a", "~a", "-", "a\tb", "nan",
    "[a", "${", "\\${", "\\\n",
]  # fmt: skip


@pytest.fixture
def nstjax(tmp_path, monkeypatch, capsys):
    """Calls the command from `tmp_path`, and returns its exit code and what it printed."""
    with in_process(monkeypatch, tmp_path):

        def call(*arguments):
            code = main([*map(str, arguments)])
            return code, *capsys.readouterr()

        yield call


def understood(override):
    """What Hydra makes of the value of an override."""
    config = OmegaConf.create({"content": {"path": None}})
    parsed = OverridesParser.create().parse_override(override)
    OmegaConf.update(config, parsed.get_key_element(), parsed.value())
    return config.content.path


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])) | st.text("\\'\"${}[](),=: \n"))
def test_any_text_can_be_quoted(text):
    assert understood(f"content.path={quote(text)}") == text


@pytest.mark.parametrize("name", NASTY)
def test_a_nasty_name_can_be_quoted(name):
    assert understood(f"content.path={quote(name)}") == name


def test_two_pictures_with_nasty_names_become_one(nstjax, tmp_path):
    picture(tmp_path / "1.png").rename(tmp_path / "photo (1).jpg")
    picture(tmp_path / "2.png", seed=1).rename(tmp_path / "a,b='${c}'.jpg")
    code, out, err = nstjax("photo (1).jpg", "a,b='${c}'.jpg", "-o", "out put.png", *SMALL)
    assert code == 0
    assert out.splitlines()[-1] == "out put.png"
    run = next(tmp_path.glob("outputs/*/*/manifest.json")).parent
    assert (run / "result.png").read_bytes() == (tmp_path / "out put.png").read_bytes()
    facts = manifest(run)
    assert facts["config"]["content"]["path"] == "photo (1).jpg"
    assert facts["config"]["style"]["path"] == "a,b='${c}'.jpg"
    assert "Traceback" not in err


@pytest.mark.parametrize("order", ["files output keys", "files keys output", "output files keys"])
def test_arguments_come_in_any_order(order, nstjax, tmp_path):
    parts = {"files": ["grace_hopper", "starry"], "keys": [*SMALL, "schedule.steps=[0]"], "output": ["-o", "a.png"]}
    code, *_ = nstjax(*(argument for part in order.split() for argument in parts[part]))
    assert code == 0
    assert (tmp_path / "a.png").is_file()


def test_a_picture_has_a_name_unless_a_file_is_called_so(nstjax, tmp_path):
    picture(tmp_path / "a.png").rename(tmp_path / "starry")
    nstjax("grace_hopper", "starry", "-o", "out.png", *SMALL, "schedule.steps=[0]")
    facts = manifest(next(tmp_path.glob("outputs/*/*")))
    assert facts["pictures"]["content"]["path"] == str(assets.resolve("grace_hopper"))
    assert facts["pictures"]["style"][0]["path"] == str(tmp_path / "starry")


def test_a_picture_has_a_name_also_where_a_folder_is_called_so(nstjax, tmp_path):
    (tmp_path / "starry").mkdir()
    code, *_ = nstjax("grace_hopper", "starry", "-o", "out.png", *SMALL, "schedule.steps=[0]")
    assert code == 0
    assert pixels(tmp_path / "out.png").shape == (48, 41, 3)


def test_a_folder_stands_for_all_pictures_in_it(nstjax, tmp_path):
    """A bad picture costs its own result only; what is no picture by its name is none of ours."""
    photos = tmp_path / "my photos"
    photos.mkdir()
    names = ["a (1).png", "b,c='${d}'.png", "e.jpg"]
    for seed, name in enumerate(names):
        picture(photos / "new.png", seed=seed).rename(photos / name)
    truncated(photos / "f.jpg")
    (photos / "notes.txt").write_text("no picture")
    code, out, err = nstjax(photos, "starry", "-o", "painted", *SMALL, "schedule.steps=[1]")
    assert code == 2
    assert "f.jpg: can't be decoded" in err
    assert "Traceback" not in err
    assert {path.name for path in (tmp_path / "painted").iterdir()} == {"a (1).png", "b,c='${d}'.png", "e.png"}
    assert out.splitlines()[-3:] == ["painted/a (1).png", "painted/b,c='${d}'.png", "painted/e.png"]
    for run in tmp_path.glob("outputs/*/*/[012]"):
        content = next(name for name in names if manifest(run)["config"]["content"]["path"].endswith(name))
        painted = tmp_path / "painted" / content.replace(".jpg", ".png")
        assert painted.read_bytes() == (run / "result.png").read_bytes()


@pytest.mark.slow
def test_folders_of_photographs_and_of_paintings_are_combined(nstjax, tmp_path):
    for folder, names in (("photos", ["a.png", "a.jpg"]), ("paintings", ["x.png", "y.png"])):
        (tmp_path / folder).mkdir()
        for name in names:
            picture(tmp_path / folder / "new.png").rename(tmp_path / folder / name)
    code, *_ = nstjax("photos", "paintings", *SMALL, "schedule.steps=[0]")
    assert code == 0
    painted = {path.name for path in (tmp_path / "stylized").iterdir()}
    assert painted == {"a_x.png", "a_y.png", "a_x_2.png", "a_y_3.png"}


@pytest.mark.parametrize(
    ("output", "text"), [("photos", "photos is one of the inputs"), ("out.png", "out.png is not a folder")]
)
def test_the_results_of_a_folder_get_a_folder_of_their_own(nstjax, tmp_path, output, text):
    (tmp_path / "photos").mkdir()
    picture(tmp_path / "photos" / "a.png")
    picture(tmp_path / "out.png")
    code, _, err = nstjax("photos", "starry", "-o", output)
    assert (code, err.count("\n")) == (2, 1)
    assert text in err


def test_no_result_of_a_folder_replaces_an_input(nstjax, tmp_path):
    """Neither one whose name is known before the work, nor one that gets its number in a sweep of more keys."""
    for folder, name in (("photos", "monet.jpg"), ("pics", "monet.png"), ("pics", "monet_1.png")):
        (tmp_path / folder).mkdir(exist_ok=True)
        picture(tmp_path / folder / name)
    before = {path: path.read_bytes() for path in (tmp_path / "pics").iterdir()}
    code, out, err = nstjax("photos", "pics/monet.png", "-o", "pics", *SMALL, "schedule.steps=[0]")
    assert (code, out, err) == (2, "", "nstjax: pics/monet.png is one of the inputs; give another -o\n")
    assert not (tmp_path / "outputs").exists()
    code, out, err = nstjax("photos", "pics/monet_1.png", "-o", "pics", *SMALL, "schedule.steps=[0]", "seed=1,2")
    assert (code, out.splitlines()[-1]) == (2, "pics/monet.png")
    assert err.splitlines()[-1] == "nstjax: pics/monet_1.png is one of the inputs; give another -o"
    after = {path: path.read_bytes() for path in (tmp_path / "pics").iterdir()}
    assert [path.name for path in before if after[path] != before[path]] == ["monet.png"]


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ("locked", "locked/a.png: can't be written (Permission denied); give another path"),
        ("locked/new", "locked/new: can't be made (Permission denied); give another -o"),
        ("a.png/new", "a.png/new: can't be made (Not a directory); give another -o"),
    ],
)
def test_a_folder_that_cannot_be_written_to_is_refused_before_any_work(output, text, nstjax, tmp_path):
    (tmp_path / "photos").mkdir()
    picture(tmp_path / "photos" / "a.png")
    picture(tmp_path / "a.png")
    (tmp_path / "locked").mkdir(mode=0o555)
    with binding():
        assert nstjax("photos", "starry", "-o", output, *SMALL) == (2, "", f"nstjax: {text}\n")
    assert not (tmp_path / "outputs").exists()


def test_a_result_that_cannot_be_written_costs_no_other(nstjax, tmp_path, monkeypatch):
    """Something of its name came while the sweep went on, say."""
    (tmp_path / "photos").mkdir()
    for seed, name in enumerate("abc"):
        picture(tmp_path / "photos" / f"{name}.png", seed)
    run = nstjax_run.run

    def occupied(config, folder):
        (tmp_path / "painted" / "a.png").mkdir(exist_ok=True)
        return run(config, folder)

    monkeypatch.setattr(nstjax_run, "run", occupied)
    code, out, err = nstjax("photos", "starry", "-o", "painted", *SMALL, "schedule.steps=[0]")
    assert (code, out.splitlines()[-2:]) == (2, ["painted/b.png", "painted/c.png"])
    assert err.splitlines()[-1].startswith("nstjax: painted/a.png: can't be written (Is a directory); the picture is ")


def test_the_suffix_of_the_output_is_its_format(nstjax, tmp_path):
    nstjax("grace_hopper", "starry", "-o", "out.jpg", *SMALL, "schedule.steps=[0]")
    with Image.open(tmp_path / "out.jpg") as jpeg:
        assert (jpeg.format, jpeg.size) == ("JPEG", (41, 48))
    result = pixels(next(tmp_path.glob("outputs/*/*/result.png")))
    assert abs(pixels(tmp_path / "out.jpg") - result).mean() < 0.02


def test_a_folder_of_the_users_own_has_the_run(nstjax, tmp_path):
    code, *_ = nstjax("grace_hopper", "starry", *SMALL, "schedule.steps=[0]", "hydra.run.dir=mine")
    assert code == 0
    assert (tmp_path / "mine" / "result.png").read_bytes() == (tmp_path / "stylized.png").read_bytes()


def test_ctrl_c_delivers_the_best_picture_too(nstjax, tmp_path):
    with interrupted(at_step(0)):
        code, out, err = nstjax("grace_hopper", "starry", "-o", "out.png", *SMALL, "hydra.run.dir=run")
    assert (code, out) == (130, "out.png\n")
    assert err.splitlines()[-1] == "nstjax.train: interrupted"
    assert (tmp_path / "out.png").read_bytes() == (tmp_path / "run" / "result.png").read_bytes()


def test_an_earlier_output_stays_when_the_run_fails(nstjax, tmp_path):
    picture(tmp_path / "out.png")
    before = (tmp_path / "out.png").read_bytes()
    assert nstjax("none.jpg", "starry", *SMALL, "-o", "out.png")[0] == 2
    assert (tmp_path / "out.png").read_bytes() == before


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ("out.gif", "out.gif: no picture can be written as '.gif'; use .png, .jpg, .jpeg, .webp"),
        ("out", "out: no picture can be written as ''; use .png, .jpg, .jpeg, .webp"),
        ("nowhere/out.png", "nowhere/out.png: its folder does not exist; create it or give another path"),
        ("photo.png", "photo.png is one of the inputs; give another -o"),
        ("folder/../photo.png", "folder/../photo.png is one of the inputs; give another -o"),
        ("link.png", "link.png is one of the inputs; give another -o"),
        ("folder.png", "folder.png: can't be written (not a regular file); give another path"),
    ],
)
def test_an_output_that_cannot_be_is_refused_before_any_work(output, text, nstjax, tmp_path):
    photo = picture(tmp_path / "photo.png")
    before = photo.read_bytes()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "link.png").symlink_to(photo)
    code, out, err = nstjax("photo.png", "starry", "-o", output, *SMALL)
    assert (code, out, err) == (2, "", f"nstjax: {text}\n")
    assert not (tmp_path / "outputs").exists()
    assert photo.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["half.jpg", "starry"], r"half.jpg: can't be decoded \(.*truncated.*\); get a sound copy or save it as PNG"),
        (["folder.jpg", "starry"], r"folder.jpg: no picture in it; give a folder with pictures"),
        (["huge.png", "starry"], r"huge.png: 3600000000 pixels, the limit is 100000000; make it smaller"),
        (["grace_hopper", "none (1).jpg"], r"none \(1\).jpg: .*No such file or directory.*; .*"),
        (["grace_hopper", "nosuch"], r"nosuch: .*; .*starry.*"),  # it may have been meant as a name
        (["grace_hopper", ""], r".*empty.*; .*"),
        (["grace_hopper", "starry", "size=-1"], r"size=-1 is out of range; it takes a number from 16 to 65536"),
        (
            ["grace_hopper", "starry", "objective.style_weight=abc"],
            r"objective.style_weight='abc' has the wrong type.*",
        ),
        (["grace_hopper", "starry", "+typo=1"], r"unknown key 'typo'; the keys are preset, content, style, size, .*"),
        (["grace_hopper", "starry", "typo=1"], r"unknown key 'typo'; .*"),
        (["grace_hopper", "starry", "preset=nosuch"], r"preset=nosuch is not known; choose one of .*default, .*"),
        (["grace_hopper", "starry", "third.jpg"], r".*third.jpg.*KEY=VALUE.*"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments, text, nstjax, tmp_path):
    (tmp_path / "folder.jpg").mkdir()
    truncated(tmp_path / "half.jpg")
    (tmp_path / "huge.png").write_bytes(png(60000, 60000, 8, 2, b""))
    code, out, err = nstjax(*arguments[:2], *SMALL, *arguments[2:], "-o", "out.png")
    assert re.fullmatch(f"nstjax(.train)?: {text}\n", err)
    assert (code, out) == (2, "")
    assert not (tmp_path / "out.png").exists()


def test_an_output_that_cannot_be_written_in_the_end_is_one_line_too(nstjax, tmp_path, monkeypatch):
    """Its folder became a file while the run went on, say."""
    run = nstjax_run.run

    def moved(config, folder):
        (tmp_path / "there").rmdir()
        (tmp_path / "there").write_text("")
        return run(config, folder)

    monkeypatch.setattr(nstjax_run, "run", moved)
    for suffix in ("png", "jpg"):
        (tmp_path / "there").unlink(missing_ok=True)
        (tmp_path / "there").mkdir()
        code, out, err = nstjax("grace_hopper", "starry", "-o", f"there/out.{suffix}", *SMALL, "schedule.steps=[0]")
        assert code == 2
        assert err.splitlines()[-1].startswith(f"nstjax: there/out.{suffix}: can't be written (")
        assert out.endswith("/result.png\n")  # where the picture is all the same


def test_help_names_the_pictures_that_have_a_name(nstjax, capsys):
    with pytest.raises(SystemExit) as end:
        nstjax("--help")
    assert end.value.code == 0
    words = capsys.readouterr().out.replace(",", " ").split()
    assert {"grace_hopper", "starry", "the_scream"} <= set(words)


@pytest.mark.parametrize("arguments", [[], ["photo.jpg"], ["photo.jpg", "starry", "--nosuch"]])
def test_a_wrong_call_shows_how_to_call_it(arguments, nstjax, capsys):
    with pytest.raises(SystemExit) as end:
        nstjax(*arguments)
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("usage: nstjax ")


def test_ctrl_c_outside_of_a_run_is_one_line(nstjax, monkeypatch):
    monkeypatch.setattr(cli, "_check_overrides", lambda _: signal.default_int_handler(signal.SIGINT, None))
    assert nstjax("grace_hopper", "starry") == (130, "", "nstjax: interrupted\n")
