"""models/yaw.json: the yaw of a head, from its landmarks; trained in stage `landmarks`, used by `preprocess`.

The weights of model.head_pose.fit_yaw on rendered heads that are not in the landmark predictor's training set, and the
error on heads that are in neither. On real faces it is an estimate, as good as the landmarks.
"""

import json
from pathlib import Path

import numpy as np

from model import head_pose
from tasks.core.errors import UserError
from tasks.core.files import write_atomic

FOLDS = 5


def train(landmarks_N682: np.ndarray, yaw_N: np.ndarray, person_N: np.ndarray, out: Path) -> None:
    """Fit and write; the error is cross-validated by person.

    Shape: (N, 68, 2) as predicted, (N,) degrees, (N,) number of the person
    """
    estimated_N = np.zeros(len(yaw_N))
    for fold in range(FOLDS):
        unseen = person_N % FOLDS == fold
        if unseen.any() and not unseen.all():
            weights = head_pose.fit_yaw(landmarks_N682[~unseen], yaw_N[~unseen])
            estimated_N[unseen] = head_pose.yaw_deg(landmarks_N682[unseen], weights)
    error_N, far = np.abs(estimated_N - yaw_N), np.abs(yaw_N) > 30
    about = {
        "num_heads": len(yaw_N),
        "mean_error_deg": round(float(error_N.mean()), 2),
        "mean_error_beyond_30_deg": round(float(error_N[far].mean()), 2) if far.any() else None,
        "weights": [round(float(w), 6) for w in head_pose.fit_yaw(landmarks_N682, yaw_N)],
    }
    write_atomic(out, json.dumps(about, indent=1) + "\n")


def load(path: Path) -> np.ndarray:
    """Shape: -> (137,)"""
    try:
        return np.array(json.loads(path.read_text())["weights"], np.float64)
    except (FileNotFoundError, ValueError, KeyError) as error:
        raise UserError(f"{path}: no yaw estimator ({error}); run `dvc repro landmarks`") from error
