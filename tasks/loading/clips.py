"""The clips of a split, memory-mapped and decoded when drawn."""

import os
from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from model import sampling
from model.params import TrainParams
from model.sampling import Draws
from tasks.core.errors import UserError
from tasks.storage import index
from tasks.storage.index import Row
from tasks.storage.shard_reader import Shards, StoredClip
from tasks.storage.shards import Clip


class Clips:
    """The kept clips of one split, in the order of the index, with an LRU cache of decoded clips."""

    def __init__(self, table: Path, folder: Path, split: str) -> None:
        self.folder = folder
        self.rows: Sequence[Row] = index.kept(index.rows(table), split)
        if not self.rows:
            raise UserError(f"{table}: no clip in split {split}")
        self.keys = [row["clip"] for row in self.rows]
        self._shards = Shards(folder)
        self._limit_bytes = int(os.environ.get("LIPGAN_CLIP_MEMORY_MB", "2048")) << 20
        self._held: OrderedDict[int, StoredClip] = OrderedDict()
        self._held_bytes = 0

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> Clip:
        """The whole clip, decoded; training reads only parts, through `stored`."""
        return self.stored(number).clip

    def stored(self, number: int) -> StoredClip:
        """A clip that is decoded on demand."""
        if number in self._held:
            self._held.move_to_end(number)
            return self._held[number]
        row = self.rows[number]
        stored = StoredClip(self._shards.members(row), row, self._took)
        self._held[number] = stored
        while self._held_bytes > self._limit_bytes and len(self._held) > 1:
            _, oldest = self._held.popitem(last=False)
            self._held_bytes -= oldest.num_bytes
        return stored

    def _took(self, num_bytes: int) -> None:
        self._held_bytes += num_bytes

    def forget(self) -> None:
        """Drop the decoded clips."""
        self._held.clear()
        self._held_bytes = 0

    def check(self) -> None:
        """Read the first clip of every shard, and check that no shard is shorter than the index says.

        Errors: UserError, at the start rather than after hours of training.
        """
        ends: dict[str, int] = {}
        firsts: dict[str, tuple[int, int]] = {}  # (offset, number)
        for number, row in enumerate(self.rows):
            ends[row["shard"]] = max(ends.get(row["shard"], 0), row["offset"] + row["size"])
            place = row["offset"], number
            firsts[row["shard"]] = min(place, firsts.get(row["shard"], place))
        for shard, end in ends.items():
            path = self.folder / shard
            if path.is_file() and path.stat().st_size < end:
                raise UserError(f"{path}: ends before byte {end}; run `dvc checkout` or `dvc repro`")
            self.stored(firsts[shard][1])

    def draw(
        self,
        p: TrainParams,
        *,
        seed: int,
        epoch: int | str,
        per_clip: int,
        flip: bool,
        run: int = 1,
        silent: float = 0.0,
    ) -> Draws:
        """Draw an epoch over these clips.  Errors: UserError if a clip cannot give a sample."""
        try:
            return sampling.draw(
                self.keys,
                self.found(),
                seed=seed,
                epoch=epoch,
                per_clip=per_clip,
                in_flight=p.clips_in_flight,
                identity_min_frames=p.identity_min_frames,
                negative_min_frames=p.negative_min_frames,
                flip=flip,
                run=run,
                closed=self.closed() if silent else None,
                silent=silent,
            )
        except ValueError as error:
            raise UserError(f"train: {error}; see train.*_min_frames in params.yaml") from error

    def found(self) -> list[np.ndarray]:
        """Per clip, the frames in which the face was found.  Shape: (T,) bool each"""
        return self._found

    def closed(self) -> list[np.ndarray]:
        """Per clip, the frames with the most closed mouth: see model.faces.closed.  Shape: (T,) bool each"""
        return self._closed

    @cached_property
    def _found(self) -> list[np.ndarray]:
        return self._bits("found")

    @cached_property
    def _closed(self) -> list[np.ndarray]:
        return self._bits("closed")

    def _bits(self, column: Literal["found", "closed"]) -> list[np.ndarray]:
        return [
            np.unpackbits(np.frombuffer(row[column], np.uint8), count=row["num_frames"]).astype(bool)
            for row in self.rows
        ]
