"""Stages of a pipeline small enough for drills, run by a real `dvc repro`: a file of the corpus is a clip, and the
number in the newest one is how well the next generator follows the sound."""

import hashlib
import json
import resource
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # the copy of the project that the drill runs in

from tasks.core import csv_tables, files, paths
from tasks.storage import index

VIDEOS = Path("data/videos")
LEXICON = Path("models/lexicon.txt")
LOG = Path(sys.argv[2])  # outside of every work tree: how often what was run


def quality():
    newest = max((file for file in VIDEOS.glob("*.mp4")), key=lambda file: file.name)
    return newest.read_text().split()[0]


def acquire():
    rows = []
    for file in sorted(VIDEOS.glob("*.mp4")):
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        split = "test" if file.name < "b" else "train"
        rows.append(
            {"clip": f"folder/{file.stem}/00000", "video": file.stem, "split": split, "status": "kept", "reason": ""}
            | {"source_sha256": sha256, "member_sha256": sha256, "face_px": 100.0, "text": "", "corpus": "folder"}
            | {"person": file.stem, "split_by": "person", "detail": "", "shard": "a.tar", "offset": 0, "size": 0}
        )
    index.write(paths.INDEX, rows, index.INDEX_SCHEMA)


def lexicon():
    LEXICON.parent.mkdir(exist_ok=True)
    LEXICON.write_text("does not depend on the videos")


def train():
    assert LEXICON.read_text()
    if quality() == "broken":
        sys.exit("this data cannot be trained on")
    paths.GENERATOR.parent.mkdir(exist_ok=True)
    if quality() == "full":
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        paths.GENERATOR.write_bytes(bytes(1 << 20))
    paths.GENERATOR.write_text(f"weights {quality()} {files.md5_file(paths.INDEX)}")
    about = {"lineage": {"index_md5": files.md5_file(paths.INDEX)}}
    paths.GENERATOR.with_suffix(".json").write_text(json.dumps(about))


def evaluate():
    value = float(paths.GENERATOR.read_text().split()[1])
    rows = index.kept(index.read(paths.INDEX), "test")
    by_clip = [
        {"split": "test", "case": "", "clip": row["clip"], "row": "right_audio", "aperture_corr": value + k / 1000}
        | {"aperture_lag_frames": 0.0, "amplitude_ratio": 1.0}
        for k, row in enumerate(rows)
    ]
    csv_tables.write_csv(paths.METRICS_BY_CLIP, by_clip)
    right = {"aperture_corr": value, "amplitude_ratio": 1.0}
    off = {"aperture_corr": 0.0}
    paths.METRICS.write_text(json.dumps({"right_audio": right, "wrong_audio": off, "moved_audio": off}))


if __name__ == "__main__":
    with LOG.open("a") as log:
        log.write(sys.argv[1] + "\n")
    {"acquire": acquire, "lexicon": lexicon, "train": train, "evaluate": evaluate}[sys.argv[1]]()
