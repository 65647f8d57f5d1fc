"""Add a metric of your own to the panel, and see it for the clips of the test split.

    python -m examples.add_metric               in a project folder, after `dvc repro train`

The metric is how much the mouth flickers, against the true frames. Here it lives in this script; to keep it, put the
function into model/metrics/, the line into METRICS and the call into tasks/evaluate/measure.py (CONTRIBUTING.md).
"""

import numpy as np

from model.metrics import registry
from model.metrics.registry import Metric
from tasks.core import paths
from tasks.evaluate import conditions
from tasks.inference.lip_sync import LipSync
from tasks.loading.clips import Clips

NAME = "mouth_flicker_ratio"
registry.METRICS[NAME] = Metric("motion", "flicker of the lower face against real", "ratio", "one", worst=0.0)


def flicker(faces_TSS3: np.ndarray) -> float:
    """Mean change of the lower half of the face from frame to frame, in levels of 255.  Shape: (T, S, S, 3) uint8"""
    lower_TSS3 = faces_TSS3[:, faces_TSS3.shape[1] // 2 :].astype(np.int16)
    return float(np.abs(np.diff(lower_TSS3, axis=0)).mean())


def main() -> None:
    sync, clips = LipSync(paths.GENERATOR), Clips(paths.INDEX, paths.SHARDS, "test")
    measured = {row: [] for row in conditions.ROWS if row not in conditions.MESH}  # LipGAN's alone
    for number in range(len(clips)):
        made = conditions.fill(sync, clips, number, tuple(measured))
        for row, values in measured.items():
            values.append({NAME: flicker(made[row]) / flicker(clips[number].faces_TSS3)})
    for row, values in measured.items():
        mean, (low, high) = (registry.summarise(values, seed=0, num=1000)[name] for name in (NAME, f"{NAME}_ci"))
        print(f"{row:16} {mean:.2f} ({low:.2f} to {high:.2f})  {conditions.ROWS[row]}")


if __name__ == "__main__":
    main()
