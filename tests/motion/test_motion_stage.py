"""The stage `motion`: trained on the shards, and used by `dub`."""

import dataclasses
import json

import numpy as np
import pytest
import resumed

from model import motion as network
from tasks.core import config, paths
from tasks.dubbing import networks
from tasks.evaluate.raw_clips import RawClips
from tasks.inference import motion_weights
from tasks.loading.clips import Clips
from tasks.motion import stage
from tasks.storage import index


@pytest.fixture
def p(trained):
    return config.load(paths.PARAMS)


def test_its_audio_features_are_those_of_the_sound(p):
    """Up to the level, which the network's input does not have."""
    shards_p = stage.of_shards(p.motion)
    split = Clips(paths.INDEX, paths.SHARDS, "train")
    clip = stage.load(split, shards_p)[0]
    sound = RawClips(paths.CLIPS, paths.RAW).sound(clip.name)[: 640 * len(clip.mouth_TS3)]
    from_sound_CM = network.heard(network.listen(sound, shards_p))
    columns = min(len(from_sound_CM), len(clip.power_CM)) - 8  # beyond the end a shard holds silence
    apart = np.abs(from_sound_CM[:columns] - network.heard(clip.power_CM)[:columns])
    assert np.median(apart) < 0.02


def test_training_again_and_resuming_give_the_same_bytes(p, monkeypatch):
    resumed.demand_same_bytes(stage, "motion", paths.MOTION, p, monkeypatch)


def test_it_trains_on_train_and_is_measured_on_people_it_has_not_seen(p):
    about = json.loads(paths.MOTION.with_suffix(".json").read_text())
    people = {split: set(about["data"][split]["people"]) for split in ("train", "val")}
    assert not people["train"] & people["val"]
    rows = index.kept(index.read(paths.INDEX))
    assert people["train"] == {row["person"] for row in rows if row["split"] == "train"}
    assert set(about["figures"]["val"]) == people["val"]
    assert motion_weights.load(paths.MOTION).p == stage.of_shards(p.motion)


def test_dub_takes_the_trained_network_where_there_is_one_and_otherwise_the_released(p):
    assert networks.load("mesh", None, None).checkpoint == paths.MOTION
    assert networks.load("mesh", networks.RELEASED, None).checkpoint == networks.MOTION
    paths.MOTION.unlink()
    assert networks.load("mesh", None, None).checkpoint == networks.MOTION


def test_a_state_belongs_to_its_parameters_and_its_index(p):
    key = stage.motion_key(p)
    assert (paths.cache() / "motion" / key / "state.pt").is_file()
    other = dataclasses.replace(p, motion=dataclasses.replace(p.motion, lr=1e-4))
    assert stage.motion_key(other) != key
    index.write(paths.INDEX, index.read(paths.INDEX)[1:], index.INDEX_SCHEMA)
    assert stage.motion_key(p) != key
