"""A run in plain files, without MLflow: LIPGAN_TRACKING=jsonl."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tasks.core import paths
from tasks.core.files import write_atomic
from tasks.tracking import naming

ABOUT = "about.json"  # name, params and tags as MLflow would store them
TAGS = "tags.json"  # tags that were set later


class Jsonl:
    """metrics.jsonl, PNGs and about.json in a folder, which tasks.tracking.import_run can import."""

    def __init__(self, folder: Path, about: Mapping[str, Any] | None = None) -> None:
        self.folder, self.run_id = folder, folder.name
        folder.mkdir(parents=True, exist_ok=True)
        if about is not None:
            write_atomic(folder / ABOUT, json.dumps(about, indent=2) + "\n")

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")

    def picture(self, name: str, picture_HW3: np.ndarray, step: int) -> None:
        cv2.imwrite(str(self.folder / f"{name}-{step:07d}.png"), picture_HW3[..., ::-1])

    def file(self, path: Path, folder: str) -> None:
        target = self.folder / folder / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())

    def text(self, text: str, name: str) -> None:
        write_atomic(self.folder / name, text)

    def tag(self, values: Mapping[str, str]) -> None:
        place = self.folder / TAGS
        known = json.loads(place.read_text()) if place.is_file() else {}
        write_atomic(place, json.dumps(known | dict(values), indent=2) + "\n")

    def conclude(self, note: str, headline: Mapping[str, float], checkpoint_md5: str) -> None:
        self.tag({naming.NOTE: note, naming.CHECKPOINT: checkpoint_md5})


def delete_pictures(indexes: Collection[str]) -> int:
    """Delete the pictures in files (LIPGAN_TRACKING=jsonl) of runs on these indexes; returns how many runs had any."""
    number = 0
    for about in sorted((paths.cache() / "tracking").glob(f"*/{ABOUT}")):
        if json.loads(about.read_text())["tags"].get("data.index.md5") not in indexes:
            continue
        pictures = [*about.parent.glob("*.png"), *about.parent.glob("reports/*")]
        for picture in pictures:
            picture.unlink()
        number += bool(pictures)
    return number
