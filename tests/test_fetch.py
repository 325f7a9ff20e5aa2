"""Fetching through a real pip from a folder of wheels, and by https' ways from a server on this machine."""

import hashlib
import os
import socket
import stat
import subprocess
import sys
import threading
import venv
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import filelock
import platformdirs
import pytest

import nstjax
from nstjax import fetch
from nstjax.errors import UserError
from nstjax.fetch import wheels

MEMBER = "plates/data/palette.bin"
CONTENT = bytes(range(256)) * 40


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NSTJAX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "fetched"


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """The digest of a wheel of the project `plates`, in a folder that is all that pip can see."""
    path = tmp_path / "wheels" / "plates-1.2.0-py3-none-any.whl"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MEMBER, CONTENT)
        archive.writestr("plates-1.2.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: plates\nVersion: 1.2.0\n")
        archive.writestr(
            "plates-1.2.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("plates-1.2.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(path.parent))
    return sha256(path.read_bytes())


def get(wheel_sha256, member=MEMBER, member_sha256=None, spec="plates==1.2.0"):
    return fetch.wheel_member(spec, wheel_sha256, member, member_sha256 or sha256(CONTENT))


def left(folder):
    """What is in a folder of the cache, apart from its lock."""
    return sorted(set(os.listdir(folder)) - {".lock"})


def one_line(error):
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_member_comes_out_of_the_pinned_wheel_and_nothing_else_stays(cache, wheel):
    path = get(wheel)
    assert path == cache / "palette.bin"
    assert path.read_bytes() == CONTENT
    assert left(cache) == ["palette.bin"]


def test_a_cached_file_is_trusted_by_its_hash_only(cache, wheel, monkeypatch):
    path = get(wheel)
    path.write_bytes(CONTENT[:-1] + b"x")
    assert get(wheel).read_bytes() == CONTENT
    monkeypatch.setattr(wheels, "_pip", lambda: pytest.fail("a whole file in the cache was fetched again"))
    assert get(wheel).read_bytes() == CONTENT


def test_the_log_says_what_is_fetched(cache, wheel, caplog):
    caplog.set_level("INFO", "nstjax")
    fetch.wheel_member("plates==1.2.0", wheel, MEMBER, sha256(CONTENT), what="a palette, 10 KB")
    fetch.wheel_member("plates==1.2.0", wheel, MEMBER, sha256(CONTENT), what="a palette, 10 KB")
    assert caplog.messages == ["fetching a palette, 10 KB, once"]


def test_another_wheel_than_the_pinned_one_is_refused(cache, wheel):
    with pytest.raises(UserError) as error:
        get("0" * 64)
    assert "sha256 is not the pinned one" in one_line(error)
    assert left(cache) == []


def test_another_member_than_the_pinned_one_is_refused(cache, wheel):
    with pytest.raises(UserError) as error:
        get(wheel, member_sha256="0" * 64)
    assert f"has the sha256 {sha256(CONTENT)}" in one_line(error)
    assert left(cache) == []


def test_a_missing_member_is_named(cache, wheel):
    with pytest.raises(UserError, match=r"plates-1.2.0-py3-none-any.whl has no member plates/none.bin"):
        get(wheel, member="plates/none.bin")


def test_without_an_index_the_error_says_what_to_check(cache, wheel):
    with pytest.raises(UserError) as error:
        get(wheel, spec="nowhere==9.9")
    assert one_line(error).startswith("could not fetch nowhere==9.9: no package index within reach has it; check the ")


def test_an_environment_without_pip_uses_the_one_that_python_bundles(cache, wheel, tmp_path):
    """Such as uv makes them."""
    venv.create(tmp_path / "bare", with_pip=False)
    packages = tmp_path / "packages"
    packages.mkdir()
    for package in (nstjax, platformdirs, filelock):
        (packages / package.__name__).symlink_to(Path(package.__file__).parent)
    code = (
        "import importlib.util; assert importlib.util.find_spec('pip') is None\n"
        "from nstjax import fetch\n"
        f"print(fetch.wheel_member('plates==1.2.0', '{wheel}', '{MEMBER}', '{sha256(CONTENT)}'))"
    )
    environment = {**os.environ, "PYTHONPATH": str(packages)}
    done = subprocess.run(
        [tmp_path / "bare/bin/python", "-c", code], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).read_bytes() == CONTENT


def test_uv_is_the_last_resort(cache, wheel, tmp_path, monkeypatch):
    """A stand-in for uv that unpacks the wheel into --target, as `uv pip install` does."""
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text(
        f"#!{sys.executable}\nimport os, sys, zipfile\n"
        "assert sys.argv[1:3] == ['pip', 'install'] and {'--no-deps', '--require-hashes'} <= set(sys.argv)\n"
        "wheel = os.path.join(os.environ['PIP_FIND_LINKS'], 'plates-1.2.0-py3-none-any.whl')\n"
        "zipfile.ZipFile(wheel).extractall(sys.argv[sys.argv.index('--target') + 1])\n"
    )
    uv.chmod(uv.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(uv.parent))
    monkeypatch.setattr(wheels, "_pip", lambda: None)
    assert get(wheel).read_bytes() == CONTENT


def test_without_any_installer_the_error_names_the_fix(cache, monkeypatch):
    monkeypatch.setattr(wheels, "_pip", lambda: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match=r"has no pip .* run `python -m ensurepip` or `uv pip install pip`"):
        get("0" * 64)


def test_a_cache_that_cannot_be_written_to_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("NSTJAX_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError) as error:
        get("0" * 64)
    assert "set NSTJAX_CACHE" in one_line(error)


@pytest.fixture
def server(monkeypatch):
    """The address of a server that has /picture.jpg, and the list of what it was asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200 if self.path == "/picture.jpg" else 404)
            self.end_headers()
            self.wfile.write(CONTENT)

        def log_message(self, *arguments):
            pass

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}", asked
        listening.shutdown()


def test_a_url_is_fetched_once(cache, server, capfd):
    address, asked = server
    for _ in range(2):
        assert fetch.url(f"{address}/picture.jpg", sha256(CONTENT), "starry.jpg") == cache / "starry.jpg"
    assert (cache / "starry.jpg").read_bytes() == CONTENT
    assert asked == ["/picture.jpg"]
    assert capfd.readouterr() == ("", "")


def test_a_damaged_cached_url_is_fetched_again(cache, server):
    address, asked = server
    cache.mkdir(parents=True)
    (cache / "starry.jpg").write_bytes(b"half a pict")
    fetch.url(f"{address}/picture.jpg", sha256(CONTENT), "starry.jpg")
    assert (cache / "starry.jpg").read_bytes() == CONTENT
    assert asked == ["/picture.jpg"]


def unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize(
    ("path", "digest", "reason"),
    [
        ("/picture.jpg", "0" * 64, "its sha256 is not the pinned one"),
        ("/gone.jpg", sha256(CONTENT), "the server answered 404"),
        (None, sha256(CONTENT), "no connection"),
    ],
)
def test_a_url_that_cannot_be_had_says_what_to_do(cache, server, path, digest, reason):
    address = server[0] + path if path else f"http://127.0.0.1:{unused_port()}/picture.jpg"
    with pytest.raises(UserError) as error:
        fetch.url(address, digest, "starry.jpg")
    assert one_line(error) == (
        f"could not fetch {address}: {reason}; download it by hand and put it into {cache} as starry.jpg "
        "(or set NSTJAX_ASSETS to a folder that has it)"
    )
    assert left(cache) == []


@pytest.mark.parametrize(
    "address",
    [
        "http://example.org/a.jpg",
        "http://127.0.0.1.example.org/a.jpg",
        "ftp://127.0.0.1/a.jpg",
        "file:///etc/passwd",
        "",
    ],
)
def test_only_https_is_spoken(cache, address):
    with pytest.raises(UserError, match="is not an https address"):
        fetch.url(address, "0" * 64, "a.jpg")


@pytest.mark.parametrize("filename", ["../a.jpg", "/tmp/a.jpg", "", ".."])
def test_a_file_name_cannot_lead_out_of_the_cache(cache, filename):
    with pytest.raises(UserError, match="not a plain file name"):
        fetch.url("https://example.org/a.jpg", "0" * 64, filename)
