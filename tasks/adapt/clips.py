"""A person's kept footage as clips for the motion network: pieces of at most 15 s, with the sound where it belongs.

Only what is kept is read, so the videos themselves may be gone by now.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from model import head_mesh, motion, timing
from model.motion import Motion
from model.timing import COLUMNS_PER_FRAME, FPS
from tasks.compositor import footage
from tasks.core.progress import say
from tasks.motion import measure
from tasks.motion.batches import MotionClip
from tasks.persons import films
from tasks.persons.store import Person, Video
from tasks.provenance import withdrawals

PIECE_FRAMES, LEAST_FRAMES = 15 * timing.FPS, 24
MOST_LATE, LEAST_MEASURED_S = 6, 10  # frames by which a video's sound may be off; seconds that tell
CLEARLY = 0.05  # correlation that moving the sound must gain
MOST_S = 1200.0  # of footage that is learned from, evenly from all of it
OWN_VOICE = 0.2  # correlation with the released network's prediction, below which somebody else is heard


@dataclass(frozen=True, slots=True)
class Material:
    """
    videos    all that could be learned from
    left_out  pieces in which the mouth does not go with the voice
    late      frames by which the sound is late, by video, where not 0
    """

    clips: list[MotionClip]
    videos: list[Video]
    left_out: int
    late: dict[str, int]

    @property
    def seconds(self) -> float:
        return sum(len(clip.mouth_TS3) for clip in self.clips) / FPS


def material(person: Person, base: Motion) -> Material:
    """All pieces in order of the videos' names and hashes: the same footage gives the same pieces, however added."""
    clips, left_out, late = list[MotionClip](), 0, dict[str, int]()
    rows, reader = withdrawals.read(), films.reader()
    usable = [
        video
        for video in sorted(person.videos, key=lambda video: (video.name, video.sha256))
        if video.sound and video.reader == reader and not films.withdrawn(person, video.sha256, rows)
    ]
    share, num = min(1.0, MOST_S / max(1.0, sum(video.seconds for video in usable))), 0
    for video in usable:
        mouths, heard = _mouths(person, video), films.heard(person, video)
        if off := _late(base, list(_pieces(video.name, mouths, heard.power_CM, 0))):
            late[video.name] = off
            say(f"person {person.name}: {video.name}: the sound is {off} frames late, which is taken into account")
        pieces = []
        for piece in _pieces(video.name, mouths, heard.power_CM, off):
            num += 1
            if int(num * share) > int((num - 1) * share):  # evenly from all, where there is more than is needed
                pieces.append(piece)
        own = [clip for clip in pieces if _agreement(base, clip) > OWN_VOICE]
        left_out += len(pieces) - len(own)
        clips += own
    return Material(clips, usable, left_out, late)


def _mouths(person: Person, video: Video) -> list[tuple[int, np.ndarray]]:
    """First frame, at 25 frames/s, and mouths of each run of frames that show the person uncovered."""
    film, heard = footage.read(person.of(video)), films.heard(person, video)
    middles_T, runs = (heard.times_T + heard.ends_T) / 2, list[tuple[int, np.ndarray]]()
    for number in np.unique(film.run_T[film.run_T >= 0]):
        frames = np.flatnonzero(film.run_T == number)
        first, end = (int(np.ceil(middles_T[frames[k]] * FPS - 0.5 - 1e-3)) for k in (0, -1))
        end += int(abs(middles_T[frames[-1]] * FPS - 0.5 - end) < 1e-3)
        if end - first < LEAST_FRAMES:
            continue
        mouth_NS3 = head_mesh.mouths(np.asarray(film.mesh_T4683[frames]))
        at_T, flat = (np.arange(first, end) + 0.5) / FPS, mouth_NS3.reshape(len(frames), -1)
        resampled = np.stack([np.interp(at_T, middles_T[frames], column) for column in flat.T], axis=1)
        runs.append((first, resampled.reshape(end - first, -1, 3).astype(np.float32)))
    return runs


def _pieces(name: str, runs: list[tuple[int, np.ndarray]], power_CM: np.ndarray, late: int) -> Iterator[MotionClip]:
    """`late`: the sound is so many frames later than the mouth."""
    for first, mouth_TS3 in runs:
        low = max(0, -(first + late))
        high = min(len(mouth_TS3), len(power_CM) // COLUMNS_PER_FRAME - late - first)
        for start in range(low, high, PIECE_FRAMES):
            end = min(start + PIECE_FRAMES, high)
            columns = slice(COLUMNS_PER_FRAME * (first + start + late), COLUMNS_PER_FRAME * (first + end + late))
            if end - start >= LEAST_FRAMES:
                yield MotionClip(f"{name} {first + start}", "person", power_CM[columns], mouth_TS3[start:end])


def _late(base: Motion, clips: list[MotionClip]) -> int:
    """By how many frames a video's sound is late; 0 unless moving it clearly helps. A few seconds do not tell."""
    weights = [len(clip.mouth_TS3) for clip in clips]
    if sum(weights) < LEAST_MEASURED_S * FPS:
        return 0
    openings = [(_predicted(base, clip), clip.opening_T) for clip in clips]
    by_lag = {
        lag: float(np.average([measure.shifted_correlation(*pair, lag) for pair in openings], weights=weights))
        for lag in range(-MOST_LATE, MOST_LATE + 1)
    }
    best = max(by_lag, key=lambda lag: by_lag[lag])
    return best if by_lag[best] > by_lag[0] + CLEARLY else 0


def _agreement(base: Motion, clip: MotionClip) -> float:
    """Correlation of the predicted opening with the true one."""
    return measure.correlation(_predicted(base, clip), clip.opening_T)


def _predicted(base: Motion, clip: MotionClip) -> np.ndarray:
    code_TK = base.codes_of(clip.power_CM, motion.frame_middles_s(len(clip.mouth_TS3)))
    return code_TK @ base.shapes.opening_K()
