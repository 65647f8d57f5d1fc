"""Accuracy of the gates: rendered hard clips that must be refused or flagged, and clean ones that must not.

    python -m benchmarks.gates [--seeds 20] [--clean 5]     needs models/; writes benchmarks/results/gates.json

Every seed gives one clip of each hard case and some clean ones; no threshold was chosen on these seeds. A case counts
as found only by its own reason: a profile as `profile`, `no_face` or `turned`, a missing face as `no_face`, sound 5
frames off as moved back to within one frame. "foreign" pairs the sound of a clean clip with the mouth of the next: it
has no right offset, and should rarely be moved.
"""

import argparse
import io
import itertools
import json
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks.machine import RESULTS, machine
from model import av_offset
from tasks.core import config
from tasks.media import decode
from tasks.preprocess import stage as preprocess
from tasks.storage import shards
from tasks.synthetic import clip as synthetic
from tasks.synthetic.plan import LATE_FRAMES, plan

RESULT = RESULTS / "gates.json"
FIRST_SEED = 1000
WORDS = {
    "profile": {"profile", "no_face", "turned"},
    "no_face": {"no_face"},
    "offset": {"moved", "out_of_sync", "apart"},
}
CONFIDENCES = (0.15, 0.2, 0.25, 0.3, 0.35, 0.4)


@dataclass(frozen=True)
class Outcome:
    case: str
    refused: str
    flags: str
    moved: int  # frames
    mouth_TC: np.ndarray  # cues of clean clips
    sound_TC: np.ndarray

    @property
    def words(self) -> set[str]:
        return {self.refused, *self.flags.split(",")} - {""}


def examine(seed: int, num_clean: int) -> list[Outcome]:
    p, loaded = config.load(Path("params.yaml")), preprocess.tools()
    specs = plan(seed, "demo")
    clean = [spec for spec in specs if spec.case == "clean"]
    wanted = [*clean[:: max(1, len(clean) // num_clean)][:num_clean], *(spec for spec in specs if spec.case in WORDS)]
    outcomes = []
    for spec in wanted:
        mp4 = synthetic.render(spec).mp4
        [one] = preprocess.read_clip({"mp4": mp4, "json": b"{}"}, p.faces, p.quality, loaded)
        refusal, mouth_TC, sound_TC = one.refusal(p.quality), np.empty(0), np.empty(0)
        if spec.case == "clean" and isinstance(one.clip, shards.Clip):
            mouth_TC = loaded.sync.mouth(one.clip.mesh_T4683)
            sound_TC = loaded.sync.sound(decode.fit(decode.decode_sound(io.BytesIO(mp4)), len(mouth_TC)), len(mouth_TC))
        reason = refusal.reason if refusal else ""
        flags, moved = str(one.figures.get("flags", "")), int(one.figures.get("av_moved", 0))
        outcomes.append(Outcome(spec.case, reason, flags, moved, mouth_TC, sound_TC))
    return outcomes


def right(outcome: Outcome) -> bool:
    if outcome.case == "offset" and "moved" in outcome.words:
        return abs(outcome.moved + LATE_FRAMES) <= 1
    return bool(outcome.words & WORDS[outcome.case])


def share(flags: Iterable[bool]) -> dict[str, float | int]:
    found = list(flags)
    return {"clips": len(found), "share": round(float(np.mean(found)), 4)}


def confidences(clean: list[Outcome], limit_frames: int) -> dict[str, dict[str, float]]:
    """Shares of sounds that would be moved, by the required confidence: in sync, 5 frames late, foreign."""
    seen = [one for one in clean if len(one.mouth_TC)]
    own = [av_offset.offset(one.mouth_TC, one.sound_TC) for one in seen]
    late = [av_offset.offset(one.mouth_TC[:-LATE_FRAMES], one.sound_TC[LATE_FRAMES:]) for one in seen]
    foreign = []
    for one, other in itertools.pairwise(seen):
        num = min(len(one.mouth_TC), len(other.mouth_TC))
        foreign.append(av_offset.offset(one.mouth_TC[:num], other.sound_TC[:num]))

    def moved(found: list[tuple[int, float]], least: float) -> float:
        return round(float(np.mean([sure >= least and abs(k) >= limit_frames for k, sure in found])), 4)

    return {
        f"{least:g}": {
            "in sync": moved(own, least),
            "5 frames off": moved(late, least),
            "foreign": moved(foreign, least),
        }
        for least in CONFIDENCES
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="default: %(default)s")
    parser.add_argument("--clean", type=int, default=5, help="clean clips of each seed; default: %(default)s")
    parser.add_argument("--workers", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--minutes", type=float, default=60, help="begin no further seed after; default: %(default)s")
    args = parser.parse_args()
    limits = config.load(Path("params.yaml")).quality
    seeds = range(FIRST_SEED, FIRST_SEED + args.seeds)
    outcomes, until_s = [], time.monotonic() + 60 * args.minutes
    with ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool:
        for first in range(0, len(seeds), args.workers):
            some = seeds[first : first + args.workers]
            outcomes += [one for found in pool.map(examine, some, itertools.repeat(args.clean)) for one in found]
            if time.monotonic() > until_s:
                break
    clean = [one for one in outcomes if one.case == "clean"]
    hard = [one for one in outcomes if one.case != "clean"]
    result = {
        "machine": machine(),
        "hard_found": share(right(one) for one in hard),
        "hard_found_by_case": {case: share(right(one) for one in hard if one.case == case) for case in WORDS},
        "hard_words": {case: Counter(word for one in hard if one.case == case for word in one.words) for case in WORDS},
        "clean_refused": share(bool(one.refused) for one in clean),
        "clean_refused_as": Counter(one.refused for one in clean if one.refused),
        "clean_moved": share("moved" in one.words for one in clean),
        "clean_flagged": Counter(flag for one in clean for flag in one.flags.split(",") if flag),
        "sync_confidence": limits.sync_confidence,
        "moved_by_confidence": confidences(clean, limits.offset_frames),
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(RESULT.read_text())


if __name__ == "__main__":
    main()
