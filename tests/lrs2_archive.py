"""A small archive in LRS2's layout, for the tests: clips, lists, and the tar cut into five parts."""

import io
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from conftest import TINY, params_text

from tasks.core import config
from tasks.provenance import agreement

PARTS = [f"lrs2_v1_parta{letter}" for letter in "abcde"]
LRS2 = TINY | {"corpus.name": "lrs2", "corpus.lrs2.source": "folder", "corpus.lrs2.folder": "lrs2"}


def video(number: int) -> str:
    return f"{5535415699068794000 + number}"


@dataclass
class Archive:
    """files: name in the tar -> bytes, in the tar's order; lists: train -> lines."""

    files: dict[str, bytes] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=lambda: {n: [] for n in ("pretrain", "train", "val", "test")})

    def add(self, split: str, clip: str, mp4: bytes | None, txt: bytes | None) -> None:
        part = "pretrain" if split == "pretrain" else "main"
        if split in self.lists:
            self.lists[split].append(f"{clip} NF" if split == "test" else clip)
        for ending, content in (("txt", txt), ("mp4", mp4)):
            if content is not None:
                self.files[f"mvlrs_v1/{part}/{clip}.{ending}"] = content

    def tar(self) -> bytes:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            tar.addfile(directory("mvlrs_v1"))
            for name, content in self.files.items():
                tar.addfile(member(name, content), io.BytesIO(content))
        return out.getvalue()

    def cut(self) -> dict[str, bytes]:
        """The five parts, cut at arbitrary bytes, as the real ones are."""
        tar = self.tar()
        edges = [0, *(len(tar) * k // 5 + 77 * k for k in range(1, 5)), len(tar)]
        return {name: tar[edges[k] : edges[k + 1]] for k, name in enumerate(PARTS)}

    def list_files(self) -> dict[str, bytes]:
        return {f"{name}.txt": "".join(f"{line}\n" for line in lines).encode() for name, lines in self.lists.items()}

    def served(self) -> dict[str, bytes]:
        return self.cut() | self.list_files()

    def write(self, folder: Path, **changed: bytes) -> None:
        folder.mkdir(exist_ok=True)
        for name, content in (self.served() | changed).items():
            (folder / name).write_bytes(content)
        write_sums(folder, self)


def directory(name: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = tarfile.DIRTYPE
    return info


def member(name: str, content: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mtime = len(content), 1_400_000_000.5  # half a second: a PAX header before each member
    return info


def write_sums(folder: Path, archive: Archive) -> None:
    """Write MD5SUMS with the hashes of these lists, which are not the published ones."""
    import hashlib

    folder.mkdir(exist_ok=True)
    lines = [f"{hashlib.md5(content).hexdigest()}  {name}\n" for name, content in archive.list_files().items()]
    (folder / "MD5SUMS").write_text("".join(lines))


def small(seed: int = 0, num: int = 14, clip_bytes: int = 3000) -> Archive:
    """Clips of noise with everything that LRS2 has: see the lists of names in test_lrs2.py."""
    rng, archive = np.random.default_rng(seed), Archive()

    def noise() -> bytes:
        return rng.bytes(int(rng.integers(clip_bytes // 2, clip_bytes * 2)))

    text = b"Text:  WE KNEW {NS} THAT\nConf:  4\n"
    table = (
        b"Text:  GO ON\nConf:  2\n\nWORD START END ASDSCORE\nGO 0.10 0.35 8.1\n{NS} 0.35 0.40 1.0\nON 0.40 0.71 7.9\n"
    )
    for k in range(num):
        archive.add("train", f"{video(k % 5)}/{k:05d}", noise(), text)
    archive.add("val", f"{video(20)}/00001", noise(), text)
    archive.add("test", f"{video(21)}/00001", noise(), text)
    archive.add("pretrain", f"{video(0)}/00050", noise(), table)
    archive.add("pretrain", f"{video(21)}/00050", noise(), table)  # its programme is in test
    archive.add("train", f"{video(1)}/00090", None, text)  # no video
    archive.add("train", f"{video(1)}/00091", None, None)  # nothing
    archive.add("train", f"{video(1)}/00092", noise(), None)  # no text
    archive.add("train", f"{video(1)}/00093", b"", text)
    archive.add("train", f"{video(2)}/00094", noise(), "Text:  CAFÉ\nConf: x\n".encode("latin-1"))
    archive.add("none", f"{video(30)}/00001", noise(), text)  # in no list
    archive.files["mvlrs_v1/README"] = b"hello"
    return archive


def workspace_of(workspace: Path, archive: Archive | None = None, **changes: object):
    """Agreement, params.yaml and, if given, the archive in lrs2/; returns the params."""
    (workspace / "signed.pdf").write_bytes(b"%PDF signed")
    agreement.write("A. Person", "A University", workspace / "signed.pdf", "2026-01-31")
    (workspace / "params.yaml").write_text(params_text(LRS2 | changes))
    if archive:
        archive.write(workspace / "lrs2")
    return config.load(workspace / "params.yaml")


def shards_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "data/raw").iterdir())}
