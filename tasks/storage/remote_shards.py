"""Shards in object storage: the local folder holds a pointer, `<shard>.json`, with the address, size and hash.

Objects are named by shard and content, so they never change: the pointers of an old commit stay valid. Nothing here
deletes objects.
"""

import json
from pathlib import Path

from tasks.core import files
from tasks.core.errors import UserError
from tasks.core.files import write_atomic
from tasks.storage import object_store

POINTER = ".json"


def send(shard: Path, name: str, url: str) -> None:
    """Move a shard to object storage and leave a pointer.  Errors: UserError; the shard then stays."""
    sha256, num_bytes = files.sha256_file(shard), shard.stat().st_size
    key, store = f"{name.removesuffix('.tar')}-{sha256[:16]}.tar", object_store.at(url, "acquire.raw")
    if store.sizes(key).get(key) != num_bytes:
        store.put(shard, key)
    about = {"url": f"{store.url}/{key}", "bytes": num_bytes, "sha256": sha256}
    write_atomic(shard.with_name(shard.name + POINTER), json.dumps(about, sort_keys=True) + "\n")
    shard.unlink()


def pointer_of(shard: Path) -> str:
    """What stands in a shard's pointer; "" if the shard is not in object storage."""
    try:
        return shard.with_name(shard.name + POINTER).read_text()
    except FileNotFoundError:
        return ""


def place(shard: Path, pointer: str) -> None:
    """The pointer to a shard, on a machine that has neither."""
    where = shard.with_name(shard.name + POINTER)
    if pointer and not shard.exists() and not where.exists():
        where.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(where, pointer)


def read(shard: Path, offset: int, size: int) -> bytes:
    """A range of bytes of the shard, through its pointer.

    Errors: FileNotFoundError if there is no pointer; UserError if the object is missing or too short.
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
