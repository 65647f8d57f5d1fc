"""Face boxes and crops: one box policy for training, evaluation and inference.

A box is (left, top, right, bottom) in pixels of the frame, float, right and bottom exclusive.
Pictures are RGB uint8 (T, H, W, 3) everywhere in this project; BGR exists only inside OpenCV calls.
"""

import numpy as np

FACES_VERSION = 7  # raise it when the boxes, crops or meshes of a clip change; it is part of the unit cache's keys
SIDE_MARGIN = 0.07  # of the detector's box width, left and right
CHIN_MARGIN = 0.14  # below: dlib's box ends at the chin, which an open mouth moves further down
CLOSED = 0.02  # a smaller opening is below the landmarks' precision
FOLLOW_IOU = 0.2  # a face that overlaps the last box less than this is not the same person


def iou(box_4: np.ndarray, boxes_N4: np.ndarray) -> np.ndarray:
    """Intersection over union of one box with each of N.  Shape: (4,), (N, 4) -> (N,) in [0, 1]"""
    low = np.maximum(box_4[:2], boxes_N4[:, :2])
    high = np.minimum(box_4[2:], boxes_N4[:, 2:])
    overlap = np.clip(high - low, 0, None).prod(axis=1)
    areas = (boxes_N4[:, 2:] - boxes_N4[:, :2]).prod(axis=1)
    return overlap / np.maximum((box_4[2:] - box_4[:2]).prod() + areas - overlap, 1e-9)


def choose(boxes_N4: np.ndarray, last_4: np.ndarray | None, choice: str, frame_hw: tuple[int, int]) -> np.ndarray:
    """The speaker's box among N >= 1 detections: the one that follows the last box, else by `choice`.

    choice: "largest", or "central" (nearest to the middle of the frame)
    Source: LipGAN takes the largest box of each frame, which switches person on 15-18 % of frames with two.
    """
    if last_4 is not None:
        overlap_N = iou(last_4, boxes_N4)
        if overlap_N.max() >= FOLLOW_IOU:
            return boxes_N4[overlap_N.argmax()]
    if choice == "central":
        middle = np.array([frame_hw[1], frame_hw[0]]) / 2
        return boxes_N4[np.linalg.norm((boxes_N4[:, :2] + boxes_N4[:, 2:]) / 2 - middle, axis=1).argmin()]
    return boxes_N4[(boxes_N4[:, 2:] - boxes_N4[:, :2]).prod(axis=1).argmax()]


def smooth_track(boxes_T4: np.ndarray, found_T: np.ndarray, smooth_frames: int) -> np.ndarray:
    """A steady box for every frame: gaps interpolated, ends held, then a centred mean over `smooth_frames`.

    dlib's boxes come in steps of 6/5 in size and jitter; unsmoothed they make the crop zoom.
    Shape: (T, 4), (T,) bool with at least one True -> (T, 4)
    """
    if not found_T.any():
        raise ValueError("no frame of the track has a box")
    if smooth_frames % 2 != 1:
        raise ValueError(f"smooth_frames must be odd, got {smooth_frames}")
    frames, at = np.arange(len(boxes_T4)), np.flatnonzero(found_T)
    half, kernel = smooth_frames // 2, np.ones(smooth_frames) / smooth_frames
    columns = [np.interp(frames, at, boxes_T4[at, k]) for k in range(4)]
    return np.stack([np.convolve(np.pad(c, half, mode="edge"), kernel, "valid") for c in columns], axis=1)


def crop_boxes(boxes_T4: np.ndarray) -> np.ndarray:
    """Crop boxes of the detector's boxes: wider at the cheeks, and with the whole chin.  Shape: (T, 4) -> (T, 4)"""
    width_T = boxes_T4[:, 2] - boxes_T4[:, 0]
    grow = np.array([-SIDE_MARGIN, 0.0, SIDE_MARGIN, CHIN_MARGIN])
    return boxes_T4 + width_T[:, None] * grow


def aperture(landmarks_T682: np.ndarray) -> np.ndarray:
    """Mouth opening: mean inner-lip gap over the distance between the eyes.  Shape: (T, 68, 2) -> (T,)"""
    gaps = landmarks_T682[:, [67, 66, 65], 1] - landmarks_T682[:, [61, 62, 63], 1]
    eyes = landmarks_T682[:, 36:42].mean(axis=1) - landmarks_T682[:, 42:48].mean(axis=1)
    return gaps.mean(axis=1) / np.maximum(np.linalg.norm(eyes, axis=1), 1e-6)


def closed(landmarks_T682: np.ndarray, found_T: np.ndarray) -> np.ndarray:
    """The clip's frames with the most closed mouth: at most a tenth of the frames with a face.

    A closed mouth opens less than a quarter as wide as the widest frames; a clip may have no such frame.
    Shape: (T, 68, 2), (T,) bool -> (T,) bool
    """
    opening_T = aperture(landmarks_T682)
    if not found_T.any():
        return np.zeros(len(found_T), bool)
    low, high = np.percentile(opening_T[found_T], (10, 95))
    return found_T & (opening_T <= min(low, max(high / 4, CLOSED)))


def mouth_boxes(landmarks_T682: np.ndarray, size: int, margin: float = 0.04) -> np.ndarray:
    """Box of the lips in an S x S crop, plus `margin` x S, clipped to the crop.  Shape: -> (T, 4) int16"""
    lips_T = landmarks_T682[:, 48:68]
    low = np.floor(lips_T.min(axis=1) - margin * size)
    high = np.ceil(lips_T.max(axis=1) + margin * size)
    low = np.clip(low, 0, size - 2)
    return np.concatenate([low, np.clip(high, low + 1, size)], axis=1).astype(np.int16)
