"""Pictures by name: the registered bytes, from wherever they can be had, or one line that says what to do."""

import hashlib
import http.server
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nstjax import assets, images
from nstjax.errors import UserError

BYTES = b"the bytes of a picture"
SHA256 = hashlib.sha256(BYTES).hexdigest()
PLATES = [name for name in assets.names() if assets.info(name).kind == "plate"]


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NSTJAX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("NSTJAX_ASSETS", raising=False)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[http.server.HTTPServer]:
    """A web server on the loopback interface, with the picture at `/there.jpg` and others at other addresses."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path != "/gone.jpg" else 404)
            self.end_headers()
            self.wfile.write(BYTES if self.path == "/there.jpg" else b"another picture")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def registry(folder: Path, kind: str, **needs: str) -> Path:
    """A registry with one picture, called `picture`."""
    entry = {"kind": kind, "title": "t", "license": "l", "sha256": SHA256, "file": "picture.jpg", **needs}
    path = folder / "assets.toml"
    path.write_text("[picture]\n" + "".join(f'{key} = "{value}"\n' for key, value in entry.items()))
    return path


# the registry


def test_every_entry_is_complete() -> None:
    needs = {"plate": (), "sample": ("package", "path"), "url": ("url",)}
    for asset in map(assets.info, assets.names()):
        assert asset.title and asset.license
        assert re.fullmatch("[0-9a-f]{64}", asset.sha256)
        assert asset.file == Path(asset.file).name
        given = {field for field, default in asset._field_defaults.items() if getattr(asset, field) != default}
        assert given == set(needs[asset.kind]), asset.name


def test_every_url_is_pinned_to_a_commit() -> None:
    for asset in map(assets.info, assets.names()):
        assert not asset.url or re.match(r"https://[^?]*/[0-9a-f]{40}/", asset.url), asset.name


def test_no_two_pictures_share_a_file_name() -> None:
    found = [assets.info(name).file for name in assets.names()]
    assert len(set(found)) == len(found)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UserError) as refusal:
        assets.resolve("stary_night")
    assert "'stary_night'" in str(refusal.value)
    assert all(name in str(refusal.value) for name in assets.names())


# plate


def test_every_plate_is_registered() -> None:
    painted = {path.name for path in assets.PLATES.iterdir() if path.suffix in (".jpg", ".png")}
    assert {assets.info(name).file for name in PLATES} == painted


@pytest.mark.parametrize("name", PLATES)
def test_a_plate_is_the_registered_picture(name: str) -> None:
    file = assets.PLATES / assets.info(name).file
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert digest == assets.info(name).sha256, (
        f'{file.name} was painted anew; look at it, then set sha256 = "{digest}" under [{name}] in nstjax/assets.toml'
    )
    picture = images.load(assets.resolve(name))
    assert min(picture.pixels.shape[:2]) >= 512
    assert picture.pixels.std() > 0.05
    assert not picture.notes


# sample


def test_grace_hopper_is_a_photograph() -> None:
    picture = images.load(assets.resolve("grace_hopper"))
    assert picture.sha256 == assets.info("grace_hopper").sha256
    assert picture.pixels.shape == (600, 512, 3)
    sky = picture.pixels[20:100, 420:500].mean(axis=(0, 1))  # the blue ground behind her
    assert sky[2] > sky[1] > sky[0]
    assert len(np.unique(images.quantize(picture.pixels).reshape(-1, 3), axis=0)) > 10_000


@pytest.mark.parametrize(
    ("needs", "words"),
    [
        ({"package": "no_such_package", "path": "picture.jpg"}, "run `pip install no_such_package`"),
        (
            {"package": "numpy", "path": "picture.jpg"},
            "numpy/picture.jpg, but is not; install another version of numpy",
        ),
        ({"package": "numpy", "path": "__init__.py"}, "is not the registered picture"),
    ],
)
def test_a_sample_that_cannot_be_had(tmp_path: Path, needs: dict[str, str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        assets.resolve("picture", registry(tmp_path, "sample", **needs))


# url


def test_a_url_is_fetched_once(tmp_path: Path, server: http.server.HTTPServer) -> None:
    entry = registry(tmp_path, "url", url=f"http://127.0.0.1:{server.server_port}/there.jpg")
    path = assets.resolve("picture", entry)
    assert path.read_bytes() == BYTES and path.is_relative_to(tmp_path / "cache")
    server.shutdown()
    server.server_close()
    assert assets.resolve("picture", entry) == path


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_no_network_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    entry = registry(tmp_path, "url", url=f"http://127.0.0.1:{closed_port()}/picture.jpg")
    with pytest.raises(UserError) as refusal:
        assets.resolve("picture", entry)
    assert "\n" not in str(refusal.value)
    assert "NSTJAX_ASSETS" in str(refusal.value) and "picture.jpg" in str(refusal.value)


@pytest.mark.parametrize("file", ["another.jpg", "gone.jpg"])
def test_another_picture_at_the_address_is_refused(tmp_path: Path, server: http.server.HTTPServer, file: str) -> None:
    entry = registry(tmp_path, "url", url=f"http://127.0.0.1:{server.server_port}/{file}")
    with pytest.raises(UserError):
        assets.resolve("picture", entry)
    assert not list((tmp_path / "cache").rglob("*.jpg"))


# $NSTJAX_ASSETS

OUT_OF_REACH = {
    "plate": {},
    "sample": {"package": "no_such_package", "path": "picture.jpg"},
    "url": {"url": "https://127.0.0.1:1/picture.jpg"},
}


@pytest.mark.parametrize("kind", OUT_OF_REACH)
def test_a_picture_of_any_kind_can_be_supplied(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NSTJAX_ASSETS", str(tmp_path))
    (tmp_path / "picture.jpg").write_bytes(BYTES)
    assert assets.resolve("picture", registry(tmp_path, kind, **OUT_OF_REACH[kind])) == tmp_path / "picture.jpg"


@pytest.mark.parametrize("kind", OUT_OF_REACH)
def test_another_picture_never_stands_in(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NSTJAX_ASSETS", str(tmp_path))
    (tmp_path / "picture.jpg").write_bytes(BYTES + b"!")
    with pytest.raises(UserError, match=r"picture\.jpg is not the registered picture .*; remove it"):
        assets.resolve("picture", registry(tmp_path, kind, **OUT_OF_REACH[kind]))


def test_a_folder_without_the_picture_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        monkeypatch.setenv("NSTJAX_ASSETS", str(folder))
        assert assets.resolve("grace_hopper").parent.name == "sample_data"
