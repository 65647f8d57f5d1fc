"""Quality gates: measurements of a clip's pictures, face and sound, and the limits that they must meet.

Every measurement is a column of data/index.parquet, every gate a limit in `quality` of params.yaml and a key of
tasks.core.errors.REASONS. A clip that fails several gates is refused for the first in the order of `GATES`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from model import head_mesh, loudness, timing
from model.params import QualityParams
from tasks.core.errors import Refusal
from tasks.media.frame import Picture

if TYPE_CHECKING:  # torch, which takes a second, is imported where a shard is built
    from tasks.features.face_track import Track

THUMB_PX = 32  # pictures are compared at this size
SAMPLED_PX = 128  # large pictures are subsampled to at least this shorter side
BLACK = 26.0  # mean luma of 255 below which a picture is black; most files code black as 16
SAME = 0.02  # mean change of 255 below which a picture repeats the one before
STEADY_FRAMES = 15  # a tone that lasts half of these is steady: a note is, a gliding harmonic of a voice is not
STEADY_HZ = (100.0, 4000.0)
SPECTRUM_SAMPLES = 1024


class PictureStatistics:
    """Measurements of the pictures of a piece, collected one by one."""

    def __init__(self) -> None:
        self.light: list[float] = []
        self.change: list[float] = []
        self._last: np.ndarray | None = None

    def add(self, picture: Picture, max_change: float = math.inf) -> bool:
        """Add a picture, unless it differs from the one before by more than `max_change` of full scale: then return
        False.
        """
        luma_HW = picture.luma()
        step = max(1, min(luma_HW.shape) // SAMPLED_PX)  # every n-th pixel gives the same figures
        luma_HW = np.ascontiguousarray(luma_HW[::step, ::step])
        thumb = cv2.resize(luma_HW, (THUMB_PX, THUMB_PX), interpolation=cv2.INTER_AREA)
        if self._last is not None:
            change = cv2.norm(thumb, self._last, cv2.NORM_L1) / THUMB_PX**2
            if change / 255 > max_change:
                return False
            self.change.append(change)
        self.light.append(cv2.mean(thumb)[0])
        self._last = thumb
        return True

    def figures(self) -> dict[str, float]:
        change = np.array(self.change or [0.0])
        return {
            "black_share": float(np.mean(np.array(self.light) < BLACK)),
            "frozen_share": float((change < SAME).mean()),
            "cut_change": float(change.max() / 255),
        }


def of_face(track: "Track", mesh_T4683: np.ndarray) -> dict[str, float]:
    """Yaw without its sign, pitch (positive: down) and roll (positive: clockwise): medians."""
    held_T = np.isfinite(mesh_T4683).all(axis=(1, 2))
    pose_N3 = head_mesh.pose_deg(head_mesh.place(mesh_T4683[held_T]))
    return {
        "face_px": float(np.median(track.boxes_T4[:, 2] - track.boxes_T4[:, 0])),
        "num_faces": 1 + len(track.others_N4),
        "jump": track.jump,
        "mesh_share": float(held_T.mean()),
        "yaw_deg": float(np.median(np.abs(pose_N3[:, 0]))),
        "pitch_deg": float(np.median(pose_N3[:, 1])),
        "roll_deg": float(np.median(pose_N3[:, 2])),
    }


def of_sound(sound: np.ndarray, num_frames: int) -> dict[str, float]:
    """Shape: (n,) the sound as decoded, before it is fitted to the frames"""
    whole = timing.num_samples(num_frames)
    fitted = np.pad(sound[:whole], (0, max(0, whole - len(sound))))
    levels_T = loudness.frame_levels_db(fitted, num_frames)
    return {
        "sound_db": float(np.percentile(levels_T, 95)),
        "spread_db": loudness.level_spread_db(levels_T),
        "steady_db": steady_db(fitted),
        "clipped_share": loudness.clipped_share(sound),
        "length_diff_s": len(sound) / timing.SAMPLE_RATE_HZ - num_frames / timing.FPS,
    }


def steady_db(sound: np.ndarray) -> float:
    """Energy of steady tones relative to all of the sound: 0 for a sustained chord, about -12 for speech.

    Source: the harmonic half of Fitzgerald's harmonic-percussive separation (2010), as in librosa.decompose.hpss, with
            a median long enough to reject the gliding harmonics of a voice
    Shape:  (640 T,) -> dB
    """
    half = SPECTRUM_SAMPLES // 2
    pieces = np.lib.stride_tricks.sliding_window_view(np.pad(sound, half), SPECTRUM_SAMPLES)
    pieces = pieces[:: timing.SAMPLES_PER_FRAME]
    frequency_hz = np.fft.rfftfreq(SPECTRUM_SAMPLES, 1 / timing.SAMPLE_RATE_HZ)
    band = (frequency_hz >= STEADY_HZ[0]) & (frequency_hz < STEADY_HZ[1])
    strength = np.abs(np.fft.rfft(pieces * np.hanning(SPECTRUM_SAMPLES), axis=1))[:, band].astype(np.float32)
    half = STEADY_FRAMES // 2  # scipy's median_filter gives the same and is six times slower
    padded = np.pad(strength, ((half, half), (0, 0)), mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, STEADY_FRAMES, axis=0)
    steady = np.minimum(np.partition(around, half, axis=-1)[..., half], strength)
    total = float((strength**2).sum())
    return float(10 * np.log10(max(float((steady**2).sum()) / total, 1e-9))) if total > 0 else loudness.FLOOR_DB


@dataclass(frozen=True, slots=True)
class Gate:
    """One limit; `past` compares a measurement with it."""

    word: str  # key of tasks.core.errors.REASONS, or a flag
    figure: str
    limit: str  # name in params.yaml's section quality
    past: Callable[[float, float], bool]


def above(value: float, limit: float) -> bool:
    return value > limit


def below(value: float, limit: float) -> bool:
    return value < limit


def away(value: float, limit: float) -> bool:
    return abs(value) >= limit


GATES = (
    Gate("black", "black_share", "max_black", above),
    Gate("frozen", "frozen_share", "max_frozen", above),
    Gate("scene_cut", "cut_change", "max_change", above),
    Gate("face_too_small", "face_px", "min_face_px", below),
    Gate("jumping_box", "jump", "max_jump", above),
    Gate("profile", "yaw_deg", "max_yaw_deg", above),
    Gate("silence", "sound_db", "min_sound_db", below),
    Gate("clipping", "clipped_share", "max_clipped", above),
    Gate("length_mismatch", "length_diff_s", "max_length_diff_s", away),
    Gate("noisy_sound", "spread_db", "min_spread_db", below),
    Gate("music", "steady_db", "max_steady_db", above),
    Gate("out_of_sync", "av_left", "offset_frames", away),
)
FLAGS = (
    Gate("turned", "yaw_deg", "flag_yaw_deg", above),
    Gate("noise", "spread_db", "flag_spread_db", below),
    Gate("tones", "steady_db", "flag_steady_db", above),
    Gate("moved", "av_moved", "offset_frames", away),
    Gate("apart", "av_left", "offset_frames", away),  # not confident enough to shift the sound or to refuse
)


def past(gate: Gate, figures: dict[str, float], limits: QualityParams) -> bool:
    """Whether a measurement is beyond a limit; not if it is missing, or an offset without enough confidence."""
    if gate.word == "out_of_sync" and figures.get("av_confidence", 0.0) < limits.sync_confidence:
        return False
    return gate.figure in figures and gate.past(figures[gate.figure], float(getattr(limits, gate.limit)))


def refusals(figures: dict[str, float], limits: QualityParams) -> list[Refusal]:
    """A refusal for every gate that these measurements fail."""
    return [
        Refusal(
            gate.word,
            f"{gate.figure} {figures[gate.figure]:.4g}, quality.{gate.limit} is {getattr(limits, gate.limit):g}",
        )
        for gate in GATES
        if past(gate, figures, limits)
    ]


def flags(figures: dict[str, float], limits: QualityParams) -> str:
    """Flags of a kept clip, separated by commas."""
    words = [gate.word for gate in FLAGS if past(gate, figures, limits)]
    return ",".join([*words, *(["several_faces"] if figures.get("num_faces", 1) > 1 else [])])
