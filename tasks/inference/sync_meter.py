"""Inference of the sync expert: the distance of a clip's picture and sound at every offset.

Offset k compares the picture at frame t with the sound at frame t + k: a best k above 0 means that the sound is late.
"""

from pathlib import Path

import numpy as np
import torch

from model import samples
from model.expert import MIDDLE, RUN, SyncExpert, lower_halves
from model.metrics import sync_offsets
from model.samples import pictures
from tasks.core import paths
from tasks.core.errors import UserError
from tasks.inference import checkpoints

RELEASED = Path(__file__).parents[2] / "released/expert.safetensors"
AT_ONCE = 64  # runs or sounds embedded in one pass


class SyncMeter:
    """The expert of a checkpoint.  Errors: UserError if it is missing, damaged or of another network"""

    def __init__(self, checkpoint: Path = paths.EXPERT) -> None:
        weights, self.about = checkpoints.load(checkpoint)
        width, self.size = checkpoints.sizes(self.about, checkpoint)
        self.expert = SyncExpert(width, self.size)
        checkpoints.load_weights(self.expert, weights, checkpoint)
        self.expert.eval()

    def distances(self, faces_TSS3: np.ndarray, mfcc_FW: np.ndarray, max_offset: int = 15) -> np.ndarray:
        """Distance in [0, 2] of every run of 5 frames from the sound at every offset, nan if there is no such sound.

        Shape:  (T, S, S, 3) uint8, (12, 4 T)  ->  (T - 4, 2 max_offset + 1) float32; row: the run's first frame;
                column k + max_offset: the sound k frames later
        Errors: UserError for a clip of fewer than 5 frames
        """
        if len(faces_TSS3) < RUN:
            raise UserError(f"a clip of {len(faces_TSS3)} frames has no run of {RUN}: its sync cannot be measured")
        return distances(self.expert, faces_TSS3, mfcc_FW, np.arange(len(faces_TSS3) - RUN + 1), max_offset)

    @torch.inference_mode()
    def nearer(self, faces_RSS3: np.ndarray, right_FW: np.ndarray, wrong_FW: np.ndarray) -> bool:
        """Whether a run of 5 frames is nearer to the first of two sound windows."""
        face_1D = self.expert.embed_faces(lower_halves(pictures(faces_RSS3)))
        sounds_2D = self.expert.embed_audio(torch.from_numpy(np.stack([right_FW, wrong_FW])))
        right, wrong = (sounds_2D @ face_1D[0]).tolist()
        return bool(right > wrong)

    def probability(self, distances_NK: np.ndarray) -> np.ndarray:
        """Probability that each pair is in sync, in [0, 1], if half of all pairs are."""
        return probability(self.expert, distances_NK)

    def summary(self, distances_NK: np.ndarray) -> dict[str, float]:
        """offset_frames, distance and confidence of a clip, see model.metrics.sync_offsets.summary."""
        return sync_offsets.summary(distances_NK)


@torch.inference_mode()
def distances(
    expert: SyncExpert, faces_TSS3: np.ndarray, mfcc_FW: np.ndarray, start_N: np.ndarray, max_offset: int
) -> np.ndarray:
    """`SyncMeter.distances` of some runs, by an expert in eval mode.  Shape: -> (N, 2 max_offset + 1) float32"""
    device = expert.scale.device
    num_frames = len(faces_TSS3)
    faces_ND = []
    for at in range(0, len(start_N), AT_ONCE):
        frames_NR = start_N[at : at + AT_ONCE, None] + np.arange(RUN)
        runs = lower_halves(pictures(faces_TSS3[frames_NR.ravel()]))
        faces_ND.append(expert.embed_faces(runs.to(device)))
    windows_TFW = samples.windows(mfcc_FW, np.arange(num_frames))
    sounds_TD = [
        expert.embed_audio(torch.from_numpy(windows_TFW[at : at + AT_ONCE]).to(device))
        for at in range(0, num_frames, AT_ONCE)
    ]
    cosine_NT = (torch.cat(faces_ND) @ torch.cat(sounds_TD).T).cpu().numpy()
    at_NK = start_N[:, None] + MIDDLE + np.arange(-max_offset, max_offset + 1)
    exists_NK = (at_NK >= 0) & (at_NK < num_frames)
    cosine_NK = np.take_along_axis(cosine_NT, np.clip(at_NK, 0, num_frames - 1), axis=1)
    apart_NK = np.sqrt(np.clip(2 - 2 * cosine_NK, 0, None))
    return np.where(exists_NK, apart_NK, np.nan).astype(np.float32)


@torch.inference_mode()
def probability(expert: SyncExpert, distances_NK: np.ndarray) -> np.ndarray:
    cosine_NK = torch.from_numpy(1 - distances_NK.astype(np.float32) ** 2 / 2)  # of unit vectors
    return torch.sigmoid(expert.logit(cosine_NK.to(expert.scale.device))).cpu().numpy()
