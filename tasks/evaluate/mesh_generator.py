"""The mesh generator on the panel's clips: frames made at their own size by the code of `dub`, then cut into crops.

A clip's own frames never make its mouths: the library is the person's other clips of the split, or, where there is
none, the other half of the clip: the first half's mouths come from the second and the reverse.
"""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from model import faces, samples
from model.motion import frame_middles_s
from tasks.compositor import footage, library, person_size, target
from tasks.compositor.footage import Footage
from tasks.compositor.library import Library
from tasks.compositor.person_size import Heard
from tasks.compositor.target import Target
from tasks.evaluate.raw_clips import RawClips
from tasks.features import crop
from tasks.inference import inside_weights, motion_weights
from tasks.loading.clips import Clips

AT_ONCE = 25  # frames


class MeshGenerator:
    """Records each clip once, in a folder that lives as long as this object.  Errors: UserError without weights"""

    def __init__(self, weights: Path, inside: Path, clips: Clips, raw: RawClips) -> None:
        self.motion, self.inside = motion_weights.load(weights), inside_weights.load(inside)
        self.clips, self.raw = clips, raw
        self._folder = tempfile.TemporaryDirectory()
        self._persons = [row.get("person") or row["video"] for row in clips.rows]

    def faces(self, number: int, sounds: Mapping[str, np.ndarray], *, halves: bool = False) -> dict[str, np.ndarray]:
        """The clip's crops with a mouth that follows each sound.

        A frame that `dub` would leave as filmed repeats the nearest changed one: as filmed it would be the truth.
        halves  take the mouths from the other half of the clip in any case
        Shape:  name -> (640 T,) float32 -> name -> (T, S, S, 3) uint8
        """
        clip = self.clips[number]
        num_frames, size = clip.faces_TSS3.shape[:2]
        film = self._recorded(number)
        to = target.target(film, self._size_hw(number))
        outputs = {name: clip.faces_TSS3.copy() for name in sounds}
        changed_T, identity = np.zeros(num_frames, bool), samples.identity_frame(clip.found_T)
        boxes_T4 = faces.crop_boxes(clip.boxes_T4)
        for mine_T, mouths in self._libraries(number, film, halves):
            at = np.flatnonzero(mine_T & (to.why_T == ""))
            changed_T[at] = True
            plans = {name: self._plan(to, mouths, sound, at, num_frames) for name, sound in sounds.items()}
            for numbers, frames in self._batches(number, at):
                for name, (wanted_TS3, path_T) in plans.items():
                    source_B, weight_B = np.array(numbers), np.ones(len(numbers))
                    made = target.composed(to, mouths, frames, source_B, wanted_TS3[numbers], path_T[numbers], weight_B)
                    for t, (frame, _) in zip(numbers, made, strict=True):
                        outputs[name][t] = crop.crop(frame, boxes_T4[t], size)
        return {name: nearest(output_TSS3, changed_T, identity) for name, output_TSS3 in outputs.items()}

    def other_clips(self, number: int) -> list[int]:
        """The person's other clips of the split: they make the mouths, if there are any."""
        return [k for k, person in enumerate(self._persons) if person == self._persons[number] and k != number]

    def describe(self) -> str:
        """Where the mouths come from, for the report."""
        num = sum(bool(self.other_clips(number)) for number in range(len(self.clips)))
        parts = [f"another clip of the same person ({num} clips)"] if num else []
        parts += [f"the other half of the clip ({len(self.clips) - num} clips)"] if num < len(self.clips) else []
        return " or ".join(parts)

    def _libraries(self, number: int, film: Footage, halves: bool) -> list[tuple[np.ndarray, Library]]:
        """Which frames are made from which library; frames without one are in none."""
        num_frames = len(film.run_T)
        others = [] if halves else self.other_clips(number)
        if others and (mouths := self._library([self._recorded(k) for k in others], others)):
            return [(np.ones(num_frames, bool), mouths)]
        first_T = np.arange(num_frames) < num_frames // 2
        pairs = [(mine_T, self._library([without(film, mine_T)], [number])) for mine_T in (first_T, ~first_T)]
        return [(mine_T, mouths) for mine_T, mouths in pairs if mouths]

    def _library(self, films: list[Footage], numbers: list[int]) -> Library | None:
        """numbers: of the clips that the footage shows; their own sound tells the person's size, as in `dub`"""
        mouths = library.build(films, self.inside)
        if mouths:
            heard = {
                k: Heard(self.raw.sound(self.clips.keys[number]), frame_middles_s(len(film.run_T)))
                for k, (film, number) in enumerate(zip(films, numbers, strict=True))
            }
            mouths.size = person_size.size(self.motion, mouths, heard)
        return mouths

    def _plan(
        self, to: Target, mouths: Library, sound: np.ndarray, at: np.ndarray, num_frames: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """The wanted mouth of each frame, and the library's for the frames `at`.  Shape: (T, 59, 3), (T,)"""
        wanted_TS3 = self.motion.mouths(sound, frame_middles_s(num_frames), mouths.closed_S3, mouths.size)
        changed_T = np.isin(np.arange(num_frames), at)
        return wanted_TS3, target.chosen(to, mouths, wanted_TS3, np.arange(num_frames), changed_T)

    def _batches(self, number: int, at: np.ndarray) -> Iterator[tuple[list[int], list[np.ndarray]]]:
        """Numbers of the frames `at`, and the frames as filmed."""
        wanted = set(at.tolist())
        frames = ((t, frame) for t, frame in enumerate(self.raw.frames(self.clips.keys[number])) if t in wanted)
        while batch := list(islice(frames, AT_ONCE)):
            yield [t for t, _ in batch], [frame for _, frame in batch]

    def _recorded(self, number: int) -> Footage:
        clip = self.clips[number]
        boxes_T4 = np.where(clip.found_T[:, None], clip.boxes_T4, np.nan)
        folder = Path(self._folder.name) / str(number)
        return footage.record(self.raw.frames(self.clips.keys[number]), boxes_T4, np.zeros(len(boxes_T4), int), folder)

    def _size_hw(self, number: int) -> tuple[int, int]:
        height, width, _ = next(iter(self.raw.frames(self.clips.keys[number]))).shape
        return height, width


def without(film: Footage, hidden_T: np.ndarray) -> Footage:
    """Footage in which some frames have no face.  Shape: (T,) bool"""
    return replace(film, run_T=np.where(hidden_T, -1, film.run_T))


def nearest(output_TSS3: np.ndarray, changed_T: np.ndarray, identity: int) -> np.ndarray:
    """Frames that are not changed repeat the nearest changed one; if none is, all are frame `identity`."""
    num_frames = len(changed_T)
    changed_N = np.flatnonzero(changed_T) if changed_T.any() else np.array([identity])
    return output_TSS3[changed_N[np.abs(np.arange(num_frames)[:, None] - changed_N).argmin(axis=1)]]
