"""Import of a run that was tracked to a folder (LIPGAN_TRACKING=jsonl) into MLflow.

reads   about.json, tags.json, metrics.jsonl, PNGs and subfolders of that folder
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import cv2

from tasks.core.errors import UserError
from tasks.tracking import naming
from tasks.tracking import runs as tracking
from tasks.tracking.jsonl import ABOUT, TAGS

PICTURE = re.compile(r"(?P<name>.+)-(?P<step>\d+)\.png")
SOURCE_TAG = "imported.sha256"  # of metrics.jsonl: the same run is not imported twice


def run(folder: Path) -> str:
    """Import one run; returns a summary line.

    Errors: UserError for a folder that is not such a run, or was imported before.
    """
    about, rows, digest = read(folder)
    mlflow = tracking.connect()
    if known := mlflow.search_runs(filter_string=f"tags.`{SOURCE_TAG}` = '{digest}'", output_format="list"):
        raise UserError(f"{folder}: already imported into {tracking.store()}, as run {known[0].info.run_id}")
    with mlflow.start_run(run_name=about["name"], log_system_metrics=False) as active:
        mlflow.log_params(about["params"])
        for step, values in sorted(rows.items()):
            mlflow.log_metrics(naming.grouped(about["tags"].get("stage", ""), values), step=step)
        for path in sorted(folder.glob("*.png")):
            if found := PICTURE.fullmatch(path.name):
                picture = cv2.imread(str(path))
                if picture is None:
                    raise UserError(f"{path}: not a readable picture; delete it, or copy it again")
                mlflow.log_image(picture[..., ::-1], key=found["name"], step=int(found["step"]))
        for path in sorted(path for path in folder.glob("*/*") if path.is_file()):
            mlflow.log_artifact(str(path), artifact_path=path.parent.name)
        mlflow.set_tags(about["tags"] | {SOURCE_TAG: digest})  # last: a tagged run is complete
        return f"{folder}: {len(rows)} rows, now run {active.info.run_id} of {tracking.store()}"


def read(folder: Path) -> tuple[dict[str, Any], dict[int, dict[str, float]], str]:
    """A run's description, its figures by step, and the hash of their file.

    A run that was resumed wrote some steps twice: the last row of a step counts for each of its figures.
    """
    rows: dict[int, dict[str, float]] = {}
    try:
        about = json.loads((folder / ABOUT).read_text())
        if (later := folder / TAGS).is_file():
            about["tags"] |= json.loads(later.read_text())
        text = (folder / "metrics.jsonl").read_text()
        for line in text.splitlines():
            values = json.loads(line)
            rows.setdefault(values.pop("step"), {}).update(values)
    except FileNotFoundError as error:
        raise UserError(f"{folder}: not a run of LIPGAN_TRACKING=jsonl: {error.filename} is missing") from None
    except (json.JSONDecodeError, KeyError) as error:
        raise UserError(f"{folder}: damaged: {error!r}") from error
    return about, rows, hashlib.sha256(text.encode()).hexdigest()
