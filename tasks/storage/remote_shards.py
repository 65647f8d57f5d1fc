"""Shards that lie in object storage: here is only a pointer, `<shard>.json`, which says where, how large, and which.

An object is named by its shard and its content, so it never changes: the pointers of an old commit stay right.
Nothing here deletes objects.
"""

import json
from pathlib import Path

from tasks.core import files
from tasks.core.errors import UserError
from tasks.core.files import write_atomic
from tasks.storage import object_store

POINTER = ".json"


def send(shard: Path, name: str, url: str) -> None:
    """Put a shard into object storage, and its pointer into its place.  Errors: UserError; the shard then stays."""
    sha256, num_bytes = files.sha256_file(shard), shard.stat().st_size
    place, there = f"{name.removesuffix('.tar')}-{sha256[:16]}.tar", object_store.at(url, "acquire.raw")
    if there.sizes(place).get(place) != num_bytes:
        there.put(shard, place)
    about = {"url": f"{there.url}/{place}", "bytes": num_bytes, "sha256": sha256}
    write_atomic(shard.with_name(shard.name + POINTER), json.dumps(about, sort_keys=True) + "\n")
    shard.unlink()


def read(shard: Path, offset: int, size: int) -> bytes:
    """These bytes of the shard whose pointer is here.

    Errors: FileNotFoundError where there is no pointer either; UserError where the object is gone or another one.
    """
    pointer = shard.with_name(shard.name + POINTER)
    try:
        about = json.loads(pointer.read_text())
        folder, _, name = about["url"].rpartition("/")
        num_bytes = int(about["bytes"])
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{pointer}: not a pointer to a shard; run `dvc repro -f acquire`") from None
    content = object_store.at(folder, str(pointer)).read(name, offset, size)
    if offset + size > num_bytes:
        raise UserError(f"{about['url']}: ends before byte {offset + size}; run `dvc repro -f acquire`")
    return content
