"""Idle motion of a picture: the speaker's head sways and nods a little, the background stands still.

Frame 0 is the picture itself. The motion is known, so boxes and landmarks are moved with it instead of searched again.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from model.timing import FPS
from tasks.dubbing.look import Face, Seen
from tasks.dubbing.speaker import Choice

SHIFT = 0.02  # of the width of the face's box, to either side; half as far up and down
ROLL_DEG = 1.2
PERIODS_S = ((5.3, 3.1), (4.3, 2.6), (6.1, 3.7))  # of side, height and roll: no common multiple, so nothing repeats
RISE_S = 1.0  # until the motion has its full size
RIGID, STILL = 0.8, 1.7  # from the face's middle, in boxes: within it moves rigidly, beyond nothing moves


@dataclass(frozen=True)
class Sway:
    """Shape: middle_2, neck_2 px of the frame; size_px: width of the face's box"""

    middle_2: np.ndarray
    neck_2: np.ndarray
    size_px: float

    def pose(self, frame: int) -> np.ndarray:
        """Where the head is, relative to the picture.  Shape: -> (2, 3), an affine map of the frame's pixels"""
        time_s = frame / FPS
        rise, turns = np.clip(time_s / RISE_S, 0, 1), 2 * np.pi * time_s
        side, height, roll = (
            rise**2 * (3 - 2 * rise) * (0.6 * np.sin(turns / slow) + 0.4 * np.sin(turns / quick))
            for slow, quick in PERIODS_S
        )
        angle = np.radians(ROLL_DEG * roll)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        shift_2 = SHIFT * self.size_px * np.array([side, height / 2])
        return np.column_stack([turn, self.neck_2 - turn @ self.neck_2 + shift_2])

    def moved(self, points_N2: np.ndarray, frame: int) -> np.ndarray:
        """Points of the head.  Shape: (..., 2) -> (..., 2)"""
        pose = self.pose(frame)
        return points_N2 @ pose[:, :2].T + pose[:, 2]

    def picture(self, frame_HW3: np.ndarray, frame: int) -> np.ndarray:
        """Shape: (H, W, 3) -> (H, W, 3)"""
        reach = STILL * self.size_px
        (left, top), (right, bottom) = (
            np.clip(np.round(self.middle_2 + side * reach), 0, frame_HW3.shape[1::-1]).astype(int) for side in (-1, 1)
        )
        x_HW, y_HW = np.meshgrid(np.arange(left, right, dtype=np.float32), np.arange(top, bottom, dtype=np.float32))
        away_HW = np.hypot(x_HW - self.middle_2[0], y_HW - self.middle_2[1]) / self.size_px
        share_HW = np.clip((STILL - away_HW) / (STILL - RIGID), 0, 1)
        share_HW = share_HW**2 * (3 - 2 * share_HW)
        back = cv2.invertAffineTransform(self.pose(frame))  # from a pixel of the output to one of the picture
        from_x_HW, from_y_HW = (
            (own_HW + share_HW * (row[0] * x_HW + row[1] * y_HW + row[2] - own_HW)).astype(np.float32)
            for own_HW, row in zip((x_HW, y_HW), back, strict=True)
        )
        moved_HW3 = frame_HW3.copy()
        moved_HW3[top:bottom, left:right] = cv2.remap(
            frame_HW3, from_x_HW, from_y_HW, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        return moved_HW3


def of_face(face: Face) -> Sway:
    left, top, right, bottom = face.boxes_N4[0]
    middle_2 = np.array([left + right, top + bottom]) / 2
    return Sway(middle_2, np.array([middle_2[0], bottom + (bottom - top) / 4]), float(right - left))


def lasting(seen: Seen, choice: Choice, num_frames: int) -> tuple[Seen, Choice, Sway]:
    """The faces of a picture as those of a video of `num_frames` frames in which the chosen face moves."""
    who = int(choice.who_T[0])
    sway = of_face(seen.faces[who])
    still_faces = [still(face, num_frames) for face in seen.faces]
    moving = still_faces[who]
    for frame in range(num_frames):
        moving.boxes_N4[frame] += np.tile(sway.moved(sway.middle_2, frame) - sway.middle_2, 2)
        moving.points_N682[frame] = sway.moved(moving.points_N682[frame], frame)
    times_s = np.arange(num_frames) / FPS
    video = replace(seen, times_s=times_s, faces=still_faces, how=f"{seen.how}; idle motion added")
    return video, replace(choice, who_T=np.full(num_frames, who)), sway


def still(face: Face, num_frames: int) -> Face:
    """A face with the same place in every frame."""
    boxes_N4, points_N682, lows_NK = (
        np.repeat(one[:1], num_frames, axis=0) for one in (face.boxes_N4, face.points_N682, face.lows_NK)
    )
    return Face(0, boxes_N4, np.ones(num_frames, bool), points_N682, lows_NK, face.portraits)
