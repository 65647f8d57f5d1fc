"""The picture of an edited video: kept pieces as filmed, joints smoothed, and in new pieces a mouth that follows the
new sound. Everything after the frames and their plan is that of a dub: tasks/dubbing/output.py.

Shape letters: N frames of the edited video, T of the source, C channels
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.io import wavfile

from model import timing
from tasks.compositor import target
from tasks.compositor.footage import Footage
from tasks.dubbing import likeness, mesh_mouth, plan, speaker
from tasks.dubbing.find_faces import find_faces
from tasks.dubbing.hear import Line
from tasks.dubbing.look import Face, Seen
from tasks.dubbing.mesh_mouth import Person
from tasks.dubbing.networks import Mesh, Mouths
from tasks.dubbing.options import Options
from tasks.dubbing.output import Output
from tasks.dubbing.plan import Plan
from tasks.dubbing.render import Part, Renderer
from tasks.dubbing.script import Script
from tasks.dubbing.speaker import Choice
from tasks.edit import film, retime
from tasks.edit.film import Film
from tasks.edit.pieces import Piece
from tasks.features.face_track import Frame
from tasks.media import decode

QUIET_DB = 25.0  # this far below the loud frames nothing is said
LOUD_PERCENT = 95


@dataclass
class EditRenderer(Renderer):
    film: Film | None = None

    def shown(self, first: int) -> Iterator[Frame]:
        assert self.film is not None
        return self.film.pictures(first)


@dataclass(frozen=True)
class Watched:
    """What is known of the source. person: None where no mouth is to be made"""

    seen: Seen
    choice: Choice
    footage: Footage
    person: Person | None


def watch(face: Path, network: Mesh, options: Options, folder: Path, mouths: bool) -> Watched:
    """Find the speaker in the source and record the mesh; a run that is repeated reads them from the folder.

    mouths  whether mouths will be changed
    Errors: UserError where there is no face, or no mouth that can be used
    """
    recogniser = likeness.recogniser(options.recognition)
    seen = find_faces(face, network.p, network.points, None, folder, mouths=mouths)
    several = len(seen.faces) > 1
    loudness_T = speaker.loudness(decode.mono(face)) if several else None
    choice = speaker.choose(seen, options.speaker, loudness_T, recogniser)
    if not mouths:
        return Watched(seen, choice, mesh_mouth.record(face, seen, choice.who_T, folder / "face", pictures=False), None)
    person = Person(face, network, folder, options, recogniser)
    person.learn(seen, choice, None)
    return Watched(seen, choice, person.target.footage, person)


def output(
    face: Path, pieces: Sequence[Piece], sound_NC: np.ndarray, rate_hz: int, watched: Watched, options: Options,
    folder: Path,
) -> tuple[Output, Film]:  # fmt: skip
    """The output of an edit, to be rendered and joined.  Shape: sound (N, C) float, as long as the pieces"""
    seen = watched.seen
    frames = retime.frames(pieces, seen.times_s, seen.ends_s, seen.shots)
    quiet_N = quiet(sound_NC, rate_hz, frames.times_s, frames.ends_s)
    filmed = film.of_frames(face, seen.times_s, seen.size_hw, watched.footage, frames, quiet_N)
    script = written(filmed, pieces, watched, wav(folder / "sound.wav", sound_NC, rate_hz), folder)
    mouths: Mouths = watched.person.mouths(script, judged=False) if watched.person else Unchanged()
    return Output(EditRenderer([Part(script, mouths)], film=filmed), options, folder), filmed


class Unchanged:
    """Of an edit that only cuts: no mouth is changed."""

    def change(self, number: int, at: np.ndarray, batch: list[Frame]) -> list[tuple[Frame, np.ndarray, float]]:
        raise AssertionError("no frame has a weight")


def wav(path: Path, sound_NC: np.ndarray, rate_hz: int) -> Line:
    """The edit's sound as a file, without rounding."""
    wavfile.write(path, rate_hz, sound_NC.astype(np.float32))
    return Line(0.0, path, len(sound_NC) / rate_hz)


def quiet(sound_NC: np.ndarray, rate_hz: int, times_s: np.ndarray, ends_s: np.ndarray) -> np.ndarray:
    """In which frames nothing is said.  Shape: -> (N,) bool"""
    energy = np.append(0, np.cumsum((sound_NC.astype(np.float64) ** 2).mean(axis=1)))
    first_N, last_N = (np.clip(np.round(s * rate_hz).astype(int), 0, len(sound_NC)) for s in (times_s, ends_s))
    power_N = (energy[last_N] - energy[first_N]) / np.maximum(1, last_N - first_N)
    level_N = 10 * np.log10(power_N + 1e-12)
    return np.asarray(level_N < np.percentile(level_N, LOUD_PERCENT) - QUIET_DB)


def written(filmed: Film, pieces: Sequence[Piece], watched: Watched, line: Line, folder: Path) -> Script:
    """The script of a dub of the edited video, whose mouths change in new pieces alone."""
    frames, near_N = filmed.frames, filmed.near_N
    spoken_N = spoken(pieces, (frames.times_s + frames.ends_s) / 2)
    edited = film.as_footage(filmed, spoken_N > 0, folder / "edited")
    aim = target.target(edited, filmed.size_hw)
    why_N = plan.reasons(watched.seen, watched.choice)[near_N]
    why_N = np.where(spoken_N > 0, np.where(why_N == "", aim.why_T, why_N), "")
    shots = film.shots(filmed)
    weight_N = np.minimum(plan.faded(why_N == "", frames.times_s, frames.ends_s, shots), spoken_N).astype(np.float32)
    if watched.person:
        watched.person.target = aim
    seen, choice = as_seen(filmed, watched, list(shots))
    planned = Plan(np.arange(len(near_N)), frames.times_s, frames.ends_s, weight_N, why_N, spoken_N > 0)
    num_frames = max(1, int(np.ceil(frames.ends_s[-1] * timing.FPS - 1e-6)))
    return Script(filmed.source, seen, choice, [line], planned, num_frames)


def spoken(pieces: Sequence[Piece], middles_s: np.ndarray) -> np.ndarray:
    """1 in new pieces, falling to 0 within plan.AROUND_S around them.  Shape: -> (N,)"""
    spoken_N = np.zeros(len(middles_s))
    for piece in pieces:
        if not piece.kept:
            inside_s = np.minimum(middles_s - piece.start_s, piece.end_s - middles_s) + plan.AROUND_S
            spoken_N = np.maximum(spoken_N, np.clip(inside_s / plan.AROUND_S, 0, 1))
    return spoken_N


def as_seen(filmed: Film, watched: Watched, shots: list[int]) -> tuple[Seen, Choice]:
    """The edited video's frames with the one face that speaks."""
    near_N, source = filmed.near_N, watched.seen
    who_N = watched.choice.who_T[near_N]
    parts = {name: [] for name in ("boxes_N4", "found_N", "points_N682", "lows_NK")}  # type: dict[str, list[np.ndarray]]
    usual = source.faces[max(0, int(who_N.max()))]
    for t, who in zip(near_N.tolist(), who_N.tolist(), strict=True):
        face = source.faces[who] if who >= 0 else usual
        at = t - face.first if who >= 0 else 0
        for name, rows in parts.items():
            rows.append(getattr(face, name)[at])
    found_N = np.array(parts["found_N"]) & (who_N >= 0)
    arrays = [np.array(parts[name]) for name in ("boxes_N4", "points_N682", "lows_NK")]
    one = Face(0, arrays[0], found_N, arrays[1], arrays[2], {})
    seen = Seen(filmed.frames.times_s, source.size_hw, shots, [one], source.how)
    return seen, Choice(np.where(who_N >= 0, 0, -1), [None], watched.choice.why, [None])
