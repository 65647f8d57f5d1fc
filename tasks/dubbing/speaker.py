"""Which of several faces is dubbed: the one whose mouth best matches the original audio, or the one the user chooses.

The user chooses by a face's number, a point in the picture, a portrait, or a kept person. In other shots the person is
recognised by likeness (tasks/dubbing/likeness.py), which suffices within one film.
"""

import itertools
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model import faces, timing
from model.metrics import temporal
from tasks.core.errors import UserError
from tasks.dubbing.likeness import Patterns, Recogniser
from tasks.dubbing.look import Face, Seen
from tasks.media import containers, decode
from tasks.persons import films

PATTERNS = Patterns()
PERSON = "person:"
MAX_DIGITS = 9  # of a face's number
MAX_PORTRAITS = 12  # of a face that are described
MAX_LAG = 3  # frames, at 25 frames/s, between a mouth and its sound
LOUDNESS_DB = 40.0  # further below the loudest is silence


@dataclass(frozen=True, slots=True)
class Choice:
    """who_T: the number of the face that is dubbed in each frame, -1 for none

    agreement: of each face with the original audio; likeness: with the chosen person; -1 to 1, None if not measured
    """

    who_T: np.ndarray
    agreement: list[float | None]
    why: str
    likeness: list[float | None]


def choose(seen: Seen, wanted: str | None, loudness_T: np.ndarray | None, by: Recogniser = PATTERNS) -> Choice:
    """At most one person in each shot.

    wanted     None: by the audio; "3": face number 3; "640,200@1.5": the face at that point and time; "anna.png" or
               "person:Anna": the face most like the picture, or like the kept person
    loudness_T of the original audio, by `loudness`; None: there is none, and the largest face is taken
    by         compares faces
    Errors:    UserError where there is no such face
    """
    agreement = [None if loudness_T is None else agreeing(face, seen, loudness_T) for face in seen.faces]
    like = None if wanted is None else portrait_of(wanted, seen, by)
    likeness = [None if like is None else by.alike(like, looks(face, by)) for face in seen.faces]
    who_T = np.full(len(seen.times_s), -1)
    bounds = [*seen.shots, len(seen.times_s)]
    for start, end in itertools.pairwise(bounds):
        people = persons(seen, [k for k, face in enumerate(seen.faces) if start <= face.first < end], by)
        if not people:
            continue
        if like is not None:
            best = max(people, key=lambda person: max(likeness[k] or -1.0 for k in person))
            if max(likeness[k] or -1.0 for k in best) < by.same:
                continue
        elif loudness_T is not None and len(people) > 1:
            best = max(people, key=lambda person: max(agreement[k] or -1.0 for k in person))
        else:
            best = max(people, key=lambda person: sum(area(seen.faces[k]) for k in person))
        for k in best:
            who_T[seen.faces[k].first : seen.faces[k].end] = k
    if wanted is not None and (who_T < 0).all():
        nearest = max(value or -1.0 for value in likeness)
        raise UserError(
            f"--speaker {wanted}: no face in the video is like it: the best likeness is {nearest:.2f}, wanted {by.same}"
        )
    why = (
        named(who_T, likeness)
        if wanted
        else "mouth agrees with the sound"
        if loudness_T is not None
        else "largest face"
    )
    return Choice(who_T, agreement, why, likeness)


def named(who_T: np.ndarray, likeness: list[float | None]) -> str:
    """The likeness of the chosen face, and of the next best, for the sidecar."""
    chosen = set(who_T[who_T >= 0].tolist())
    mine = min(likeness[k] or -1.0 for k in chosen)
    others = [value or -1.0 for k, value in enumerate(likeness) if k not in chosen]
    return f"named: likeness {mine:.2f}" + (f", of the nearest other face {max(others):.2f}" if others else "")


def area(face: Face) -> float:
    return float((face.boxes_N4[:, 2:] - face.boxes_N4[:, :2]).prod(axis=1).sum())


def agreeing(face: Face, seen: Seen, loudness_T: np.ndarray) -> float:
    """Correlation of mouth opening and loudness at the best small lag, in [-1, 1]."""
    frames = np.arange(face.first, face.end)
    middles_s = (seen.times_s[frames] + seen.ends_s[frames]) / 2
    at = np.arange(int(middles_s[0] * timing.FPS), int(middles_s[-1] * timing.FPS) + 1)
    opening = np.interp((at + 0.5) / timing.FPS, middles_s, faces.aperture(face.points_N682))
    loudness_N = loudness_T[np.clip(at, 0, len(loudness_T) - 1)]
    return float(temporal.lag_curve(opening, loudness_N, MAX_LAG).max())


def loudness(blocks: Iterable[np.ndarray]) -> np.ndarray:
    """Loudness of each 25th of a second in dB above silence, at least 0.  Shape: 16 kHz mono blocks -> (T,) float32"""
    powers, rest = [], np.zeros(0, np.float32)
    for block in blocks:
        rest = np.concatenate([rest, block])
        whole = len(rest) // timing.SAMPLES_PER_FRAME * timing.SAMPLES_PER_FRAME
        powers.append(np.square(rest[:whole].reshape(-1, timing.SAMPLES_PER_FRAME)).mean(axis=1))
        rest = rest[whole:]
    power_T = np.concatenate(powers) if powers else np.zeros(0)
    if not len(power_T) or power_T.max() <= 0:
        return np.zeros(max(1, len(power_T)), np.float32)
    level_T = 10 * np.log10(np.maximum(power_T / power_T.max(), 1e-12))
    return np.maximum(level_T + LOUDNESS_DB, 0).astype(np.float32)


def looks(face: Face, by: Recogniser) -> np.ndarray:
    """Describe a face: the median over some of its portraits.  Shape: -> (D,) float32"""
    portraits = list(face.portraits.values())
    chosen = np.linspace(0, len(portraits) - 1, min(MAX_PORTRAITS, len(portraits))).astype(int)
    return np.median([by.describe(portraits[k]) for k in chosen.tolist()], axis=0)


def persons(seen: Seen, numbers: list[int], by: Recogniser = PATTERNS) -> list[list[int]]:
    """Group the faces of a shot by person: a face that was lost and found again, never two at the same time."""
    people: list[list[int]] = []
    described = {k: looks(seen.faces[k], by) for k in numbers} if len(numbers) > 1 else {}
    for k in numbers:
        free = [p for p in people if all(seen.faces[j].end <= seen.faces[k].first for j in p)]
        near = max(free, key=lambda p: by.alike(described[p[-1]], described[k]), default=None)
        if near is not None and by.alike(described[near[-1]], described[k]) >= by.same:
            near.append(k)
        else:
            people.append([k])
    return people


def portrait_of(wanted: str, seen: Seen, by: Recogniser) -> np.ndarray:
    """The description of the face that `--speaker` names."""
    if wanted.isdecimal():
        if len(wanted) > MAX_DIGITS or int(wanted) >= len(seen.faces):
            raise UserError(f"--speaker {wanted}: faces are numbered 0 to {len(seen.faces) - 1}, see the .json")
        return looks(seen.faces[int(wanted)], by)
    if point := re.fullmatch(r"(\d+(?:\.\d+)?),(\d+(?:\.\d+)?)@(\d+(?:\.\d+)?)", wanted):
        x, y, time_s = (float(number) for number in point.groups())
        frame = int(np.clip(np.searchsorted(seen.times_s, time_s, side="right") - 1, 0, len(seen.times_s) - 1))
        for face in seen.faces:
            if face.first <= frame < face.end:
                left, top, right, bottom = face.boxes_N4[frame - face.first]
                if left <= x < right and top <= y < bottom:
                    return looks(face, by)
        raise UserError(f"--speaker {wanted}: there is no face at this point at {time_s:g} s")
    if name := person_named(wanted):
        if not isinstance(by, Patterns):
            raise UserError(f"--speaker {wanted}: kept people are not known by --recognition; give a picture of {name}")
        return films.look(name)
    if os.path.isfile(wanted):
        return portrait_in(Path(wanted), by)
    raise UserError(f"--speaker {wanted}: not a face's number, x,y@seconds, a picture file or person:NAME")


def person_named(wanted: str | None) -> str | None:
    """The kept person whom a speaker's name means: "person:Anna Berg"."""
    return wanted[len(PERSON) :] if wanted and wanted.startswith(PERSON) and not os.path.isfile(wanted) else None


def portrait_in(path: Path, by: Recogniser) -> np.ndarray:
    from tasks.features import crop, face_track

    with containers.readable(path):
        picture = decode.read_image(path)
    boxes_N4 = face_track.detect(picture, max(picture.shape[:2]))
    if not len(boxes_N4):
        raise UserError(f"{path}: no face found; it must be frontal and upright")
    box_4 = faces.choose(boxes_N4, None, "largest", picture.shape[:2])
    return by.describe(crop.crop(picture, faces.crop_boxes(box_4[None])[0], 96))
