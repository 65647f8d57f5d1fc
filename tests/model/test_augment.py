import numpy as np
import pytest

from model import augment
from model.params import AugmentParams

QUIET = {"disturbed": 0.0, "snr_db": [0.0, 20.0], "silent": 0.0}
NOTHING = AugmentParams(flip=False, colour=0.0, shift_px=0, microphone=0.0, **QUIET)
MUCH = AugmentParams(flip=True, colour=0.2, shift_px=5, microphone=1.0, **QUIET)


def change(p, clip="main/1/00001", epoch=0, seed=1):
    return augment.draw(p, seed=seed, epoch=epoch, clip=clip)


@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(0, 256, (3, 96, 96, 3), dtype=np.uint8)


def test_parameters_of_zero_change_nothing(frames):
    none = change(NOTHING)
    sound = np.random.default_rng(1).normal(size=(12, 40)).astype(np.float32)
    assert np.array_equal(augment.faces(frames, none), frames)
    assert np.array_equal(augment.sound(sound, none), sound)
    box = np.array([30, 60, 66, 80], np.int16)
    assert np.array_equal(augment.box(box, none, 96), box)


def test_a_change_depends_on_seed_epoch_and_clip_alone():
    def key(c):
        return (c.down_px, c.right_px, c.table_3V.tobytes(), c.cepstra_F.tobytes(), *c[4:])

    assert key(change(MUCH)) == key(change(MUCH))
    others = {key(change(MUCH, **other)) for other in ({"clip": "b"}, {"epoch": 1}, {"seed": 2})}
    assert len(others | {key(change(MUCH))}) == 4


def test_the_box_moves_with_its_pixels(frames):
    picture = np.zeros((1, 96, 96, 3), np.uint8)
    picture[0, 60:80, 30:66] = 200
    moved = augment.Change(np.tile(np.arange(256, dtype=np.uint8), (3, 1)), 4, -3, np.zeros(12, np.float32))
    left, top, right, bottom = augment.box(np.array([30, 60, 66, 80], np.int16), moved, 96)
    shown = augment.faces(picture, moved)[0]
    assert (shown[top:bottom, left:right] == 200).all()
    assert shown.astype(int).sum() == picture.astype(int).sum()


@pytest.mark.parametrize("box", [[0, 90, 5, 96], [90, 50, 96, 52], [40, 94, 50, 96]])
def test_a_moved_box_is_never_empty_nor_outside(box):
    for down in (-5, 5):
        for right in (-5, 5):
            moved = augment.Change(np.zeros((3, 256), np.uint8), down, right, np.zeros(12, np.float32))
            left, top, right_end, bottom = augment.box(np.array(box, np.int16), moved, 96)
            assert 0 <= left < right_end <= 96 and 0 <= top < bottom <= 96


def test_all_frames_of_a_clip_change_equally(frames):
    same = np.repeat(frames[:1], 3, axis=0)
    changed = augment.faces(same, change(MUCH))
    assert (changed == changed[:1]).all() and not np.array_equal(changed, same)


def test_another_microphone_is_a_constant_in_the_cepstra():
    sound = np.random.default_rng(1).normal(size=(2, 12, 40)).astype(np.float32)
    added = augment.sound(sound, change(MUCH)) - sound
    assert np.abs(added).max() > 1
    assert np.allclose(added, added[..., :1], atol=1e-5)


def test_colours_stay_within_the_limits():
    tables = [
        change(AugmentParams(flip=False, colour=0.1, shift_px=0, microphone=0, **QUIET), epoch=e).table_3V
        for e in range(50)
    ]
    middle = np.array([t[:, 128] for t in tables], float) / 128
    assert 0.8 < middle.min() < 0.95 and 1.05 < middle.max() < 1.22


def test_the_requested_share_of_clips_has_a_background_within_the_levels():
    p = AugmentParams(flip=True, colour=0.0, shift_px=0, microphone=0, disturbed=0.3, snr_db=[5.0, 15.0], silent=0.0)
    snr_db = np.array([change(p, clip=f"main/1/{k:05d}").snr_db for k in range(600)])
    under = snr_db[np.isfinite(snr_db)]
    assert 0.24 < len(under) / 600 < 0.36
    assert 5 <= under.min() < 6 and 14 < under.max() <= 15
    assert np.isinf([change(MUCH, epoch=e).snr_db for e in range(50)]).all()
