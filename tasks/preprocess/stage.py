"""Stage `preprocess`: raw shards -> shards of face crops, meshes and MFCCs, and the index of every clip.

reads   data/raw/*.tar, data/clips.parquet, released/lips.safetensors, released/motion.safetensors
writes  data/shards/*.tar, data/index.parquet, reports/preprocess.json, reports/preprocess.html

    python -m flows preprocess
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from tasks.storage import index, remote_shards, shards, unit_cache
from tasks.storage.face_codec import FACE_STORE_VERSION
from tasks.storage.index import Row
from tasks.storage.unit_cache import Unit

if TYPE_CHECKING:  # torch, which takes a second, is imported where a shard is built
    from tasks.preprocess import examine

PROVENANCE = (
    "clip", "video", "person", "split", "split_by", "corpus", "licence", "source", "source_sha256", "text",
)  # fmt: skip


def plan(p: Params) -> tuple[list[Unit], list[Row]]:
    """One unit per shard of the clip table, and the rows that stage acquire refused."""
    mesh_model.verified()
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    rows = index.read(paths.CLIPS)
    for row in index.kept(rows):
        groups[row["shard"]].append(row)
    lips_sha256 = released.sha256(released.LIP_REFINER)
    motion_sha256 = released.sha256(released.MOTION, released.MOTION.with_suffix(".json"))
    planned = [
        Unit(
            stage="preprocess",
            name=name,
            inputs={
                "clips": [{name: row[name] for name in PROVENANCE} for row in group],
                "faces": config.as_dict(p.faces),
                "quality": config.as_dict(p.quality),
                "algorithms": algorithms(),
                "pieces": pieces.PIECES_VERSION,
                "mesh": mesh_model.SHA256,
                "lips": lips_sha256,
                "motion": motion_sha256,
                "libraries": unit_cache.library_versions(
                    "dlib-bin", "opencv-python-headless", "numpy", "av", "scipy", "ai-edge-litert", "torch"
                ),
            },
            hints={"places": [[row["offset"], row["size"]] for row in group], "pointer": pointer},
            size=len(group),
            portable=bool(pointer),
        )
        for name, group in sorted(groups.items())
        for pointer in [remote_shards.pointer_of(paths.RAW / name)]
    ]
    return planned, [row for row in rows if row["status"] == "refused"]


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
    remote_shards.place(paths.RAW / unit.name, unit.hints["pointer"])
    rows = []

    def samples() -> Iterator[tuple[str, dict[str, bytes]]]:
        for about, (offset, size) in zip(unit.inputs["clips"], unit.hints["places"], strict=True):
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
    from tasks.preprocess import page

    measured = [row for unit in planned for row in json.loads((unit.folder / "rows.json").read_text())]
    rows: list[Row] = [
        row | {name: bytes.fromhex(row[name]) for name in ("found", "closed") if name in row} for row in measured
    ]
    rows += refused
    unit_cache.collect(planned, "shard.tar", paths.SHARDS)
    index.write(paths.INDEX, rows, index.INDEX_SCHEMA)
    kept = index.kept(rows)
    report = {
        "kept": len(kept),
        "refused": len(rows) - len(kept),
        "refused_by_reason": index.refused_by_reason(rows),
        "kept_by_split": {split: len(index.kept(rows, split)) for split in ("train", "val", "test", "hard")},
        "frames": sum(row["num_frames"] for row in kept),
        "frames_with_a_face": sum(round(row["num_frames"] * row["found_share"]) for row in kept),
        "found_share_by_case": {
            case: round(float(np.average([found for found, _ in pairs], weights=[num for _, num in pairs])), 4)
            for case in sorted({row["case"] for row in kept})
            if (pairs := [(row["found_share"], row["num_frames"]) for row in kept if row["case"] == case])
        },
        "clips_by_av_offset_frames": {
            str(late): num for late, num in sorted(Counter(row["av_offset"] for row in kept).items())
        },
        "clips_with_sound_moved": sum(row["av_moved"] != 0 for row in kept),
        "flagged": dict(sorted(Counter(word for row in kept for word in row["flags"].split(",") if word).items())),
        "quartiles": {
            name: [round(float(q), 4) for q in np.percentile([row[name] for row in kept] or [0], (25, 50, 75))]
            for name in ("face_px", "yaw_deg", "spread_db", "steady_db", "sound_db", "av_confidence", "duration_s")
        },
        "hours": round(sum(row["duration_s"] for row in kept) / 3600, 4),
    }
    write_atomic(paths.PREPROCESS_REPORT, json.dumps(report, indent=2) + "\n")
    page.write(sorted(rows, key=lambda row: row["clip"]), index.read(paths.CLIPS))
    index.demand_splits(rows, ("train", "val", "test"), paths.INDEX)
    why = ", ".join(f"{reason} {n}" for reason, n in index.refused_by_reason(rows).items()) or "none"
    return f"kept {len(kept)} clips, {report['frames']} frames; refused {report['refused']} ({why})"
