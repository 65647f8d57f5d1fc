"""What a server of files answers, parsed once into checked types: status, version of the file, kind of the bytes."""

import email.utils
import json
import re
import time
from collections.abc import Collection
from dataclasses import dataclass

import httpx

from tasks.core.errors import UserError

LONGEST_RETRY_AFTER_S = 3600.0
NUMBER = re.compile(r"[0-9]{1,15}")
PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s|html|head|body|\?xml|script|meta)", re.I)
WEB_TYPES = ("text/html", "application/xhtml+xml")
PAGE_TYPES = (*WEB_TYPES, "application/json")
# ending -> where a file of that kind has which bytes
MAGIC = (
    (".zip", 0, (b"PK\x03\x04", b"PK\x05\x06")),
    (".tar", 257, (b"ustar",)),
    (".gz", 0, (b"\x1f\x8b",)),
    (".tgz", 0, (b"\x1f\x8b",)),
)
HEAD_BYTES = 512  # enough for `foreign`


@dataclass(frozen=True, slots=True)
class FileVersion:
    """The version of a file on the server; any difference makes it another version."""

    num_bytes: int
    etag: str
    last_modified: str

    @property
    def strong(self) -> bool:
        """Whether equal ETags promise equal bytes.  Source: RFC 9110, 8.8.3."""
        return bool(self.etag) and not self.etag.startswith("W/")

    @property
    def comparable(self) -> bool:
        """Whether anything but the length says which version it is."""
        return bool(self.etag or self.last_modified)


class RetryableError(Exception):
    """A failure that may pass; `wait_s` is the wait that the server asked for, if any."""

    def __init__(self, why: str, wait_s: float | None = None) -> None:
        super().__init__(why)
        self.wait_s = wait_s


def check(response: httpx.Response, url: str, pages: Collection[str] = PAGE_TYPES) -> None:
    """Errors: RetryableError for a status that may pass, UserError for one that will not, and for an answer that is
    no file: a web page (a login with status 200), one of the kinds `pages`, or bytes in an encoding not asked for.
    """
    status = response.status_code
    if status in (401, 403):
        raise UserError(f"{url}: {status}: user and password are not accepted; ask the publishers of the data set")
    if status == 429 or status >= 500 or status == 408:
        raise RetryableError(f"the server answered {status}", retry_after(response.headers.get("Retry-After", "")))
    if status == 404:
        raise UserError(f"{url}: 404, not found; check its address in corpus of params.yaml")
    if status not in (200, 206, 416):
        raise UserError(f"{url}: the server answered {status}")
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind in pages and status != 416:
        raise UserError(f"{url}: {no_file(kind)}")
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise UserError(f"{url}: the server sends it encoded ({encoding[:20]}), which was not asked for; ask its owner")


def no_file(kind: str) -> str:
    return f"a web page ({kind}) instead of the file; a login page? check user, password, host and path"


def foreign(name: str, head: bytes) -> str:
    """Why a file of this name cannot begin with these bytes; "" if it can."""
    if is_page(head):
        return no_file(f"it begins with {head[:15]!r}")
    for ending, at, magics in MAGIC:
        if name.endswith(ending) and head[at : at + len(magics[0])] not in magics:
            return f"no {ending[1:]} begins with {head[:15]!r}; check host and path"
    return ""


def is_page(head: bytes) -> bool:
    """Whether a file begins as a web page does."""
    return PAGE.match(head) is not None


def retry_after(value: str) -> float | None:
    if NUMBER.fullmatch(value.strip()):
        return min(float(value), LONGEST_RETRY_AFTER_S)
    try:
        wait_s = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
    return min(max(wait_s, 0.0), LONGEST_RETRY_AFTER_S)


def version(response: httpx.Response) -> FileVersion:
    length = response.headers.get("Content-Length", "")
    if response.status_code == 206:
        length = response.headers.get("Content-Range", "").rpartition("/")[2]
    if not NUMBER.fullmatch(length):
        raise UserError(f"{response.url.copy_with(userinfo=b'')}: the server gives no length; this is not the data set")
    return FileVersion(int(length), response.headers.get("ETag", ""), response.headers.get("Last-Modified", ""))


def version_of(text: bytes) -> FileVersion | None:
    """A version as `download` noted it; None for a damaged note."""
    try:
        match json.loads(text):
            case {"num_bytes": int(num), "etag": str(etag), "last_modified": str(date)} if num >= 0:
                return FileVersion(num, etag, date)
    except (ValueError, RecursionError):
        pass
    return None


def first_byte(response: httpx.Response) -> int:
    match = re.match(r"bytes ([0-9]{1,15})-", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else -1
