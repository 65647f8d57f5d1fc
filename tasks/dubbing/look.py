"""Pass 1 over a video: its times, its shots, and every face in them with its landmarks.

Frames come one by one; memory holds those of one key interval, and about 1.3 kB for each frame of a face. Meshes go to
a file (tasks/dubbing/watch.py).

Faces are searched as in `tasks.features.face_track`: at key frames, near their last boxes. The whole frame is searched
at the start of a shot, when a face is lost, and every WHOLE_EVERY key frames. A face is followed by the overlap of its
boxes, to the end of its shot at most.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from model import faces, timing
from model.params import FaceParams
from tasks.compositor.footage import Follower
from tasks.core import memory
from tasks.dubbing.occlusion import lower_face
from tasks.dubbing.shots import Cuts
from tasks.dubbing.watch import Measured, Watch
from tasks.features import crop
from tasks.features.face_track import Frame, between, detect, detect_near, following, scan

Points = Callable[[np.ndarray], np.ndarray]  # crops of one face (N, S, S, 3) -> its 68 points (N, 68, 2) px of the crop

WHOLE_EVERY = 3  # key frames
LOST_KEYS = 3  # key frames without the face after which it counts as a new one
HELD_BYTES = 128 << 20  # of frames from one key frame to the next, whatever their rate and size
MIN_SEEN = 5  # frames; fewer are a false detection
CANDIDATES = 48  # crops kept of each face, evenly spread
GIVE_BACK_EVERY = 250  # frames between two returns of freed memory to the system
EASIER = -0.4  # added to dlib's threshold if no face is found without


@dataclass
class Face:
    """One face in one shot. Arrays cover the frames first .. first + N - 1.

    Shape: boxes_N4 float, px of the frame, smoothed; found_N bool; points_N682 float32, px of the frame;
           lows_NK uint8, tasks.dubbing.occlusion.lower_face: it changes when a hand covers the mouth;
           portraits: frame number -> (S, S, 3) uint8, crops of some of the frames with a detection
           rows_N: of each frame in tasks.dubbing.watch.MESHES, -1: none
    """

    first: int
    boxes_N4: np.ndarray
    found_N: np.ndarray
    points_N682: np.ndarray
    lows_NK: np.ndarray
    portraits: dict[int, np.ndarray]
    rows_N: np.ndarray = field(default_factory=lambda: np.zeros(0, int))

    @property
    def end(self) -> int:
        return self.first + len(self.found_N)


@dataclass
class Seen:
    """The result of pass 1."""

    times_s: np.ndarray  # (T,) start of each frame
    size_hw: tuple[int, int]
    shots: list[int]  # first frame of each
    faces: list[Face]  # by first frame, then the larger first
    how: str = "dlib's frontal detector"
    folder: Path | None = None  # with the faces' meshes; None for a picture

    @property
    def ends_s(self) -> np.ndarray:
        """(T,) end of each frame; the last one lasts the median duration"""
        usual_s = float(np.median(np.diff(self.times_s))) if len(self.times_s) > 1 else 1 / timing.FPS
        return np.append(self.times_s[1:], self.times_s[-1] + usual_s)


def look(
    frames: Iterable[tuple[Frame, float]], p: FaceParams, folder: Path | None = None, mouths: bool = False,
    threshold: float = 0.0,
) -> Seen:  # fmt: skip
    """Pass 1 over (picture, start in s).

    folder: for the faces' meshes, if they are wanted.  mouths: whether it gets pictures of all mouths, too
    threshold: added to dlib's own, EASIER where nothing was found without
    """
    with Watch(folder, mouths) as watch:
        search = _Search(p, watch, threshold)
        for frame_HW3, time_s in frames:
            search.add(frame_HW3, time_s)
            if len(search.times_s) % GIVE_BACK_EVERY == 0:
                memory.give_back()
        search.end_shot()
    done = sorted(search.done, key=lambda face: (face.first, -float(np.ptp(face.boxes_N4[0, ::2]))))
    how = "with a lower threshold" if threshold else "dlib's frontal detector"
    return Seen(np.array(search.times_s), search.size_hw, search.shots, done, how, folder)


def picture_face(frame_HW3: np.ndarray, p: FaceParams, predictor: Points, box_4: np.ndarray | None) -> Seen:
    """A still picture. If no face is found, it is searched at twice the size, then with a lower threshold.

    box_4: the face, given by the user, for example in a drawing; nothing is searched
    """
    how = "the box that was given"
    boxes_N4 = np.empty((0, 4)) if box_4 is None else box_4[None]
    for name, upsample, demand in (("dlib's frontal detector", 1, 0.0), ("at twice the size", 2, 0.0),
                                   ("with a lower threshold", 1, EASIER)):  # fmt: skip
        if not len(boxes_N4):
            how = name
            shrink = min(1.0, p.detect_px / max(frame_HW3.shape[:2]))
            grey_HW = cv2.resize(
                cv2.cvtColor(frame_HW3, cv2.COLOR_RGB2GRAY), None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA
            )
            boxes_N4 = scan(grey_HW, upsample, demand) / shrink
    found = []
    for box in boxes_N4:
        crops_14 = faces.crop_boxes(box[None])
        crop_SS3 = crop.crop(frame_HW3, crops_14[0], p.size)
        points_1682 = predictor(crop_SS3[None])
        lows_1K, points_1682 = lower_face(crop_SS3, points_1682[0])[None], to_frame(points_1682, crops_14, p.size)
        found.append(Face(0, box[None].astype(float), np.ones(1, bool), points_1682, lows_1K, {0: crop_SS3}))
    return Seen(np.zeros(1), frame_HW3.shape[:2], [0], found, how)


def to_frame(points_N682: np.ndarray, crops_N4: np.ndarray, size: int) -> np.ndarray:
    """Landmarks of crops, in pixels of the frame.  Shape: (N, 68, 2), (N, 4) -> (N, 68, 2) float32"""
    scale_N12 = (crops_N4[:, 2:] - crops_N4[:, :2])[:, None] / size
    return (points_N682 * scale_N12 + crops_N4[:, None, :2]).astype(np.float32)


@dataclass
class _Block:
    """The frames of a face from one key frame to the next. One array for all of them: an array for each frame would
    fragment the heap to five times its size."""

    frames_N: np.ndarray
    boxes_N4: np.ndarray
    measured: Future[Measured]


@dataclass
class _Followed:
    """A face that is being followed.

    last: its newest box.  boxes: by frame, since the last key frame, where it was found.  blocks: all frames before
    """

    last: np.ndarray
    boxes: dict[int, np.ndarray]
    follower: Follower = field(default_factory=Follower)
    blocks: list[_Block] = field(default_factory=list)
    portraits: dict[int, np.ndarray] = field(default_factory=dict)
    keys_lost: int = 0

    @property
    def num_seen(self) -> int:
        return sum(len(block.frames_N) for block in self.blocks)


class _Search:
    """The state of `look`."""

    def __init__(self, p: FaceParams, watch: Watch, threshold: float) -> None:
        self.p, self.watch, self.threshold = p, watch, threshold
        self.key_s = p.key_every / timing.FPS
        self.times_s: list[float] = []
        self.shots: list[int] = []
        self.size_hw = (0, 0)
        self.held: dict[int, Frame] = {}
        self.cuts = Cuts()
        self.num_keys = 0
        self.followed: list[_Followed] = []
        self.done: list[Face] = []

    def add(self, frame_HW3: Frame, time_s: float) -> None:
        t = len(self.times_s)
        if self.cuts.is_cut(frame_HW3) or t == 0:
            self.end_shot()
            self.shots.append(t)
        self.times_s.append(time_s)
        self.size_hw = (frame_HW3.shape[0], frame_HW3.shape[1])
        self.held[t] = frame_HW3
        first = min(self.held)
        if (
            len(self.held) == 1
            or time_s - self.times_s[first] > self.key_s - 1e-3
            or len(self.held) * frame_HW3.nbytes > HELD_BYTES
        ):
            self.close(t)

    def end_shot(self) -> None:
        if len(self.held) > 1:  # the last frame of a shot is always a key frame
            self.close(max(self.held))
        for one in self.followed:
            self.finish(one)
        self.followed, self.held, self.num_keys = [], {}, 0

    def finish(self, one: _Followed) -> None:
        if one.num_seen < min(MIN_SEEN, len(self.times_s) - self.shots[-1]):
            return
        first, end = int(one.blocks[0].frames_N[0]), int(one.blocks[-1].frames_N[-1]) + 1
        found_N, boxes_N4 = np.zeros(end - first, bool), np.full((end - first, 4), np.nan)
        points_N682 = np.zeros((end - first, 68, 2), np.float32)
        lows_NK = np.zeros((end - first, one.blocks[0].measured.result().lows_NK.shape[1]), np.uint8)
        rows_N = np.full(end - first, -1)
        for block in one.blocks:
            at = block.frames_N - first
            found_N[at], boxes_N4[at] = True, block.boxes_N4
            points_N682[at], lows_NK[at], rows_N[at] = block.measured.result()
        one.blocks.clear()
        flat, at = points_N682.reshape(end - first, -1), np.flatnonzero(found_N)
        for column in range(flat.shape[1]):
            flat[:, column] = np.interp(np.arange(end - first), at, flat[at, column])
        boxes_N4 = faces.smooth_track(boxes_N4, found_N, self.p.smooth_frames)
        self.done.append(Face(first, boxes_N4, found_N, points_N682, lows_NK, one.portraits, rows_N))

    def close(self, t: int) -> None:
        """Frame t is a key frame: find the faces in it, then those of the frames since the last key frame."""
        low = min(self.held)
        boxes = {id(one): self.near(t, one.last) for one in self.followed}
        if self.num_keys % WHOLE_EVERY == 0 or any(box is None for box in boxes.values()):
            self.whole(t, boxes)
        self.num_keys += 1
        for one in self.followed:
            box = boxes[id(one)]
            one.keys_lost = one.keys_lost + 1 if box is None else 0
            if box is not None:
                one.boxes[t] = box
            self.fill(one, low, t)
            self.settle(one, t)
        for lost in [one for one in self.followed if one.keys_lost >= LOST_KEYS]:
            self.finish(lost)
            self.followed.remove(lost)
        self.held = {t: self.held[t]}

    def whole(self, t: int, boxes: dict[int, np.ndarray | None]) -> None:
        """Search all of frame t for lost faces and for new ones."""
        for box in self.searched(self.held[t]):
            known = np.array([b for b in boxes.values() if b is not None]).reshape(-1, 4)
            if len(known) and faces.iou(box, known).max() >= faces.FOLLOW_IOU:
                continue
            missing = [one for one in self.followed if boxes[id(one)] is None]
            overlaps = [faces.iou(box, one.last[None])[0] for one in missing]
            if overlaps and max(overlaps) >= faces.FOLLOW_IOU:
                boxes[id(missing[int(np.argmax(overlaps))])] = box
                continue
            new = _Followed(box, {t: box})
            self.followed.append(new)
            boxes[id(new)] = box

    def searched(self, frame_HW3: Frame) -> np.ndarray:
        """All faces of a frame; if it was shrunk for the detector, boxes are refined at full size."""
        boxes_N4 = detect(frame_HW3, self.p.detect_px, self.threshold)
        if max(frame_HW3.shape[:2]) <= self.p.detect_px:
            return boxes_N4
        refined = [following(box, detect_near(frame_HW3, box, self.threshold)) for box in boxes_N4]
        kept = [box if new is None else new for box, new in zip(boxes_N4, refined, strict=True)]
        return np.array(kept).reshape(-1, 4)

    def near(self, t: int, last_4: np.ndarray) -> np.ndarray | None:
        return following(last_4, detect_near(self.held[t], last_4, self.threshold))

    def fill(self, one: _Followed, low: int, high: int) -> None:
        """Boxes of the frames between two searched ones."""

        def look(t: int, known_4: np.ndarray | None) -> np.ndarray | None:
            return None if known_4 is None else self.near(t, known_4)

        one.boxes |= between(low, high, one.boxes.get(low), one.boxes.get(high), look)

    def settle(self, one: _Followed, high: int) -> None:
        """Landmarks of the frames up to key frame `high`, and a portrait from it."""
        last = one.blocks[-1].frames_N[-1] if one.blocks else -1
        at = [t for t in sorted(one.boxes) if t > last]
        if at:
            boxes_N4 = np.array([one.boxes[t] for t in at], np.float64)
            measured = self.watch.later(one.follower, [self.held[t] for t in at], boxes_N4)
            one.blocks.append(_Block(np.array(at), boxes_N4, measured))
            one.last = boxes_N4[-1]
        if high in one.boxes:
            one.portraits[high] = crop.crop(self.held[high], faces.crop_boxes(one.boxes[high][None])[0], self.p.size)
            if len(one.portraits) > CANDIDATES:
                one.portraits = dict(list(one.portraits.items())[::2])
        one.boxes = {high: one.boxes[high]} if high in one.boxes else {}
