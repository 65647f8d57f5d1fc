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
from tasks.evaluate.mesh_generator import MeshGenerator
from tasks.evaluate.raw_clips import RawClips
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
    mesh = MeshGenerator(paths.MOTION, clips, RawClips(paths.CLIPS, paths.RAW))
    measured = {row: [] for row in conditions.ROWS}
    for number in range(len(clips)):
        for row, faces_TSS3 in conditions.fill(sync, clips, number, mesh=mesh).items():
            if row in measured:
                measured[row].append({NAME: flicker(faces_TSS3) / flicker(clips[number].faces_TSS3)})
    for row, values in measured.items():
        summary = registry.summarise(values, seed=0, num=1000)
        low, high = summary[f"{NAME}_ci"]
        print(f"{row:13} {summary[NAME]:.2f} ({low:.2f} to {high:.2f})  {conditions.ROWS[row]}")


if __name__ == "__main__":
    main()
