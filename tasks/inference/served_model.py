"""What `mlflow.pyfunc.load_model("models:/lipgan@champion")` runs: face crops and sound in, lip-synced crops out.

MLflow keeps a copy of this file beside the weights of each version and runs it where the model is loaded; it needs this
package installed there. tasks/tracking/served.py writes it.

input   {"faces": (T, S, S, 3) uint8 RGB, crops as in the shards; "sound": (N,) float32, 16 kHz, mono, of the same
        length as the faces at 25 frames/s: 640 samples a frame}
output  (T, S, S, 3) uint8 RGB
"""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np


class ServedLipSync(mlflow.pyfunc.PythonModel):  # type: ignore[misc,name-defined]  # MLflow has no types
    def load_context(self, context: Any) -> None:
        from tasks.inference.lip_sync import LipSync

        weights = Path(context.artifacts["generator"])
        if not weights.is_file():
            raise mlflow.MlflowException(
                "this version is retired, its weights are deleted: models:/lipgan@champion serves"
            )
        self.sync = LipSync(weights)

    # MLflow reads type hints here as a schema, and refuses all but lists
    def predict(self, context, model_input, params=None) -> np.ndarray:  # type: ignore[no-untyped-def]  # noqa: ANN001
        """Shape: as above; the middle face shows the person.  Errors: ValueError for faces of another size"""
        from model import samples
        from tasks.features import audio

        faces_TSS3, sound_N = np.asarray(model_input["faces"]), np.asarray(model_input["sound"])
        size = self.sync.size
        if faces_TSS3.ndim != 4 or not len(faces_TSS3) or faces_TSS3.shape[1:] != (size, size, 3):
            raise ValueError(f"faces must be (frames, {size}, {size}, 3), got {faces_TSS3.shape}")
        num_frames = len(faces_TSS3)
        windows_TFW = samples.windows(audio.mfcc(sound_N, num_frames), np.arange(num_frames))
        identity_SS3 = faces_TSS3[samples.identity_frame(np.ones(num_frames, bool))]
        return self.sync.generate(identity_SS3, faces_TSS3, windows_TFW)


mlflow.models.set_model(ServedLipSync())
