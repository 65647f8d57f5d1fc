"""The 68 face points that dubbing uses, taken from the face mesh: no landmark predictor has to be trained, and real
faces work, on which a predictor trained on rendered heads is inaccurate.
"""

import numpy as np

from model.faces import CHIN_MARGIN, SIDE_MARGIN
from tasks.features import face_mesh

# iBUG 300-W's 68 points in MediaPipe's mesh: jaw, brows, nose, eyes, lips' outer and inner edge
POINTS = (
    127, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 356,
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,
    168, 197, 5, 4, 98, 97, 2, 326, 327,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181,
    78, 82, 13, 312, 308, 317, 14, 87,
)  # fmt: skip


class MeshPoints:
    """A replacement for tasks.features.landmarks.Predictor: crops of one face in, 68 points of each out.

    The mesh starts from the detector's box, which has the same place in every crop, and then follows the previous
    crop's mesh. Every crop gets points; without a face they are meaningless, as with any predictor.
    """

    def __call__(self, crops_NSS3: np.ndarray) -> np.ndarray:
        """Shape: (N, S, S, 3) uint8 -> (N, 68, 2) float32, px of the crop"""
        mesh, region = face_mesh.of_this_thread(), None
        points_N682 = np.zeros((len(crops_NSS3), len(POINTS), 2), np.float32)
        for n, crop_SS3 in enumerate(crops_NSS3):
            points, score = mesh(crop_SS3, region or face_mesh.region_of_box(box_in(len(crop_SS3))))
            if region is None and score >= face_mesh.HELD:
                points, score = mesh(crop_SS3, face_mesh.region_of_mesh(points))
            region = face_mesh.region_of_mesh(points) if score >= face_mesh.HELD else None
            points_N682[n] = points[list(POINTS), :2]
        return points_N682


def box_in(size: int) -> np.ndarray:
    """Where the detector's box lies in a crop of model.faces.crop_boxes.  Shape: -> (4,) px"""
    width, height = size / (1 + 2 * SIDE_MARGIN), size / (1 + CHIN_MARGIN)
    return np.array([SIDE_MARGIN * width, 0.0, (1 + SIDE_MARGIN) * width, height])
