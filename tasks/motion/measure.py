"""How well a motion network predicts unseen mouths: per clip, averaged per person and then over people."""

from collections.abc import Sequence

import numpy as np

from model.head_mesh import mouth_opening
from model.motion import Motion, Voice, frame_middles_s
from tasks.motion.batches import MotionClip

MAX_LAG = 8  # frames
MIN_R = 0.3  # least correlation for a component to be scaled up
QUANTILES = 41
# closed and open lips, in distances between the outer eye corners; frames around open ones that count as speech
CLOSED, PREDICTED_CLOSED, OPEN, NEAR = 0.012, 0.02, 0.05, 4
MOVED = (1 / 3, 1 / 2, 2 / 3)  # shifts of the control, as shares of the clip's length


def figures(motion: Motion, clips: Sequence[MotionClip], sizes: dict[str, float]) -> dict[str, dict[str, float]]:
    """person -> size, num_clips and the means of `compared` over the clips.

    size   of the person's motion relative to the average person, whose size the network predicts: amplitude times size
           is the amplitude relative to the average person
    """
    rows: dict[str, list[dict[str, float]]] = {}
    for clip in clips:
        rows.setdefault(clip.person, []).append(compared(said_opening(motion, clip), clip.opening_T))
    return {
        person: {"num_clips": float(len(of)), "size": sizes[person]}
        | {name: float(np.mean([row[name] for row in of])) for name in of[0]}
        for person, of in rows.items()
    }


def mean_of_people(by_person: dict[str, dict[str, float]]) -> dict[str, float]:
    names = [name for name in next(iter(by_person.values())) if name != "num_clips"]
    return {name: float(np.mean([row[name] for row in by_person.values()])) for name in names}


def said_opening(motion: Motion, clip: MotionClip) -> np.ndarray:
    code_TK = motion.as_real(motion.codes_of(clip.power_CM, frame_middles_s(len(clip.mouth_TS3))))
    return mouth_opening(motion.shaped(code_TK, clip.closed_S3))


def calibrated(motion: Motion, clips: Sequence[MotionClip], sizes: dict[str, float]) -> Motion:
    """The same network, calibrated so that components and opening move as far as these people's, scaled to one size.

    Components that it predicts poorly (r below MIN_R) are not scaled up.
    """
    pairs = [_codes(motion, clip, sizes[clip.person]) for clip in clips]
    predicted_TK, real_TK = (
        np.concatenate([part - part.mean(axis=0) for part in side]) for side in zip(*pairs, strict=True)
    )
    usable_K = np.array([correlation(one, other) > MIN_R for one, other in zip(predicted_TK.T, real_TK.T, strict=True)])
    gain_K = np.where(usable_K, np.clip(real_TK.std(axis=0) / predicted_TK.std(axis=0), 1, motion.p.max_gain), 1)
    opening_K = motion.shapes.opening_K()
    predicted_T = np.concatenate([bare @ (gain_K * opening_K) for bare, _ in pairs])
    real_T = np.concatenate([np.maximum(real @ opening_K, 0) for _, real in pairs])
    said_Q, real_Q = (np.quantile(of_T, np.linspace(0, 1, QUANTILES)) for of_T in (predicted_T, real_T))
    share = motion.p.open_as_real
    return Motion(motion.net, motion.shapes, motion.p, Voice(gain_K, said_Q, share * real_Q + (1 - share) * said_Q))


def _codes(motion: Motion, clip: MotionClip, size: float) -> tuple[np.ndarray, np.ndarray]:
    """The network's raw output, and the truth at the average person's size.  Shape: -> (T, K) each"""
    bare_TK = motion.codes_of(clip.power_CM, frame_middles_s(len(clip.mouth_TS3)))
    return bare_TK, motion.shapes.codes((clip.mouth_TS3 - clip.closed_S3) / size).astype(np.float64)


def compared(predicted_T: np.ndarray, true_T: np.ndarray) -> dict[str, float]:
    """Metrics of a predicted opening curve against the true one.

    opening_r       correlation; best_r at lag_frames (positive: predicted late)
    moved_r         correlation of the prediction shifted by MOVED
    true_moved_r    the same of the truth with itself: what a perfect prediction's moved_r is. It is not 0: over all
                    shifts around the clip the correlations sum to 0, so the positive ones near none leave the far
                    ones negative, the more so where a sentence begins and ends closed
    moved_excess    moved_r - opening_r * true_moved_r: 0 in the mean for a prediction that is the truth and unrelated
                    motion added, whatever the sentence's rhythm; what it exceeds 0 by, any sound would give
    amplitude       ratio of standard deviations, predicted over true; speed: likewise for frame-to-frame changes
    true_spread     standard deviation of the true opening: people differ by a factor of two, audio does not tell it
    closed_found    share of frames with closed lips during speech where the prediction is nearly closed
    closed_wrongly  the same share for frames with open lips
    """
    num = len(true_T)
    lags = {lag: shifted_correlation(predicted_T, true_T, lag) for lag in range(-MAX_LAG, MAX_LAG + 1)}
    best = max(lags, key=lambda lag: (lags[lag], -abs(lag)))
    moved_r, true_moved_r = (
        float(np.mean([correlation(np.roll(of_T, round(num * share)), true_T) for share in MOVED]))
        for of_T in (predicted_T, true_T)
    )
    in_speech_T = np.convolve(true_T > OPEN, np.ones(2 * NEAR + 1), "same") > 0
    closes_T = (true_T < CLOSED) & in_speech_T
    predicted_closed_T = predicted_T < PREDICTED_CLOSED
    return {
        "opening_r": lags[0],
        "best_r": lags[best],
        "lag_frames": float(best),
        "moved_r": moved_r,
        "true_moved_r": true_moved_r,
        "moved_excess": moved_r - lags[0] * true_moved_r,
        "amplitude": float(predicted_T.std() / true_T.std()),
        "true_spread": float(true_T.std()),
        "speed": float(np.diff(predicted_T).std() / np.diff(true_T).std()),
        "closed_found": float(predicted_closed_T[closes_T].mean()) if closes_T.any() else 1.0,
        "closed_wrongly": float(predicted_closed_T[true_T > OPEN].mean()) if (true_T > OPEN).any() else 0.0,
    }


def shifted_correlation(predicted_T: np.ndarray, true_T: np.ndarray, lag: int) -> float:
    """Correlation when the prediction comes `lag` frames after the truth."""
    num = len(true_T)
    return correlation(predicted_T[max(lag, 0) : num + min(lag, 0)], true_T[max(-lag, 0) : num - max(lag, 0)])


def correlation(one_T: np.ndarray, other_T: np.ndarray) -> float:
    one_T, other_T = one_T - one_T.mean(), other_T - other_T.mean()
    size = float(np.sqrt((one_T**2).sum() * (other_T**2).sum()))
    return float((one_T * other_T).sum()) / size if size > 1e-12 else 0.0
