"""One face through a video: where dlib finds it, and which of several it is.

`faces.detection` is how frames are searched:

reference   every frame, the whole of it, as LipGAN does
keyframes   every `faces.key_every`-th frame and the last; between two key frames whose boxes agree the box moves in a
            line, and otherwise the frame half-way is searched too, down to neighbours. A search starts near the last
            box, at its own size and larger, and takes the whole frame only where nothing is found there. Near a box
            the detector gets the frame's own pixels and the grid it has in a search of the whole frame; a whole frame
            is shrunk to `faces.detect_px`, and what is found in it is looked for again, near.

Frames are an iterator, arrays or tasks.media.frame.Picture, and memory holds those of one key interval.

Source: LipGAN searches every frame: 94 % of its preprocessing time.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import cv2
import dlib
import numpy as np

from model import faces
from model.params import FaceParams
from tasks.media.frame import Picture

Frame = np.ndarray | Picture  # (H, W, 3) uint8 RGB

# Neighbours with less overlap are looked at more closely. dlib's boxes come in sizes 6/5 apart (overlap 0.69): a
# limit above that would follow every step of its quantisation. That moves the middle less than a face that nods: past
# STRAY of the width between two key frames a straight line is not its way.
AGREE_IOU = 0.6
STRAY = 0.12
DETECTOR_PX = 80  # the least that dlib's detector looks at
FACE_PX = 88  # width of the boxes it gives, at each level of its pyramid
PYRAMID_STEP = 6 / 5
# A window starts at a multiple of this, at its own level: six cells of the HOG are five at the next level, so that at
# both the cells lie where those of a search of the whole frame do. Off that grid boxes differ by up to half a cell.
GRID_PX = 48
REACH = 0.5  # of the last box's width: how far around it is searched
EDGE_PX = 2  # bilinear sampling looks a pixel beyond
# How dlib's pyramid counts: enlarging a picture twice adds ROUND_2 px, and a place in it lies SHIFT_2 px further; from
# a level to the one below, LEVEL_SHIFT
ROUND_2, SHIFT_2, LEVEL_SHIFT = np.array([2, 1]), np.array([1.25, 0.75]), 0.3

_of_thread = threading.local()


def detector() -> "dlib.fhog_object_detector":
    """dlib's frontal face detector, one for each thread: shared, it returns wrong boxes without a word, since dlib
    lets go of the GIL while it searches (measured: 15-45 % of calls wrong).
    """
    if not hasattr(_of_thread, "detector"):
        _of_thread.detector = dlib.get_frontal_face_detector()
    return _of_thread.detector


def detect(frame_HW3: Frame, detect_px: int) -> np.ndarray:
    """All frontal faces in a frame, upsampled once as LipGAN does.  Shape: uint8 RGB -> (N, 4) float, px"""
    shrink = min(1.0, detect_px / max(frame_HW3.shape[:2]))
    grey_HW = cv2.cvtColor(frame_HW3[:, :], cv2.COLOR_RGB2GRAY)
    if shrink < 1:
        grey_HW = cv2.resize(grey_HW, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    return scan(grey_HW, 1) / shrink


def scan(grey_HW: np.ndarray, upsample: int, threshold: float = 0.0) -> np.ndarray:
    """`threshold` is added to dlib's own.  Shape: -> (N, 4) float, px of the grey picture"""
    boxes, _, _ = detector().run(grey_HW, upsample, threshold)
    return np.array([(b.left(), b.top(), b.right() + 1, b.bottom() + 1) for b in boxes], np.float64).reshape(-1, 4)


def detect_near(frame_HW3: Frame, last_4: np.ndarray) -> np.ndarray:
    """Faces around a box, as large or larger. The window is a part of the level of dlib's pyramid at which a search of
    the whole frame, upsampled once, finds faces of that size: boxes come in the same sizes and places.
    Shape: -> (N, 4) float, px
    """
    size_2 = np.array(frame_HW3.shape[1::-1])
    width = float(last_4[2] - last_4[0])
    level = max(0, round(np.log(2 * width / FACE_PX) / np.log(PYRAMID_STEP)))
    level_2 = 2 * size_2 + ROUND_2
    for _ in range(level):
        level_2 = level_2 * 5 // 6
    scale_2 = (level_2 - 1) / np.maximum(size_2 - 1, 1)  # dlib's pictures share the middles of their corner pixels
    low_2 = np.maximum((last_4[:2] - REACH * width) * scale_2, 0) // GRID_PX * GRID_PX
    num_2 = np.ceil(np.minimum((last_4[2:] + REACH * width) * scale_2, level_2) - low_2).astype(int)
    if num_2.min() < DETECTOR_PX:
        return np.empty((0, 4))
    # only the window is converted and resampled: an affine map gives the pixels that scaling the whole frame would
    left, top = np.maximum((low_2 / scale_2).astype(int) - EDGE_PX, 0).tolist()
    right, bottom = (((low_2 + num_2) / scale_2).astype(int) + EDGE_PX + 1).tolist()
    grey_HW = cv2.cvtColor(frame_HW3[top:bottom, left:right], cv2.COLOR_RGB2GRAY)
    (scale_x, scale_y), (shift_x, shift_y) = scale_2, scale_2 * np.array([left, top]) - low_2
    to_window = np.array([[scale_x, 0, shift_x], [0, scale_y, shift_y]])
    window = cv2.warpAffine(grey_HW, to_window, num_2.tolist(), flags=cv2.INTER_LINEAR)
    larger = PYRAMID_STEP**level
    last_pixel = np.array([[0], [1]])  # dlib counts a box's right and bottom edge to it
    corners_N22 = scan(window, 0).reshape(-1, 2, 2) + low_2 - last_pixel
    doubled_N22 = corners_N22 * larger + LEVEL_SHIFT * (larger - 1) / (PYRAMID_STEP - 1)
    return (doubled_N22 / 2 - SHIFT_2 + last_pixel).reshape(-1, 4)


@dataclass(frozen=True, slots=True)
class Track:
    """One face through a clip."""

    boxes_T4: np.ndarray  # float, px: the detector's boxes, smoothed, gaps bridged; nan where no frame has a face
    found_T: np.ndarray  # bool: the detector saw it in this frame, or in two key frames around that agree
    others_N4: np.ndarray  # float, px: other faces in the first frame that has one
    jump: float  # the furthest its unsmoothed centre moves from a frame to the next, in widths


def track(frames: Iterable[Frame], p: FaceParams, first_4: np.ndarray | None = None) -> Track:
    """Follow one face: the first by `faces.choose` (or the one at `first_4`), then whichever overlaps the last box."""
    return follow(frames, p, [first_4])[0]


def follow(frames: Iterable[Frame], p: FaceParams, firsts: Sequence[np.ndarray | None]) -> list[Track]:
    """`track` of several faces in one pass over the frames, each as if it were alone."""
    searches = [_Search(p, first_4) for first_4 in firsts]
    for frame_HW3 in frames:
        for search in searches:
            search.add(frame_HW3)
    return [_tracked(search, p) for search in searches]


def _tracked(search: "_Search", p: FaceParams) -> Track:
    search.end()
    found_T = np.array([box is not None for box in search.boxes], bool)
    boxes_T4 = np.array([np.full(4, np.nan) if box is None else box for box in search.boxes]).reshape(-1, 4)
    jump = largest_move(boxes_T4)
    if found_T.any():
        boxes_T4 = faces.smooth_track(boxes_T4, found_T, p.smooth_frames)
    others_N4 = np.empty((0, 4)) if search.others_N4 is None else search.others_N4
    return Track(boxes_T4, found_T, others_N4, jump)


def largest_move(boxes_T4: np.ndarray) -> float:
    """Of the centre between neighbours that both have a box, in widths.  Shape: (T, 4), nan for none -> float"""
    middle_T2 = (boxes_T4[:, :2] + boxes_T4[:, 2:]) / 2
    moves = np.linalg.norm(np.diff(middle_T2, axis=0), axis=1) / (boxes_T4[:-1, 2] - boxes_T4[:-1, 0])
    return float(np.max(moves[np.isfinite(moves)], initial=0.0))


def agree(one_4: np.ndarray, other_4: np.ndarray) -> bool:
    """Whether a face went from one box to the other in a line, for all that can be seen."""
    moved = np.linalg.norm(one_4[:2] + one_4[2:] - other_4[:2] - other_4[2:]) / 2
    near = moved <= STRAY * min(one_4[2] - one_4[0], other_4[2] - other_4[0])
    return bool(near and faces.iou(one_4, other_4[None])[0] >= AGREE_IOU)


Look = Callable[[int, np.ndarray | None], np.ndarray | None]


def between(low: int, high: int, one: np.ndarray | None, other: np.ndarray | None, look: Look) -> dict[int, np.ndarray]:
    """Boxes of the frames between two searched ones: on a line if their boxes agree, else by searching half-way.

    look    frame number, nearest known box -> box of the face in that frame, None if it has none
    """
    if high - low < 2:
        return {}
    if one is not None and other is not None and agree(one, other):
        return {t: one + (other - one) * (t - low) / (high - low) for t in range(low + 1, high)}
    middle = (low + high) // 2
    box = look(middle, other if one is None else one)
    known = {} if box is None else {middle: box}
    return known | between(low, middle, one, box, look) | between(middle, high, box, other, look)


class _Search:
    """The state of `track`: boxes so far, and the frames since the last key frame."""

    def __init__(self, p: FaceParams, first_4: np.ndarray | None) -> None:
        self.p, self.last = p, first_4
        self.every = 1 if p.detection == "reference" else p.key_every
        self.boxes: list[np.ndarray | None] = []
        self.held: dict[int, Frame] = {}
        self.others_N4: np.ndarray | None = None

    def add(self, frame_HW3: Frame) -> None:
        t = len(self.boxes)
        self.boxes.append(None)
        self.held[t] = frame_HW3
        if t % self.every == 0:
            self.close(t)

    def end(self) -> None:
        if self.boxes and len(self.held) > 1:  # the last frame is a key frame, wherever it falls
            self.close(len(self.boxes) - 1)

    def close(self, t: int) -> None:
        """Frame t is a key frame: settle the frames since the one before."""
        self.boxes[t] = self.look(t, self.last)
        if t:
            low = min(self.held)
            for middle, box in between(low, t, self.boxes[low], self.boxes[t], self.look).items():
                self.boxes[middle] = box
        self.held = {t: self.held[t]}
        self.last = self.last if self.boxes[t] is None else self.boxes[t]

    def look(self, t: int, last: np.ndarray | None) -> np.ndarray | None:
        """The face of frame t, by the detector, near a box or the last one.  Shape: -> (4,) px of the frame"""
        frame_HW3 = self.held[t]
        last = self.last if last is None else last
        near = self.p.detection == "keyframes"
        if near and last is not None and (found := following(last, detect_near(frame_HW3, last))) is not None:
            return found
        found_N4 = detect(frame_HW3, self.p.detect_px)
        if not len(found_N4):
            return None
        chosen = faces.choose(found_N4, last, self.p.choose, frame_HW3.shape[:2])
        if self.others_N4 is None:
            self.others_N4 = found_N4[(found_N4 != chosen).any(axis=1)]
        if near and max(frame_HW3.shape[:2]) > self.p.detect_px:
            again = following(chosen, detect_near(frame_HW3, chosen))
            return chosen if again is None else again
        return chosen


def following(last_4: np.ndarray, found_N4: np.ndarray) -> np.ndarray | None:
    """The box that overlaps the last one most, if one does."""
    if not len(found_N4) or faces.iou(last_4, found_N4).max() < faces.FOLLOW_IOU:
        return None
    return found_N4[faces.iou(last_4, found_N4).argmax()]
