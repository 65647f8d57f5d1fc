"""Reading clips from shards: their sound features and meshes, and those of their faces that are requested.

A local shard is mapped into memory; only the parts that are used are read.
"""

import io
import mmap
import tarfile
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from model import faces, head_mesh
from tasks.core.errors import UserError
from tasks.storage import shards
from tasks.storage.face_codec import Content, Faces
from tasks.storage.shards import Clip


class StoredClip:
    """One clip.  Errors: UserError if it is not the clip of the index, or contains values that are not finite"""

    def __init__(self, members: Mapping[str, Content], row: Mapping[str, Any], took: Callable[[int], None]) -> None:
        self._members = members
        self._name = f"{row['shard']}: {row['clip']}"
        self._num_frames, self._took = row["num_frames"], took
        self.mfcc_FW = np.load(io.BytesIO(members["mfcc.npy"]))
        self.mel_CM = np.load(io.BytesIO(members["mel.npy"]))
        self._mesh_TP3 = np.load(io.BytesIO(members["mesh.npy"]))
        if len(self._mesh_TP3) != self._num_frames:
            raise UserError(f"{self._name} is not the clip of the index; run `dvc checkout`")
        if not np.isfinite(self.mfcc_FW).all():
            raise UserError(
                f"{self._name} has sound features that are not finite; run `dvc repro -f preprocess`, or take the clip "
                "out of the corpus"
            )
        self._num_bytes = self.mfcc_FW.nbytes + self.mel_CM.nbytes + self._mesh_TP3.nbytes
        took(self._num_bytes)

    @property
    def num_bytes(self) -> int:
        """Memory used, the sum of what was passed to `took`."""
        return self._num_bytes + (self.faces.num_bytes if "faces" in self.__dict__ else 0)

    @cached_property
    def faces(self) -> Faces:
        return Faces(self._members, self._num_frames, self._took)

    @property
    def mesh_T4683(self) -> np.ndarray:
        """As in shards.Clip, without decoding a face.  Shape: (T, 468, 3) float32"""
        return head_mesh.unpacked(self._mesh_TP3, self.faces.size)

    @cached_property
    def mouths_T4(self) -> np.ndarray:
        """Boxes of the lips.  Shape: (T, 4) int16"""
        return faces.mouth_boxes(head_mesh.landmarks(self.mesh_T4683), self.faces.size)

    @cached_property
    def clip(self) -> Clip:
        """The whole clip, with every face decoded."""
        return shards.decode(self._members, self.faces.all())


class Shards:
    """A folder of shards, each mapped into memory at its first read; shards in object storage are read from there.

    The first read of each clip by a process checks its hash.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._maps: dict[str, mmap.mmap] = {}
        self._seen: set[tuple[str, int]] = set()

    def members(self, row: Mapping[str, Any]) -> dict[str, Content]:
        """The members of the clip of an index row, by extension.  Errors: UserError, as shards.read"""
        path, offset, size = self.folder / row["shard"], row["offset"], row["size"]
        if not path.is_file():
            return dict(shards.read(path, offset, size, row["member_sha256"]))
        region = memoryview(self._map(path))[offset : offset + size]
        new = (path.name, offset) not in self._seen
        shards.check(region, path, offset, size, row["member_sha256"] if new else "")
        self._seen.add((path.name, offset))
        members: dict[str, Content] = {}
        at = 0
        while at < size:
            header = bytes(region[at : at + tarfile.BLOCKSIZE])
            if header[156:157] != tarfile.REGTYPE:  # a name too long for a header, or not a tar
                return dict(shards.read(path, offset, size))
            extension = header[:100].rstrip(b"\0").decode().rsplit("/", 1)[-1].split(".", 1)[1]
            start, num = at + tarfile.BLOCKSIZE, int(header[124:135], 8)
            members[extension] = region[start : start + num]
            at = start + num + -num % tarfile.BLOCKSIZE
        return members

    def _map(self, path: Path) -> mmap.mmap:
        if path.name not in self._maps:
            with path.open("rb") as file:
                self._maps[path.name] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return self._maps[path.name]
