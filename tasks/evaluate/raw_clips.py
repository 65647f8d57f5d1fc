"""The test clips as acquired: sound, frames and words that the processed shards do not contain."""

import io
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np

from model import timing
from tasks.core import paths
from tasks.media import decode, fragments
from tasks.preprocess import pieces, sync
from tasks.storage import index, shards
from tasks.storage.index import Row


class RawClips:
    """Reads one clip, or a piece of one, at a time.

    Errors: UserError if data/clips.parquet or a shard of data/raw is missing
    """

    def __init__(self, table: Path, folder: Path) -> None:
        self.folder = folder
        self._rows = index.kept(index.rows(table, ["split", "source", "shard", "offset", "size"]))
        self._number_of = {clip: number for number, clip in enumerate(self._rows.column("clip"))}
        self._indexed: Callable[[str], Row] | None = None

    def members(self, clip: str) -> dict[str, bytes]:
        row = self._row(clip if clip in self._number_of else pieces.clip_of(clip))
        return shards.read(self.folder / row["shard"], row["offset"], row["size"])

    def span(self, clip: str) -> tuple[int, int] | None:
        """First frame and last frame + 1 of a clip in its video; None for a whole video."""
        row = self._row(clip) if clip in self._number_of else self._index_row(clip)
        return fragments.span_of(row["source"])

    def _row(self, clip: str) -> Row:
        return self._rows[self._number_of[clip]]

    def _index_row(self, clip: str) -> Row:
        if self._indexed is None:
            self._indexed = index.rows(paths.INDEX, ["source", "av_moved"]).by_clip()
        return self._indexed(clip)

    def video(self, clip: str) -> bytes:
        """The bytes of the whole video, whatever its container."""
        return next(content for kind, content in self.members(clip).items() if kind not in ("json", "txt"))

    def frames(self, clip: str) -> "Frames":
        return Frames(self.video(clip), *(self.span(clip) or (0, None)))

    def sound(self, clip: str) -> np.ndarray:
        """In sync with the frames, as in the shards: moved where preprocessing moved it.

        Shape: -> (samples,) float32, 16 kHz
        """
        first, end = self.span(clip) or (0, None)
        with closing(pieces.SoundReader(self.video(clip))) as reader:
            sound = reader.span(timing.num_samples(first), None if end is None else timing.num_samples(end))
        return sync.earlier(sound, self._index_row(clip)["av_moved"])

    def words(self, clip: str) -> str:
        """The transcript as the corpus writes it, empty if there is none; it is not known for a piece."""
        return "" if self.span(clip) else self.members(clip).get("txt", b"").decode(errors="replace")


class Frames:
    """The frames of a clip, decoded again at each iteration: two minutes of 1080p are 18 GB.

    Shape: yields (H, W, 3) uint8 RGB
    """

    def __init__(self, video: bytes, first: int, end: int | None) -> None:
        self._video, self._first, self._end = video, first, end

    def __iter__(self) -> Iterator[np.ndarray]:
        with closing(decode.Pictures(io.BytesIO(self._video))) as pictures:
            for picture in islice(pictures, self._first, self._end):
                yield picture.rgb()
