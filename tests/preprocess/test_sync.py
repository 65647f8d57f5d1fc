"""Sound that is off is moved to the mouth, on filmed people and on a mouth that the motion network itself predicts."""

import dataclasses
from functools import cache

import numpy as np
import pytest
from conftest import ROOT

from model import head_mesh, timing
from model.motion import frame_middles_s
from tasks.core import config
from tasks.features.face_track import track
from tasks.inference import motion_weights
from tasks.media import decode
from tasks.preprocess import examine
from tasks.preprocess import stage as preprocess
from tasks.preprocess.sync import Synchroniser, earlier

P = config.load(ROOT / "params.yaml")
VIDEOS = ROOT.parent / "shared/grid/video"
CLIPS = ("s31/bgiq6p.mpg", "s31/lrau5s.mpg", "s4/bbaf2a.mp4", "p04/utterance.mpg")
needs_grid = pytest.mark.skipif(not VIDEOS.is_dir(), reason="needs the GRID clips in ../shared/grid")


def noise(num_frames=90, seed=0):
    """Bursts of noise with the rhythm of syllables.  Shape: -> (640 T,)"""
    rng = np.random.default_rng(seed)
    level = np.repeat(np.convolve(rng.uniform(0, 1, num_frames) ** 3, np.hanning(6), "same"), timing.SAMPLES_PER_FRAME)
    return (0.1 * level * rng.normal(0, 1, len(level))).astype(np.float32)


def speaking(sound):
    """The mesh of a head that moves its mouth as the network predicts.  Shape: -> (T, 468, 3)"""
    num_frames = len(sound) // timing.SAMPLES_PER_FRAME
    rng = np.random.default_rng(0)
    mesh = rng.normal(0, 1, (1, 468, 3)).repeat(num_frames, axis=0)
    mesh[:, list(head_mesh.RIGID)] = np.array(list(head_mesh.RIGID.values()))
    network = motion_weights.load(motion_weights.RELEASED)
    closed_S3 = rng.normal(0, 0.3, (len(head_mesh.MOUTH), 3))
    moving = network.shapes.shifts(network.bare_codes(sound, frame_middles_s(num_frames)))
    mesh[:, head_mesh.MOUTH] = closed_S3 + moving
    return mesh


@pytest.mark.parametrize("late", [-7, -3, 3, 7])
def test_sound_that_is_off_is_moved_to_the_mouth(late):
    sound, mesh = noise(), speaking(noise())
    moved, figures = Synchroniser().synchronised(earlier(sound, -late), mesh, P.quality)
    assert figures["av_moved"] == late and figures["av_left"] == 0
    inner = slice(8 * timing.SAMPLES_PER_FRAME, -8 * timing.SAMPLES_PER_FRAME)
    assert np.array_equal(moved[inner], sound[inner])


def test_sound_that_is_right_doubtful_or_without_a_mesh_is_not_moved():
    sound, mesh, sync = noise(), speaking(noise()), Synchroniser()
    for late in (-1, 0, 1):
        off = earlier(sound, -late)
        assert sync.synchronised(off, mesh, P.quality)[0] is off
    off = earlier(sound, -5)
    moved, figures = sync.synchronised(off, mesh, dataclasses.replace(P.quality, sync_confidence=2.0))
    assert moved is off and figures["av_offset"] == 5 and figures["av_moved"] == 0
    moved, figures = sync.synchronised(off, np.full_like(mesh, np.nan), P.quality)
    assert moved is off and figures["av_offset"] == 0 and figures["av_confidence"] == 0


@cache
def tools():
    return preprocess.tools()


@cache
def filmed(name):
    """Sound and mesh of a GRID clip, as preprocessing reads them."""
    frames = list(decode.frames(VIDEOS / name))
    [(_, mesh_T4683)] = examine.cut(frames, [track(frames, P.faces, None, tools().refiner)], P.faces.size)
    return decode.fit(decode.decode_sound(VIDEOS / name), len(frames)), mesh_T4683


@needs_grid
@pytest.mark.parametrize("name", CLIPS)
def test_filmed_people_are_in_sync_and_a_planted_offset_is_corrected(name):
    sound, mesh = filmed(name)
    untouched, figures = tools().sync.synchronised(sound, mesh, P.quality)
    assert untouched is sound and abs(figures["av_offset"]) <= 1
    for late in (-6, 4):
        _, figures = tools().sync.synchronised(earlier(sound, -late), mesh, P.quality)
        assert abs(figures["av_moved"] - late) <= 1


@needs_grid
def test_of_two_filmed_people_the_one_whose_sentence_is_heard_speaks():
    pairs = [(one, other) for one in CLIPS for other in CLIPS if one != other]
    chosen = [tools().sync.speaker([filmed(other)[1], filmed(one)[1]], filmed(one)[0]) for one, other in pairs]
    assert chosen == [1] * len(pairs)
