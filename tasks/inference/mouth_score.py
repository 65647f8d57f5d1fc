"""One clip generated with a given sound, and its mouth opening scored against the filmed one."""

from dataclasses import dataclass

import numpy as np

from model import faces, head_mesh, samples
from model.metrics import temporal
from model.metrics.temporal import Aperture
from tasks.features.mesh_points import MeshPoints
from tasks.inference.lip_sync import LipSync
from tasks.storage.shards import Clip


@dataclass(frozen=True, slots=True)
class FilmedMouth:
    """The mouth of a filmed clip, measured by the face mesh, which also measures the generated frames."""

    mesh_T4683: np.ndarray  # px of the crop
    real_T: np.ndarray  # opening, as measured on the true frames
    truth_T: np.ndarray  # opening, exact where the corpus knows it, otherwise `real_T`

    @property
    def landmarks_T682(self) -> np.ndarray:
        return head_mesh.landmarks(self.mesh_T4683)

    def score(self, opening_T: np.ndarray, max_lag: int) -> Aperture:
        return temporal.aperture_scores(opening_T, self.truth_T, max_lag=max_lag, reference_T=self.real_T)


def filmed_mouth(clip: Clip, predictor: MeshPoints) -> FilmedMouth:
    mesh_T4683 = predictor.meshes(clip.faces_TSS3)
    real_T = faces.aperture(head_mesh.landmarks(mesh_T4683))
    return FilmedMouth(mesh_T4683, real_T, np.array(clip.truth["aperture"]) if clip.truth else real_T)


def generate_clip(sync: LipSync, clip: Clip, mfcc_FW: np.ndarray) -> np.ndarray:
    """Every frame of the clip with a mouth that follows the sound.  Shape: (12, 4 T) -> (T, S, S, 3) uint8"""
    identity_SS3 = clip.faces_TSS3[samples.identity_frame(clip.found_T)]
    windows_TFW = samples.windows(mfcc_FW, np.arange(len(clip.faces_TSS3)))
    return sync.generate(identity_SS3, clip.faces_TSS3, windows_TFW)


def score(output_TSS3: np.ndarray, filmed: FilmedMouth, predictor: MeshPoints, max_lag: int) -> Aperture:
    """How the mouth of generated frames follows the filmed one."""
    return filmed.score(faces.aperture(predictor(output_TSS3)), max_lag)
