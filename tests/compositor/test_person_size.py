"""The size of a real person's mouth motion, from a clip with sound and the released motion network."""

import itertools

import numpy as np
import pytest
from conftest import REAL

from model.motion import frame_middles_s
from tasks.compositor import footage, library, person_size
from tasks.compositor.person_size import Heard
from tasks.core.released import MOTION
from tasks.features import lip_refiner, mesh_model
from tasks.features.face_track import detect
from tasks.inference import motion_weights
from tasks.media import decode

CLIP, NUM = REAL / "grid_lbax4n.mpg", 50
pytestmark = [
    pytest.mark.skipif(not CLIP.is_file(), reason="the real clips in ../shared/real are not here"),
    pytest.mark.skipif(not mesh_model.path().is_file(), reason=f"no model: `{mesh_model.COMMAND}`"),
    pytest.mark.skipif(not lip_refiner.RELEASED.is_file(), reason="the lip refiner's weights are not here"),
]


@pytest.fixture(scope="module")
def mouths(tmp_path_factory):
    frames = list(itertools.islice(decode.frames(CLIP), NUM))
    boxes_T4 = np.full((NUM, 4), np.nan)
    boxes_T4[0] = detect(frames[0], 640)[0]
    film = footage.record(frames, boxes_T4, np.zeros(NUM, int), tmp_path_factory.mktemp("person"))
    return library.build([film])


def size(mouths, sound, first=0):
    heard = Heard(sound, frame_middles_s(NUM) + first / 25)
    return person_size.size(motion_weights.load(MOTION), mouths, {0: heard})


def test_a_real_persons_size_comes_from_the_clips_own_sound(mouths):
    sound = decode.decode_sound(CLIP)
    own = size(mouths, sound)
    assert own != 1 and 0.7 < own < 1.6
    assert size(mouths, np.zeros_like(sound)) == 1
    assert size(mouths, sound, first=10_000) == 1  # no frame within the sound
    assert person_size.size(motion_weights.load(MOTION), mouths, {}) == 1


def test_a_person_with_lips_that_open_further_has_a_larger_size(mouths):
    sound = decode.decode_sound(CLIP)
    before = size(mouths, sound)
    wider = np.array(mouths.footage[0].mesh_T4683)
    lower = [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308]  # inner edge of the lower lip
    upper = [191, 80, 81, 82, 13, 312, 311, 310, 415]
    wider[:, lower[1:-1], 1] += 0.5 * (wider[:, lower[1:-1], 1] - wider[:, upper, 1])
    mouths.footage[0].mesh_T4683 = wider
    assert size(mouths, sound) > 1.1 * before
