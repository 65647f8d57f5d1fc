"""The 68-point landmark predictor for face crops: training and prediction; all mouth measurements use it.

It is trained on rendered heads (tasks/landmarks/rendered_heads.py), so nothing is downloaded. It is accurate on the
embedded corpus; on real faces its points are only plausible.

It works on this project's crops, in which the detector's box is always at the same position: it needs only a crop, so
that generated faces, for which there is no detection, are measured like any other.

Source: Kazemi and Sullivan (2014), as in dlib's shape_predictor
"""

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import dlib
import numpy as np

from model.faces import CHIN_MARGIN, SIDE_MARGIN
from tasks.core.errors import UserError
from tasks.core.files import all_or_nothing

log = logging.getLogger(__name__)

LANDMARKS_VERSION = 3  # raise it when training or prediction changes; it is part of the unit cache's keys

NUM_POINTS = 68
# dlib rounds its points to whole pixels; crops are enlarged to this, so that rounding stays below 0.2 px of 96
WORK_PX = 288
# on clips of unseen people twice the trees are no better; half the oversampling fails on whole clips
CASCADES, TREES, DEPTH = 10, 100, 4
NU = 0.1  # shrinkage
OVERSAMPLING = 10  # random starting shapes for each example
BARE = str.maketrans("(),", "   ", "points[]")  # turns dlib's text of points into numbers separated by blanks
NUM_THREADS = 2  # affects the result: dlib sums in as many blocks


@dataclass(frozen=True, slots=True)
class Example:
    """A grey face crop of `tasks.features.crop.crop`, and its landmarks.

    Shape: grey_SS uint8; points_682 float32, px of the crop (x, y), pixel i covers [i, i + 1)
    """

    grey_SS: np.ndarray
    points_682: np.ndarray


def train(examples: Sequence[Example], out: Path, seed: int) -> None:
    """Train a predictor and write it, all-or-nothing. The same examples and seed give the same bytes.

    dlib reads the examples from files: with arrays, its threads count references without holding the GIL, which numpy
    reports as "Reference count error detected" and which may crash Python.
    """
    options = dlib.shape_predictor_training_options()
    options.random_seed = str(seed)
    options.num_threads = NUM_THREADS
    options.cascade_depth, options.num_trees_per_cascade_level, options.tree_depth = CASCADES, TREES, DEPTH
    options.nu, options.oversampling_amount = NU, OVERSAMPLING
    options.feature_pool_size, options.num_test_splits = 300, 30
    with tempfile.TemporaryDirectory(prefix="landmarks-") as folder, all_or_nothing(out) as partial:
        dataset = _write_dataset(examples, Path(folder))
        dlib.train_shape_predictor(str(dataset), str(partial), options)
    log.info("%s: %d examples, %.1f MB", out, len(examples), out.stat().st_size / 1e6)


class Predictor:
    """Landmarks of face crops.  Errors: UserError if the file is missing or not a predictor"""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise UserError(f"{path}: no such landmark predictor; run `dvc repro landmarks`")
        try:
            self._predict = dlib.shape_predictor(str(path))
        except RuntimeError as error:
            raise UserError(f"{path}: not a landmark predictor ({error}); run `dvc repro landmarks`") from error

    def __call__(self, faces_TSS3: np.ndarray) -> np.ndarray:
        """Shape: (T, S, S, 3) uint8 RGB, any S -> (T, 68, 2) float32, px of the crop, pixel i covers [i, i + 1)"""
        box, texts = _rectangle(), []
        for face_SS3 in faces_TSS3:
            grey_SS = cv2.cvtColor(face_SS3, cv2.COLOR_RGB2GRAY)
            texts.append(str(self._predict(_enlarged(grey_SS), box).parts()))
        # "points[(x, y), ...]", integers: reading points one by one would take half as long as predicting them
        numbers = np.fromstring("".join(texts).translate(BARE), np.int32, sep=" ").astype(np.float32)
        return numbers.reshape(-1, NUM_POINTS, 2) * np.float32(faces_TSS3.shape[1] / WORK_PX)


def _write_dataset(examples: Sequence[Example], folder: Path) -> Path:
    """dlib's data set format: a list in XML beside its pictures."""
    box = _rectangle()
    place = f"top='{box.top()}' left='{box.left()}' width='{box.width()}' height='{box.height()}'"
    lines = []
    for number, example in enumerate(examples):
        picture = f"{number:06d}.png"
        cv2.imwrite(str(folder / picture), _enlarged(example.grey_SS), [cv2.IMWRITE_PNG_COMPRESSION, 1])
        points = np.round(example.points_682 * (WORK_PX / len(example.grey_SS))).astype(int).tolist()
        parts = "".join(f"<part name='{k:02d}' x='{x}' y='{y}'/>" for k, (x, y) in enumerate(points))
        lines.append(f"<image file='{picture}'><box {place}>{parts}</box></image>\n")
    dataset = folder / "dataset.xml"
    dataset.write_text(f"<dataset><images>\n{''.join(lines)}</images></dataset>\n")
    return dataset


def _enlarged(grey_SS: np.ndarray) -> np.ndarray:
    return cv2.resize(grey_SS, (WORK_PX, WORK_PX), interpolation=cv2.INTER_LINEAR)


def _rectangle() -> dlib.rectangle:
    """The detector's (square) box inside the enlarged crop: see model.faces.crop_boxes."""
    across, down = 1 + 2 * SIDE_MARGIN, 1 + CHIN_MARGIN
    left, right, bottom = SIDE_MARGIN / across, (1 + SIDE_MARGIN) / across, 1 / down
    return dlib.rectangle(*(round(share * WORK_PX) for share in (left, 0, right, bottom)))
