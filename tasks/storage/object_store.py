"""Object storage, the one owner of fsspec: a folder of a bucket, `s3://bucket/folder`.

An object is whole or absent: S3 shows it when its last byte is there. Who may, and where it is, s3fs takes from where
every AWS tool does: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_PROFILE, AWS_ENDPOINT_URL, ~/.aws; nothing of it is
written anywhere. What may pass is tried again, for about a minute at most.
"""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tasks.core.errors import UserError

CONNECT_S, SILENT_S = 5, 60  # until a server answers at all; until it says its next word
TRIES = 3  # of the S3 client, and again of s3fs around it


@functools.cache
def at(url: str, whose: str) -> "Store":
    """The store at `url`; `whose` names the setting it comes from.  Errors: UserError where it is no such address."""
    bucket = url.removeprefix("s3://").split("/")[0]
    if not url.startswith("s3://") or not bucket or "@" in url:
        raise UserError(f"{whose}: wanted s3://bucket/folder, without user or password, got {_without_user(url)!r}")
    return Store(url.rstrip("/"), whose)


class Store:
    """Names are below `url`, as "acquire/0a1b.tar"."""

    def __init__(self, url: str, whose: str) -> None:
        self.url, self.whose = url, whose

    def sizes(self, under: str) -> dict[str, int]:
        """Name -> bytes, of the objects whose names begin with the folder `under`."""
        with self._told(f"{self.url}/{under}") as fs:
            if not (found := fs.find(f"{self.url}/{under}", detail=True)):
                fs.call_s3("head_bucket", Bucket=self.url.removeprefix("s3://").split("/")[0])
        start = len(self.url.removeprefix("s3://")) + 1
        return {name[start:]: int(about["size"]) for name, about in found.items()}

    def put(self, file: Path, name: str) -> None:
        with self._told(f"{self.url}/{name}") as fs:
            fs.put_file(str(file), f"{self.url}/{name}", max_concurrency=2)

    def get(self, name: str, out: Path) -> None:
        with self._told(f"{self.url}/{name}") as fs:
            fs.get_file(f"{self.url}/{name}", str(out), max_concurrency=2)

    def read(self, name: str, offset: int, size: int) -> bytes:
        """These bytes of an object in one request; fewer where it ends before."""
        with self._told(f"{self.url}/{name}") as fs:
            content: bytes = fs.cat_file(f"{self.url}/{name}", start=offset, end=offset + size)
        return content

    @contextmanager
    def _told(self, what: str) -> Iterator[Any]:
        """The file system; what goes wrong with it is one line that names the object and what to do."""
        fs = _file_system()
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

        try:
            yield fs
        except NoCredentialsError:
            raise UserError(
                f"{what}: no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write ~/.aws/credentials"
            ) from None
        except PermissionError as error:
            raise UserError(f"{what}: refused: {_line(error)}; check your credentials, and what they may") from None
        except FileNotFoundError:
            raise UserError(f"{what}: no such object or bucket; check {self.whose}") from None
        except (OSError, BotoCoreError, ClientError) as error:
            raise UserError(
                f"{what}: {_line(error)}; check {self.whose}, AWS_ENDPOINT_URL and the network, then run again: what "
                "is done stays"
            ) from None


@functools.cache
def _file_system() -> Any:
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
