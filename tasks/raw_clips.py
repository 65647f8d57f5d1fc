"""The test clips as they came in: sound, frames and words that the processed shards do not hold."""

import io
from pathlib import Path

import numpy as np

from tasks import index, media, shards


class RawClips:
    """Reads one clip at a time.  Errors: UserError where data/clips.parquet or a shard of data/raw is missing"""

    def __init__(self, table: Path, folder: Path) -> None:
        self.folder = folder
        self._rows = {row["clip"]: row for row in index.kept(index.read(table))}

    def members(self, clip: str) -> dict[str, bytes]:
        row = self._rows[clip]
        return shards.read(self.folder / row["shard"], row["offset"], row["size"])

    def video(self, clip: str) -> bytes:
        """The bytes of the video, whatever its container."""
        return next(content for kind, content in self.members(clip).items() if kind not in ("json", "txt"))

    def frames(self, clip: str) -> list[np.ndarray]:
        return list(media.frames(io.BytesIO(self.video(clip))))

    def sound(self, clip: str) -> np.ndarray:
        """Shape: -> (samples,) float32, 16 kHz"""
        return media.decode_sound(io.BytesIO(self.video(clip)))

    def words(self, clip: str) -> str:
        """Its transcript as the corpus writes it, empty where there is none."""
        return self.members(clip).get("txt", b"").decode(errors="replace")
