"""The 68 face points that every measurement of a mouth uses, read from face crops by the face mesh and the lip refiner.

They need only a crop, in which the detector's box is always at the same place, so that generated faces, for which there
is no detection, are measured like filmed ones. No landmark predictor has to be trained.
"""

import numpy as np

from model import head_mesh
from model.faces import CHIN_MARGIN, SIDE_MARGIN
from tasks.features import face_mesh, lip_refiner
from tasks.features.lip_refiner import LipRefiner


class MeshPoints:
    """Crops of one face in, the mesh or 68 points of each out.

    The mesh starts from the detector's box and then follows the previous crop's mesh. Every crop gets points; without a
    face they are meaningless.
    Errors: UserError where a model file is missing or damaged
    """

    def __init__(self, refiner: LipRefiner | None = None) -> None:
        face_mesh.of_this_thread()  # a missing model file is an error before any work
        self._refiner = refiner or lip_refiner.released()

    def __call__(self, crops_NSS3: np.ndarray) -> np.ndarray:
        """Shape: (N, S, S, 3) uint8 -> (N, 68, 2) float32, px of the crop, pixel i covers [i, i + 1)"""
        return head_mesh.landmarks(self.meshes(crops_NSS3))

    def meshes(self, crops_NSS3: np.ndarray) -> np.ndarray:
        """Shape: (N, S, S, 3) uint8 -> (N, 468, 3) float32, px of the crop"""
        mesh, region = face_mesh.of_this_thread(), None
        points_N4683 = np.zeros((len(crops_NSS3), face_mesh.NUM_POINTS, 3), np.float32)
        for n, crop_SS3 in enumerate(crops_NSS3):
            points, score = mesh(crop_SS3, region or face_mesh.region_of_box(box_in(len(crop_SS3))))
            if region is None and score >= face_mesh.HELD:
                points, score = mesh(crop_SS3, face_mesh.region_of_mesh(points))
            region = face_mesh.region_of_mesh(points) if score >= face_mesh.HELD else None
            points_N4683[n] = points
        lips = [self._refiner.crop(crop, points) for crop, points in zip(crops_NSS3, points_N4683, strict=True)]
        return self._refiner(np.array(lips), points_N4683) if lips else points_N4683


def box_in(size: int) -> np.ndarray:
    """Where the detector's box lies in a crop of model.faces.crop_boxes.  Shape: -> (4,) px"""
    width, height = size / (1 + 2 * SIDE_MARGIN), size / (1 + CHIN_MARGIN)
    return np.array([SIDE_MARGIN * width, 0.0, (1 + SIDE_MARGIN) * width, height])
