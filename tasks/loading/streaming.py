"""Batches of shards that are read from start to end, by webdataset's pipeline: for a corpus larger than the disk.

The shards of an epoch come in an order from (seed, epoch), are split among the processes of a training and their
loaders, and are read once; clips are mixed in a buffer, and samples drawn from `train.clips_in_flight` clips at a time.
The same seed gives the same batches for the same number of processes and loaders, also from the middle of an epoch.
They are others than those of tasks.loading.batches, so `facts` belong to what a training is.

LIPGAN_DATA=stream       chooses this, for stage `train`; what else reads clips has them on the disk
LIPGAN_SHARDS            s3://bucket/folder, where the training shards are; default: data/shards
LIPGAN_STREAM_LOADERS    loader processes of each process that trains; default 0: a thread of it
"""

import os
import random
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import count, groupby, islice
from typing import Any

from torch.utils.data import DataLoader, IterableDataset

from model import augment, seeds
from model.augment import Change
from model.distributed import num_ranks
from model.params import TrainParams
from model.samples import Batch
from tasks.core.errors import UserError
from tasks.loading import resident
from tasks.loading.batches import Batches, Epoch, batch_of, batches_per_epoch, num_ahead
from tasks.loading.clips import Clips
from tasks.storage import object_store, shards
from tasks.storage.index import Row
from tasks.storage.shard_reader import StoredClip

Sample = dict[str, Any]  # webdataset's: __key__, __url__, and a member's bytes by its extension
META = "__"


def facts() -> dict[str, str]:
    """What decides the batches of a training beside its parameters; nothing, if they are not streamed."""
    if resident.place() != "stream":
        return {}
    return {"order": f"streamed by {num_ranks()} x {max(1, num_loaders())}"}


def num_loaders() -> int:
    value = os.environ.get("LIPGAN_STREAM_LOADERS", "0")
    if not value.isdecimal():
        raise UserError(f"LIPGAN_STREAM_LOADERS must be a whole number from 0, got {value!r}")
    return int(value)


def demand(clips: Clips) -> None:
    """Errors: UserError if a shard is missing, or there are fewer shards than readers"""
    names = {row["shard"] for row in clips.rows}
    readers = num_ranks() * max(1, num_loaders())
    if len(names) < readers:
        raise UserError(f"LIPGAN_DATA=stream: {len(names)} shards cannot be split among {readers} readers")
    if store := bucket():
        here, where, advice = set(store.sizes("")), store.url, f"copy {clips.folder} there"
    else:
        here, where = {file.name for file in clips.folder.glob("*.tar")}, str(clips.folder)
        advice = "run `dvc checkout`, or set LIPGAN_SHARDS"
    if missing := sorted(names - here):
        raise UserError(f"{where}: {len(missing)} of {len(names)} shards are missing, {missing[0]} first; {advice}")


def bucket() -> object_store.ObjectStore | None:
    url = os.environ.get("LIPGAN_SHARDS", "")
    return object_store.at(url, "LIPGAN_SHARDS") if url else None


class Streamed(Batches):
    """Endless batches in an order given by (seed, step, `facts`)."""

    def _make(self, step: int) -> Iterator[Batch]:
        num = num_loaders()
        stream = Stream(self.clips, self.p, self.seed, step // max(1, num), self._share[1])
        source: Iterable[Batch] = stream
        if num:  # which take turns, the first one first
            source = DataLoader(
                stream, batch_size=None, num_workers=num, prefetch_factor=num_ahead(), multiprocessing_context="spawn"
            )
        for batch in islice(source, step % max(1, num), None):
            yield Batch(*(part.pin_memory() for part in batch)) if self._pin else batch


class Stream(IterableDataset):
    """The batches of one reader, endless, from its `start`-th on."""

    def __init__(self, clips: Clips, p: TrainParams, seed: int, start: int, num_ranks: int) -> None:
        super().__init__()
        self.rows = clips.rows  # columns, as far as they are not asked for: each reader has a copy
        self.number_of = {clip: number for number, clip in enumerate(clips.keys)}
        self.expected = Counter(row["shard"] for row in clips.rows)
        self.p = replace(p, batch_size=p.batch_size // num_ranks, num_runs=p.num_runs // num_ranks)
        self.folder, self.seed, self.start = clips.folder, seed, start
        self.per_epoch = batches_per_epoch(len(clips), p)  # of all ranks alike, or they would wait for one another

    def __iter__(self) -> Iterator[Batch]:
        per_epoch = -(-self.per_epoch // self._reader()[3])
        epoch, at = divmod(self.start, per_epoch)
        while True:
            yield from islice(self._epoch(epoch, at), per_epoch - at)
            epoch, at = epoch + 1, 0

    def _epoch(self, epoch: int, skipped: int) -> Iterator[Batch]:
        """Batches of an epoch after the first `skipped`; a reader with fewer clips than others begins anew."""
        for turn in count():
            samples = self._samples(epoch, turn)
            for number in count():
                group = list(islice(samples, self.p.clips_in_flight))
                if len(group) < 2 and number:  # one clip has no other clip's sound
                    break
                num = max(1, len(group) * self.p.windows_per_clip // self.p.batch_size)
                if skipped < num:
                    yield from self._of_group(group, epoch, f"{epoch}.{turn}.{number}", range(skipped, num))
                skipped = max(0, skipped - num)

    def _of_group(self, samples: Sequence[Sample], epoch: int, name: str, numbers: range) -> Iterator[Batch]:
        clips, p = Group(samples, [self._row_of(sample) for sample in samples]), self.p
        drawn = Epoch(
            clips, p, seed=self.seed, epoch=name, per_clip=p.windows_per_clip, flip=p.augment.flip,
            silent=p.augment.silent,
        )  # fmt: skip

        @cache
        def change_of(clip: int) -> Change:
            return augment.draw(p.augment, seed=self.seed, epoch=epoch, clip=clips.keys[clip])

        for number in numbers:
            yield batch_of(clips, drawn.rows(number), change_of)

    def _samples(self, epoch: int, turn: int) -> Iterator[Sample]:
        """This reader's clips of an epoch, undecoded, in the order of (seed, epoch, turn)."""
        import webdataset as wds  # takes seconds and 100 MB, for streams alone

        names = sorted(self.expected)
        at = seeds.generator(self.seed, "shards", epoch).permutation(len(names))
        rank, _, reader, _ = self._reader()
        pipeline = wds.DataPipeline(
            wds.SimpleShardList([names[k] for k in at]),
            wds.split_by_node,
            wds.split_by_worker,
            self._opened,
            wds.tariterators.tar_file_expander,
            wds.tariterators.group_by_keys,
            self._checked,
            wds.shuffle(
                self.p.clips_in_flight,
                initial=self.p.clips_in_flight,
                rng=random.Random(seeds.derive(self.seed, "stream", epoch, turn, rank, reader)),
            ),
        )
        try:
            yield from pipeline
        except tarfile.TarError as error:
            raise UserError(f"LIPGAN_DATA=stream: a shard is damaged: {error.args[0]}; run `dvc checkout`") from None

    def _checked(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """The clips of the index, every one of a shard.  Errors: UserError for other clips, fewer, or other bytes"""
        for name, of_shard in groupby(samples, lambda sample: str(sample["__url__"])):
            keys = set()
            for sample in of_shard:
                row = self._row_of(sample) if sample["__key__"] in self.number_of else None
                if row is None or shards.member_sha256(row["clip"], _members(sample)) != row["member_sha256"]:
                    raise UserError(f"{name}: other bytes of {sample['__key__']} than in the index; run `dvc checkout`")
                keys.add(row["clip"])
                yield sample
            if len(keys) != self.expected[name]:
                raise UserError(f"{name}: {len(keys)} of {self.expected[name]} clips; run `dvc checkout`")

    def _opened(self, sources: Iterable[Sample]) -> Iterator[Sample]:
        """webdataset's opener, for a folder or a bucket whose errors are one line."""
        store = bucket()
        for source in sources:
            name = source["url"]
            with store.stream(name) if store else (self.folder / name).open("rb") as stream:
                yield source | {"stream": stream}

    def _row_of(self, sample: Sample) -> Row:
        return self.rows[self.number_of[sample["__key__"]]]

    @staticmethod
    def _reader() -> tuple[int, int, int, int]:
        """(rank, ranks, loader, loaders), by which webdataset splits the shards."""
        from webdataset.utils import pytorch_worker_info

        rank, ranks, loader, loaders = pytorch_worker_info()
        return rank, ranks, loader, loaders


class Group(Clips):
    """A few clips that were read whole, for sampling and decoding as those of a split."""

    def __init__(self, samples: Sequence[Sample], rows: Sequence[Row]) -> None:
        self.rows = rows
        self.keys = [row["clip"] for row in self.rows]
        self._clips = [
            StoredClip(_members(sample), row, lambda _: None) for sample, row in zip(samples, self.rows, strict=True)
        ]

    def stored(self, number: int) -> StoredClip:
        return self._clips[number]


def _members(sample: Sample) -> dict[str, bytes]:
    return {name: content for name, content in sample.items() if not name.startswith(META)}
