"""What the mesh does not hold, led over a joint by optical flow."""

import cv2
import numpy as np

from tasks.edit import body

FACE = np.random.default_rng(3).normal([160, 90], [8, 10], (468, 2))


def texture(seed, sigma):
    noise = np.random.default_rng(seed).normal(0, 1, (288, 360)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), sigma)
    return np.repeat((128 + 40 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


def test_shoulders_that_moved_meet_half_way_and_the_face_stays():
    one = texture(0, 4)
    other = np.roll(one, 8, axis=1)
    flow_HW2 = body.flow(one, other, FACE)
    assert flow_HW2 is not None and np.median(flow_HW2[200:, 40:320, 0]) > 6
    assert np.abs(flow_HW2[90, 160]).max() < 0.5
    between = body.shifted(one, flow_HW2, -0.5)[200:, 40:320], body.shifted(other, flow_HW2, 0.5)[200:, 40:320]
    assert cv2.absdiff(*between).mean() < 0.3 * cv2.absdiff(one, other)[200:, 40:320].mean()
    assert (body.shifted(one, flow_HW2, 0.0) == one).all()


def test_pictures_that_have_nothing_in_common_are_not_bent():
    assert body.flow(texture(1, 1), texture(2, 1), FACE) is None
