"""Tracking by key frames against a search of every frame; identity, memory and the reference mode."""

import dataclasses
import io

import numpy as np
import pytest
from conftest import ROOT

from model import faces
from tasks.core import config, paths
from tasks.features import face_track
from tasks.media import decode
from tasks.storage import index, shards

P = config.load(ROOT / "params.yaml").faces
REFERENCE = dataclasses.replace(P, detection="reference")


@pytest.fixture
def clip(tiny):
    """Frames of one clean clip.  Shape: (T, H, W, 3)"""
    row = index.kept(index.read(paths.CLIPS), "train")[0]
    raw = shards.read(paths.RAW / row["shard"], row["offset"], row["size"])
    return np.stack(list(decode.frames(io.BytesIO(raw["mp4"]))))[:40]


@pytest.fixture
def scans(monkeypatch):
    """Sizes of the pictures that the detector searched."""
    sizes, scan = [], face_track.scan
    monkeypatch.setattr(face_track, "scan", lambda grey, *how: (sizes.append(grey.shape), scan(grey, *how))[1])
    return sizes


def overlap(one, other):
    both = one.found_T & other.found_T
    pairs = zip(one.boxes_T4[both], other.boxes_T4[both], strict=True)
    return np.mean([faces.iou(a, b[None])[0] for a, b in pairs])


def test_key_frames_need_an_eighth_of_the_searches_of_every_frame(clip, scans):
    reference = face_track.track(clip, REFERENCE)
    assert len(scans) == len(clip)
    scans.clear()
    sparse = face_track.track(clip, P)
    assert len(scans) <= len(clip) / 8
    assert not (reference.found_T & ~sparse.found_T).any()
    assert overlap(reference, sparse) > 0.85


def test_a_face_that_appears_between_key_frames_is_found_in_its_frames(clip):
    frames = clip.copy()
    frames[:13], frames[24:] = 128, 128
    found_T = face_track.track(frames, P).found_T
    assert found_T.tolist() == [13 <= t < 24 for t in range(len(frames))]


def test_a_jump_is_found_to_the_frame(clip):
    frames = np.pad(clip, [(0, 0), (0, 0), (0, 160), (0, 0)], constant_values=128)
    frames[17:] = np.roll(frames[17:], 160, axis=2)
    boxes = face_track.track(frames, dataclasses.replace(P, smooth_frames=1)).boxes_T4
    moved = np.diff((boxes[:, 0] + boxes[:, 2]) / 2)
    assert moved[16] == pytest.approx(160, abs=20) and np.abs(np.delete(moved, 16)).max() < 20


def test_a_search_near_a_box_agrees_with_a_whole_search(clip):
    for frame in clip[::10]:
        [whole] = face_track.detect(frame, 640)
        [near] = face_track.detect_near(frame, whole)
        assert np.abs(near - whole).max() < 1.5  # a search off dlib's grid is off by 4 px


def test_a_search_near_the_last_box_finds_the_same_face_in_a_smaller_picture(clip, scans):
    frame = np.pad(clip[0], [(200, 200), (200, 280), (0, 0)], constant_values=128)
    [whole] = face_track.detect(frame, 640)
    [near] = face_track.detect_near(frame, whole)
    assert faces.iou(whole, near[None])[0] > 0.65  # at most a step of the detector's sizes
    assert np.prod(scans[-1]) < np.prod(scans[0])  # and that one is enlarged to four times its pixels


def test_the_search_near_a_box_outside_the_picture_finds_nothing():
    frame = np.zeros((160, 160, 3), np.uint8)
    assert face_track.detect_near(frame, np.array([400.0, 400.0, 480.0, 480.0])).shape == (0, 4)
    assert face_track.detect_near(frame, np.array([-300.0, -300.0, -220.0, -220.0])).shape == (0, 4)


def test_another_larger_face_does_not_take_over(clip):
    """Side by side; by size alone, the second one would be chosen in every frame."""
    large = np.stack([face_track.cv2.resize(frame, (240, 240)) for frame in clip])
    small = np.pad(clip, [(0, 0), (0, 80), (0, 0), (0, 0)], constant_values=128)
    frames = np.concatenate([small, large], axis=2)
    [mine] = face_track.detect(clip[0], 640)
    followed = face_track.track(frames, P, first_4=mine)
    assert followed.found_T.all() and (followed.boxes_T4[:, 2] < 170).all()


def test_memory_holds_one_key_interval(clip, monkeypatch):
    held = []
    look = face_track._Search.look
    monkeypatch.setattr(
        face_track._Search, "look", lambda self, t, last: (held.append(len(self.held)), look(self, t, last))[1]
    )
    face_track.track(iter(np.tile(clip, (3, 1, 1, 1))), P)
    assert max(held) <= P.key_every + 1


@pytest.mark.parametrize("num_frames", [0, 1, 2, 10, 11, 12])
def test_a_track_has_a_box_for_every_frame(clip, num_frames):
    followed = face_track.track(clip[:num_frames], P)
    assert followed.boxes_T4.shape == (num_frames, 4) and followed.found_T.all()
