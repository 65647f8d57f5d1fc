"""Motion artefacts: of chin and cheeks, of a mouth skewed to one side, of the box, and at the seam of the paste."""

import numpy as np

from model.metrics.picture import GREY


def spurious_motion(output_THW3: np.ndarray, true_THW3: np.ndarray, mouth_T4: np.ndarray) -> tuple[float, float]:
    """Motion of (chin, cheeks) that the true frames do not have; 0 is best, in shares of full scale.

    The change of a pixel between generated frames beyond its change between the true ones, mean over the region. Chin:
    below the mouth box; cheeks: beside it.
    Misses: missing motion; a face that is wrong but still.
    Shape:  (T, H, W, 3) uint8, both of one shape; boxes (T, 4). A clip of one frame has no motion
    """
    if output_THW3.shape != true_THW3.shape:
        raise ValueError(f"pictures must have the same shape, got {output_THW3.shape} and {true_THW3.shape}")
    if len(output_THW3) < 2:
        return 0.0, 0.0
    output_THW, true_THW = (frames.astype(np.float32) @ GREY for frames in (output_THW3, true_THW3))
    extra_THW = np.clip(np.abs(np.diff(output_THW, axis=0)) - np.abs(np.diff(true_THW, axis=0)), 0, None) / 255
    chin, cheeks = [], []
    for extra_HW, (left, top, right, bottom) in zip(extra_THW, np.maximum(mouth_T4[1:], 0), strict=True):
        chin.append(_mean(extra_HW[bottom:, left:right]))
        cheeks.append(_mean(np.concatenate([extra_HW[top:bottom, :left], extra_HW[top:bottom, right:]], axis=1)))
    return float(np.mean(chin)), float(np.mean(cheeks))


def asymmetry(landmarks_T682: np.ndarray) -> np.ndarray:
    """By how much the mouth's right half is longer than its left: (right - left) / width.  Shape: -> (T,) in [-1, 1]

    Halves reach from the middle of the lips (points 51, 57, 62, 66) to the corners, along the line between these.
    """
    left_T2, right_T2 = landmarks_T682[:, 48], landmarks_T682[:, 54]
    middle_T2 = landmarks_T682[:, [51, 57, 62, 66]].mean(axis=1)
    along_T2 = right_T2 - left_T2
    width_T = np.maximum(np.linalg.norm(along_T2, axis=1), 1e-6)
    place_T = ((middle_T2 - left_T2) * along_T2).sum(axis=1) / width_T**2  # 0 at the left corner, 1 at the right
    return np.clip(1 - 2 * place_T, -1, 1)


def mouth_skew(output_T682: np.ndarray, true_T682: np.ndarray) -> float:
    """Mean difference of `asymmetry` from the true frames': high if the mouth does not fit the head's view; 0 is best.

    Misses: a mouth that happens to be skewed like the true one.
    """
    return float(np.abs(asymmetry(output_T682) - asymmetry(true_T682)).mean())


def box_jitter(boxes_T4: np.ndarray) -> float:
    """Mean absolute second difference of a box's sides, in shares of its width: jitter, not motion; 0 is best.

    It depends on the track alone and is the same for all conditions.
    """
    if len(boxes_T4) < 3:
        return 0.0
    width_T = np.maximum(boxes_T4[:, 2] - boxes_T4[:, 0], 1e-6)[1:-1, None]
    return float(np.abs(np.diff(boxes_T4.astype(np.float64), n=2, axis=0) / width_T).mean())


def seam(pasted_HW3: np.ndarray, frame_HW3: np.ndarray, rim_HW: np.ndarray) -> float:
    """Edges that a paste adds or removes where it fades into the frame: mean change of the gradient; 0 is best.

    Misses: a step so smooth that it has no edge.
    Shape:  (H, W, 3) uint8, both of one shape; rim (H, W) bool, the pixels where the paste fades
    """
    if not rim_HW.any():
        return 0.0
    change_HW = np.abs(_gradient(pasted_HW3) - _gradient(frame_HW3))
    return float(change_HW[rim_HW].mean()) / 255


def _gradient(picture_HW3: np.ndarray) -> np.ndarray:
    down, across = np.gradient(picture_HW3.astype(np.float32) @ GREY)
    return np.hypot(down, across)


def _mean(region: np.ndarray) -> float:
    return float(region.mean()) if region.size else 0.0
