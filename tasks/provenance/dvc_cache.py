"""DVC's stores as files: the cache here and every remote, what is in them, and deleting from them.

files/md5/ab/cdef...    an object, named by its md5; with .dir at the end: a folder's list of files, JSON
runs/ab/<key>/<value>   the run-cache: which outs a stage wrote for which inputs, YAML

The only module that knows this layout. DVC can collect garbage, but cannot delete one object from the whole history.
"""

import configparser
import fnmatch
import hashlib
import io
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
import platformdirs
import yaml

from tasks.core import files, programs
from tasks.core.errors import UserError

S3_OPTIONS = {"access_key_id": "key", "secret_access_key": "secret", "session_token": "token", "profile": "profile"}
OBJECTS = "files/md5"
MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")


@dataclass(frozen=True)
class DvcStore:
    """`name` is shown to the user: the cache, or the remote's name. `root` is the folder above files/ and runs/."""

    name: str
    fs: Any
    root: str
    plain: bool = False  # not DVC's: files under any name

    @property
    def is_local(self) -> bool:
        return "file" in self.fs.protocol

    def files(self) -> list[str]:
        return self._find(self.root)

    def objects(self) -> dict[str, str]:
        """md5 (with .dir) -> path, of every object."""
        paths: dict[str, str] = {}
        for top in (f"{self.root}/{OBJECTS}", self.root):  # the second is the layout of DVC 2
            for path in self._find(top):
                parts = PurePosixPath(path).parts
                if MD5.fullmatch(md5 := "".join(parts[-2:])) and len(parts[-2]) == 2:
                    paths.setdefault(md5, path)
        return paths

    def runs(self) -> dict[str, dict[str, Any]]:
        """Path of an entry of the run-cache -> its content."""
        return {path: yaml.safe_load(self.fs.cat_file(path)) for path in self._find(f"{self.root}/runs")}

    def open(self, path: str) -> io.BufferedIOBase:
        return self.fs.open(path, "rb")

    def size(self, path: str) -> int:
        return int(self.fs.size(path) or 0)

    def delete(self, path: str) -> None:
        """Delete an object and, if the store keeps old versions of it, every version."""
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
        versions = [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]
        return [each["VersionId"] for each in versions if each["Key"] == key and each["VersionId"] != "null"]

    def _find(self, top: str) -> list[str]:
        return list(self.fs.find(top)) if self.fs.isdir(top) else []


def folder() -> Path:
    """DVC's cache here: `cache.dir` of the most local settings that name one."""
    for file, settings in _settings(Path()):
        if settings.has_option("cache", "dir"):
            return (file.parent / Path(settings["cache"]["dir"].strip("\"'")).expanduser()).resolve()
    return Path(".dvc/cache").resolve()


def _settings(project: Path) -> Iterator[tuple[Path, configparser.RawConfigParser]]:
    """DVC's settings and their files, the most local first: of this copy, the repository, the user, the machine."""
    outside = (
        os.environ.get("DVC_GLOBAL_CONFIG_DIR") or platformdirs.user_config_dir("dvc", "iterative"),
        os.environ.get("DVC_SYSTEM_CONFIG_DIR") or platformdirs.site_config_dir("dvc", "iterative"),
    )
    own = (project / ".dvc/config.local", project / ".dvc/config")
    for file in (*own, *(Path(folder, "config") for folder in outside)):
        settings = configparser.RawConfigParser()
        settings.read(file)
        yield file, settings


def place(digest: str) -> Path:
    """The path of a file, or of a folder's list, in the cache; nothing need be there."""
    return folder() / OBJECTS / digest[:2] / digest[2:]


def cached(digest: str) -> Path | None:
    """The cache's copy of a file or of a folder's list; None if it is missing or damaged."""
    copy = place(digest)
    if not digest or not copy.is_file() or files.md5_file(copy) != digest.removesuffix(".dir"):
        return None
    return copy


def files_of(digest: str) -> dict[str, str] | None:
    """Files of a folder, by its hash: path in it -> md5; None if the cache lacks the list."""
    copy = cached(digest)
    return listed_by(copy.read_bytes()) if copy else None


def listed_by(dir_object: bytes) -> dict[str, str]:
    """Files of a folder, by its .dir object: path in it -> md5."""
    return {entry["relpath"]: entry["md5"] for entry in json.loads(dir_object)}


def folder_hash(md5_by_file: dict[str, str]) -> str:
    """The hash of a folder with these files (path in it -> md5)."""
    entries = [{"md5": md5, "relpath": name} for name, md5 in sorted(md5_by_file.items())]
    return hashlib.md5(json.dumps(entries, sort_keys=True).encode()).hexdigest() + ".dir"


def tracked_files(folder: Path) -> list[Path]:
    """The files of a folder that DVC looks at: all but those named by .dvcignore."""
    ignore = Path(".dvcignore")
    lines = ignore.read_text().splitlines() if ignore.is_file() else []
    patterns = [line.strip().rstrip("/") for line in lines if line.strip() and not line.startswith("#")]
    return sorted(
        file
        for file in folder.rglob("*")
        if file.is_file() and not any(fnmatch.fnmatch(part, pattern) for part in file.parts for pattern in patterns)
    )


def cache() -> DvcStore:
    return DvcStore("DVC cache", fsspec.filesystem("file"), str(folder()))


def has_remote(project: Path) -> bool:
    return any(
        section.strip("'").startswith("remote ")
        for _, settings in _settings(project)
        for section in settings.sections()
    )


def way_back(path: Path, digest: str, *, pushed: bool) -> str:
    """The command that brings an out's bytes back; only one that can work here.  pushed: not `push: false`"""
    if _held(digest):
        return f"`dvc checkout {path}`"
    if pushed and has_remote(Path()):
        return f"`dvc pull {path}`"
    return "`dvc repro` makes it again"


def _held(digest: str) -> bool:
    """Whether the cache has a file, or all files of a folder, unharmed."""
    if not digest.endswith(".dir"):
        return cached(digest) is not None
    listed = files_of(digest)
    return listed is not None and all(cached(md5) for md5 in listed.values())


def remotes() -> list[DvcStore]:
    """Every remote in DVC's settings.  Errors: UserError that names a remote that cannot be reached."""
    settings: dict[str, dict[str, str]] = {}
    for line in programs.ask_dvc("config", "--list").splitlines():
        if match := re.fullmatch(r"remote\.(.+?)\.(\w+)=(.*)", line):
            settings.setdefault(match[1], {})[match[2]] = match[3]
    stores = []
    for name, options in sorted(settings.items()):
        url = options["url"]
        kwargs: dict[str, Any] = {}
        if url.startswith("s3://"):
            kwargs = {ours: options[theirs] for theirs, ours in S3_OPTIONS.items() if theirs in options}
            kwargs["client_kwargs"] = {
                ours: options[theirs]
                for theirs, ours in {"endpointurl": "endpoint_url", "region": "region_name"}.items()
                if theirs in options
            }
        try:
            fs, root = fsspec.core.url_to_fs(url, **kwargs)
            fs.exists(root)
        except (ImportError, ValueError, OSError) as error:
            raise UserError(f"remote {name} ({url}) cannot be reached: {error}") from error
        stores.append(DvcStore(f"remote {name}", fs, root.rstrip("/")))
    return stores


def bucket(name: str, url: str) -> DvcStore:
    """A folder of object storage without DVC's layout."""
    fs, root = fsspec.core.url_to_fs(url)
    return DvcStore(name, fs, root.rstrip("/"), plain=True)
