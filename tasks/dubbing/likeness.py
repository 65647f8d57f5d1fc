"""How likely two faces are the same person: by local binary patterns, or by dlib's network if the user has its file.

The patterns tell the faces of one film apart; `benchmarks/looks.py` measures how well. dlib's face recognition network
is not part of this project: `--recognition dlib_face_recognition_resnet_model_v1.dat` names your copy.

Source: histograms of local binary patterns, Ahonen, Hadid, Pietikainen, Face Recognition with LBP, 2006.
"""

from pathlib import Path

import cv2
import dlib
import numpy as np

from tasks.core.errors import UserError
from tasks.core.files import demand_file
from tasks.features.mesh_points import MeshPoints

PATTERN_PX, BLUR_PX = 64, 1.0  # of the crop that is described; with less blur the patterns are the camera's noise
CELLS = 6  # a side
NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))
CHIP_PX, CHIP_PADDING = 150, 0.25  # as in the training of dlib's network


class Patterns:
    """Which pixels are lighter than their neighbours, counted by cell of the face; brightness and tint cancel."""

    same = 0.75  # from this likeness on two faces are one person's
    same_still = 0.625  # where one of the two is a single picture, not the median of many: docs/dubbing.md

    def describe(self, portrait_SS3: np.ndarray) -> np.ndarray:
        """Shape: (S, S, 3) uint8 RGB -> (CELLS * CELLS * 256,) float32, length 1"""
        grey = cv2.resize(cv2.cvtColor(portrait_SS3, cv2.COLOR_RGB2GRAY), (PATTERN_PX, PATTERN_PX))
        grey = cv2.GaussianBlur(grey, (0, 0), BLUR_PX)
        middle = grey[1:-1, 1:-1]
        codes = np.zeros(middle.shape, np.uint8)
        for bit, (down, right) in enumerate(NEIGHBOURS):
            there = grey[1 + down : PATTERN_PX - 1 + down, 1 + right : PATTERN_PX - 1 + right]
            codes |= (there >= middle).astype(np.uint8) << bit
        cells = [cell for rows in np.array_split(codes, CELLS) for cell in np.array_split(rows, CELLS, axis=1)]
        shares = [np.bincount(cell.ravel(), minlength=256) / cell.size for cell in cells]
        return (np.sqrt(np.concatenate(shares)) / CELLS).astype(np.float32)

    def alike(self, a: np.ndarray, b: np.ndarray) -> float:
        return float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-9))


class Network:
    """dlib's face recognition network.  Errors: UserError where the file is missing or is another network"""

    same = same_still = 0.4  # 1 - distance; its authors give 0.6 for the distance

    def __init__(self, weights: Path) -> None:
        demand_file(weights, option="--recognition")
        try:
            self.network = dlib.face_recognition_model_v1(str(weights))
        except RuntimeError as error:
            raise UserError(
                f"--recognition {weights}: not dlib's face recognition network: {' '.join(str(error).split())[:120]}"
            ) from error
        self.predictor = MeshPoints()

    def describe(self, portrait_SS3: np.ndarray) -> np.ndarray:
        """Shape: (S, S, 3) uint8 RGB -> (128,) float32"""
        chip = upright(portrait_SS3, self.predictor(portrait_SS3[None])[0])
        return np.array(self.network.compute_face_descriptor(chip), np.float32)

    def alike(self, a: np.ndarray, b: np.ndarray) -> float:
        return 1 - float(np.linalg.norm(a - b))


Recogniser = Patterns | Network


def upright(portrait_SS3: np.ndarray, points_682: np.ndarray) -> np.ndarray:
    """The face rotated and scaled as dlib's network expects it.  Shape: -> (150, 150, 3) uint8"""
    parts = dlib.points([dlib.point(round(float(x)), round(float(y))) for x, y in points_682])
    size = len(portrait_SS3)
    detection = dlib.full_object_detection(dlib.rectangle(0, 0, size - 1, size - 1), parts)
    return np.asarray(dlib.get_face_chip(portrait_SS3, detection, size=CHIP_PX, padding=CHIP_PADDING))


def recogniser(weights: str | None) -> Recogniser:
    return Patterns() if weights is None else Network(Path(weights))
