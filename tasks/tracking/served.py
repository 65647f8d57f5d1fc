"""A version's copy in MLflow: what `mlflow.pyfunc.load_model` needs, offline and outside this repository.

It holds the weights with their description, tasks/inference/served_model.py, the signature and an input example. DVC
has the same weights by md5; `dub --checkpoint models:/...` takes those.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from model import timing
from tasks.core.version import DISTRIBUTION, version

CODE = Path(__file__).parents[1] / "inference/served_model.py"
EXAMPLE_FRAMES = 2
USUAL_SIZE = 96  # of the example, where the description names none


def log(mlflow: Any, model_id: str, weights: Path, scratch: Path) -> None:
    """Put a checkpoint into the logged model `model_id`.

    weights  generator.safetensors, with its JSON beside it
    scratch  an empty folder
    """
    about = weights.with_suffix(".json")
    mlflow.pyfunc.save_model(
        path=str(scratch / "model"),
        python_model=str(CODE),
        artifacts={"generator": str(weights), "about": str(about)},
        signature=signature(mlflow),
        input_example=example(json.loads(about.read_text())),
        pip_requirements=[f"{DISTRIBUTION}=={version()}"],
    )
    mlflow.MlflowClient().log_model_artifacts(model_id, str(scratch / "model"))


def signature(mlflow: Any) -> Any:
    """Faces and sound in, faces out; the size of a face is the checkpoint's."""
    tensor, schema = mlflow.types.TensorSpec, mlflow.types.Schema
    faces = np.dtype(np.uint8), (-1, -1, -1, 3)
    sound = np.dtype(np.float32), (-1,)
    return mlflow.models.ModelSignature(
        inputs=schema([tensor(*faces, name="faces"), tensor(*sound, name="sound")]), outputs=schema([tensor(*faces)])
    )


def example(about: dict[str, Any]) -> dict[str, np.ndarray]:
    """Grey crops and silence: an example shows the form, and nobody's face.  Shape: (T, S, S, 3), (T x 640,)"""
    size = about.get("params", {}).get("faces", {}).get("size", USUAL_SIZE)
    return {
        "faces": np.full((EXAMPLE_FRAMES, size, size, 3), 128, np.uint8),
        "sound": np.zeros(timing.num_samples(EXAMPLE_FRAMES), np.float32),
    }
