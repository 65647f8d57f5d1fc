"""The conditions of the panel, i.e. ways to fill a clip's frames: the generator, real video, and controls.

Each control scores well on at least one metric and must fail a check.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from model import samples, seeds, timing
from tasks.evaluate.mesh_generator import MeshGenerator
from tasks.features import audio
from tasks.features.mesh_points import MeshPoints
from tasks.inference.lip_sync import LipSync
from tasks.inference.mouth_score import generate_clip
from tasks.loading.clips import Clips
from tasks.media import decode

ROWS = {
    "right_audio": "LipGAN with the clip's own sound",
    "wrong_audio": "LipGAN with the sound of another clip",
    "moved_audio": "LipGAN with the clip's own sound, moved by a third to two thirds of its length",
    "silence": "LipGAN with digital silence",
    "mesh_right_audio": "the mesh generator with the clip's own sound",
    "mesh_wrong_audio": "the mesh generator with the sound of another clip",
    "mesh_moved_audio": "the mesh generator with the clip's own sound, moved",
    "mesh_silence": "the mesh generator with digital silence",
    "copy_input": "one frame, repeated unchanged",
    "frozen_mouth": "true frames with the mouth of one frame",
    "mumble": "true frames, the mouth opened 0.3 times as far",
    "late_2": "true frames, 2 frames (80 ms) late",
    "late_5": "true frames, 5 frames (200 ms) late",
    "real_video": "true frames: the best that the measurement allows",
}
GENERATED = ("right_audio", "wrong_audio", "moved_audio", "silence")
MESH = tuple(f"mesh_{row}" for row in GENERATED)
CONTROLS = tuple(row for row in ROWS if row not in ("right_audio", "mesh_right_audio", "real_video"))
BY_VISEME = ("mesh_right_audio", "right_audio", "real_video")  # of these the report has the error of each sound
MUMBLE = 0.3
UPPER_LIP, CHIN = 0.2, 0.8  # shares of the closed gap that upper lip and chin move: the jaw opens less


def fill(
    sync: LipSync, clips: Clips, number: int, rows: Sequence[str] = tuple(ROWS), mesh: MeshGenerator | None = None
) -> dict[str, np.ndarray]:
    """The faces of each condition for one clip, and `identity`.  Shape: (T, S, S, 3) uint8 each

    mesh    of the same clips; needed for the rows of MESH
    """
    clip = clips[number]
    num_frames, size = clip.faces_TSS3.shape[:2]
    identity_SS3 = clip.faces_TSS3[samples.identity_frame(clip.found_T)]

    def frozen() -> np.ndarray:
        frozen_TSS3 = clip.faces_TSS3.copy()
        frozen_TSS3[:, size // 2 :] = identity_SS3[size // 2 :]
        return frozen_TSS3

    fillers: dict[str, Callable[[], np.ndarray]] = {
        "right_audio": lambda: generate_clip(sync, clip, clip.mfcc_FW),
        "wrong_audio": lambda: generate_clip(sync, clip, wrong_sound(clips, number)),
        "moved_audio": lambda: generate_clip(sync, clip, moved_sound(clip.mfcc_FW, clips.keys[number])),
        "silence": lambda: generate_clip(sync, clip, silence(num_frames)),
        "copy_input": lambda: np.repeat(identity_SS3[None], num_frames, axis=0),
        "frozen_mouth": frozen,
        "mumble": lambda: mumble(clip.faces_TSS3, clip.landmarks_T682),
        "late_2": lambda: late(clip.faces_TSS3, 2),
        "late_5": lambda: late(clip.faces_TSS3, 5),
        "real_video": lambda: clip.faces_TSS3,
    }
    filled = {row: fillers[row]() for row in rows if row in fillers} | {"identity": identity_SS3[None]}
    if of_mesh := [row for row in rows if row in MESH]:
        assert mesh
        filled |= mesh.faces(number, {row: sound(row, mesh, number) for row in of_mesh})
    return filled


def sound(row: str, mesh: MeshGenerator, number: int) -> np.ndarray:
    """The sound of a condition of the mesh generator: as the MFCCs of LipGAN's condition.  Shape: -> (640 T,)"""
    clips, raw = mesh.clips, mesh.raw
    key, num_frames = clips.keys[number], len(clips[number].found_T)
    if row == "mesh_silence":
        return np.zeros(timing.num_samples(num_frames), np.float32)
    if row == "mesh_wrong_audio":
        other = other_clip(clips, number)
        whole = decode.fit(raw.sound(clips.keys[other]), len(clips[other].found_T))
        return tiled(whole, timing.num_samples(num_frames))
    own = decode.fit(raw.sound(key), num_frames)
    return np.roll(own, timing.num_samples(moved_frames(num_frames, key))) if row == "mesh_moved_audio" else own


def silence(num_frames: int) -> np.ndarray:
    """MFCCs of digital silence.  Shape: -> (12, 4 num_frames) float32"""
    return audio.mfcc(np.zeros(0, np.float32), num_frames)


def wrong_sound(clips: Clips, number: int) -> np.ndarray:
    """The sound of another clip, repeated or cut to this clip's length.  Shape: -> (12, 4 T) float32"""
    return tiled(clips[other_clip(clips, number)].mfcc_FW, clips[number].mfcc_FW.shape[1])


def moved_sound(mfcc_FW: np.ndarray, key: str) -> np.ndarray:
    """A clip's own sound, moved later by a third to two thirds of its length; its end comes first.

    Sentences of one grammar are spoken at nearly the same times (GRID: "bin blue at f two now"), so another clip's
    sound goes with the right mouth to some degree; the clip's own at another time does not.
    Shape: (12, 4 T) -> (12, 4 T)
    """
    moved = moved_frames(mfcc_FW.shape[1] // timing.COLUMNS_PER_FRAME, key)
    return np.roll(mfcc_FW, moved * timing.COLUMNS_PER_FRAME, axis=1)


def moved_frames(num_frames: int, key: str) -> int:
    """How far a clip's sound is moved, in frames."""
    third = num_frames // 3
    return third + seeds.derive("moved sound", key) % (num_frames - 2 * third + 1)


def tiled(mfcc_FW: np.ndarray, num: int) -> np.ndarray:
    """A sound repeated or cut to `num` columns.  Shape: (..., W) -> (..., num)"""
    return mfcc_FW[..., np.arange(num) % mfcc_FW.shape[-1]]


def other_clip(clips: Clips, number: int) -> int:
    """The next clip of another video, the same at every run; just the next clip if there is only one video."""
    others = [(number + k) % len(clips) for k in range(1, len(clips))]
    video = clips.rows[number]["video"]
    return next((k for k in others if clips.rows[k]["video"] != video), others[0] if others else number)


def late(faces_TSS3: np.ndarray, frames: int) -> np.ndarray:
    """The frames delayed; the first is repeated until then.  Shape: (T, S, S, 3) -> the same"""
    return faces_TSS3[np.maximum(np.arange(len(faces_TSS3)) - frames, 0)]


def mumble(faces_TSS3: np.ndarray, landmarks_T682: np.ndarray, share: float = MUMBLE) -> np.ndarray:
    """The true frames with the gap between the lips reduced to `share` of its size.

    Rows of pixels below the nose move: the lower lip and the chin most, and less towards the corners of the mouth.
    Shape: (T, S, S, 3) uint8, (T, 68, 2) -> (T, S, S, 3) uint8
    """
    return np.stack([_narrowed(face, points, share) for face, points in zip(faces_TSS3, landmarks_T682, strict=True)])


def _narrowed(face_SS3: np.ndarray, points_682: np.ndarray, share: float) -> np.ndarray:
    size = len(face_SS3)
    upper, lower = float(points_682[61:64, 1].mean()), float(points_682[65:68, 1].mean())
    if lower - upper < 0.5:  # px; closed
        return face_SS3
    loss = (lower - upper) * (1 - share)
    nose, chin = float(points_682[33, 1]), max(float(points_682[8, 1]), lower + 1)
    columns, rows = np.meshgrid(np.arange(size, dtype=np.float32), np.arange(size, dtype=np.float32))
    targets = [nose, upper + UPPER_LIP * loss, lower - (1 - UPPER_LIP) * loss, chin - CHIN * loss]
    from_rows = np.interp(rows[:, 0], [0, *targets, size + chin], [0, nose, upper, lower, chin, size + chin])
    left, right = float(points_682[60, 0]), float(points_682[64, 0])
    middle, half = (left + right) / 2, max((right - left) / 2, 1)
    across = np.clip(1.8 - np.abs(columns[0] - middle) / half, 0, 1)  # full strength up to 0.8 of the way to a corner
    source = rows + across[None, :] * (from_rows.astype(np.float32)[:, None] - rows)
    return cv2.remap(face_SS3, columns, source.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def landmarks_of(row: str, output_TSS3: np.ndarray, real_T682: np.ndarray, predictor: MeshPoints) -> np.ndarray:
    """Landmarks of a condition; those of true frames are not measured again.  Shape: -> (T, 68, 2)"""
    if row == "real_video":
        return real_T682
    if row.startswith("late_"):
        return late(real_T682, int(row.removeprefix("late_")))
    if row == "copy_input":
        return np.repeat(predictor(output_TSS3[:1]), len(output_TSS3), axis=0)
    return predictor(output_TSS3)
