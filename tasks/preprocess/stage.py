"""Stage `preprocess`: raw shards -> shards of face crops, meshes and MFCCs, and the index of every clip.

reads   data/raw/*.tar, data/clips.parquet, released/lips.safetensors, released/motion.safetensors
writes  data/shards/*.tar, data/index.parquet, reports/preprocess.json, reports/preprocess.html

    python -m flows preprocess
"""

import json
import sys
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from model import faces, timing
from model.av_offset import QUALITY_VERSION
from model.params import FaceParams, Params, QualityParams
from tasks.core import config, paths, released
from tasks.core.errors import Refusal
from tasks.core.files import write_atomic
from tasks.core.progress import doing
from tasks.features import audio, mesh_model
from tasks.media import fragments, shown
from tasks.preprocess import gates, pieces
from tasks.storage import index, shards, unit_cache
from tasks.storage.face_codec import FACE_STORE_VERSION
from tasks.storage.index import Row
from tasks.storage.unit_cache import Unit

if TYPE_CHECKING:  # torch, which takes a second, is imported where a shard is built
    from tasks.preprocess import examine

PROVENANCE = (
    "clip", "video", "person", "split", "split_by", "corpus", "licence", "source", "source_sha256", "text",
)  # fmt: skip

SHARED = {*PROVENANCE} - {"clip", "source_sha256", "text"}


def plan(p: Params) -> tuple[list[Unit], list[Row]]:
    """One unit per shard of the clip table, and the rows that stage acquire refused."""
    mesh_model.verified()
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    places: dict[str, array[int]] = defaultdict(lambda: array("q"))
    rows = index.rows(paths.CLIPS, [name for name, _ in index.COMMON])  # the words of LRS2 would take a gigabyte
    for row in index.kept(rows):
        groups[row["shard"]].append(_provenance(row))
        places[row["shard"]].extend((row["offset"], row["size"]))
    lips_sha256 = released.sha256(released.LIP_REFINER)
    motion_sha256 = released.sha256(released.MOTION, released.MOTION.with_suffix(".json"))
    libraries = unit_cache.library_versions(
        "dlib-bin", "opencv-python-headless", "numpy", "av", "scipy", "ai-edge-litert", "torch"
    )
    planned = [
        Unit(
            stage="preprocess",
            name=name,
            inputs={
                "clips": group,
                "faces": config.as_dict(p.faces),
                "quality": config.as_dict(p.quality),
                "algorithms": algorithms(),
                "pieces": pieces.PIECES_VERSION,
                "mesh": mesh_model.SHA256,
                "lips": lips_sha256,
                "motion": motion_sha256,
                "libraries": libraries,
            },
            hints={"places": places[name]},  # offset, size, offset, size, ...
            size=len(group),
        )
        for name, group in sorted(groups.items())
    ]
    return planned, list(rows.where(status="refused"))


def _provenance(row: Row) -> dict[str, Any]:
    """Of the values that many clips have in common there is one in memory."""
    about: Mapping[str, Any] = row
    return {name: sys.intern(about[name]) if name in SHARED and about[name] else about[name] for name in PROVENANCE}


def algorithms() -> str:
    """Versions of our own code that decide the bytes of a shard."""
    versions = {
        "faces": faces.FACES_VERSION,
        "mfcc": audio.MFCC_VERSION,
        "shards": shards.SHARDS_VERSION,
        "store": FACE_STORE_VERSION,
        "quality": QUALITY_VERSION,
        "pictures": shown.PICTURES_VERSION,
    }
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def tools() -> "examine.Tools":
    from tasks.features import lip_refiner
    from tasks.preprocess import examine
    from tasks.preprocess.sync import Synchroniser

    return examine.Tools(lip_refiner.released(), Synchroniser())


def build(unit: Unit, folder: Path) -> None:
    """One shard: shard.tar with the kept clips, rows.json with an index row for every clip.

    Memory holds one piece of a clip at a time.
    """
    from tasks.preprocess import examine

    p, limits = FaceParams(**unit.inputs["faces"]), QualityParams(**unit.inputs["quality"])
    loaded = tools()
    rows = []

    def samples() -> Iterator[tuple[str, dict[str, bytes]]]:
        places = unit.hints["places"]
        for about, offset, size in zip(unit.inputs["clips"], places[::2], places[1::2], strict=True):
            doing(f"{about['clip']} of {unit.name}")
            with shards.opened(paths.RAW / unit.name, offset, size) as raw:
                for one in read_clip(raw, p, limits, loaded):
                    row = one.about(about) | {"algorithms": unit.inputs["algorithms"]} | one.figures
                    if refusal := one.refusal(limits):
                        rows.append(row | {"status": "refused", "reason": refusal.reason, "detail": refusal.detail})
                        continue
                    assert isinstance(one.clip, shards.Clip) and isinstance(one.part.outcome, examine.Examined)
                    detail = one.part.outcome.detail
                    rows.append(row | {"status": "kept", "reason": "", "detail": detail, "shard": unit.name})
                    yield row["clip"], shards.encode(one.clip, one.about(about), p.storage, p.jpeg_quality)
                    del one

    spans = shards.write(folder / "shard.tar", samples())
    for row in rows:
        if span := spans.get(row["clip"]):
            row |= {"offset": span.offset, "size": span.size, "member_sha256": span.sha256}
    (folder / "rows.json").write_text(json.dumps(rows))


@dataclass(frozen=True, slots=True)
class Measured:
    """A piece of a clip: the stored clip or the refusal, and its columns of the index."""

    part: "examine.Part"
    clip: shards.Clip | Refusal
    figures: dict[str, Any]

    def about(self, clip: dict[str, Any]) -> dict[str, Any]:
        """The provenance of the clip; for a piece with its key and span, without text: its words are unknown."""
        if self.part.alone:
            return clip
        return clip | {
            "clip": pieces.key_of(clip["clip"], self.part.number),
            "source": fragments.source_of(clip["source"], self.part.first, self.part.num_frames),
            "text": "",
        }

    def refusal(self, limits: QualityParams) -> Refusal | None:
        if isinstance(self.clip, Refusal):
            return self.clip
        return next(iter(gates.refusals(self.figures, limits)), None)


def read_clip(
    raw: Mapping[str, bytes | Callable[[], BinaryIO]], p: FaceParams, limits: QualityParams, loaded: "examine.Tools"
) -> Iterator[Measured]:
    """The pieces of a clip, from the members of a raw shard; at least one."""
    from tasks.preprocess import examine

    content = raw["json"]
    about = json.loads(content if isinstance(content, bytes) else content().read())
    [extension] = raw.keys() - {"json", "txt"}
    for part in examine.of_video(raw[extension], p, limits, loaded, fragments.span_of(about.get("source", ""))):
        if isinstance(part.outcome, Refusal):
            yield Measured(part, part.outcome, {})
            continue
        # the ground truth of a synthetic clip covers all of its frames
        clip = shards.Clip(**part.outcome.arrays, truth=about.get("truth") if part.alone else None)
        columns = figures(clip) | part.outcome.figures | {"flags": gates.flags(part.outcome.figures, limits)}
        yield Measured(part, clip, columns)
        del part, clip


def figures(clip: shards.Clip) -> dict[str, Any]:
    """Columns of the index that are measured on the stored clip."""
    return {
        "case": (clip.truth or {}).get("case", ""),
        "num_frames": len(clip.faces_TSS3),
        "duration_s": len(clip.faces_TSS3) / timing.FPS,
        "found_share": float(clip.found_T.mean()),
        "found": np.packbits(clip.found_T).tobytes().hex(),
        "closed": np.packbits(faces.closed(clip.landmarks_T682, clip.found_T & clip.held_T)).tobytes().hex(),
    }


def collect(planned: Sequence[Unit], refused: list[Row]) -> str:
    """Fill data/shards, write the index and the report; return one line to print.

    Errors: UserError if no clip is kept, or none of a split that training and evaluation need.
    """
    from tasks.preprocess import page, report

    unit_cache.collect(planned, "shard.tar", paths.SHARDS)
    index.write(paths.INDEX, chain(_measured(planned), refused), index.INDEX_SCHEMA)
    rows = index.rows(paths.INDEX, {*report.COLUMNS, *page.COLUMNS})
    about = report.of(rows)
    write_atomic(paths.PREPROCESS_REPORT, json.dumps(about, indent=2) + "\n")
    page.write(rows, index.rows(paths.CLIPS, page.PLACE))
    index.demand_splits(rows, ("train", "val", "test"), paths.INDEX)
    why = ", ".join(f"{reason} {n}" for reason, n in about["refused_by_reason"].items()) or "none"
    return f"kept {about['kept']} clips, {about['frames']} frames; refused {about['refused']} ({why})"


def _measured(planned: Sequence[Unit]) -> Iterator[dict[str, Any]]:
    """The rows of the finished units; those of one unit at a time are in memory."""
    for unit in planned:
        for row in json.loads((unit.folder / "rows.json").read_text()):
            yield row | {name: bytes.fromhex(row[name]) for name in ("found", "closed") if name in row}
