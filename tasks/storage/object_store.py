"""Object storage: a folder of a bucket, `s3://bucket/folder`. The only module that uses s3fs.

An object is whole or absent: S3 shows it once its last byte has arrived. Credentials and endpoint come from the
standard AWS sources (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_PROFILE, AWS_ENDPOINT_URL, ~/.aws) and are not
written anywhere. Transient errors are retried for about a minute at most.
"""

import functools
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tasks.core import servers
from tasks.core.errors import UserError

CONNECT_S, SILENT_S = 5, 60  # until a server answers at all; between two parts of its answer
STREAMED = 8 << 20
TRIES = 3  # of the S3 client, and again of s3fs around it


@functools.cache
def at(url: str, setting: str) -> "ObjectStore":
    """The store at `url`, which comes from `setting`.  Errors: UserError if it is not such an address."""
    bucket = url.removeprefix("s3://").split("/")[0]
    if not url.startswith("s3://") or not bucket or "@" in url:
        raise UserError(f"{setting}: must be s3://bucket/folder, without user or password, got {_without_user(url)!r}")
    return ObjectStore(url.rstrip("/"), setting)


class ObjectStore:
    """Objects below `url`, by name: "acquire/0a1b.tar"."""

    def __init__(self, url: str, setting: str) -> None:
        self.url, self.setting = url, setting

    def sizes(self, under: str) -> dict[str, int]:
        """Name -> size in bytes, of the objects in the folder `under`."""
        with self._file_system(f"{self.url}/{under}") as fs:
            if not (objects := fs.find(f"{self.url}/{under}", detail=True)):
                fs.call_s3("head_bucket", Bucket=self.url.removeprefix("s3://").split("/")[0])
        start = len(self.url.removeprefix("s3://")) + 1
        return {name[start:]: int(about["size"]) for name, about in objects.items()}

    def put(self, file: Path, name: str) -> None:
        with self._file_system(f"{self.url}/{name}") as fs:
            fs.put_file(str(file), f"{self.url}/{name}", max_concurrency=2)

    def get(self, name: str, out: Path) -> None:
        with self._file_system(f"{self.url}/{name}") as fs:
            fs.get_file(f"{self.url}/{name}", str(out), max_concurrency=2)

    def read(self, name: str, offset: int, size: int) -> bytes:
        """A range of an object's bytes, in one request; fewer if the object ends earlier."""
        with self._file_system(f"{self.url}/{name}") as fs:
            content: bytes = fs.cat_file(f"{self.url}/{name}", start=offset, end=offset + size)
        return content

    def stream(self, name: str) -> io.BufferedReader:
        """An object from its start, by requests of STREAMED bytes, each tried again as any other."""
        return io.BufferedReader(_Ranges(self, name), STREAMED)

    @contextmanager
    def _file_system(self, address: str) -> Iterator[Any]:
        """The file system; its errors become UserErrors that name the object and what to do."""
        fs = _connected()
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

        try:
            yield fs
        except NoCredentialsError:
            raise UserError(
                f"{address}: no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or ~/.aws/credentials"
            ) from None
        except PermissionError as error:
            raise UserError(f"{address}: refused: {_line(error)}; check your credentials and permissions") from None
        except FileNotFoundError:
            raise UserError(f"{address}: no such object or bucket; check {self.setting}") from None
        except (OSError, BotoCoreError, ClientError) as error:
            raise UserError(
                f"{address}: {_line(error)}; check {self.setting}, AWS_ENDPOINT_URL and the network, then run again: "
                "finished work is kept"
            ) from None


class _Ranges(io.RawIOBase):
    def __init__(self, store: ObjectStore, name: str) -> None:
        self._store, self._name, self._at = store, name, 0
        self._size = store.sizes(name).get(name, 0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        num = min(len(buffer), self._size - self._at)
        if num > 0:
            content = self._store.read(self._name, self._at, num)
            num = len(content)
            buffer[:num] = content
            self._at += num
        return max(0, num)


def demand_endpoint() -> None:
    """Before the work. Errors: UserError if a variable names an endpoint that does not answer; s3fs tries for long"""
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        if endpoint := os.environ.get(name):
            servers.demand(name, endpoint, "/", f"check {name} and the network: finished work is kept")
            return


@functools.cache
def _connected() -> Any:
    try:
        import s3fs
    except ImportError:
        raise UserError("object storage needs s3fs: pip install -e '.[s3]'") from None
    fs = s3fs.S3FileSystem(
        use_listings_cache=False,
        skip_instance_cache=True,
        config_kwargs={
            "connect_timeout": CONNECT_S,
            "read_timeout": SILENT_S,
            "retries": {"total_max_attempts": TRIES, "mode": "standard"},
        },
    )
    fs.retries = TRIES
    return fs


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _without_user(url: str) -> str:
    scheme, _, rest = url.rpartition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if scheme else rest.rpartition("@")[2]
