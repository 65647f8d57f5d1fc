"""Pasting the generated mouth into the frame: a soft mask of the lower face, with matched colours and sharpness.

Outside the mask no value of the frame changes.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from tasks.features import crop
from tasks.features.face_track import Frame

JAW, NOSE, LIPS = range(3, 14), (31, 33, 35), range(48, 60)
JAW_INSET = 0.8  # of the jaw's half width: the background beside a cheek must not affect the colours inside
CHIN_ROOM = 0.05  # of the crop: an opening mouth moves the chin down
RIM = 0.1  # of the crop: width over which the mask rises to 1
# only an oval over mouth, cheeks and chin is changed; the whole oval if the landmarks are implausible
OVAL_CENTRE, OVAL_RADII = (0.5, 0.72), (0.36, 0.27)
LIPS_X, LIPS_Y = (0.3, 0.7), (0.55, 0.95)  # of the crop: plausible positions of the mouth
SPREAD = 0.14  # of the crop: reach of a colour difference at the rim
SHARPEN = (0.5, 2.5)  # limits of the factor on the generated face's detail
GREY_LEVELS = 2.0  # of 255: mean difference between the channels of a picture without colour
DETAIL_SIGMA = 1.0  # px of the crop: finer structure is detail


def mask(points_682: np.ndarray, size: int) -> np.ndarray:
    """Weight of the generated face at each pixel of the crop.

    Shape: landmarks in px of the crop -> (S, S) float32 in [0, 1], 0 at the crop's edges and in its upper part
    """
    lips_2 = points_682[list(LIPS)].mean(axis=0) / size
    inside = np.zeros((size, size), np.uint8)
    centre, radii = ((round(x * size), round(y * size)) for x, y in (OVAL_CENTRE, OVAL_RADII))
    cv2.ellipse(inside, centre, radii, 0, 0, 360, 1, -1)
    if LIPS_X[0] < lips_2[0] < LIPS_X[1] and LIPS_Y[0] < lips_2[1] < LIPS_Y[1]:
        jaw = points_682[list(JAW)].copy()
        middle = points_682[[30, 33, 8], 0].mean()
        jaw[:, 0] = middle + JAW_INSET * (jaw[:, 0] - middle)
        jaw[:, 1] += CHIN_ROOM * size * np.clip((jaw[:, 1] / size - 0.7) / 0.2, 0, 1)
        hull = cv2.convexHull(np.concatenate([jaw, points_682[list(NOSE)]]).astype(np.float32))
        lower = np.zeros((size, size), np.uint8)
        cv2.fillConvexPoly(lower, np.round(hull).astype(np.int32), 1)
        inside &= lower
    inside[: size // 2] = 0  # the generator receives the upper half as input
    inside[[0, -1]] = inside[:, [0, -1]] = 0
    rim = cv2.distanceTransform(inside, cv2.DIST_L2, 3) / (RIM * size)
    share = np.clip(rim, 0, 1)
    return (share * share * (3 - 2 * share)).astype(np.float32)


def recoloured(made_SS3: np.ndarray, real_SS3: np.ndarray, mask_SS: np.ndarray) -> np.ndarray:
    """The generated face, its colours matched to the real one at the mask's rim, smoothly interpolated inwards.

    In a grey picture it is grey.
    Shape: (S, S, 3) uint8 twice, (S, S) -> (S, S, 3) float32
    """
    made_SS3, size = grey_like(made_SS3, real_SS3), len(made_SS3)
    near = cv2.dilate((mask_SS > 0).astype(np.uint8), np.ones((5, 5), np.uint8))
    rim_SS = (near * (1 - mask_SS)).astype(np.float32)
    difference = (real_SS3.astype(np.float32) - made_SS3) * rim_SS[..., None]
    sigma = SPREAD * size
    weight_SS = cv2.GaussianBlur(rim_SS, (0, 0), sigma)
    spread = cv2.GaussianBlur(difference, (0, 0), sigma) / np.maximum(weight_SS, 1e-4)[..., None]
    return made_SS3 + spread


def grey_like(new_HW3: np.ndarray, real_HW3: np.ndarray) -> np.ndarray:
    """New pixels for a place in a frame: without colour if the place has none.  Shape: (H, W, 3) uint8 twice -> same"""
    red, green, blue = cv2.split(real_HW3)
    spread = cv2.subtract(cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue))
    if cv2.sumElems(spread)[0] > GREY_LEVELS * spread.size:
        return new_HW3
    return cv2.cvtColor(cv2.cvtColor(new_HW3, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def sharpness(real_SS3: np.ndarray, made_SS3: np.ndarray) -> float:
    """Ratio of the detail of a real face to that of its reconstruction, in the upper half, which both show alike."""
    half = len(real_SS3) // 2
    details = [detail(np.asarray(face[half // 3 : half], np.float32)).std() for face in (real_SS3, made_SS3)]
    return float(np.clip(details[0] / max(details[1], 1e-3), *SHARPEN))


def detail(face: np.ndarray, sigma: float = DETAIL_SIGMA) -> np.ndarray:
    return face - cv2.GaussianBlur(face, (0, 0), sigma)


def paste(
    frame_HW3: Frame, face_SS3: np.ndarray, mask_SS: np.ndarray, box_4: np.ndarray, sharpen: float = 1.0
) -> np.ndarray:
    """Blend the face over the frame with the mask as weight.

    Shape: (H, W, 3) uint8; (S, S, 3) uint8 or float; (S, S) in [0, 1]; box of the crop in the frame -> (H, W, 3) uint8
    """
    whole = frame_HW3.copy() if isinstance(frame_HW3, np.ndarray) else frame_HW3.rgb()
    place = _place(frame_HW3.shape, mask_SS, box_4)
    if place is None:
        return whole
    blended, changed = _blended(frame_HW3, face_SS3, mask_SS, box_4, sharpen, place)
    np.copyto(whole[place], blended, where=changed[..., None])
    return whole


def over(frame_HW3: Frame, face_SS3: np.ndarray, mask_SS: np.ndarray, box_4: np.ndarray, sharpen: float = 1.0) -> Frame:
    """`paste` into a decoded picture if it can be encoded again: only changed pixels are converted to RGB and back."""
    place = _place(frame_HW3.shape, mask_SS, box_4)
    if isinstance(frame_HW3, np.ndarray) or not frame_HW3.is_coded() or place is None:
        return paste(frame_HW3, face_SS3, mask_SS, box_4, sharpen)
    blended, changed = _blended(frame_HW3, face_SS3, mask_SS, box_4, sharpen, place)
    return frame_HW3.patched(place[1].start, place[0].start, blended, changed)


def _place(shape: Sequence[int], mask_SS: np.ndarray, box_4: np.ndarray) -> tuple[slice, slice] | None:
    """Rows and columns of the frame that the mask covers, with even bounds; None if there are none."""
    rows, columns = (np.flatnonzero(mask_SS.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return None
    scale_2 = (box_4[2:] - box_4[:2]) / len(mask_SS)
    sides = []
    for within, low, scale, num in ((rows, box_4[1], scale_2[1], shape[0]), (columns, box_4[0], scale_2[0], shape[1])):
        start = int(max(0, np.floor(low + (within[0] - 1) * scale))) // 2 * 2
        end = int(min(num, -(-np.ceil(low + (within[-1] + 2) * scale) // 2) * 2))
        if end <= start:
            return None
        sides.append(slice(start, end))
    return sides[0], sides[1]


def _blended(
    frame_HW3: Frame,
    face_SS3: np.ndarray,
    mask_SS: np.ndarray,
    box_4: np.ndarray,
    sharpen: float,
    place: tuple[slice, slice],
) -> tuple[np.ndarray, np.ndarray]:
    """Blended pixels of the place, and which of them change.  Shape: -> (rows, columns, 3) uint8, (rows, columns)"""
    size = len(face_SS3)
    real = frame_HW3[place]
    face: np.ndarray = np.asarray(face_SS3, np.float32)
    if sharpen != 1:
        face = face + (sharpen - 1) * detail(face, DETAIL_SIGMA * max(1.0, size / float(box_4[2] - box_4[0])))
    back = cv2.invertAffineTransform(crop.crop_transform(box_4, size))
    back = back - np.array([[0, 0, place[1].start], [0, 0, place[0].start]])
    size_wh = (real.shape[1], real.shape[0])
    alpha = cv2.warpAffine(mask_SS, back, size_wh, flags=cv2.INTER_LINEAR)
    made: np.ndarray = cv2.warpAffine(face, back, size_wh, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    blended = real + (made - real) * alpha[..., None]
    return np.clip(np.rint(blended, out=blended), 0, 255).astype(np.uint8), alpha > 0


def seam(made_SS3: np.ndarray, real_SS3: np.ndarray, mask_SS: np.ndarray) -> float:
    """Difference from the real face along the mask's rim, in levels of 255; a visible edge if large.

    Shape: the face before blending and the real one (S, S, 3); mask (S, S)
    """
    rim = (mask_SS > 0.02) & (mask_SS < 0.3)
    low = [cv2.GaussianBlur(np.asarray(face, np.float32), (0, 0), 2.0) for face in (made_SS3, real_SS3)]
    return float(np.abs(low[0] - low[1])[rim].mean()) if rim.any() else 0.0
