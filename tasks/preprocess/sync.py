"""The sound of a clip against its mouths: which face speaks, how far the sound is off, and the sound moved to fit.

The released motion network predicts the mouth from the sound. It is a file of the repository, no output of a stage, so
that preprocessing does not depend on a training that depends on preprocessing.
"""

from collections.abc import Sequence

import numpy as np

from model import av_offset, loudness, timing
from model.motion import frame_middles_s
from model.params import QualityParams
from tasks.inference import motion_weights

DECIMALS = 4  # of the confidence: the last bits of the network's output depend on the number of threads


class Synchroniser:
    """Errors: UserError if the motion network's file is missing or damaged"""

    def __init__(self) -> None:
        self._motion = motion_weights.load(motion_weights.RELEASED)

    def mouth(self, mesh_T4683: np.ndarray) -> np.ndarray:
        """Shape: (T, 468, 3), nan where there is no mesh -> (T, C)"""
        return av_offset.mouth_cues(mesh_T4683, self._motion.shapes)

    def sound(self, sound: np.ndarray, num_frames: int) -> np.ndarray:
        """Shape: (640 T,) -> (T, C)"""
        code_TK = self._motion.bare_codes(sound, frame_middles_s(num_frames))
        return av_offset.sound_cues(code_TK, loudness.vowel_levels(sound, num_frames))

    def speaker(self, meshes: Sequence[np.ndarray], sound: np.ndarray) -> int:
        """Which of several faces speaks.  Shape: N x (T, 468, 3), (640 T,) -> index"""
        mouths_NTC = np.stack([self.mouth(mesh_T4683) for mesh_T4683 in meshes])
        return av_offset.speaking(mouths_NTC, self.sound(sound, mouths_NTC.shape[1]))

    def synchronised(
        self, sound: np.ndarray, mesh_T4683: np.ndarray, limits: QualityParams
    ) -> tuple[np.ndarray, dict[str, float]]:
        """The sound, shifted to the mouth if the offset is clear, and the offsets measured before and after.

        Without a mesh (`faces.mesh: false`) there is no offset: 0, with confidence 0.
        Shape: (640 T,), (T, 468, 3) -> (640 T,)
        """
        mouth_TC = self.mouth(mesh_T4683)
        if not mouth_TC.any():
            return sound, {"av_offset": 0, "av_confidence": 0.0, "av_moved": 0, "av_left": 0}
        late, confidence = av_offset.offset(mouth_TC, self.sound(sound, len(mouth_TC)))
        move = late if confidence >= limits.sync_confidence and abs(late) >= limits.offset_frames else 0
        left = late
        if move:
            sound = earlier(sound, move)
            left, _ = av_offset.offset(mouth_TC, self.sound(sound, len(mouth_TC)))
        figures = {"av_offset": late, "av_confidence": round(confidence, DECIMALS), "av_moved": move, "av_left": left}
        return sound, figures


def earlier(sound: np.ndarray, num_frames: int) -> np.ndarray:
    """The sound, `num_frames` earlier (negative: later), with silence where it ends.  Shape: (640 T,) -> (640 T,)"""
    moved, shift = np.zeros_like(sound), num_frames * timing.SAMPLES_PER_FRAME
    moved[max(-shift, 0) : len(sound) - max(shift, 0)] = sound[max(shift, 0) : len(sound) + min(shift, 0)]
    return moved
