"""Known answers for every metric, and the ways to game it."""

import numpy as np
import pytest

from model.metrics import picture, registry, temporal

RNG = np.random.default_rng(0)
T = 90


def flat(value: int, frames: int = 2) -> np.ndarray:
    return np.full((frames, 8, 10, 3), value, np.uint8)


def mouth(seed: int = 0) -> np.ndarray:
    """An opening that moves like speech: some syllables a second, never negative."""
    noise = np.random.default_rng(seed).standard_normal(T + 8)
    return 0.1 + 0.05 * np.convolve(noise, np.hanning(9) / 4, "valid")


def scores(measured_T: np.ndarray, truth_T: np.ndarray, max_lag: int = 7) -> temporal.Aperture:
    return temporal.aperture_scores(measured_T, truth_T, max_lag=max_lag, reference_T=truth_T)


# ---- pictures


@pytest.mark.parametrize(("a", "b"), [(10, 11), (11, 10), (0, 255), (255, 0), (255, 1)])
def test_l1_does_not_wrap_around(a, b):
    assert picture.l1(flat(a), flat(b)) == pytest.approx(abs(a - b) / 255)


def test_l1_of_a_tenth_of_the_pixels_is_a_tenth():
    a, b = flat(100), flat(100)
    b[:, :, 0] = 151
    assert picture.l1(a, b) == pytest.approx(0.1 * 51 / 255)


def test_mouth_l1_sees_its_box_and_nothing_else():
    a, b = flat(100), flat(200)
    b[0, 2:5, 3:7] = 151
    b[1, 0:8, 0:1] = 100
    boxes = np.array([[3, 2, 7, 5], [0, 0, 1, 8]], np.int16)
    assert picture.mouth_l1(a, b, boxes) == pytest.approx((51 / 255 + 0) / 2)


def test_mouth_boxes_of_different_size_weigh_the_same():
    a, b = flat(0), flat(0)
    b[0] = 255
    assert picture.mouth_l1(a, b, np.array([[0, 0, 10, 8], [0, 0, 1, 1]])) == pytest.approx(0.5)


def test_an_empty_mouth_box_is_an_error_and_not_nan():
    with pytest.raises(ValueError, match=r"mouth box \(12, 0, 14, 4\) holds no pixel of a 10 x 8 frame"):
        picture.mouth_l1(flat(0, 1), flat(0, 1), np.array([[12, 0, 14, 4]]))


def test_a_box_that_begins_outside_is_not_counted_from_the_other_end():
    a, b = flat(0, 1), flat(0, 1)
    b[:, :, 8:] = 255
    assert picture.mouth_l1(a, b, np.array([[-3, 0, 4, 8]])) == 0


@pytest.mark.parametrize(
    ("a", "b", "expected_db"),
    [(0, 255, 0.0), (100, 101, 48.1308), (101, 100, 48.1308), (50, 60, 28.1308), (7, 7, 100.0)],
)
def test_psnr_has_its_textbook_values(a, b, expected_db):
    assert picture.psnr(flat(a), flat(b)) == pytest.approx(expected_db, abs=1e-4)


def test_one_perfect_frame_does_not_lift_psnr_of_the_others():
    a, b = flat(50, 10), flat(60, 10)
    b[0] = 50
    assert picture.psnr(a, b) == pytest.approx(28.1308 + 10 * np.log10(10 / 9), abs=1e-4)


@pytest.mark.parametrize("metric", [picture.l1, picture.psnr])
def test_pictures_of_another_kind_are_refused(metric):
    with pytest.raises(ValueError, match=r"must both be \(T, H, W, 3\) of one shape"):
        metric(flat(0, 2), flat(0, 3))
    with pytest.raises(ValueError, match="must be uint8, got float64"):
        metric(flat(0) / 255, flat(0))


# ---- mouth opening


def test_a_perfect_mouth():
    assert scores(mouth(), mouth()) == temporal.Aperture(
        corr=pytest.approx(1), best_corr=pytest.approx(1), lag_frames=0, amplitude_ratio=1
    )


def test_a_frozen_mouth_has_no_correlation_and_no_amplitude():
    assert scores(np.full(T, 0.3), mouth()) == temporal.Aperture(0, 0, 0, 0)


def test_a_mumble_is_detected_only_by_its_amplitude():
    got = scores(0.3 * mouth(), mouth())
    assert got.corr == pytest.approx(1)
    assert got.lag_frames == 0
    assert got.amplitude_ratio == pytest.approx(0.3)


@pytest.mark.parametrize("late", [-7, -2, 2, 5, 7])
def test_a_late_mouth_is_detected_by_its_lag_and_positive_is_late(late):
    truth = mouth()
    got = scores(np.roll(truth, late), truth)
    assert got.lag_frames == late
    assert got.best_corr > 0.95
    assert got.corr < 0.7
    assert got.amplitude_ratio == pytest.approx(1)


def test_a_mouth_that_closes_instead_of_opening_correlates_negatively():
    got = scores(1 - mouth(), mouth())
    assert got.corr == pytest.approx(-1)
    assert got.amplitude_ratio == pytest.approx(1)


def test_another_speech_has_amplitude_and_no_correlation():
    corrs = [scores(mouth(seed), mouth(seed + 1)).corr for seed in range(0, 60, 2)]
    assert abs(np.mean(corrs)) < 0.1
    assert scores(mouth(2), mouth(3)).amplitude_ratio == pytest.approx(1, abs=0.5)


def test_correlation_lag_and_amplitude_separate_the_controls():
    truth = mouth()
    cases = {
        "perfect": truth,
        "frozen": np.full(T, truth.mean()),
        "mumble": 0.3 * truth,
        "late by 2": np.roll(truth, 2),
        "late by 5": np.roll(truth, 5),
        "negated": -truth,
    }
    found = [scores(case, truth) for case in cases.values()]
    assert len({(round(s.corr, 1), s.lag_frames, round(s.amplitude_ratio, 1)) for s in found}) == len(cases)


def test_amplitude_is_compared_with_the_reference_and_not_with_the_truth():
    truth = mouth()
    got = temporal.aperture_scores(2 * truth, 50 * truth, max_lag=3, reference_T=4 * truth)
    assert got.amplitude_ratio == pytest.approx(0.5)


@pytest.mark.parametrize(("measured", "expected"), [(np.zeros(T), 1.0), (mouth(), 10.0)])
def test_a_reference_that_does_not_move_gives_a_number(measured, expected):
    got = temporal.aperture_scores(measured, mouth(), max_lag=3, reference_T=np.zeros(T))
    assert got.amplitude_ratio == expected


@pytest.mark.parametrize("num_frames", [1, 2, 3, 8, 15])
def test_short_clips_give_finite_scores_and_no_lag_beyond_half_of_them(num_frames):
    got = scores(mouth(1)[:num_frames], mouth(2)[:num_frames])
    assert np.isfinite([got.corr, got.best_corr, got.amplitude_ratio]).all()
    assert abs(got.lag_frames) <= num_frames // 2


def test_an_unmeasured_lag_is_never_the_best():
    """In 4 frames lags beyond 2 are not measured; their 0 must not win against negative correlations."""
    got = scores(np.array([0.0, 1, 2, 3]), np.array([3.0, 2, 1, 0]), max_lag=7)
    assert got.best_corr == pytest.approx(-1)
    assert got.lag_frames == 0


def test_equal_peaks_go_to_the_lag_nearest_zero():
    wave = np.sin(2 * np.pi * np.arange(80) / 4)
    assert scores(wave, wave, max_lag=8).lag_frames == 0


def test_the_lag_curve_peaks_at_its_delay():
    truth = mouth()
    curve = temporal.lag_curve(np.roll(truth, 3), truth, 7)
    assert curve.shape == (15,)
    assert curve.argmax() - 7 == 3
    assert curve[7 + 3] == pytest.approx(np.corrcoef(np.roll(truth, 3)[3:], truth[:-3])[0, 1])


@pytest.mark.parametrize("bad", [np.full(T, np.nan), np.ones(T - 1)])
def test_curves_that_cannot_be_compared_are_refused(bad):
    with pytest.raises(ValueError, match=r"nan|one length"):
        scores(bad, mouth())


# ---- sync networks


def test_sync_accuracy_counts_by_hand():
    right, wrong = np.array([0.1, 0.4, 0.9, 0.2]), np.array([0.3, 1.1, 0.8, 1.5])
    got = temporal.sync_accuracy(right, wrong, threshold=0.5)
    assert got.accuracy == 6 / 8
    assert got.two_afc == 3 / 4


def test_a_collapsed_network_is_at_chance():
    for distance in (0.0, 0.5, 2.0):
        same = np.full(10, distance)
        assert temporal.sync_accuracy(same, same, threshold=0.5) == temporal.SyncScores(0.5, 0.5)


def test_a_nan_distance_is_wrong_and_not_left_out():
    right, wrong = np.array([0.1, np.nan]), np.array([np.nan, 0.9])
    assert temporal.sync_accuracy(right, wrong, threshold=0.5) == temporal.SyncScores(0.5, 0.0)


# ---- over clips


def test_bootstrap_covers_the_true_mean_about_95_times_in_100():
    inside = 0
    for trial in range(300):
        values = np.random.default_rng(trial).normal(3, 2, 40)
        _, low, high = registry.bootstrap(values, seed=trial, num=400)
        inside += low <= 3 <= high
    assert 0.90 <= inside / 300 <= 0.98


def test_bootstrap_is_as_wide_as_the_standard_error_says():
    values = np.random.default_rng(0).normal(0, 1, 400)
    value, low, high = registry.bootstrap(values, seed=1, num=4000)
    assert value == values.mean()
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.08)


def test_bootstrap_of_one_clip_is_that_clip():
    assert registry.bootstrap(np.array([0.7]), seed=0, num=100) == (0.7, 0.7, 0.7)


def test_bootstrap_has_the_same_answer_for_the_same_seed():
    values = mouth()
    assert registry.bootstrap(values, 5, 200) == registry.bootstrap(values, 5, 200)
    assert registry.bootstrap(values, 5, 200) != registry.bootstrap(values, 6, 200)


def test_a_summary_holds_means_intervals_and_the_median_of_the_lag():
    clips = [{"aperture_corr": corr, "aperture_lag_frames": lag} for corr, lag in [(0.5, 0), (0.7, 0), (0.9, 7)]]
    got = registry.summarise(clips, seed=0, num=500)
    assert got["aperture_corr"] == pytest.approx(0.7)
    assert got["aperture_lag_frames"] == 0
    low, high = got["aperture_corr_ci"]
    assert 0.5 <= low < 0.7 < high <= 0.9
    assert (got["num_clips"], got["num_failed"]) == (3, 0)


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_a_clip_that_could_not_be_measured_counts_as_the_worst(missing):
    clips = [{"aperture_corr": 0.8, "l1": 0.1}, {"aperture_corr": missing, "l1": missing}]
    got = registry.summarise(clips, seed=0, num=100)
    assert got["aperture_corr"] == pytest.approx((0.8 - 1) / 2)
    assert got["l1"] == pytest.approx((0.1 + 1) / 2)
    assert (got["num_clips"], got["num_failed"]) == (2, 1)


LOWEST = {"aperture_corr": -1, "aperture_best_corr": -1, "ssim": -1, "mouth_ssim": -1, "outside_ssim": -1}
HIGHEST = {
    "l1": 1, "mouth_l1": 1, "outside_l1": 1, "chin_motion": 1, "cheek_motion": 1, "seam": 1, "teeth_error": 1,
    "mouth_skew": 1, "expert_distance": 2,
}  # fmt: skip


@pytest.mark.parametrize(
    ("lag", "text"),
    [(0.0, "0 frames"), (-0.0, "0 frames"), (-0.04, "0 frames"), (1, "+1 frame"), (-2.0, "-2 frames"),
     (1.5, "+1.5 frames"), (-1.0, "-1 frame")],
)  # fmt: skip
def test_a_lag_reads_as_a_person_writes_it(lag, text):
    assert registry.lag_text(lag) == text


@pytest.mark.parametrize("name", registry.METRICS)
def test_a_failed_clip_never_scores_better(name):
    """The worst value is at least as far from the best as anything the metric can give."""
    extremes = {
        "higher": [LOWEST.get(name, 0)], "lower": [HIGHEST.get(name, 0)], "zero": [-50, 50], "one": [0, 10],
    }[registry.METRICS[name].better]  # fmt: skip
    worst = registry.distance_from_best(name, np.array([registry.METRICS[name].worst]))
    assert worst > registry.distance_from_best(name, np.array(extremes)).max() - 1e-9


def test_inconsistent_clips_are_refused():
    with pytest.raises(ValueError, match="no clip"):
        registry.summarise([], seed=0, num=10)
    with pytest.raises(ValueError, match=r"unknown metrics \['lse_x'\]"):
        registry.summarise([{"lse_x": 1.0}], seed=0, num=10)
    with pytest.raises(ValueError, match="the same metrics"):
        registry.summarise([{"l1": 1.0}, {"psnr": 1.0}], seed=0, num=10)


def test_a_constant_curve_in_float32_is_constant_too():
    still = np.full(102, 0.1234567, np.float32)
    moving = np.sin(np.arange(102)).astype(np.float32)
    score = temporal.aperture_scores(still, moving, max_lag=5, reference_T=moving)
    assert (score.corr, score.best_corr, score.lag_frames, score.amplitude_ratio) == (0, 0, 0, 0)


def test_a_metric_that_a_clip_has_nothing_of_is_no_failure_and_its_clips_are_counted():
    got = registry.summarise([{"l1": 0.1, "closure": 1.0}, {"l1": 0.3}, {"l1": 0.2, "closure": None}], seed=0, num=50)
    assert got["closure"] == 0.5 and got["closure_clips"] == 2 and got["closure_failed"] == 1
    assert (got["num_clips"], got["num_failed"]) == (3, 1) and "l1_clips" not in got


def test_ratios_are_as_far_from_one_on_either_side():
    half, double, zero, ten = registry.distance_from_best("amplitude_ratio", np.array([0.5, 2, 0, 10]))
    assert half == pytest.approx(double) and zero == pytest.approx(ten) and zero > half


# ---- a sync network's view


def view(best_offset: int, frames: int = 60, noise: float = 0.0) -> np.ndarray:
    """Distances of a clip that fits the sound at one offset, nan where there is no sound."""
    offsets = np.arange(-15, 16)
    rng = np.random.default_rng(0)
    rows = 1 - 0.6 * (offsets == best_offset) + noise * rng.standard_normal((frames, 31))
    at = np.arange(frames)[:, None] + offsets
    return np.where((at >= 0) & (at < frames), rows, np.nan)


@pytest.mark.parametrize("late", [-4, 0, 1, 5])
def test_a_late_picture_fits_earlier_sound_and_has_a_positive_lag(late):
    lags = temporal.expert_lags(view(-late))
    assert lags.shape == (36,) and (lags == late).all()
    assert temporal.in_sync(lags) == (abs(late) <= 1)


def test_lags_are_measured_over_a_second_not_over_single_frames():
    seen = view(0, noise=0.5)
    assert (np.nanargmin(seen, axis=1) == 15).mean() < 0.7
    assert temporal.in_sync(temporal.expert_lags(seen)) > 0.95


def test_an_offset_that_is_hardly_measured_is_not_the_best():
    seen = view(0, frames=20)
    seen[18, 15 - 15] = -5.0  # one value, at an offset that the other frames do not have
    assert (temporal.expert_lags(seen) == 0).all()


def test_half_a_clip_in_sync_is_half_in_sync():
    lags = temporal.expert_lags(np.vstack([view(0, 100), view(5, 100)]))
    assert temporal.in_sync(lags) == pytest.approx(0.5, abs=0.1)
