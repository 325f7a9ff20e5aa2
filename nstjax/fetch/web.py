"""A file by its pinned address, over https."""

import hashlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urljoin, urlsplit

from nstjax.errors import UserError
from nstjax.fetch.cache import folder, once

if TYPE_CHECKING:
    from requests import Response

MAX_BYTES = 256 << 20
MAX_REDIRECTS = 5
SECONDS = 600  # in all
SILENCE_SECONDS = 30  # between two packets


def url(address: str, sha256: str, filename: str) -> Path:
    """A file by its https address, in the cache under `filename`.

    Raises:
      UserError: no network, another file than the pinned one, or an address that isn't https. (Plain http is accepted
        from 127.0.0.1 only.)
    """
    if not (_is_https(address) or _is_loopback(address)):
        raise UserError(f"{address} is not an https address; use one")
    if filename != PurePosixPath(filename).name or filename in ("", ".", ".."):
        raise UserError(f"{filename!r} is not a plain file name; leave out the folder")
    return once(filename, sha256, address, lambda path: _get(address, sha256, filename, path))


def may_lead(address: str, step: str) -> bool:
    """Whether an address may redirect to another: https to https only."""
    return _is_https(step) or (_is_loopback(step) and _is_loopback(address))


def _is_https(address: str) -> bool:
    return urlsplit(address).scheme == "https"


def _is_loopback(address: str) -> bool:
    parts = urlsplit(address)
    return (parts.scheme, parts.hostname) == ("http", "127.0.0.1")


def _get(address: str, sha256: str, filename: str, path: Path) -> None:
    from requests import RequestException

    try:
        if _within(SECONDS, lambda: _download(address, path)) != sha256:
            raise ValueError("its sha256 is not the pinned one")
    except (RequestException, TimeoutError, ValueError) as error:
        raise UserError(
            f"could not fetch {address}: {_reason(error)}; download it by hand and put it into {folder()} "
            f"as {filename} (or set NSTJAX_ASSETS to a folder that has it)"
        ) from error


def _within(seconds: float, call: Callable[[], str]) -> str:
    """What a call returns, made in a thread of its own: a server that dribbles its answer can't hold the program."""
    future: Future[str] = Future()

    def work() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return future.result(timeout=seconds)


def _download(address: str, path: Path) -> str:
    """Writes what an address leads to, by https alone, into a file; returns its SHA-256."""
    import requests  # here, because few runs need it

    deadline = time.monotonic() + SECONDS
    step = address
    with requests.Session() as session, open(path, "wb") as sink:
        session.headers["Accept-Encoding"] = "identity"
        for _ in range(1 + MAX_REDIRECTS):
            if not may_lead(address, step):
                raise ValueError(f"it leads to {step[:100]}, which is not an https address")
            with session.get(step, stream=True, allow_redirects=False, timeout=SILENCE_SECONDS) as answer:
                if not answer.is_redirect:
                    return _save(answer, sink, deadline)
                step = urljoin(step, answer.headers["location"])
    raise ValueError(f"more than {MAX_REDIRECTS} redirects")


def _save(answer: "Response", sink: BinaryIO, deadline: float) -> str:
    answer.raise_for_status()
    digest, count = hashlib.sha256(), 0
    for block in answer.iter_content(1 << 16):
        count += len(block)
        if count > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES >> 20} MiB")
        if time.monotonic() > deadline:
            raise TimeoutError
        digest.update(block)
        sink.write(block)
    return digest.hexdigest()


def _reason(error: Exception) -> str:
    import requests

    if isinstance(error, requests.Timeout | TimeoutError):
        return "the server did not answer in time"
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code}"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return f"{error}".partition("\n")[0][:200]
