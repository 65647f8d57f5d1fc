"""Download of one large file over HTTP, resumed after any number of interruptions, never spliced from two versions.

writes  <out>.partial        the bytes so far
        <out>.partial.json   the version of the file: its length, ETag and Last-Modified

Retried: a reset, a stall, 5xx, 429 (after its Retry-After), a body that is too short. Restarted from byte 0: a file
that changed, a server that ignores Range. Not retried: 401, 403, 404, an unknown host, a bad certificate, a full disk.
"""

import email.utils
import errno
import functools
import json
import logging
import re
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from tasks.core.errors import UserError
from tasks.core.files import write_atomic
from tasks.core.progress import bar

log = logging.getLogger(__name__)
LONGEST_WAIT_S = 600.0
LONGEST_RETRY_AFTER_S = 3600.0
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rules:
    """stall_s: time without data that counts as a stall. max_failures: in a row without progress."""

    stall_s: float
    max_failures: int
    backoff_s: float


@dataclass(frozen=True, slots=True)
class FileVersion:
    """The version of a file on the server; any difference makes it another version."""

    num_bytes: int
    etag: str
    last_modified: str


class RetryableError(Exception):
    """A failure that may pass; `wait_s` is the wait that the server asked for, if any."""

    def __init__(self, why: str, wait_s: float | None = None) -> None:
        super().__init__(why)
        self.wait_s = wait_s


def fetch(url: str, out: Path, auth: httpx.Auth, rules: Rules) -> Path:
    """Fetch `url` into <out>.partial and return that path; the caller checks and renames it.

    Errors: UserError with the server's answer; the bytes so far are kept, and the next call resumes.
    """
    partial, note = out.with_name(f"{out.name}.partial"), out.with_name(f"{out.name}.partial.json")
    with _client(url, auth, rules) as client, bar(0, out.name, "B", _size(partial), scale=True) as shown:

        def attempt() -> None:
            if not _is_whole(partial, note):
                _resume(client, url, partial, note, shown)
            if not _is_whole(partial, note):
                raise RetryableError(f"the body ended early, after {_size(partial)} bytes")
            if (now := _head(client, url)) and now != _read_note(note):
                _drop(partial, note)
                raise RetryableError("the file on the server changed after the download; restarted")

        _persist(attempt, url, rules, lambda: _size(partial))
    return partial


def read(url: str, auth: httpx.Auth, rules: Rules) -> bytes:
    """A small document, in memory.  Errors: as `fetch`"""
    with _client(url, auth, rules) as client:

        def attempt() -> bytes:
            response = client.get(url)
            _check(response, url)
            return response.content

        return _persist(attempt, url, rules, lambda: 0)


def num_bytes(url: str, out: Path, auth: httpx.Auth, rules: Rules) -> tuple[int, int]:
    """Length of the file at `url`, and how much of it is downloaded."""
    known = _read_note(out.with_name(f"{out.name}.partial.json"))
    if known:
        return known.num_bytes, _size(out.with_name(f"{out.name}.partial"))
    with _client(url, auth, rules) as client:
        version = _persist(lambda: _head(client, url), url, rules, lambda: 0)
    return (version.num_bytes if version else 0), 0


def forget(partial: Path) -> None:
    """Delete the note about a file that has been checked and renamed."""
    partial.with_name(f"{partial.name}.json").unlink(missing_ok=True)


def _client(url: str, auth: httpx.Auth, rules: Rules) -> httpx.Client:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise UserError(f"{url}: passwords are sent only over https://")
    return httpx.Client(
        auth=auth,
        timeout=httpx.Timeout(rules.stall_s, connect=max(rules.stall_s, 10)),
        verify=_certificates(),
        follow_redirects=True,  # httpx does not send the password to another host
        headers={"Accept-Encoding": "identity"},
    )


@functools.cache
def _certificates() -> ssl.SSLContext:
    return httpx.create_ssl_context()


def _persist(attempt: Callable[[], T], url: str, rules: Rules, progress: Callable[[], int]) -> T:
    """Retry until it succeeds.  Errors: UserError after `max_failures` in a row without progress."""
    failures, best = 0, progress()
    while True:
        try:
            return attempt()
        except RetryableError as error:
            why, wait_s = str(error), error.wait_s
        except httpx.TransportError as error:
            _raise_if_permanent(error, url)
            why, wait_s = f"{type(error).__name__}: {error}".rstrip(": "), None
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise UserError(f"{url}: the disk is full; free some space and run again to resume") from None
            raise
        failures = 0 if progress() > best else failures + 1
        best = max(best, progress())
        if failures >= rules.max_failures:
            raise UserError(
                f"{url}: {failures} failures in a row without progress, the last: {why}; run again to resume"
            )
        if wait_s is None:
            wait_s = min(LONGEST_WAIT_S, rules.backoff_s * 2 ** max(failures - 1, 0))
        log.warning("%s: %s; retrying in %.0f s", url, why, wait_s)
        time.sleep(wait_s)


def _resume(client: httpx.Client, url: str, partial: Path, note: Path, shown: Any) -> None:
    """One request for the missing bytes, read to its end or failure."""
    have, known = _size(partial), _read_note(note)
    if have and (known is None or have > known.num_bytes):
        _drop(partial, note)
        have, known = 0, None
    headers = {}
    if have and known:
        headers["Range"] = f"bytes={have}-"
        if known.etag and not known.etag.startswith("W/"):
            headers["If-Range"] = known.etag
        elif known.last_modified:
            headers["If-Range"] = known.last_modified
    with client.stream("GET", url, headers=headers) as response:
        _check(response, url)
        version = _version(response)
        if response.status_code == 206:
            if known is None or version != known or _first_byte(response) != have:
                _drop(partial, note)
                raise RetryableError("the file on the server changed; restarted")
        elif response.status_code == 200:
            if have:
                log.warning("%s: sent from its start (it changed, or the server ignores Range); restarted", url)
            _drop(partial, note)
            have = 0
            write_atomic(note, json.dumps(asdict(version)))
        else:
            _drop(partial, note)
            raise RetryableError(f"the server answered {response.status_code}; restarted")
        shown.total, shown.n = version.num_bytes, have
        with partial.open("ab") as file:
            for chunk in response.iter_raw():  # unbuffered: a reset loses buffered chunks
                file.write(chunk)
                shown.update(len(chunk))


def _head(client: httpx.Client, url: str) -> FileVersion | None:
    """The version on the server now; None if it does not support HEAD."""
    response = client.head(url)
    if response.status_code in (405, 501):
        return None
    _check(response, url)
    return _version(response)


def _check(response: httpx.Response, url: str) -> None:
    """Errors: RetryableError for a status that may pass, UserError for one that will not."""
    status = response.status_code
    if status in (401, 403):
        raise UserError(f"{url}: {status}: user and password are not accepted; ask the publishers of the data set")
    if status == 429 or status >= 500 or status == 408:
        raise RetryableError(f"the server answered {status}", _retry_after(response.headers.get("Retry-After", "")))
    if status == 404:
        raise UserError(f"{url}: 404, not found; check its address in corpus of params.yaml")
    if status not in (200, 206, 416):
        raise UserError(f"{url}: the server answered {status}")


def _retry_after(value: str) -> float | None:
    if value.strip().isdigit():
        return min(float(value), LONGEST_RETRY_AFTER_S)
    try:
        wait_s = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
    except ValueError:
        return None
    return min(max(wait_s, 0.0), LONGEST_RETRY_AFTER_S)


def _version(response: httpx.Response) -> FileVersion:
    length = response.headers.get("Content-Length", "")
    if response.status_code == 206:
        length = response.headers.get("Content-Range", "").rpartition("/")[2]
    if not length.isdigit():
        raise UserError(f"{response.url.copy_with(userinfo=b'')}: the server gives no length; this is not the data set")
    return FileVersion(int(length), response.headers.get("ETag", ""), response.headers.get("Last-Modified", ""))


def _first_byte(response: httpx.Response) -> int:
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else -1


def _raise_if_permanent(error: httpx.TransportError, url: str) -> None:
    host, cause = urlsplit(url).hostname, error.__cause__ or error.__context__
    while cause is not None:
        if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME:
            raise UserError(f"{host}: no such host, or no network; check its name in corpus of params.yaml") from None
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise UserError(f"{host}: its certificate is invalid: {cause.verify_message}") from None
        cause = cause.__cause__ or cause.__context__


def _size(partial: Path) -> int:
    return partial.stat().st_size if partial.is_file() else 0


def _read_note(note: Path) -> FileVersion | None:
    return FileVersion(**json.loads(note.read_text())) if note.is_file() else None


def _is_whole(partial: Path, note: Path) -> bool:
    known = _read_note(note)
    return known is not None and _size(partial) == known.num_bytes and partial.is_file()


def _drop(partial: Path, note: Path) -> None:
    partial.unlink(missing_ok=True)
    note.unlink(missing_ok=True)
