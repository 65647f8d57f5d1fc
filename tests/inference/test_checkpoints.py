"""Checkpoints of earlier versions load: the names of weights and of the JSON's fields are literal here."""

import json
from pathlib import Path

from tasks.core import paths
from tasks.inference import checkpoints
from tasks.inference.lip_sync import LipSync, describe, face_params
from tasks.inference.sync_meter import SyncMeter

WEIGHTS = {
    paths.GENERATOR: {"encoder", "face_code", "audio_code", "decoder", "picture"},
    paths.DISCRIMINATORS: {"face", "audio"},
    paths.EXPERT: {"face", "audio_code", "audio_head", "scale", "bias"},
}
FACES = (
    "size", "choose", "detection", "key_every", "detect_px", "smooth_frames", "min_found", "min_frames", "max_frames",
    "storage", "jpeg_quality",
)  # fmt: skip


def test_the_weights_keep_the_names_of_version_0_1(trained):
    for path, parts in WEIGHTS.items():
        weights, _ = checkpoints.load(path)
        assert {name.split(".")[0] for name in weights} == parts


def test_a_description_with_the_fields_of_version_0_1_is_enough_to_generate_and_to_measure(trained):
    about = {
        "network": "generator",
        "params": {"faces": {}, "model": {"width": 0.125}, "train": {}, "seed": 0},
        "loop": {"step": 6, "epoch": 0},
        "lineage": {"index_md5": "", "corpora": ["synthetic"], "licences": ["none"], "train_version": 4},
    }
    for path in (paths.GENERATOR, paths.EXPERT):
        faces = json.loads(path.with_suffix(".json").read_text())["params"]["faces"]
        about["params"]["faces"] = {name: faces[name] for name in FACES}
        Path(path.with_suffix(".json")).write_text(json.dumps(about))
    sync = LipSync(paths.GENERATOR)
    assert face_params(sync.about, paths.GENERATOR).size == sync.size == SyncMeter().size == 96
    assert describe(sync.about) == "step 6, width 0.125, corpora synthetic"
