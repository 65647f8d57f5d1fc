"""Media of the report: strips of frames, and side-by-side videos with their sound."""

import io
from collections.abc import Iterator, Mapping

import cv2
import numpy as np

from tasks.media import decode
from tasks.media.encode import encode_video

SHOWN = {
    "real_video": "true",
    "right_audio": "LipGAN",
    "mesh_right_audio": "mesh",
    "wrong_audio": "LipGAN, other sound",
    "mesh_wrong_audio": "mesh, other sound",
    "moved_audio": "LipGAN, moved sound",
    "mesh_moved_audio": "mesh, moved sound",
    "silence": "LipGAN, silence",
    "mesh_silence": "mesh, silence",
}
PLAYED = ("real_video", "right_audio", "mesh_right_audio", "wrong_audio", "mesh_wrong_audio")  # side by side
NUM_COLUMNS, LABEL_PX = 12, 172  # of a strip
SCALE, BAR_PX, CRF = 2, 26, 24  # of a video


def strip(frames: Mapping[str, np.ndarray]) -> np.ndarray:
    """Evenly spaced frames of a clip as columns, conditions as labelled rows.

    Shape: row -> (T, S, S, 3) uint8 RGB  ->  (rows S, label + columns S, 3) uint8
    """
    num_frames, size = frames["real_video"].shape[:2]
    at = np.linspace(0, num_frames - 1, NUM_COLUMNS).astype(int)
    lines = []
    for row, name in SHOWN.items():
        label = np.full((size, LABEL_PX, 3), 255, np.uint8)
        _write(label, name, 4, size // 2)
        lines.append(np.concatenate([label, *frames[row][at]], axis=1))
    return np.concatenate(lines, axis=0)


def video(frames: Mapping[str, np.ndarray], sound: np.ndarray, names: Mapping[str, str] = SHOWN) -> bytes:
    """An mp4 of the conditions side by side, each under its name, with the sound of the clip.

    Shape: row -> (T, S, S, 3) uint8 RGB; (samples,) float
    """
    out = io.BytesIO()
    num_frames = len(next(iter(frames.values())))
    encode_video(out, _side_by_side(frames, names), decode.fit(sound, num_frames), crf=CRF)
    return out.getvalue()


def _side_by_side(frames: Mapping[str, np.ndarray], names: Mapping[str, str]) -> Iterator[np.ndarray]:
    for faces in zip(*(frames[row] for row in names), strict=True):
        faces_HW3 = np.concatenate(faces, axis=1)
        faces_HW3 = cv2.resize(faces_HW3, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_CUBIC)
        if not any(names.values()):
            yield faces_HW3
            continue
        bar = np.full((BAR_PX, faces_HW3.shape[1], 3), 255, np.uint8)
        for number, name in enumerate(names.values()):
            _write(bar, name, number * faces_HW3.shape[1] // len(names) + 6, BAR_PX - 8)
        yield np.concatenate([bar, faces_HW3])


def _write(picture_HW3: np.ndarray, text: str, left: int, bottom: int) -> None:
    cv2.putText(picture_HW3, text, (left, bottom), cv2.FONT_HERSHEY_SIMPLEX, 0.46, (40, 40, 40), 1, cv2.LINE_AA)
