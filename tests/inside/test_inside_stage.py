"""The stage `inside`: pairs from shards, training, and the network's use by `dub`."""

import dataclasses
import json

import numpy as np
import pytest
import resumed

from model import head_mesh
from tasks.compositor import inside as compositor_inside
from tasks.core import config, paths
from tasks.core.errors import UserError
from tasks.dubbing import networks
from tasks.inference import inside_weights
from tasks.inside import pairs, stage, training
from tasks.loading.clips import Clips
from tasks.storage import index


@pytest.fixture
def p(trained):
    return config.load(paths.PARAMS)


@pytest.fixture
def film(p):
    clips = {"train": Clips(paths.INDEX, paths.SHARDS, "train")}
    return stage.film(clips, stage.of_split("train", clips["train"], 40)[0])


def psnr_db(one, other, area):
    error = np.square(one.astype(float) - other)[area].mean()
    return 10 * np.log10(255**2 / max(error, 1e-9))


def test_training_again_and_resuming_give_the_same_bytes(p, monkeypatch):
    resumed.demand_same_bytes(stage, "inside", paths.INSIDE, p, monkeypatch)


def test_it_trains_on_train_and_is_measured_on_people_it_has_not_seen(p):
    about = json.loads(paths.INSIDE.with_suffix(".json").read_text())
    people = {split: set(about["data"][split]["people"]) for split in ("train", "val")}
    assert people["train"] and not people["train"] & people["val"]
    rows = index.kept(index.read(paths.INDEX))
    assert people["train"] <= {row["person"] for row in rows if row["split"] == "train"}
    assert set(about["figures"]["val"]) == people["val"]


def test_dub_takes_the_trained_network_where_there_is_one_and_otherwise_the_released(p):
    assert networks.load("mesh", None, None).inside_file == paths.INSIDE
    assert networks.load("mesh", networks.RELEASED, None).inside_file == inside_weights.RELEASED
    paths.INSIDE.unlink()
    assert networks.load("mesh", None, None).inside_file == inside_weights.RELEASED


def test_a_state_and_its_pairs_belong_to_their_parameters_and_their_index(p):
    keys = stage.inside_keys(p)
    assert (paths.cache() / "inside" / keys[0] / "state.pt").is_file()
    assert (paths.cache() / "inside" / keys[1] / "train.npz").is_file()
    other = dataclasses.replace(p, inside=dataclasses.replace(p.inside, lr=1e-4))
    assert stage.inside_keys(other)[0] != keys[0] and stage.inside_keys(other)[1] == keys[1]
    index.write(paths.INDEX, index.read(paths.INDEX)[1:], index.INDEX_SCHEMA)
    assert not set(stage.inside_keys(p)) & set(keys)


def test_weights_of_another_size_are_refused_with_one_line(p):
    about = paths.INSIDE.with_suffix(".json")
    about.write_text(about.read_text().replace('"width": 8', '"width": 12'))
    with pytest.raises(UserError, match="weights do not fit"):
        inside_weights.load(paths.INSIDE)


def test_the_second_frame_of_a_pair_shows_what_the_first_lacks():
    opening_T = np.random.default_rng(0).uniform(0, 0.3, 50)
    numbers_N2 = pairs.drawn(opening_T, 200, np.random.default_rng(1))
    lacking = compositor_inside.lack(opening_T[numbers_N2[:, 1]], opening_T[numbers_N2[:, 0]])
    assert len(numbers_N2) > 100 and (lacking > 0).all()
    assert len(np.unique(numbers_N2, axis=0)) == len(numbers_N2)
    assert not len(pairs.drawn(np.full(50, 0.2), 10, np.random.default_rng(0)))


def test_a_pair_is_a_frame_warped_onto_another_with_lips_on_lips(film):
    """Around the mouth, which the warp moves but does not hide, the warped frame is the true one."""
    made = pairs.of_film(film, 12, np.random.default_rng(0))
    for warped, true, [_, outer, area] in zip(made.warped_NHW3, made.true_NHW3, made.masks_N3HW, strict=True):
        around = (outer == 0) & (area == 0)
        assert psnr_db(warped, true, around) > 24
        assert area[outer == 255].mean() > 20 and area[:4].max() == area[-4:].max() == 0
    still = pairs.of_film(still_film(film), 12, np.random.default_rng(0))
    assert still is None


def still_film(film):
    heads = type(film.heads)(*(np.repeat(part[:1], len(part), axis=0) for part in film.heads))
    return dataclasses.replace(film, heads=heads)


def test_every_person_has_an_equal_share_of_the_pairs_and_the_first_folder_its_share():
    sources = [stage.StoredOf("ann", "train", n) for n in range(8)] + [stage.StoredOf("bob", "train", 9)]
    sources += [stage.StoredOf(f"drawn{n}", "train", n, folder=1) for n in range(10)]
    p = dataclasses.replace(config.load(paths.PARAMS).inside, num_pairs=800, first_share=0.75)
    num_of = dict.fromkeys((source.person for source in sources), 0)
    for source, num in zip(sources, training._numbers(sources, p), strict=True):
        num_of[source.person] += num
    assert abs(num_of["ann"] - 300) <= 4 and num_of["bob"] == 300
    assert {num_of[f"drawn{n}"] for n in range(10)} == {20}


def test_the_warp_of_stored_points_is_that_of_a_whole_mesh(film):
    """Shards hold 113 of 468 points: a head without the others still has triangles from the nose to below the jaw."""
    heads = film.heads
    assert np.isnan(heads.canonical_TP3).any() and np.isfinite(heads.canonical_TP3[:, list(head_mesh.MOUTH)]).all()
    made = pairs.of_film(film, 2, np.random.default_rng(0))
    assert made.warped_NHW3.std() > 5
