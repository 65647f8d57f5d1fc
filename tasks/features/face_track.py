"""Tracking one face through a video with dlib's detector.

`faces.detection` is how frames are searched:

reference   every whole frame, as LipGAN does
keyframes   every `faces.key_every`-th frame and the last one. Between two key frames whose boxes agree, boxes are
            interpolated; otherwise the frame half-way is searched too, down to adjacent frames. A search starts near
            the last box, at its own size and larger, and covers the whole frame only if nothing is found there. Near
            a box the detector gets the frame's own pixels, on the grid of a search of the whole frame; a whole frame
            is shrunk to `faces.detect_px`, and a face found in it is searched again, near its box.

With a mesh follower, the face mesh follows the face too, and a face that the detector loses and the mesh still holds is
kept: its box is the last one, moved with the mesh.

Frames are an iterator of arrays or tasks.media.frame.Picture; memory holds those of one key interval.

Source: LipGAN searches every frame, which takes 94 % of its preprocessing time.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import cv2
import dlib
import numpy as np

from model import faces
from model.params import FaceParams
from tasks.core.files import all_or_nothing
from tasks.features import mesh_model
from tasks.features.face_mesh import MeshTrack, box_around
from tasks.features.lip_refiner import LipRefiner
from tasks.features.mesh_follower import MeshFollower
from tasks.media.frame import Picture

Frame = np.ndarray | Picture  # (H, W, 3) uint8 RGB

# Boxes of two key frames agree if they overlap by AGREE_IOU and their centres are at most STRAY box widths apart.
# dlib's box sizes differ by a factor of 6/5 (overlap 0.69), so that a higher AGREE_IOU would react to every
# quantisation step. A centre that moves further than STRAY, as in nodding, cannot be interpolated linearly.
AGREE_IOU = 0.6
STRAY = 0.12
DETECTOR_PX = 80  # the smallest picture that dlib's detector searches
FACE_PX = 88  # width of its boxes at each level of its pyramid
PYRAMID_STEP = 6 / 5
# A window starts at a multiple of this, at its own level: six HOG cells are five at the next level, so that at both
# levels the cells coincide with those of a search of the whole frame. Off that grid boxes differ by up to half a cell.
GRID_PX = 48
REACH = 0.5  # margin of the searched window, in widths of the last box
EDGE_PX = 2  # bilinear sampling reads one pixel further
# dlib's pyramid arithmetic: enlarging a picture twice adds ROUND_2 px and shifts positions by SHIFT_2 px; each further
# level shifts them by LEVEL_SHIFT
ROUND_2, SHIFT_2, LEVEL_SHIFT = np.array([2, 1]), np.array([1.25, 0.75]), 0.3

_of_thread = threading.local()


def detector() -> "dlib.fhog_object_detector":
    """dlib's frontal face detector, one per thread: a shared one silently returns wrong boxes, because dlib releases
    the GIL while it searches (measured: 15-45 % of calls wrong).
    """
    if not hasattr(_of_thread, "detector"):
        _of_thread.detector = _unpacked()
    return _of_thread.detector


def _unpacked() -> "dlib.fhog_object_detector":
    """dlib unpacks its detector in 0.4 s each time; a file of it, beside the face mesh's model, is read in 1 ms."""
    file = mesh_model.path().with_name(f"dlib_frontal_{dlib.__version__}.svm")
    try:
        if not file.is_file():
            with all_or_nothing(file) as partial:
                dlib.get_frontal_face_detector().save(str(partial))
        return dlib.fhog_object_detector(str(file))
    except (OSError, RuntimeError):  # it cannot be written, or is damaged
        return dlib.get_frontal_face_detector()


def detect(frame_HW3: Frame, detect_px: int, threshold: float = 0.0) -> np.ndarray:
    """All frontal faces in a frame, upsampled once as LipGAN does.  Shape: uint8 RGB -> (N, 4) float, px"""
    shrink = min(1.0, detect_px / max(frame_HW3.shape[:2]))
    grey_HW = cv2.cvtColor(frame_HW3[:, :], cv2.COLOR_RGB2GRAY)
    if shrink < 1:
        grey_HW = cv2.resize(grey_HW, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    return scan(grey_HW, 1, threshold) / shrink


def scan(grey_HW: np.ndarray, upsample: int, threshold: float = 0.0) -> np.ndarray:
    """`threshold` is added to dlib's own.  Shape: -> (N, 4) float, px of the grey picture"""
    boxes, _, _ = detector().run(grey_HW, upsample, threshold)
    return np.array([(b.left(), b.top(), b.right() + 1, b.bottom() + 1) for b in boxes], np.float64).reshape(-1, 4)


def detect_near(frame_HW3: Frame, last_4: np.ndarray, threshold: float = 0.0) -> np.ndarray:
    """Faces around a box, of its size or larger. The window is a part of the level of dlib's pyramid at which a search
    of the whole frame, upsampled once, finds faces of that size, so that boxes have the same sizes and positions.
    Shape: -> (N, 4) float, px
    """
    size_2 = np.array(frame_HW3.shape[1::-1])
    width = float(last_4[2] - last_4[0])
    level = max(0, round(np.log(2 * width / FACE_PX) / np.log(PYRAMID_STEP)))
    level_2 = 2 * size_2 + ROUND_2
    for _ in range(level):
        level_2 = level_2 * 5 // 6
    scale_2 = (level_2 - 1) / np.maximum(size_2 - 1, 1)  # dlib aligns the centres of the corner pixels
    low_2 = np.maximum((last_4[:2] - REACH * width) * scale_2, 0) // GRID_PX * GRID_PX
    num_2 = np.ceil(np.minimum((last_4[2:] + REACH * width) * scale_2, level_2) - low_2).astype(int)
    if num_2.min() < DETECTOR_PX:
        return np.empty((0, 4))
    # only the window is converted and resampled; the affine map gives the pixels of scaling the whole frame
    left, top = np.maximum((low_2 / scale_2).astype(int) - EDGE_PX, 0).tolist()
    right, bottom = (((low_2 + num_2) / scale_2).astype(int) + EDGE_PX + 1).tolist()
    grey_HW = cv2.cvtColor(frame_HW3[top:bottom, left:right], cv2.COLOR_RGB2GRAY)
    (scale_x, scale_y), (shift_x, shift_y) = scale_2, scale_2 * np.array([left, top]) - low_2
    to_window = np.array([[scale_x, 0, shift_x], [0, scale_y, shift_y]])
    window = cv2.warpAffine(grey_HW, to_window, num_2.tolist(), flags=cv2.INTER_LINEAR)
    larger = PYRAMID_STEP**level
    last_pixel = np.array([[0], [1]])  # dlib's boxes include their right and bottom edge
    corners_N22 = scan(window, 0, threshold).reshape(-1, 2, 2) + low_2 - last_pixel
    doubled_N22 = corners_N22 * larger + LEVEL_SHIFT * (larger - 1) / (PYRAMID_STEP - 1)
    return (doubled_N22 / 2 - SHIFT_2 + last_pixel).reshape(-1, 4)


@dataclass(frozen=True, slots=True)
class Track:
    """One face through a clip."""

    boxes_T4: np.ndarray  # float, px: detected boxes, smoothed, gaps interpolated; nan if no frame has a face
    found_T: np.ndarray  # bool: found in this frame, or interpolated between two key frames that agree
    others_N4: np.ndarray  # float, px: other faces in the first frame with a face
    jump: float  # largest move of its unsmoothed centre from one frame to the next, in box widths
    mesh: MeshTrack | None = None  # of the face mesh, where it follows


def track(
    frames: Iterable[Frame], p: FaceParams, first_4: np.ndarray | None = None, refiner: LipRefiner | None = None
) -> Track:
    """Track one face: the one chosen by `faces.choose` (or that at `first_4`), then by overlap with the last box.

    refiner: the face mesh follows too, in every frame or in key frames only (`faces.mesh`), and this reads its lips
    """
    return follow(frames, p, [first_4], refiner)[0]


def follow(
    frames: Iterable[Frame], p: FaceParams, firsts: Sequence[np.ndarray | None], refiner: LipRefiner | None = None
) -> list[Track]:
    """`track` several faces independently in one pass over the frames."""
    searches = [_Search(p, first_4, MeshFollower(refiner, p.mesh) if refiner else None) for first_4 in firsts]
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
    return Track(boxes_T4, found_T, others_N4, jump, search.follower.track() if search.follower else None)


def carried(box_4: np.ndarray, then_4: np.ndarray, now_4: np.ndarray) -> np.ndarray:
    """A detector's box, moved and scaled as a box around the mesh was from then to now.  Shape: (4,) -> (4,) px"""
    scale = (now_4[2] - now_4[0]) / (then_4[2] - then_4[0])
    return (box_4 - np.tile(then_4[:2], 2)) * scale + np.tile(now_4[:2], 2)


def largest_move(boxes_T4: np.ndarray) -> float:
    """Largest move of the centre from one frame to the next, in widths.  Shape: (T, 4), nan for none -> float"""
    middle_T2 = (boxes_T4[:, :2] + boxes_T4[:, 2:]) / 2
    moves = np.linalg.norm(np.diff(middle_T2, axis=0), axis=1) / (boxes_T4[:-1, 2] - boxes_T4[:-1, 0])
    return float(np.max(moves[np.isfinite(moves)], initial=0.0))


def agree(one_4: np.ndarray, other_4: np.ndarray) -> bool:
    """Whether boxes between these two can be interpolated linearly."""
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

    def __init__(self, p: FaceParams, first_4: np.ndarray | None, follower: MeshFollower | None = None) -> None:
        self.p, self.last, self.follower = p, first_4, follower
        self.num_followed = 0  # frames that the mesh has followed
        self.anchor: tuple[np.ndarray, np.ndarray] | None = None  # the last box by the detector, and around the mesh
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
        if self.boxes and len(self.held) > 1:  # the last frame is always a key frame
            self.close(len(self.boxes) - 1)

    def close(self, t: int) -> None:
        """Frame t is a key frame: determine the boxes since the previous one."""
        self.boxes[t] = self.look(t, self.last)
        if t:
            low = min(self.held)
            for middle, box in between(low, t, self.boxes[low], self.boxes[t], self.look).items():
                self.boxes[middle] = box
        if self.follower:
            self.hold(self.follower, [frame for frame in sorted(self.held) if frame >= self.num_followed])
        self.held = {t: self.held[t]}
        self.last = self.last if self.boxes[t] is None else self.boxes[t]

    def hold(self, follower: MeshFollower, numbers: list[int]) -> None:
        """The mesh of new frames, and the boxes of those in which only the mesh holds the face."""
        self.num_followed = numbers[-1] + 1
        meshes = follower.add([self.held[t] for t in numbers], [self.boxes[t] for t in numbers])
        for t, mesh in zip(numbers, meshes, strict=True):
            box = self.boxes[t]
            if mesh and box is not None:
                self.anchor = box, box_around(mesh.points_4683)
            elif mesh and self.anchor:
                self.boxes[t] = carried(*self.anchor, box_around(mesh.points_4683))

    def look(self, t: int, last: np.ndarray | None) -> np.ndarray | None:
        """The face of frame t, by the detector, near a box or the last one.  Shape: -> (4,) px of the frame"""
        frame_HW3 = self.held[t]
        last = self.last if last is None else last
        near = self.p.detection == "keyframes"
        if near and last is not None and (box := following(last, detect_near(frame_HW3, last))) is not None:
            return box
        boxes_N4 = detect(frame_HW3, self.p.detect_px)
        if not len(boxes_N4):
            return None
        chosen = faces.choose(boxes_N4, last, self.p.choose, frame_HW3.shape[:2])
        if self.others_N4 is None:
            self.others_N4 = boxes_N4[(boxes_N4 != chosen).any(axis=1)]
        if near and max(frame_HW3.shape[:2]) > self.p.detect_px:
            again = following(chosen, detect_near(frame_HW3, chosen))
            return chosen if again is None else again
        return chosen


def following(last_4: np.ndarray, boxes_N4: np.ndarray) -> np.ndarray | None:
    """The box that overlaps the last one most; None if none overlaps enough."""
    if not len(boxes_N4) or faces.iou(last_4, boxes_N4).max() < faces.FOLLOW_IOU:
        return None
    return boxes_N4[faces.iou(last_4, boxes_N4).argmax()]
