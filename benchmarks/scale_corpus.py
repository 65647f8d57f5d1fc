"""A corpus of LRS2's form and size, sparse in content: a few hundred short clips repeated, each copy with other bytes.

Names, lists and parts are LRS2's, and so are the shares of the splits and the words of a transcript. The pictures are
GRID's, cut to the face, in 160 x 160 px at 25 frames/s. A copy differs from the others by an atom at its end that
players skip: its hash is its own, so nothing is taken for known.

Videos lie in a smaller corpus if their shard does: the corpora are nested, shard by shard, and what was made for a
small one is the beginning of the next.
"""

import hashlib
import io
import struct
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np

from benchmarks.acquire import PARTS, Cut
from tasks.media.encode import encode_video
from tasks.storage import shards

SPLITS = {"pretrain": 96_318, "train": 45_839, "val": 1_082, "test": 1_243}  # clips, as LRS2's page counts them
LRS2_CLIPS = sum(SPLITS.values())
CLIPS_A_VIDEO = 12
WORDS_A_CLIP = 21  # 2.06 million words in pretrain
FIRST_VIDEO = 5_535_415_699_068_794_000
SIZE_PX = 160
BOX = slice(36, 256), slice(70, 290)  # rows and columns of GRID's 288 x 360 that hold the face, square
FIRST_FRAME = 20  # GRID's speakers are silent before
VOCABULARY = "THE OF AND A TO IN IS YOU THAT IT WAS FOR ON ARE WITH AS PEOPLE THEY BE AT ONE HAVE THIS FROM".split()


@dataclass(frozen=True, slots=True)
class Clip:
    split: str
    video: str
    number: int

    @property
    def key(self) -> str:
        return f"{'pretrain' if self.split == 'pretrain' else 'main'}/{self.video}/{self.number:05d}"


def layout(num_clips: int, num_shards: dict[str, int], share: float = 1.0) -> list[Clip]:
    """The clips of a corpus of about `num_clips`, in the order of an archive; `share`: of the shards of each split."""
    clips, video = list[Clip](), FIRST_VIDEO
    for split, of_lrs2 in SPLITS.items():
        num_videos = max(num_shards[split], round(num_clips * of_lrs2 / LRS2_CLIPS / CLIPS_A_VIDEO))
        for _ in range(num_videos):
            video += 1
            if shards.shard_of(str(video), num_shards[split]) < share * num_shards[split]:
                clips += [Clip(split, str(video), number) for number in range(CLIPS_A_VIDEO)]
    return clips


def sources(grid: Path, num: int, num_frames: int) -> list[bytes]:
    """`num` different encoded clips, from as many people as there are."""
    files = sorted(grid.glob("*/*.mpg"), key=lambda file: (file.name, file.parent.name))
    assert files, f"{grid} has no video of GRID"
    chosen = [files[k] for k in np.linspace(0, len(files) - 1, min(num, len(files))).astype(int)]
    return [_encoded(file, num_frames) for file in chosen]


def _encoded(file: Path, num_frames: int) -> bytes:
    with av.open(str(file)) as container:
        frames, sound = [], list[np.ndarray]()
        to_mono = av.AudioResampler(format="flt", layout="mono", rate=16_000)
        for frame in container.decode(video=0, audio=0):
            if isinstance(frame, av.AudioFrame):
                sound += [each.to_ndarray()[0] for each in to_mono.resample(frame)]
            elif FIRST_FRAME <= len(frames) < FIRST_FRAME + num_frames:
                rgb = frame.to_ndarray(format="rgb24")[BOX]
                frames.append(cv2.resize(rgb, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA))
            else:
                frames.append(np.empty(0))
    begin = FIRST_FRAME * 640
    out = io.BytesIO()
    pictures = frames[FIRST_FRAME : FIRST_FRAME + num_frames]
    encode_video(out, pictures, np.concatenate(sound)[begin : begin + num_frames * 640], crf=23)
    return out.getvalue()


def copy_of(mp4: bytes, key: str) -> bytes:
    """The same video with other bytes: an atom `free`, which every reader skips, with the clip's key."""
    content = key.encode()
    return mp4 + struct.pack(">I4s", 8 + len(content), b"free") + content


def transcript(clip: Clip) -> bytes:
    """LRS2's: pretrain's with the time of every word."""
    rng = np.random.default_rng(int(clip.video) + clip.number)
    words = [VOCABULARY[k] for k in rng.integers(len(VOCABULARY), size=WORDS_A_CLIP)]
    lines = [f"Text:  {' '.join(words)}", "Conf:  4"]
    if clip.split == "pretrain":
        lines += ["", "WORD START END ASDSCORE"]
        lines += [f"{word} {0.3 * k:.2f} {0.3 * k + 0.25:.2f} 7.9" for k, word in enumerate(words)]
    return "\n".join(lines).encode() + b"\n"


def write(folder: Path, clips: Sequence[Clip], encoded: Sequence[bytes]) -> int:
    """Parts, lists and MD5SUMS; returns the bytes of the parts."""
    folder.mkdir(parents=True)
    like = [content for clip in (clips[0], clips[-1]) for content in (encoded[0], transcript(clip))]
    edge = len(clips) / 2 * sum(tarfile.BLOCKSIZE * (1 + -(-len(content) // tarfile.BLOCKSIZE)) for content in like)
    with Cut(folder, 0.9 * edge / len(PARTS)) as cut, tarfile.open(fileobj=cut, mode="w|") as tar:
        for name, content in _members(clips, encoded):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    sums = []
    for split in SPLITS:
        lines = [
            f"{clip.video}/{clip.number:05d}{' NF' * (split == 'test')}\n" for clip in clips if clip.split == split
        ]
        content = "".join(lines).encode()
        (folder / f"{split}.txt").write_bytes(content)
        sums.append(f"{hashlib.md5(content).hexdigest()}  {split}.txt\n")
    (folder / "MD5SUMS").write_text("".join(sums))
    return sum((folder / name).stat().st_size for name in PARTS if (folder / name).exists())


def _members(clips: Sequence[Clip], encoded: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
    for clip in clips:
        number = int(clip.video) * CLIPS_A_VIDEO + clip.number  # the same in a corpus of another size
        yield f"mvlrs_v1/{clip.key}.mp4", copy_of(encoded[number % len(encoded)], clip.key)
        yield f"mvlrs_v1/{clip.key}.txt", transcript(clip)
