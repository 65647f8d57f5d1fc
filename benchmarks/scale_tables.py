"""A project whose tables are as long as LRS2's, and whose shards are all one file: for what is done without workers.

Every shard is a hard link to a tar of one clip, and every row of the tables points to that clip. So the stages plan,
collect, write, check and search as many clips as LRS2 has, of the real size, in the space of one.
"""

import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import scale_corpus as corpus
from model.params import Params
from tasks.acquire import lrs2_lists
from tasks.core import paths
from tasks.preprocess import stage as preprocess
from tasks.storage import index, shards
from tasks.storage.unit_cache import Unit

ABOUT = {"split_by": "corpus", "corpus": "lrs2", "licence": "benchmark", "source": "LRS2"}
REFUSED_EVERY = 100  # clips; a share of them is refused in a real corpus too


def lay_out(p: Params, num_clips: int, mp4: bytes) -> None:
    """data/raw, data/clips.parquet and the finished units of stage preprocess, in the project folder here."""
    clips = corpus.layout(num_clips, dict.fromkeys(corpus.SPLITS, 1))
    counts = Counter(clip.split for clip in clips)
    wanted = asdict(p.corpus.num_shards)
    num_shards = {split: shards.num_shards(wanted[split], counts[split]) for split in counts}
    paths.RAW.mkdir(parents=True)
    one = Path("one.tar")
    key = clips[0].key
    [span] = shards.write(one, [(key, {"mp4": mp4, "json": b"{}", "txt": b"Text:  A\n"})]).values()
    place = {"offset": span.offset, "size": span.size, "member_sha256": span.sha256}

    def rows() -> Iterator[dict[str, Any]]:
        for clip in clips:
            words = lrs2_lists.transcript(corpus.transcript(clip))
            shard = shards.shard_name(clip.split, shards.shard_of(clip.video, num_shards[clip.split]),
                                      num_shards[clip.split])  # fmt: skip
            table = [{"word": word, "start_s": start, "end_s": end} for word, start, end in words.words]
            yield ABOUT | place | {
                "clip": clip.key, "video": clip.video, "person": clip.video, "split": clip.split, "shard": shard,
                "source_sha256": shards.member_sha256(clip.key, {}), "text": words.text, "words": table or None,
                "status": "kept", "reason": "", "detail": "", "part": "lrs2_v1_partaa", "bytes": 350_000,
                "member": f"mvlrs_v1/{clip.key}.mp4", "confidence": 4.0,
            }  # fmt: skip

    index.write(paths.CLIPS, rows(), index.CLIPS_SCHEMA)
    planned, _ = preprocess.plan(p)
    for unit in planned:
        os.link(one, paths.RAW / unit.name)
    with tempfile.TemporaryDirectory(dir=".") as scratch:
        first = planned[0]
        alone = Unit(first.stage, first.name, first.inputs | {"clips": first.inputs["clips"][:1]},
                     {"places": first.hints["places"][:2]})  # fmt: skip
        preprocess.build(alone, Path(scratch))
        [row] = json.loads((Path(scratch) / "rows.json").read_text())
        assert row["status"] == "kept", row
        os.replace(Path(scratch) / "shard.tar", "made.tar")
    for unit in planned:
        _finish(unit, row)


def _finish(unit: Unit, like: Mapping[str, Any]) -> None:
    unit.folder.mkdir(parents=True)
    os.link("made.tar", unit.folder / "shard.tar")
    rows = []
    for number, about in enumerate(unit.inputs["clips"]):
        row = dict(like) | about | {"shard": unit.name}
        if number % REFUSED_EVERY == REFUSED_EVERY - 1:
            row = row | {"status": "refused", "reason": "no_face", "detail": "0 of 15 frames", "shard": ""}
        rows.append(row)
    (unit.folder / "rows.json").write_text(json.dumps(rows))


def main() -> None:
    from tasks.core import config

    [mp4] = corpus.sources(Path(sys.argv[2]), 1, 15)
    lay_out(config.load(paths.PARAMS), int(sys.argv[1]), mp4)


if __name__ == "__main__":
    main()
