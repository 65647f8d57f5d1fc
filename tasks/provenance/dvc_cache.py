"""DVC's stores as files: the cache here and every remote, what lies in them, and taking things out of them.

files/md5/ab/cdef...    an object, named by its md5; with .dir at the end: a folder's list of objects, JSON
runs/ab/<key>/<value>   the run-cache: what a stage made of its inputs before, YAML

DVC can collect garbage, but not delete one object from all its history; that is done here, with its own layout.
"""

import functools
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
import yaml

from tasks.core import programs
from tasks.core.errors import UserError

S3_OPTIONS = {"access_key_id": "key", "secret_access_key": "secret", "session_token": "token", "profile": "profile"}
MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")


@dataclass(frozen=True)
class Store:
    """`name` for people: cache, or the remote's name. `root` is the folder above files/ and runs/."""

    name: str
    fs: Any
    root: str
    plain: bool = False  # not DVC's: files under any name

    def files(self) -> list[str]:
        return self._find(self.root)

    def objects(self) -> dict[str, str]:
        """md5 (with .dir) -> path, of every object."""
        found: dict[str, str] = {}
        for top in (f"{self.root}/files/md5", self.root):  # the second: as DVC 2 laid it out
            for path in self._find(top):
                parts = PurePosixPath(path).parts
                if MD5.fullmatch(md5 := "".join(parts[-2:])) and len(parts[-2]) == 2:
                    found.setdefault(md5, path)
        return found

    def runs(self) -> dict[str, dict[str, Any]]:
        """Path of an entry of the run-cache -> what it says."""
        return {path: yaml.safe_load(self.fs.cat_file(path)) for path in self._find(f"{self.root}/runs")}

    def open(self, path: str) -> io.BufferedIOBase:
        return self.fs.open(path, "rb")

    def size(self, path: str) -> int:
        return int(self.fs.size(path) or 0)

    def delete(self, path: str) -> None:
        """An object and, where the store keeps old versions of it, every version."""
        versions = self._versions(path)
        self.fs.rm_file(path)
        if versions:
            bucket, _, key = path.partition("/")
            for version in [*versions, *(v for v in self._versions(path) if v not in versions)]:
                self.fs.call_s3("delete_object", Bucket=bucket, Key=key, VersionId=version)
        self.fs.invalidate_cache()

    def _versions(self, path: str) -> list[str]:
        if "s3" not in self.fs.protocol:
            return []
        bucket, _, key = path.partition("/")
        listed = self.fs.call_s3("list_object_versions", Bucket=bucket, Prefix=key)
        marks = [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]
        return [each["VersionId"] for each in marks if each["Key"] == key and each["VersionId"] != "null"]

    def _find(self, top: str) -> list[str]:
        return list(self.fs.find(top)) if self.fs.isdir(top) else []


def cache() -> Store:
    return Store("DVC cache", fsspec.filesystem("file"), _cache_folder(Path.cwd()))


@functools.cache
def _cache_folder(project: Path) -> str:
    """DVC takes a second to say it."""
    return programs.ask_dvc("cache", "dir", folder=project).strip()


def has_remote(folder: Path) -> bool:
    return bool(programs.ask_dvc("remote", "list", folder=folder).strip())


def remotes() -> list[Store]:
    """Every remote of the project's settings.  Errors: UserError, by name, for one that cannot be reached."""
    settings: dict[str, dict[str, str]] = {}
    for line in programs.ask_dvc("config", "--list").splitlines():
        if found := re.fullmatch(r"remote\.(.+?)\.(\w+)=(.*)", line):
            settings.setdefault(found[1], {})[found[2]] = found[3]
    stores = []
    for name, options in sorted(settings.items()):
        url = options["url"]
        chosen: dict[str, Any] = {}
        if url.startswith("s3://"):
            chosen = {ours: options[theirs] for theirs, ours in S3_OPTIONS.items() if theirs in options}
            chosen["client_kwargs"] = {
                ours: options[theirs]
                for theirs, ours in {"endpointurl": "endpoint_url", "region": "region_name"}.items()
                if theirs in options
            }
        try:
            fs, root = fsspec.core.url_to_fs(url, **chosen)
            fs.exists(root)
        except (ImportError, ValueError, OSError) as error:
            raise UserError(f"remote {name} ({url}) cannot be reached: {error}") from error
        stores.append(Store(f"remote {name}", fs, root.rstrip("/")))
    return stores


def bucket(name: str, url: str) -> Store:
    """A folder of object storage that is not DVC's."""
    fs, root = fsspec.core.url_to_fs(url)
    return Store(name, fs, root.rstrip("/"), plain=True)


def listed_by(dir_object: bytes) -> list[tuple[str, str]]:
    """(md5, name) of the files of a .dir object."""
    return [(entry["md5"], entry["relpath"]) for entry in json.loads(dir_object)]


def outs_of(lock: dict[str, Any]) -> dict[str, str]:
    """Path -> md5 of all that the stages of a dvc.lock write."""
    stages = (lock.get("stages") or {}).values()
    return {out["path"]: out["md5"] for stage in stages for out in stage.get("outs", []) if "md5" in out}


def locks() -> Iterator[tuple[str, dict[str, str]]]:
    """(commit, outs) for every commit that changed dvc.lock, in any branch, and ("work tree", outs)."""
    lock = Path("dvc.lock")
    if lock.is_file():
        yield "work tree", outs_of(_yaml(lock.read_text()))
    changed = programs.git("log", "--all", "--full-history", "-m", "--format=%H", "--", str(lock)) or ""
    for commit in dict.fromkeys(changed.split()):
        text = programs.git("show", f"{commit}:./{lock}")
        if text:
            yield commit, outs_of(_yaml(text))


def _yaml(text: str) -> dict[str, Any]:
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}
