"""Known answers for what a picture of a mouth loses, and what moves that should not."""

import itertools

import numpy as np
import pytest

from model.metrics import motion, picture

RNG = np.random.default_rng(0)
BOXES = np.tile(np.array([8, 16, 24, 28]), (6, 1))


def noise(frames: int = 6) -> np.ndarray:
    return RNG.integers(60, 180, (frames, 32, 32, 3)).astype(np.uint8)


def still(frames: int = 6) -> np.ndarray:
    return np.repeat(noise(1), frames, axis=0)


def inside(frames: np.ndarray, change: int) -> np.ndarray:
    made = frames.copy()
    made[:, 16:28, 8:24] += np.uint8(change)
    return made


def test_mouth_and_outside_share_a_picture_between_them():
    true = still()
    mouth, outside = inside(true, 51), inside(true, 51)
    outside = 0 * true + 51 + true - (mouth - true)  # the complement: all but the mouth is changed
    assert picture.mouth_l1(mouth, true, BOXES) == pytest.approx(0.2)
    assert picture.outside_l1(mouth, true, BOXES) == 0
    assert picture.mouth_l1(outside, true, BOXES) == 0
    assert picture.outside_l1(outside, true, BOXES) == pytest.approx(0.2)


@pytest.mark.parametrize(("change", "decibel"), [(0, 100.0), (10, 28.1308), (1, 48.1308)])
def test_psnr_in_and_outside_the_box_has_its_textbook_values(change, decibel):
    true = still()
    assert picture.mouth_psnr(inside(true, change), true, BOXES) == pytest.approx(decibel, abs=1e-4)
    assert picture.outside_psnr(inside(true, change), true, BOXES) == 100


def test_sharpness_of_a_copy_is_one_of_blur_below_of_contrast_above():
    true = noise()
    blurred = ((true.astype(int) + np.roll(true, 1, 1) + np.roll(true, 1, 2)) // 3).astype(np.uint8)
    stretched = np.clip((true.astype(int) - 120) * 2 + 120, 0, 255).astype(np.uint8)
    assert picture.sharpness_ratio(true, true, BOXES) == 1
    assert picture.sharpness_ratio(np.full_like(true, 90), true, BOXES) == 0
    assert picture.sharpness_ratio(blurred, true, BOXES) < 0.7
    assert picture.sharpness_ratio(stretched, true, BOXES) == pytest.approx(2, rel=0.02)


def natural(frames: int = 5, size: int = 64) -> np.ndarray:
    """Pictures whose amplitudes fall with the frequency, as those of photographs do."""
    rng = np.random.default_rng(3)
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)) + 1 / size
    grey = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((frames, size, size))) / frequency, (size, size))
    grey = 120 + 25 * grey / grey.std()
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=-1)


WIDE = np.tile(np.array([12, 20, 52, 44]), (5, 1))


def filtered(pictures: np.ndarray, response) -> np.ndarray:
    """`response`: of the row's and the column's frequency, cycles a pixel."""
    spectrum = np.fft.fft2(pictures.astype(float), axes=(1, 2))
    rows = np.fft.fftfreq(pictures.shape[1])[:, None, None]
    made = np.fft.ifft2(spectrum * response(rows, rows.swapaxes(0, 1)), axes=(1, 2)).real
    return np.clip(np.rint(made), 0, 255).astype(np.uint8)


def blurred(pictures: np.ndarray, sigma_px: float) -> np.ndarray:
    return filtered(pictures, lambda y, x: np.exp(-2 * (np.pi * sigma_px) ** 2 * (y * y + x * x)))


def test_the_more_blur_the_lower_the_sharpness():
    true = natural()
    values = [picture.sharpness_ratio(blurred(true, sigma), true, WIDE) for sigma in (0, 0.3, 0.5, 0.7, 0.9, 1.2)]
    assert values[0] == 1 and all(after < before - 0.01 for before, after in itertools.pairwise(values))
    assert values[3] < 0.4


@pytest.mark.parametrize("shift_px", [0.25, 0.5, 3.0])
def test_a_shifted_picture_is_as_sharp(shift_px):
    true = natural()
    shifted = filtered(true, lambda y, x: np.exp(-2j * np.pi * shift_px * (y + x)))
    assert picture.sharpness_ratio(shifted, true, WIDE) == pytest.approx(1, abs=0.08)


def patterns() -> dict[str, np.ndarray]:
    y, x = np.mgrid[:64, :64]
    bumps = np.hypot(np.sin(x / 9), np.cos(y / 7))
    return {
        "checkerboard": (-1.0) ** (x + y),
        "columns of 2 px": (-1.0) ** x,
        "rows of 4 px": np.sign(np.sin(np.pi * (y + 0.5) / 2)),
        "grid of 4 px": np.maximum(x % 4 == 0, y % 4 == 0) * 2.0 - 1,
        "grid of 8 px": np.maximum(x % 8 == 0, y % 8 == 0) * 2.0 - 1,
        "diagonals": np.sin(2 * np.pi * (x + y) / 5),
        "a grid of uneven strength": (np.maximum(x % 4 == 0, y % 4 == 0) * 2.0 - 1) * bumps,
    }


@pytest.mark.parametrize("levels", [5, 15, 40])
@pytest.mark.parametrize("name", patterns())
def test_stripes_grids_and_checkerboards_over_a_blur_are_no_sharpness(name, levels):
    true = natural()
    soft = blurred(true, 1.5)
    drawn = np.clip(soft + levels * patterns()[name][..., None], 0, 255).astype(np.uint8)
    assert picture.sharpness_ratio(drawn, true, WIDE) < 0.5  # the verdict's limit is 0.6


def with_teeth(rows: list[int]) -> np.ndarray:
    """A red mouth 16 x 12, and in frame t so many rows of teeth in it."""
    faces = np.tile(np.array([150, 70, 70], np.uint8), (len(rows), 32, 32, 1))
    for t, num_rows in enumerate(rows):
        faces[t, 16 : 16 + num_rows, 8:24] = 220
    return faces


def test_teeth_are_bright_pixels_without_colour():
    assert picture.teeth_area(with_teeth([0, 3, 12]), BOXES[:3]).tolist() == [0, 0.25, 1]


def test_missing_and_flickering_teeth_are_detected():
    true = picture.teeth_area(with_teeth([0, 0, 3, 3, 0, 0]), BOXES)
    flicker = picture.teeth_area(with_teeth([0, 3, 0, 3, 0, 0]), BOXES)
    none = np.zeros(6)
    assert picture.teeth_error(true, true) == 0 and picture.teeth_error(none, true) == pytest.approx(0.25 / 3)
    assert picture.teeth_flicker_ratio(flicker, true) == 2
    assert picture.teeth_flicker_ratio(none, true) == 0
    assert picture.teeth_flicker_ratio(true, none) is None  # no teeth to compare with


def landmarks(frames: int = 4) -> np.ndarray:
    points = np.zeros((frames, 68, 2), np.float32)
    points[:, 36:42], points[:, 42:48] = (30, 40), (70, 40)  # eyes 40 apart
    points[:, 48], points[:, 54] = (40, 80), (60, 80)
    points[:, [51, 57, 62, 66]] = (50, 80)
    return points


def test_lmd_is_in_distances_of_the_eyes():
    moved = landmarks()
    moved[:, 48:] += (3, 4)
    assert picture.lmd(moved, landmarks()) == pytest.approx(5 / 40)
    assert picture.lmd(2 * moved, 2 * landmarks()) == pytest.approx(5 / 40)
    assert picture.lmd(landmarks(), landmarks()) == 0


def test_a_skewed_mouth_is_detected_for_any_tilt_of_the_head():
    skewed = landmarks()
    skewed[:, [51, 57, 62, 66], 0] = 45  # a quarter of the width from the left corner
    assert motion.asymmetry(landmarks()) == pytest.approx(np.zeros(4))
    assert motion.asymmetry(skewed) == pytest.approx(np.full(4, 0.5))
    assert motion.mouth_skew(skewed, landmarks()) == pytest.approx(0.5)
    lean = np.array([[0.8, 0.6], [-0.6, 0.8]], np.float32)
    assert motion.mouth_skew(skewed @ lean, landmarks() @ lean) == pytest.approx(0.5)


@pytest.mark.parametrize("dim", [1, 3])
def test_frechet_distance_of_shifted_and_scaled_gaussians(dim):
    rng = np.random.default_rng(1)
    a = rng.standard_normal((4000, dim))
    assert picture.frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert picture.frechet_distance(a, a + 3) == pytest.approx(9 * dim)
    assert picture.frechet_distance(a, 3 * a) == pytest.approx(np.trace(np.atleast_2d(np.cov(a.T))) * 4, rel=0.01)


def test_frechet_distance_sees_correlation_that_variances_do_not():
    rng = np.random.default_rng(2)
    a = rng.standard_normal((20_000, 2))
    b = a @ np.linalg.cholesky(np.array([[1, 0.8], [0.8, 1]])).T
    expected = 2 + 2 - 2 * (np.sqrt(1.8) + np.sqrt(0.2))  # eigenvalues of the covariance of b
    assert picture.frechet_distance(a, b) == pytest.approx(expected, abs=0.02)


def test_motion_that_the_true_frames_have_is_not_spurious():
    moving = noise()
    assert motion.spurious_motion(moving, moving, BOXES) == (0, 0)
    assert motion.spurious_motion(still(), moving, BOXES) == (0, 0)  # too little is another metric's matter


def test_jitter_of_chin_and_of_cheeks_is_measured_separately():
    chin, cheeks = still(), still()
    chin[1::2, 28:, 8:24] += 51
    cheeks[1::2, 16:28, :8] += 51
    true = [chin[0][None].repeat(6, 0), cheeks[0][None].repeat(6, 0)]
    assert motion.spurious_motion(chin, true[0], BOXES) == pytest.approx((0.2, 0), abs=1e-6)
    assert motion.spurious_motion(cheeks, true[1], BOXES) == pytest.approx((0, 0.2 / 2), abs=1e-6)


def test_a_box_that_moves_evenly_does_not_jitter():
    even = np.arange(10)[:, None] * [2, 1, 2, 1] + [0, 0, 50, 50]
    assert motion.box_jitter(even) == 0
    trembling = even + np.where(np.arange(10) % 2, 1, 0)[:, None]
    assert motion.box_jitter(trembling) == pytest.approx(2 / 50)


def test_a_seam_is_the_edge_that_a_paste_adds():
    frame = np.full((20, 20, 3), 100, np.uint8)
    pasted, rim = frame.copy(), np.zeros((20, 20), bool)
    pasted[:, 10:] = 151
    rim[:, 9:11] = True
    assert motion.seam(frame, frame, rim) == 0
    assert motion.seam(pasted, frame, rim) == pytest.approx(0.2 / 2)  # a central difference halves a step
    assert motion.seam(pasted, frame, np.zeros((20, 20), bool)) == 0
