"""The mesh generator in the panel: where its mouths come from, and what it changes."""

import numpy as np
import pytest

from tasks.core import paths
from tasks.evaluate import conditions, half_clip, mesh_generator
from tasks.evaluate.mesh_generator import MeshGenerator
from tasks.evaluate.raw_clips import RawClips
from tasks.features import audio
from tasks.inference.lip_sync import LipSync
from tasks.loading.clips import Clips


@pytest.fixture
def mesh(trained):
    return MeshGenerator(
        paths.MOTION, paths.INSIDE, Clips(paths.INDEX, paths.SHARDS, "train"), RawClips(paths.CLIPS, paths.RAW)
    )


def test_no_frame_is_made_from_itself(mesh):
    for number in range(len(mesh.clips)):
        film = mesh._recorded(number)
        for halves in (False, True):
            libraries = mesh._libraries(number, film, halves)
            assert libraries and np.sum([mine_T for mine_T, _ in libraries], axis=0).max() == 1
            for mine_T, mouths in libraries:
                own_N = np.array([mouths.footage[film_n].folder == film.folder for film_n in mouths.film_N])
                assert not mine_T[mouths.frame_N[own_N]].any()
                assert own_N.all() == (halves or not mesh.other_clips(number))


def test_mouths_come_from_clips_of_the_same_person(mesh):
    persons = [row["person"] for row in mesh.clips.rows]
    for number in range(len(mesh.clips)):
        assert all(persons[k] == persons[number] and k != number for k in mesh.other_clips(number))
    assert "person" in mesh.describe() or "half" in mesh.describe()


def test_the_mouth_moves_with_the_sound_and_the_upper_face_stays(mesh):
    clip = mesh.clips[0]
    sounds = {row: conditions.sound(row, mesh, 0) for row in ("mesh_right_audio", "mesh_wrong_audio")}
    right, wrong = (of.astype(int) for of in mesh.faces(0, sounds).values())
    upper, lower = (slice(0, 40), slice(48, 96))
    assert np.abs(right[:, upper] - clip.faces_TSS3[:, upper]).mean() < 2  # a shard's crops are JPEGs
    assert np.abs(right[:, lower] - wrong[:, lower]).max() > 10
    assert (right[:, upper] == wrong[:, upper]).all()


def test_frames_that_cannot_be_changed_repeat_the_nearest_changed_one():
    output = np.arange(6)
    changed = np.array([False, True, False, False, False, True])
    assert mesh_generator.nearest(output, changed, 2).tolist() == [1, 1, 1, 1, 5, 5]
    assert mesh_generator.nearest(output, np.zeros(6, bool), 2).tolist() == [2] * 6


def test_the_sounds_are_those_of_lipgans_conditions(mesh):
    """By their MFCCs: columns at the ends differ, where a sound goes on or was cut."""
    clips, num_frames = mesh.clips, len(mesh.clips[0].faces_TSS3)
    key = clips.keys[0]
    mfcc = {
        "mesh_right_audio": clips[0].mfcc_FW,
        "mesh_moved_audio": conditions.moved_sound(clips[0].mfcc_FW, key),
        "mesh_wrong_audio": conditions.wrong_sound(clips, 0),
    }
    for row, mfcc_FW in mfcc.items():
        made_FW = audio.mfcc(conditions.sound(row, mesh, 0), num_frames)
        assert np.median(np.abs(made_FW - mfcc_FW)) < 0.1 * np.median(np.abs(mfcc_FW)), row


def test_each_half_is_made_from_the_other_by_both_generators(mesh):
    sync = LipSync(paths.GENERATOR)
    records = {record["generator"]: record for record in half_clip.measured(sync, mesh, mesh.clips, 0)}
    assert set(records) == {"lipgan", "mesh"}
    assert all(15 < record["psnr"] < 60 and 0.3 < record["ssim"] < 1 for record in records.values())
    faces_TSS3 = half_clip.by_lipgan(sync, mesh.clips, 0)
    assert (faces_TSS3[:, :20] == mesh.clips[0].faces_TSS3[:, :20]).all()
