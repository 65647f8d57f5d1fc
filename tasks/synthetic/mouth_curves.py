"""Phonemes -> visemes -> the curves of a mouth, with co-articulation: each sound affects its neighbours.

Each viseme has a target shape and a weight that decreases from its middle; the mouth is the weighted mean. Visemes with
closed lips have the largest weight, so that m, b and p close in any context.

Source: dominance functions after Cohen and Massaro (1993)
"""

import re
from typing import NamedTuple

import numpy as np

from model import visemes
from model.timing import FPS
from tasks.media.espeak import Spans
from tasks.synthetic.mouth import Mouth

STEPS = 8  # per frame: resolution of the curves, which are averaged over each frame as by a shutter
STOPS = set("pbtdkg")
RELEASE_S = 0.025  # espeak includes a stop's release in the stop: lips part this long before its end
STRESS = 1.15  # stressed vowels open further


class Viseme(NamedTuple):
    """A target shape (see mouth.Mouth) and its weights."""

    opening: float
    width: float
    rounding: float
    press: float
    tuck: float
    tongue: float
    hold: float  # weight of opening, press and tuck
    spread: float  # weight of width, rounding and tongue


VISEMES = {
    "sil": Viseme(0.000, 0.00, 0.00, 0.0, 0.0, 0.0, 0.6, 0.5),
    "PP": Viseme(0.000, 0.00, 0.05, 1.0, 0.0, 0.0, 5.0, 0.7),  # p b m
    "FF": Viseme(0.030, 0.15, 0.00, 0.0, 1.0, 0.0, 3.0, 0.9),  # f v
    "TH": Viseme(0.060, 0.15, 0.00, 0.0, 0.0, 0.9, 1.2, 0.6),  # thin, this
    "DD": Viseme(0.050, 0.20, 0.00, 0.0, 0.0, 0.6, 0.8, 0.4),  # t d n
    "LL": Viseme(0.075, 0.15, 0.00, 0.0, 0.0, 1.0, 0.9, 0.4),  # l
    "KK": Viseme(0.070, 0.05, 0.00, 0.0, 0.0, 0.0, 0.5, 0.25),  # k g ng h
    "CH": Viseme(0.060, -0.20, 0.60, 0.0, 0.0, 0.2, 1.3, 1.2),  # church, judge, she
    "SS": Viseme(0.028, 0.45, 0.00, 0.0, 0.0, 0.1, 1.8, 1.0),  # s z
    "RR": Viseme(0.065, -0.10, 0.45, 0.0, 0.0, 0.2, 0.9, 0.9),  # r, bird
    "aa": Viseme(0.215, 0.20, 0.00, 0.0, 0.0, 0.0, 1.3, 0.7),  # father, hat
    "ah": Viseme(0.150, 0.15, 0.00, 0.0, 0.0, 0.0, 1.0, 0.5),  # cup
    "eh": Viseme(0.120, 0.45, 0.00, 0.0, 0.0, 0.0, 1.0, 0.8),  # bed
    "ih": Viseme(0.062, 0.65, 0.00, 0.0, 0.0, 0.0, 0.9, 1.0),  # sit, see, yes
    "oh": Viseme(0.150, -0.20, 0.65, 0.0, 0.0, 0.0, 1.1, 1.2),  # thought
    "ou": Viseme(0.070, -0.35, 1.00, 0.0, 0.0, 0.0, 1.2, 1.5),  # two, we
    "ax": Viseme(0.085, 0.05, 0.00, 0.0, 0.0, 0.0, 0.5, 0.3),  # about
}
FIRM = np.array([True, False, False, True, True, False])  # components weighted by `hold`; the others by `spread`


def mouths(phones: Spans, num_frames: int, amplitude: float = 1.0) -> list[Mouth]:
    """The mouth in every frame.

    phones     (label, start s, end s) from the start of frame 0, in order, at least one
    amplitude  how wide this person opens the mouth, 1 on average
    """
    segments = _segments(phones)
    times_N = (np.arange(num_frames * STEPS) + 0.5) / (FPS * STEPS)
    weighted_N6, weight_N6 = np.zeros((len(times_N), 6)), np.full((len(times_N), 6), 1e-9)
    for name, start_s, end_s, stress in segments:
        target = VISEMES[name]
        firm_N, soft_N = _pull(name, start_s, end_s, times_N)
        pull_N6 = np.where(FIRM, (target.hold * firm_N)[:, None], (target.spread * soft_N)[:, None])
        weighted_N6 += pull_N6 * np.array([target.opening * stress, *target[1:6]])
        weight_N6 += pull_N6
    shape_N6 = weighted_N6 / weight_N6
    window = np.hanning(7) / np.hanning(7).sum()  # smooths over lip inertia
    smooth_N6 = np.stack([np.convolve(np.pad(c, 3, mode="edge"), window, "valid") for c in shape_N6.T], axis=1)
    shape_T6 = smooth_N6.reshape(num_frames, STEPS, 6).mean(axis=1)
    shape_T6[:, 0] *= amplitude * (1 - 0.92 * np.clip(shape_T6[:, 3], 0, 1))  # pressed lips are closed lips
    return [Mouth(*shape) for shape in shape_T6.tolist()]


def _segments(phones: Spans) -> list[tuple[str, float, float, float]]:
    """(viseme, start s, end s, factor of the opening), silence before and after."""
    segments = [("sil", min(-0.4, phones[0][1] - 0.4), phones[0][1], 1.0)]
    for phone, start_s, end_s in phones:
        bare, names = visemes.bare(phone), visemes.of_espeak(phone)
        if bare[:1] in STOPS and not re.match("tS|dZ", bare):
            end_s = max(start_s + 0.02, end_s - RELEASE_S)
        bounds_s = np.linspace(start_s, end_s, len(names) + 1)
        stress = STRESS if phone.startswith("'") else 1.0
        segments += [(name, bounds_s[i], bounds_s[i + 1], stress) for i, name in enumerate(names)]
    last_s = phones[-1][2]
    return [*segments, ("sil", last_s, last_s + 0.5, 1.0)]


def _pull(name: str, start_s: float, end_s: float, times_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Dominance over time, 1 in the segment's middle: for firm shapes, which fade sooner, and for soft ones."""
    half_s = max((end_s - start_s) / 2, 0.012)
    away_s = np.maximum(np.abs(times_N - (start_s + end_s) / 2) - 0.6 * half_s, 0)
    reach_s = half_s + (0.018 if name == "PP" else 0.035)
    firm_N, soft_N = (np.exp(-1.6 * (away_s / (reach_s * share)) ** 1.6) for share in (0.75, 1.0))
    return firm_N, soft_N
