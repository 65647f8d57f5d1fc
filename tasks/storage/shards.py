"""Shards: WebDataset tars of clips; the same clips give the same bytes, and one clip can be read alone.

Names      <split>-<shard>-of-<shards>.tar, a clip goes to sha256(video id) % shards of its split
Raw        <key>.<mp4, mov, ...>, <key>.txt (transcript, optional), <key>.json (provenance; ground truth if synthetic)
Processed  <key>.faces.jpg     S x S face crops, or <key>.faces.npy: see tasks/storage/face_codec.py
           <key>.mel.npy       int16 (4 T, 40), mel power: see model.mfcc.levelled
           <key>.mesh.npy      int16 (T, P, 3), the face mesh: see model.head_mesh.packed
           <key>.mfcc.npy      float32 (12, 4 T)
           <key>.json          the columns of an index row, num_frames, found (T of 0 and 1), boxes (T x 4, px), truth
A shard may be in object storage; a pointer then takes its place (tasks/storage/remote_shards.py), and it is read from
there. Keys are <part>/<video>/<clip>; a dot in the last part would end WebDataset's key early and is refused.
"""

import hashlib
import io
import json
import math
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from model import head_mesh, timing
from tasks.core.errors import UserError
from tasks.storage import face_codec, remote_shards
from tasks.storage.face_codec import Content

SHARDS_VERSION = 3  # raise it when the layout above changes
CLIPS_PER_SHARD = 300  # about, with corpus.num_shards: auto
BLOCK = 1 << 20  # bytes of a file in memory at a time


def shard_of(video: str, num_shards: int) -> int:
    """Stable: adding or removing a video moves no other."""
    return int(hashlib.sha256(video.encode()).hexdigest(), 16) % num_shards


def num_shards(wanted: int | str, num_clips: int) -> int:
    """The shards of a split: the number that is wanted; with "auto" a power of two, 212 to 425 clips in each."""
    if isinstance(wanted, int):
        return wanted
    return 1 << max(0, round(math.log2(max(1, num_clips) / CLIPS_PER_SHARD)))


def shard_name(split: str, shard: int, num_shards: int) -> str:
    return f"{split}-{shard:06d}-of-{num_shards:06d}.tar"


@dataclass(frozen=True, slots=True)
class ClipSpan:
    """The position of a clip's members in its shard, and their hash."""

    offset: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class FileMember:
    """A member that is a file, too large for memory; `sha256` is checked when it is read."""

    path: Path
    sha256: str


def write(path: Path, samples: Iterable[tuple[str, Mapping[str, bytes | FileMember]]]) -> dict[str, ClipSpan]:
    """Write (key, {extension: bytes}) samples, members sorted by name; return each sample's position.

    The bytes are those of webdataset.TarWriter(mtime=0, user="", group=""), without dates and PAX headers; why it is
    not used is in docs/architecture.md.
    Errors: UserError if a file changed since it was hashed.
    """
    spans: dict[str, ClipSpan] = {}
    with path.open("wb") as file:
        for key, members in samples:
            assert "." not in key.rsplit("/", 1)[-1], f"{key}: a dot in a key's last part"
            start, sha256 = file.tell(), hashlib.sha256()
            for extension in sorted(members):
                for piece in _tar_member(f"{key}.{extension}", members[extension]):
                    sha256.update(piece)
                    file.write(piece)
            spans[key] = ClipSpan(start, file.tell() - start, sha256.hexdigest())
        end = 2 * tarfile.BLOCKSIZE
        file.write(bytes(end + -(file.tell() + end) % tarfile.RECORDSIZE))
    return spans


def _tar_member(name: str, content: bytes | FileMember) -> Iterator[bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content) if isinstance(content, bytes) else content.path.stat().st_size
    info.mode, info.mtime = 0o444, 0
    yield info.tobuf(tarfile.DEFAULT_FORMAT)
    if isinstance(content, bytes):
        yield content
    else:
        yield from _blocks(content, info.size)
    yield bytes(-info.size % tarfile.BLOCKSIZE)


def member_sha256(key: str, members: Mapping[str, bytes]) -> str:
    """The hash that `write` gives for a clip with these members."""
    sha256 = hashlib.sha256()
    for extension in sorted(members):
        for piece in _tar_member(f"{key}.{extension}", members[extension]):
            sha256.update(piece)
    return sha256.hexdigest()


def _blocks(member: FileMember, size: int) -> Iterator[bytes]:
    sha256 = hashlib.sha256()
    with member.path.open("rb") as file:
        while block := file.read(min(BLOCK, size)):
            sha256.update(block)
            size -= len(block)
            yield block
    if size or sha256.hexdigest() != member.sha256:
        raise UserError(f"{member.path} changed while it was read; run the stage again")


def read(path: Path, offset: int, size: int, sha256: str = "") -> dict[str, bytes]:
    """One clip's members, by extension, in one read of the local or remote shard.

    Errors: UserError if the bytes at this position are not a clip, or do not have the given `sha256`: shard and index
            do not match.
    """
    try:
        region = _region(path, offset, size)
    except FileNotFoundError:
        raise UserError(f"{path}: no such shard, but the index names it; run `dvc repro`") from None
    check(region, path, offset, size, sha256)
    try:
        with tarfile.open(fileobj=io.BytesIO(region), mode="r:") as tar:
            members = {}
            for member in tar:
                body = tar.extractfile(member)
                assert body is not None
                members[member.name.rsplit("/", 1)[-1].split(".", 1)[1]] = body.read()
    except (tarfile.TarError, IndexError, AssertionError) as error:
        raise UserError(
            f"{path}: no clip at byte {offset} ({error}): not the shard of this index; "
            "run `dvc checkout` or `dvc repro`"
        ) from error
    return members


def check(region: Content, path: Path, offset: int, size: int, sha256: str = "") -> None:
    """Errors: UserError if these are not the bytes of the index."""
    if len(region) != size:
        raise UserError(f"{path}: ends before byte {offset + size}; run `dvc checkout` or `dvc repro`")
    if sha256 and hashlib.sha256(region).hexdigest() != sha256:
        raise UserError(f"{path}: other bytes at {offset} than in the index; run `dvc checkout` or `dvc repro`")


@contextmanager
def opened(path: Path, offset: int, size: int) -> Iterator[Mapping[str, Callable[[], BinaryIO]]]:
    """One clip's members, by extension, each as a function that opens it; only what is read is in memory.

    They share one open file and are not thread-safe. From object storage the whole clip is read, as by `read`.
    Errors: as `read`
    """
    if not path.is_file():
        contents = read(path, offset, size)
        yield {extension: partial(io.BytesIO, content) for extension, content in contents.items()}
        return
    with path.open("rb") as file:
        file.seek(offset)
        members = {}
        try:
            tar = tarfile.open(fileobj=file, mode="r:")
            while (member := tar.next()) is not None and member.offset < offset + size:
                extension = member.name.rsplit("/", 1)[-1].split(".", 1)[1]
                members[extension] = partial(_member, tar, member)
        except (tarfile.TarError, IndexError) as error:
            raise UserError(
                f"{path}: no clip at byte {offset} ({error}): not the shard of this index; "
                "run `dvc checkout` or `dvc repro`"
            ) from error
        if not members:
            raise UserError(f"{path}: no clip at byte {offset}; run `dvc checkout` or `dvc repro`")
        yield members


def _member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> BinaryIO:
    file = tar.extractfile(member)
    assert file is not None
    return file  # type: ignore[return-value]


def _region(path: Path, offset: int, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(size)
    except FileNotFoundError:
        return remote_shards.read(path, offset, size)


@dataclass(frozen=True, slots=True)
class Clip:
    """A preprocessed clip, for training and evaluation."""

    faces_TSS3: np.ndarray  # uint8 RGB
    mfcc_FW: np.ndarray  # float32 (12, 4 T)
    mel_CM: np.ndarray  # int16 (4 T, 40): mel power of the cepstra, to which another sound can be added
    mesh_T4683: np.ndarray  # float32, px in the crop; nan where the mesh does not hold, and for points not stored
    found_T: np.ndarray  # bool: the detector found the face in this frame
    boxes_T4: np.ndarray  # float32, px in the frame: the detector's box, smoothed
    truth: dict | None  # ground truth of synthetic clips: see tasks.synthetic.clip

    @property
    def held_T(self) -> np.ndarray:
        """bool: there is a mesh in this frame"""
        return np.isfinite(self.mesh_T4683[:, head_mesh.STORED[0], 0])

    @property
    def landmarks_T682(self) -> np.ndarray:
        """iBUG's 68 points of every frame, px in the crop"""
        return head_mesh.landmarks(self.mesh_T4683)


def encode(clip: Clip, provenance: Mapping[str, object], storage: str, jpeg_quality: int) -> dict[str, bytes]:
    """A clip as the members of a processed shard; `storage` is `faces.storage` of params.yaml."""
    about = dict(provenance) | {
        "num_frames": len(clip.faces_TSS3),
        "fps": timing.FPS,
        "size": clip.faces_TSS3.shape[1],
        "found": clip.found_T.astype(int).tolist(),
        "boxes": clip.boxes_T4.round(2).tolist(),
    }
    if clip.truth is not None:
        about["truth"] = clip.truth
    return {
        **face_codec.encode(clip.faces_TSS3, storage, jpeg_quality),
        "mel.npy": _npy(clip.mel_CM),
        "mesh.npy": _npy(head_mesh.packed(clip.mesh_T4683, clip.faces_TSS3.shape[1])),
        "mfcc.npy": _npy(clip.mfcc_FW.astype(np.float32)),
        "json": json.dumps(about, sort_keys=True).encode(),
    }


def decode(members: Mapping[str, Content], faces_TSS3: np.ndarray | None = None) -> Clip:
    """The clip of a processed shard; without `faces_TSS3` all faces are decoded."""
    about = json.loads(bytes(members["json"]))
    if faces_TSS3 is None:
        faces_TSS3 = face_codec.Faces(members, about["num_frames"]).all()
    return Clip(
        faces_TSS3=faces_TSS3,
        mfcc_FW=np.load(io.BytesIO(members["mfcc.npy"])),
        mel_CM=np.load(io.BytesIO(members["mel.npy"])),
        mesh_T4683=head_mesh.unpacked(np.load(io.BytesIO(members["mesh.npy"])), about["size"]),
        found_T=np.array(about["found"], bool),
        boxes_T4=np.array(about["boxes"], np.float32),
        truth=about.get("truth"),
    )


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()
