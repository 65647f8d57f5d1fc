"""Rates of A/V offsets on filmed people, by the steps of stage `preprocess`: `python -m benchmarks.real offsets`.

Every figure is [clips right, clips]:

in_sync           offset measured within 1 frame of 0 on the sound as filmed
left_in_sync      ... and the sound not moved
planted_measured  the sound shifted by -7 .. +7 frames, the offset measured within 1 frame of that
planted_moved     ... and what is left after moving the sound is within 1 frame
foreign_person    the sound of another person's sentence is not moved
foreign_clip      the sound of another sentence of the same person is not moved
speaker           of this and another person's face, the one whose sentence is heard is chosen

GRID's sentences have one grammar and nearly one rhythm: foreign sound is harder to tell there than elsewhere.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.params import Params
from model.timing import SAMPLES_PER_FRAME
from tasks.features.face_track import track
from tasks.media import decode
from tasks.preprocess import examine
from tasks.preprocess import stage as preprocess
from tasks.preprocess.sync import Synchroniser, earlier

PLANTED = tuple(late for late in range(-7, 8) if late)
NUM_FOREIGN = 4  # of each kind, for every clip
Counts = dict[str, list[int]]


@dataclass(frozen=True)
class Spoken:
    person: str
    sound: np.ndarray
    mesh_T4683: np.ndarray


def read(folder: Path, people: Sequence[str], p: Params) -> Iterator[Spoken]:
    """All clips of these people in which a face is found."""
    tools = preprocess.tools()
    for person in people:
        for video in sorted((folder / person).glob("*")):
            frames = list(decode.frames(video))
            followed = track(frames, p.faces, None, tools.refiner)
            if examine.found_enough(followed, p.faces) and examine.held_enough(followed, p.faces):
                [(_, mesh_T4683)] = examine.cut(frames, [followed], p.faces.size)
                yield Spoken(person, decode.fit(decode.decode_sound(video), len(frames)), mesh_T4683)


def rates(groups: dict[str, list[Spoken]], p: Params) -> dict[str, Counts]:
    """group -> figures; foreign sounds and faces are drawn from all groups."""
    sync, rng = Synchroniser(), np.random.default_rng(0)
    everyone = [clip for clips in groups.values() for clip in clips]
    rows: dict[str, Counts] = {}
    for label, clips in groups.items():
        counts: Counts = {}
        for clip in clips:
            for name, right in judged(clip, everyone, sync, p, rng):
                total = counts.setdefault(name, [0, 0])
                total[0], total[1] = total[0] + right, total[1] + 1
        rows[label] = counts
    return rows


def judged(
    clip: Spoken, everyone: Sequence[Spoken], sync: Synchroniser, p: Params, rng: np.random.Generator
) -> Iterator[tuple[str, bool]]:
    def measured(sound: np.ndarray) -> dict[str, float]:
        return sync.synchronised(sound, clip.mesh_T4683, p.quality)[1]

    own = measured(clip.sound)
    yield "in_sync", abs(own["av_offset"]) <= 1
    yield "left_in_sync", not own["av_moved"]
    for late in PLANTED:
        shifted = measured(earlier(clip.sound, -late))
        yield "planted_measured", abs(shifted["av_offset"] - late) <= 1
        yield "planted_moved", abs(shifted["av_moved"] - late) <= 1
    others = {
        "foreign_person": [other for other in everyone if other.person != clip.person],
        "foreign_clip": [other for other in everyone if other.person == clip.person and other is not clip],
    }
    for name, pool in others.items():
        for at in rng.choice(len(pool), min(NUM_FOREIGN, len(pool)), replace=False):
            yield name, not measured(decode.fit(pool[at].sound, len(clip.mesh_T4683)))["av_moved"]
    faces = others["foreign_person"]
    for at in rng.choice(len(faces), min(NUM_FOREIGN, len(faces)), replace=False):
        num = min(len(clip.mesh_T4683), len(faces[at].mesh_T4683))
        meshes = [faces[at].mesh_T4683[:num], clip.mesh_T4683[:num]]
        yield "speaker", sync.speaker(meshes, clip.sound[: num * SAMPLES_PER_FRAME]) == 1


def offsets(folder: Path, groups: Sequence[str], p: Params) -> dict[str, Counts]:
    """`groups`: people, several joined by +.  group -> figures"""
    return rates({group: list(read(folder, group.split("+"), p)) for group in groups}, p)


def table(rows: dict[str, Counts]) -> str:
    names = list(dict.fromkeys(name for counts in rows.values() for name in counts))
    lines = [" " * 12 + "".join(f"{name:>18}" for name in names)]
    for label, counts in rows.items():
        cells = (counts.get(name, [0, 0]) for name in names)
        lines.append(f"{label:12.12}" + "".join(f"{right:10d} of {num:<4d}" for right, num in cells))
    return "\n".join(lines)
