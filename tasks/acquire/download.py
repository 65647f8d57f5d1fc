"""Download of one large file over HTTP, resumed after any number of interruptions, never spliced from two versions.

What the server answers is checked in tasks/acquire/http_answers.py before a byte of it is kept.

writes  <out>.partial        the bytes so far
        <out>.partial.json   the version of the file: its length, ETag and Last-Modified

Retried: a reset, a stall, 5xx, 429 (after its Retry-After), a body that is too short. Restarted from byte 0: a file
that changed, a server that ignores Range, one that gives neither an ETag nor a date. With a weak ETag or a date alone
the last bytes are fetched again and compared. Not retried: 401, 403, 404, a web page in place of the file, an unknown
host, a bad certificate, a redirection from https to http, a full disk.
"""

import errno
import functools
import json
import logging
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from tasks.acquire import http_answers
from tasks.acquire.http_answers import FileVersion, RetryableError
from tasks.core.errors import Outage, UserError
from tasks.core.files import write_atomic
from tasks.core.progress import bar

log = logging.getLogger(__name__)
LONGEST_WAIT_S = 600.0
OVERLAP = 1 << 16  # bytes compared where only a weak ETag or a date says that the file is the same
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rules:
    """stall_s: time without data that counts as a stall. max_failures: in a row without progress."""

    stall_s: float
    max_failures: int
    backoff_s: float


def fetch(url: str, out: Path, auth: httpx.Auth, rules: Rules) -> Path:
    """Fetch `url` into <out>.partial and return that path; the caller checks and renames it.

    Errors: UserError with the server's answer; the bytes so far are kept, and the next call resumes. Also for a whole
    file that begins like a web page, or as no file of its ending does; it is deleted.
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
    with partial.open("rb") as file:
        why = http_answers.foreign(urlsplit(url).path, file.read(http_answers.HEAD_BYTES))
    if why:
        _drop(partial, note)
        raise UserError(f"{url}: {why}")
    return partial


def read(url: str, auth: httpx.Auth, rules: Rules) -> bytes:
    """A small document, in memory; JSON is one.  Errors: as `fetch`"""
    with _client(url, auth, rules) as client:

        def attempt() -> bytes:
            response = client.get(url)
            http_answers.check(response, url, http_answers.WEB_TYPES)
            return response.content

        return _persist(attempt, url, rules, lambda: 0)


def num_bytes(url: str, out: Path, auth: httpx.Auth, rules: Rules) -> tuple[int, int]:
    """Length of the file at `url`, and how much of it is downloaded."""
    with _client(url, auth, rules) as client:
        version = _persist(lambda: _head(client, url), url, rules, lambda: 0)
    version = version or _read_note(out.with_name(f"{out.name}.partial.json"))
    return (version.num_bytes if version else 0), _size(out.with_name(f"{out.name}.partial"))


def forget(partial: Path) -> None:
    """Delete the note about a file that has been checked and renamed."""
    partial.with_name(f"{partial.name}.json").unlink(missing_ok=True)


def _client(url: str, auth: httpx.Auth, rules: Rules) -> httpx.Client:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise UserError(f"{url}: passwords are sent only over https://")

    def same_safety(request: httpx.Request) -> None:
        if parts.scheme == "https" and request.url.scheme != "https":
            raise UserError(f"{url}: the server redirects to {request.url.scheme}://{request.url.host}; refused")

    try:
        return httpx.Client(
            auth=auth,
            timeout=httpx.Timeout(rules.stall_s, connect=max(rules.stall_s, 10)),
            verify=_certificates(),
            follow_redirects=True,  # httpx does not send the password to another host
            event_hooks={"request": [same_safety]},
            headers={"Accept-Encoding": "identity"},
            trust_env=parts.hostname not in LOOPBACK,  # this machine is never asked through a proxy
        )
    except (ValueError, OSError) as error:  # of HTTPS_PROXY; of SSL_CERT_FILE
        raise UserError(f"{url}: HTTPS_PROXY or SSL_CERT_FILE cannot be used: {error}") from None


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
        except httpx.TooManyRedirects:
            raise UserError(
                f"{url}: the server redirects in a circle; check its address in corpus of params.yaml"
            ) from None
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
            raise Outage(f"{url}: {failures} failures in a row without progress, the last: {why}; run again to resume")
        if wait_s is None:
            wait_s = min(LONGEST_WAIT_S, rules.backoff_s * 2 ** max(failures - 1, 0))
        log.warning("%s: %s; retrying in %.0f s", url, why, wait_s)
        time.sleep(wait_s)


def _resume(client: httpx.Client, url: str, partial: Path, note: Path, shown: Any) -> None:
    """One request for the missing bytes, read to its end or failure."""
    have, known = _size(partial), _read_note(note)
    if have and (known is None or have > known.num_bytes or not known.comparable):
        log.warning("%s: what is there of %s cannot be compared with the server's file; restarted", url, partial.name)
        _drop(partial, note)
        have, known = 0, None
    headers, overlap = {}, b""
    if have and known:
        overlap = b"" if known.strong else _last_bytes(partial, have)
        headers["Range"] = f"bytes={have - len(overlap)}-"
        headers["If-Range"] = known.etag if known.strong else known.last_modified
    with client.stream("GET", url, headers={name: value for name, value in headers.items() if value}) as response:
        http_answers.check(response, url)
        version = http_answers.version(response)
        if response.status_code == 206:
            if known is None or version != known or http_answers.first_byte(response) != have - len(overlap):
                _drop(partial, note)
                raise RetryableError("the file on the server changed; restarted")
        elif response.status_code == 200:
            if have:
                log.warning("%s: sent from its start (it changed, or the server ignores Range); restarted", url)
            _drop(partial, note)
            have, overlap = 0, b""
            write_atomic(note, json.dumps(asdict(version)))
        else:
            _drop(partial, note)
            raise RetryableError(f"the server answered {response.status_code}; restarted")
        shown.total, shown.n = version.num_bytes, have
        with partial.open("ab") as file:
            for chunk in response.iter_raw():  # unbuffered: a reset loses buffered chunks
                again, new = chunk[: len(overlap)], chunk[len(overlap) :]
                if overlap[: len(again)] != again:
                    _drop(partial, note)
                    raise RetryableError("the file on the server has other bytes than before; restarted")
                overlap = overlap[len(again) :]
                file.write(new)
                shown.update(len(new))


def _last_bytes(partial: Path, have: int) -> bytes:
    with partial.open("rb") as file:
        file.seek(max(0, have - OVERLAP))
        return file.read()


def _head(client: httpx.Client, url: str) -> FileVersion | None:
    """The version on the server now; None if it does not support HEAD."""
    response = client.head(url)
    if response.status_code in (405, 501):
        return None
    http_answers.check(response, url)
    return http_answers.version(response)


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
    """None where there is no note, or a damaged one."""
    return http_answers.version_of(note.read_bytes()) if note.is_file() else None


def _is_whole(partial: Path, note: Path) -> bool:
    known = _read_note(note)
    return known is not None and _size(partial) == known.num_bytes and partial.is_file()


def _drop(partial: Path, note: Path) -> None:
    partial.unlink(missing_ok=True)
    note.unlink(missing_ok=True)
