"""Pass 2: the frames of the output, mouths changed as the plan says.

Batches begin anew with each segment, so a run that was stopped makes the same bytes as one that was not.
"""

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from model import faces, samples
from model.params import FaceParams
from tasks.core.ahead import ahead
from tasks.dubbing.idle import Sway
from tasks.dubbing.look import Face, Seen
from tasks.dubbing.plan import Plan
from tasks.dubbing.speaker import Choice
from tasks.features import crop, paste
from tasks.features.face_track import Frame
from tasks.inference import lip_sync
from tasks.inference.lip_sync import LipSync
from tasks.media import decode, native_rate

HELD_BYTES = 96 << 20  # of frames in one batch
SEGMENT_FRAMES = 8 * lip_sync.BATCH


@dataclass
class Renderer:
    """Everything that decides the frames. `made` keeps the generated face of each changed frame, and its seam, until
    they are taken.
    """

    source: Path
    seen: Seen
    choice: Choice
    plan: Plan
    sync: LipSync
    p: FaceParams
    mfcc_FW: np.ndarray
    sway: Sway | None = None  # of a picture
    made: dict[int, tuple[np.ndarray, float]] = field(default_factory=dict)

    def frames(self, first: int = 0) -> Iterator[Frame]:
        """Output frames from number `first` on, a segment's first, as decoded where that can be.  Shape: (H, W, 3)"""
        num = len(self.plan.source_N)
        height, width = self.seen.size_hw
        batch = int(np.clip(HELD_BYTES // (height * width * 3), 1, lip_sync.BATCH))
        with contextlib.closing(ahead(self.shown(first), batch)) as shown:
            for start in range(first, num, SEGMENT_FRAMES):
                end = min(start + SEGMENT_FRAMES, num)
                for low in range(start, end, batch):
                    at = np.arange(low, min(low + batch, end))
                    yield from self.changed(at, list(itertools.islice(shown, len(at))))

    def shown(self, first: int) -> Iterator[Frame]:
        """The source frame of each output frame, decoded once forwards, and again for each turn of direction."""
        order = self.plan.source_N[first:]
        if decode.is_image(self.source):
            picture_HW3 = decode.read_image(self.source)
            for frame in order.tolist():
                yield self.sway.picture(picture_HW3, frame) if self.sway else picture_HW3
            return
        for run in np.split(order, np.flatnonzero(np.diff(order) == 0) + 1):
            yield from self.run(run)

    def run(self, run: np.ndarray) -> Iterator[Frame]:
        """Frames in one direction."""
        if len(run) == 1 or run[1] > run[0]:
            with contextlib.closing(native_rate.pictures(self.source, int(run[0]))) as pictures:
                yield from (picture for picture, _ in itertools.islice(pictures, len(run)))
            return
        height, width = self.seen.size_hw
        held = max(1, HELD_BYTES // (height * width * 3))
        yield from itertools.islice(native_rate.backwards(self.source, self.seen.times_s[: run[0] + 1], held), len(run))

    def changed(self, at: np.ndarray, batch: list[Frame]) -> Iterator[Frame]:
        """Frames `at` of the output, of which `batch` is the source."""
        assert len(batch) == len(at), (len(batch), len(at))
        made: dict[int, Frame] = {}
        who_B = self.choice.who_T[self.plan.source_N[at]]
        for number in np.unique(who_B[self.plan.weight_N[at] > 0]).tolist():
            mine = np.flatnonzero((who_B == number) & (self.plan.weight_N[at] > 0))
            made |= zip(mine.tolist(), self.one_face(number, at[mine], [batch[k] for k in mine]), strict=True)
        for k, frame_HW3 in enumerate(batch):
            yield made.get(k, frame_HW3)

    def one_face(self, number: int, at: np.ndarray, batch: list[Frame]) -> list[Frame]:
        face = self.seen.faces[number]
        within = self.plan.source_N[at] - face.first
        boxes_B4 = faces.crop_boxes(face.boxes_N4[within])
        real_BSS3 = np.stack(
            [crop.crop(frame, box, self.sync.size) for frame, box in zip(batch, boxes_B4, strict=True)]
        )
        middles_s = (self.plan.times_s[at] + self.plan.ends_s[at]) / 2
        identity_SS3, sharpen = self.identity(number)
        made_BSS3 = self.sync.generate(identity_SS3, real_BSS3, samples.windows_at(self.mfcc_FW, middles_s))
        done: list[Frame] = []
        for k, (frame, box, real, made) in enumerate(zip(batch, boxes_B4, real_BSS3, made_BSS3, strict=True)):
            mask_SS = paste.mask(crop_points(face, int(within[k]), box, self.sync.size), self.sync.size)
            fitted = paste.recoloured(made, real, mask_SS)
            self.made[int(at[k])] = made, paste.seam(fitted, real, mask_SS)
            weight = float(self.plan.weight_N[at[k]])
            done.append(paste.over(frame, fitted, mask_SS * weight, box, sharpen))
        return done

    def taken(self, start: int, end: int) -> dict[int, tuple[np.ndarray, float]]:
        """What was made of output frames start .. end - 1, which are done; it is kept no longer."""
        return {n: self.made.pop(n) for n in range(start, end) if n in self.made}

    def identity(self, number: int) -> tuple[np.ndarray, float]:
        """The frame that shows who it is, the middle one of the face's portraits, and how much detail its generated
        twin, with silence to say, lacks.
        """
        if number not in self._identities:
            portraits = list(self.seen.faces[number].portraits.values())
            identity_SS3 = portraits[len(portraits) // 2]
            [twin_SS3] = self.sync.generate(
                identity_SS3, identity_SS3[None], samples.windows_at(np.zeros_like(self.mfcc_FW), np.zeros(1))
            )
            self._identities[number] = identity_SS3, paste.sharpness(identity_SS3, twin_SS3)
        return self._identities[number]

    _identities: dict[int, tuple[np.ndarray, float]] = field(default_factory=dict)


def as_array(frame_HW3: Frame) -> np.ndarray:
    return frame_HW3 if isinstance(frame_HW3, np.ndarray) else frame_HW3.rgb()


def crop_points(face: Face, number: int, crop_4: np.ndarray, size: int) -> np.ndarray:
    """Landmarks in the crop, steadied over three frames.  Shape: -> (68, 2) float32"""
    points = face.points_N682[max(0, number - 1) : number + 2].mean(axis=0)
    return ((points - crop_4[:2]) * (size / (crop_4[2:] - crop_4[:2]))).astype(np.float32)
