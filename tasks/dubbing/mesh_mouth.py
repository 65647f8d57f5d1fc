"""The mesh generator: motion is predicted from the audio and rendered with the person's own mouths.

Before any frame is rendered, the person's meshes and mouths are gathered from what pass 1 recorded of all faces.
"""

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from model import faces, head_mesh, timing
from model.motion import Motion
from tasks.compositor import footage, inside, library, person_size, target
from tasks.compositor.footage import Footage
from tasks.compositor.library import Library
from tasks.compositor.person_size import Heard
from tasks.compositor.target import Target
from tasks.core import names
from tasks.core.ahead import ahead
from tasks.core.errors import UserError
from tasks.core.torch_threads import one_thread
from tasks.dubbing import plan, speaker
from tasks.dubbing.find_faces import counted, find_faces
from tasks.dubbing.idle import Sway
from tasks.dubbing.likeness import Recogniser
from tasks.dubbing.look import Seen
from tasks.dubbing.networks import Mesh
from tasks.dubbing.options import Options
from tasks.dubbing.plan import Plan
from tasks.dubbing.script import Script
from tasks.dubbing.speaker import PATTERNS, Choice
from tasks.dubbing.watch import MESHES
from tasks.features import crop
from tasks.features.face_track import Frame
from tasks.media import decode, native_rate
from tasks.persons import films

JUDGED_PX = 96  # side of the sync expert's crops
MOST_HEARD_S = 600.0  # of a kept library's sound
PIECE_S, CONTEXT_S = 120, 2  # audio that the network processes at a time, and context on either side


class Person:
    """A person who is dubbed: `learn` reads the video, `mouths` then renders frames.

    folder    of this person alone
    library   videos to take the mouths from, none: the dubbed video; None: those of the options
    name      of the speaker, for errors
    sound_of  the file with the sound of `face`, if it is another one
    about     entries for the sidecar
    """

    def __init__(
        self, face: Path, network: Mesh, folder: Path, options: Options, recogniser: Recogniser,
        library: Sequence[str] | None = None, name: str = "the speaker", sound_of: Path | None = None,
    ) -> None:  # fmt: skip
        self.face, self.network, self.folder, self.options = face, network, folder, options
        self.recogniser, self.name, self.sound_of = recogniser, name, sound_of or face
        self.videos = options.library if library is None else library
        self._heard: dict[int, Heard] = {}
        self.about: dict[str, Any] = {}

    def learn(self, seen: Seen, choice: Choice, sway: Sway | None) -> np.ndarray:
        """Record the video's mesh and build the library.  Shape: -> (T,) why a frame cannot be changed, "" where it can

        Errors: UserError where no mouth of the person is usable
        """
        alone = not self.videos and self.network.person is None
        own = record(self.face, seen, choice.who_T, self.folder / "face", pictures=alone)
        more = [self.further(number, Path(video), seen, choice) for number, video in enumerate(self.videos)]
        more += self.kept(seen, choice)
        built = library.build(more or [uncovered(own, seen, choice.who_T)], self.network.inside)
        if built is None:
            where = "--person" if self.network.person else "--library" if more else str(self.face)
            raise UserError(
                f"{where}: no frame shows {self.name}'s mouth whole and near-frontal; "
                "use other footage or --generator lipgan"
            )
        if not more:
            self._hear(0, self.sound_of, (seen.times_s + seen.ends_s) / 2)
        if not self._adapted:  # which moves as far as the person does
            with one_thread():
                built.size = person_size.size(self.network.motion, built, self._heard)
        self.library = built
        self.about |= {"library_mouths": len(built), "person_size": round(built.size, 3)}
        self.target = target.target(own if sway is None else swaying(own, sway, len(choice.who_T)), seen.size_hw)
        return self.target.why_T

    def further(self, number: int, video: Path, seen: Seen, choice: Choice) -> Footage:
        """Record more footage of the person.  Errors: UserError where it shows no face or only other people"""
        folder, by = self.folder / f"library{number}", self.recogniser
        folder.mkdir(parents=True, exist_ok=True)
        of_video = f" of {names.one_line(video.name)}"
        elsewhere = find_faces(video, self.network.p, self.network.points, None, folder, of_video, mouths=True)
        dubbed = sorted(set(choice.who_T[choice.who_T >= 0].tolist()))
        who_T, alike = same_person(elsewhere, [speaker.looks(seen.faces[k], by) for k in dubbed], by)
        likeness = self.about.setdefault("library_likeness", {})
        likeness[video.name if video.name not in likeness else f"{video.name} ({number})"] = round(alike, 3)
        wanted = by.same_still if decode.is_image(self.face) or decode.is_image(video) else by.same
        if alike < wanted:
            raise UserError(
                f"--library {video}: no face in it looks like the dubbed person: best likeness {alike:.2f}, "
                f"wanted {wanted}; use footage of the same person"
            )
        self._hear(number, video, (elsewhere.times_s + elsewhere.ends_s) / 2)
        return uncovered(record(video, elsewhere, who_T, folder, of_video), elsewhere, who_T)

    def kept(self, seen: Seen, choice: Choice) -> list[Footage]:
        """The footage of --person, without pictures.  Errors: UserError where the dubbed face is somebody else's"""
        if (kept := self.network.person) is None:
            return []
        dubbed = [speaker.looks(seen.faces[k], PATTERNS) for k in np.unique(choice.who_T[choice.who_T >= 0]).tolist()]
        alike = max((PATTERNS.alike(look, one) for look in kept.looks() for one in dubbed), default=0.0)
        wanted = PATTERNS.same_still if decode.is_image(self.face) else PATTERNS.same
        if alike < wanted:
            raise UserError(
                f"--person {kept.person.name}: the dubbed face does not look like them: best likeness {alike:.2f}, "
                f"wanted {wanted}; choose the face by --speaker, or add footage in which they look like here"
            )
        self.about |= {"person": kept.described() | {"likeness": round(alike, 3), "not_used": list(kept.lost)}}
        if not self._adapted:
            self._hear_kept(kept)
        return kept.films()

    @property
    def _adapted(self) -> bool:
        return self.network.person is not None and self.network.checkpoint == self.network.person.network

    def _hear_kept(self, kept: films.Library) -> None:
        """The sound of the first videos, until there is enough to tell how far the person moves the mouth."""
        seconds = 0.0
        for number, video in enumerate(kept.videos):
            if seconds < MOST_HEARD_S:
                of = films.heard(kept.person, video)
                self._hear(number, Path(video.path), (of.times_T + of.ends_T) / 2)
                seconds += video.seconds

    def fetch(self, mouths_N: np.ndarray | None = None) -> None:
        """Bring the pictures of these mouths, by default of all, into a library of --person."""
        if (kept := self.network.person) is None:
            return
        at = np.arange(len(self.library)) if mouths_N is None else np.unique(mouths_N[mouths_N >= 0])
        films_of, frames_of = self.library.film_N[at], self.library.frame_N[at]
        wanted = [set(frames_of[films_of == number].tolist()) for number in range(len(self.library.footage))]
        self.library.footage = films.fetched(kept, self.library.footage, wanted, self.folder)

    def _hear(self, number: int, video: Path, middles_T: np.ndarray) -> None:
        """Keep the start of a video's own sound, which tells how far the person moves the mouth in speech."""
        if not decode.is_image(video) and decode.probe(video).has_sound:
            blocks, num, kept = decode.mono(video), 0, list[np.ndarray]()
            with contextlib.closing(blocks):
                while num < person_size.MOST_S * timing.SAMPLE_RATE_HZ and (block := next(blocks, None)) is not None:
                    kept.append(block)
                    num += len(block)
            self._heard[number] = Heard(np.concatenate(kept), middles_T)

    def mouths(self, script: Script, *, judged: bool) -> "MeshMouths":
        """Call after `learn`.  judged: whether the sync expert will judge the result"""
        strength = self.options.strength * self.library.size
        wanted_NS3 = wanted(self.network.motion, script.driving_audio(), script.plan, self.library.closed_S3, strength)
        path_N = target.chosen(self.target, self.library, wanted_NS3, script.plan.source_N, script.plan.weight_N > 0)
        mine = path_N >= 0
        lacking_N = inside.lack(head_mesh.mouth_opening(wanted_NS3[mine]), self.library.opening_N[path_N[mine]])
        self.about |= {"painted_inside": int((lacking_N > 0).sum())}
        self.fetch(path_N)
        return MeshMouths(script.seen, script.plan, self.target, self.library, wanted_NS3, path_N, judged)


def record(face: Path, seen: Seen, who_T: np.ndarray, folder: Path, where: str = "", pictures: bool = True) -> Footage:
    """Record the chosen faces of a video or picture.

    where: for the progress bar, of which video.  pictures: False: only where the mouths are is kept
    """
    if seen.folder is None:
        boxes_T4 = np.full((1, 4), np.nan) if who_T[0] < 0 else seen.faces[who_T[0]].boxes_N4[:1]
        return footage.record([decode.read_image(face)], boxes_T4, who_T[:1], folder)
    rows_T = np.full(len(who_T), -1)
    for number, track in enumerate(seen.faces):
        mine = np.arange(track.first, track.end)[who_T[track.first : track.end] == number]
        rows_T[mine] = track.rows_N[mine - track.first]
    rows = seen.folder / MESHES
    if not pictures:
        return footage.gathered(rows, rows_T, who_T, seen.size_hw, None, folder)
    with contextlib.closing(native_rate.pictures(face)) as decoded:
        frames = counted(ahead((picture for picture, _ in decoded), 4), len(who_T), "learning mouths" + where)
        return footage.gathered(rows, rows_T, who_T, seen.size_hw, frames, folder)


def uncovered(film: Footage, seen: Seen, who_T: np.ndarray) -> Footage:
    """The footage without the frames in which something covers the mouth: no mouth may be taken from them."""
    run_T = film.run_T.copy()
    for number, face in enumerate(seen.faces):
        at = np.arange(face.first, min(face.end, len(run_T)))
        run_T[at[(who_T[at] == number) & plan.covered(face)[: len(at)]]] = -1
    return replace(film, run_T=run_T)


def swaying(film: Footage, sway: Sway, num_frames: int) -> Footage:
    """A picture's footage repeated as a video in which the head moves."""
    mesh_T4683 = np.repeat(np.asarray(film.mesh_T4683[:1]), num_frames, axis=0)
    for t in range(num_frames):
        mesh_T4683[t, :, :2] = sway.moved(mesh_T4683[t, :, :2], t)
    return Footage(
        film.folder,
        mesh_T4683,
        np.repeat(film.run_T[:1], num_frames),
        np.repeat(film.at_T4[:1], num_frames, axis=0),
        np.repeat(film.light_T[:1], num_frames),
        np.repeat(film.between_T6[:1], num_frames, axis=0),
    )


@one_thread()
def wanted(
    motion: Motion, sound: Iterable[np.ndarray], plan: Plan, closed_S3: np.ndarray, strength: float
) -> np.ndarray:
    """The wanted mouth of each output frame; memory holds one piece of the audio.

    sound   16 kHz, in blocks, starting at the output's first frame
    Shape:  -> (N, 59, 3) float32 on the canonical head
    """
    middles_N = (plan.times_s + plan.ends_s) / 2
    wanted_NS3 = np.zeros((len(middles_N), *closed_S3.shape), np.float32)
    for start_s, piece in _pieces(sound):
        first_s = start_s + CONTEXT_S if start_s else 0.0
        mine = (middles_N >= first_s) & (middles_N < first_s + PIECE_S)
        if mine.any():
            wanted_NS3[mine] = motion.mouths(piece, middles_N[mine] - start_s, closed_S3, strength)
    return wanted_NS3


def _pieces(sound: Iterable[np.ndarray]) -> Iterator[tuple[float, np.ndarray]]:
    """Start in seconds and samples of each piece, context included."""
    context, whole = (round(s * timing.SAMPLE_RATE_HZ) for s in (CONTEXT_S, PIECE_S))
    blocks, have, first = iter(sound), np.zeros(0, np.float32), True
    start_s = 0.0
    while True:
        needed = whole + context * (1 if first else 2)
        parts = [have]
        num = len(have)
        while num < needed and (block := next(blocks, None)) is not None:
            parts.append(block)
            num += len(block)
        have = np.concatenate(parts)
        yield start_s, have[:needed]
        if num < needed:
            return
        done = whole - (context if first else 0)
        have, start_s, first = have[done:], start_s + done / timing.SAMPLE_RATE_HZ, False


@dataclass
class MeshMouths:
    """judged: whether the sync expert will judge the result"""

    seen: Seen
    plan: Plan
    target: Target
    library: Library
    wanted_NS3: np.ndarray
    path_N: np.ndarray
    judged: bool

    def change(self, number: int, at: np.ndarray, batch: list[Frame]) -> Iterator[tuple[Frame, np.ndarray, float]]:
        """See tasks.dubbing.networks.Mouths."""
        source_B = self.plan.source_N[at]
        made = target.composed(
            self.target, self.library, batch, source_B, self.wanted_NS3[at], self.path_N[at], self.plan.weight_N[at]
        )
        face = self.seen.faces[number]
        boxes_B4 = faces.crop_boxes(face.boxes_N4[source_B - face.first])
        for (output, seam), box in zip(made, boxes_B4, strict=True):
            yield output, crop.crop(output, box, JUDGED_PX) if self.judged else np.zeros((0, 0, 3), np.uint8), seam


def same_person(seen: Seen, looks: Sequence[np.ndarray], by: Recogniser) -> tuple[np.ndarray, float]:
    """The faces of another video most like the person, and the best likeness.  Shape: -> (T,) int, likeness"""
    alike = [max(by.alike(one, speaker.looks(face, by)) for one in looks) for face in seen.faces]
    who_T = np.full(len(seen.times_s), -1)
    for start, end in itertools.pairwise([*seen.shots, len(seen.times_s)]):
        here = [k for k, face in enumerate(seen.faces) if start <= face.first < end]
        for k in sorted(here, key=lambda k: alike[k]):
            face = seen.faces[k]
            who_T[face.first : face.end] = k
    return who_T, max(alike)
