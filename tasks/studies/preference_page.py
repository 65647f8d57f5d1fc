"""The blind preference test: pairs of videos of the same words in random order; the viewer picks the better one.

reads   models/generator.safetensors, the test clips
writes  reports/listen.html, which needs no network and no server

    python -m flows listen --clips 6
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from tasks.core import paths
from tasks.core.errors import UserError
from tasks.core.files import write_atomic
from tasks.core.html import data_uri
from tasks.evaluate import conditions, report_media
from tasks.evaluate.raw_clips import RawClips
from tasks.inference.lip_sync import LipSync
from tasks.loading.clips import Clips
from tasks.studies import preference_votes

AGAINST = ("real_video", "wrong_audio")  # compared with the generator on every clip
TEMPLATE = Path(__file__).with_name("preference_page.html")


def run(num_clips: int, against: Path | None, out: Path) -> str:
    """Write the page; returns a summary line.  Errors: UserError for no clip or a missing checkpoint"""
    if num_clips < 1:
        raise UserError(f"--clips must be at least 1, got {num_clips}")
    sync, raw = LipSync(paths.GENERATOR), RawClips(paths.CLIPS, paths.RAW)
    other = LipSync(against) if against else None
    clips = Clips(paths.INDEX, paths.SHARDS, "test")
    videos: dict[str, str] = {}
    pairs: list[dict[str, str]] = []
    for number in range(min(num_clips, len(clips))):
        key = clips.keys[number]
        frames = conditions.fill(sync, clips, number, ("right_audio", *AGAINST))
        if other:
            frames["other_checkpoint"] = conditions.fill(other, clips, number, ("right_audio",))["right_audio"]
        del frames["identity"]
        sound = raw.sound(key)
        for row, frames_TSS3 in frames.items():
            video = report_media.video({row: frames_TSS3}, sound, {row: ""})
            videos[_name(key, row)] = data_uri("video/mp4", video)
        pairs += [
            {"clip": key, "a": "right_audio", "b": row, "film_a": _name(key, "right_audio"), "film_b": _name(key, row)}
            for row in frames
            if row != "right_audio"
        ]
    write_atomic(out, page(videos, pairs))
    return f"listen: {out}: {len(pairs)} pairs of {min(num_clips, len(clips))} clips, {out.stat().st_size / 1e6:.1f} MB"


def page(videos: dict[str, str], pairs: list[dict[str, str]]) -> str:
    content: dict[str, Any] = {"format": preference_votes.FORMAT, "films": videos, "pairs": pairs}
    text = json.dumps(content).replace("</", "<\\/")  # must not end the script element
    return TEMPLATE.read_text().replace("{{content}}", text)


def _name(key: str, row: str) -> str:
    """A name that does not reveal the condition."""
    return hashlib.sha256(f"{key} {row}".encode()).hexdigest()[:12]
