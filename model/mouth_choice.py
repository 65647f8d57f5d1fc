"""Selects, for each output frame, the frame of a person's footage whose mouth fits best.

Viterbi search over the library's frames for matches that are close in shape, pose and light and continuous in time:
moving on to the library's next frame is free, a jump costs a constant plus the visible change, also of what is between
the lips: two mouths of one shape may show teeth and dark, and a jump between them flickers. Only the nearest frames
of each output frame and the successors of the best paths are candidates, so only one matrix product grows with the
library.

Shape letters: N frames of the library, T output frames, D features, E of what a jump changes, S = 59 mouth points,
K candidates
Source: Bregler, Covell, Slaney 1997, Video Rewrite (footage of the person, chosen by cost and continuity)
"""

from collections.abc import Callable

import numpy as np

from model.head_mesh import LOWER_INNER, OUTER, UPPER_INNER

# differences that cost 1 each, in distances between the outer eye corners, degrees, and grey levels of 255
GAP, WIDTH, POINT, ANGLE_DEG, LEVELS = 0.02, 0.013, 0.09, 6.0, 25.0
CORNERS = (0, 10)  # in OUTER
NEAREST, FOLLOWED = 40, 24
JUMP, STEP = 0.35, 1.0  # weight of the visible change at a jump; cost of any jump
# Chosen on people s31 and p03 of GRID
LACK = 100.0  # cost of a mouth whose inside has to be painted whole: that is softer than any filmed one
LOOK = 0.06  # change of level between the lips, of the light's, that costs 1 at a jump
BLOCK = 256  # frames compared at a time


def features(mouth_TS3: np.ndarray, angles_T2: np.ndarray, light_T: np.ndarray) -> np.ndarray:
    """Feature vectors: the squared distance between two rows is their dissimilarity.

    The gap between the lips has the largest weight: it decides what is visible inside, which no warp can make.
    Shape: canonical mouths, degrees, levels -> (T, D) float32
    """
    gaps_T9 = mouth_TS3[:, LOWER_INNER, 1] - mouth_TS3[:, UPPER_INNER, 1]
    width_T = mouth_TS3[:, CORNERS[1], 0] - mouth_TS3[:, CORNERS[0], 0]
    lips_TL = mouth_TS3[:, : 2 * len(OUTER), :2].reshape(len(mouth_TS3), -1)
    parts = (gaps_T9 / GAP, width_T[:, None] / WIDTH, lips_TL / POINT, angles_T2 / ANGLE_DEG, light_T[:, None] / LEVELS)
    return np.concatenate(parts, axis=1).astype(np.float32)


def visible(features_ND: np.ndarray, looks_N6: np.ndarray) -> np.ndarray:
    """What a jump changes: the squared distance between two rows is its cost, less that of any jump.

    Shape: features, model.between_lips.looks -> (N, E) float32
    """
    return np.concatenate([JUMP**0.5 * features_ND, looks_N6 / LOOK], axis=1).astype(np.float32)


def choose(
    have_ND: np.ndarray, want_TD: np.ndarray, next_N: np.ndarray, visible_NE: np.ndarray,
    lacking: Callable[[int, np.ndarray], np.ndarray] | None = None,
) -> np.ndarray:  # fmt: skip
    """The library frame for each output frame.

    next_N   the frame that follows each one in its video, -1 at the end
    lacking  of output frame t and library frames: how much of the mouth's inside they lack, 0 to 1; None: nothing
    Shape:   -> (T,) int
    """
    assert len(have_ND) and len(have_ND) == len(next_N) == len(visible_NE)
    successor_N = np.where(next_N >= 0, next_N, np.arange(len(next_N)))
    candidates: list[np.ndarray] = []
    back: list[np.ndarray] = []
    cost_K = np.zeros(0)
    for t, nearest_K in enumerate(_nearest(have_ND, want_TD)):
        now_K = nearest_K
        if t:
            best_K = candidates[-1][np.argsort(cost_K, kind="stable")[:FOLLOWED]]
            now_K = np.unique(np.concatenate([nearest_K, successor_N[best_K]]))
        cost_now_K = np.square(have_ND[now_K] - want_TD[t]).sum(axis=1)
        if lacking:
            cost_now_K = cost_now_K + LACK * lacking(t, now_K)
        if t:
            arrival_KK = cost_K[:, None] + _moves(visible_NE, successor_N, next_N, candidates[-1], now_K)
            back.append(arrival_KK.argmin(axis=0))
            cost_now_K = cost_now_K + arrival_KK.min(axis=0)
        candidates.append(now_K)
        cost_K = cost_now_K
    at = [int(cost_K.argmin())] if len(want_TD) else []
    for from_K in back[::-1]:
        at.append(int(from_K[at[-1]]))
    return np.array([now_K[k] for now_K, k in zip(candidates, at[::-1], strict=True)], int)


class Follower:
    """Chooses the mouth of one frame after the other, without knowing the next: for live."""

    def __init__(self, have_ND: np.ndarray, next_N: np.ndarray, visible_NE: np.ndarray) -> None:
        self._have_ND, self._next_N, self._visible_NE = have_ND, next_N, visible_NE
        self._last: int | None = None

    def step(self, want_D: np.ndarray, lacking_N: np.ndarray | float = 0.0) -> int:
        """The cheapest mouth after the one before, at the costs of `choose`.  Shape: (D,), (N,)"""
        cost_N = np.square(self._have_ND - want_D).sum(axis=1) + LACK * lacking_N
        if self._last is not None:
            due = int(self._next_N[self._last])
            from_E = self._visible_NE[due if due >= 0 else self._last]
            move_N = STEP + np.square(self._visible_NE - from_E).sum(axis=1)
            if due >= 0:
                move_N[due] = 0
            cost_N = cost_N + move_N
        self._last = int(cost_N.argmin())
        return self._last


def _nearest(have_ND: np.ndarray, want_TD: np.ndarray) -> list[np.ndarray]:
    """The library frames nearest to each output frame, in the library's order.  Shape: T of (K,) int"""
    num, size_N, nearest = min(NEAREST, len(have_ND)), np.square(have_ND).sum(axis=1), list[np.ndarray]()
    for low in range(0, len(want_TD), BLOCK):
        distance_BN = size_N - 2 * want_TD[low : low + BLOCK] @ have_ND.T
        nearest += list(np.sort(np.argpartition(distance_BN, num - 1, axis=1)[:, :num], axis=1))
    return nearest


def _moves(
    visible_NE: np.ndarray, successor_N: np.ndarray, next_N: np.ndarray, from_K: np.ndarray, to_K: np.ndarray
) -> np.ndarray:
    """Transition costs: 0 to the next frame, otherwise STEP plus the visible change from it.  Shape: -> (K, K)"""
    due_KE, new_KE = visible_NE[successor_N[from_K]], visible_NE[to_K]
    changed_KK = np.square(due_KE).sum(axis=1)[:, None] + np.square(new_KE).sum(axis=1)[None] - 2 * due_KE @ new_KE.T
    cost_KK = STEP + np.maximum(changed_KK, 0)
    cost_KK[next_N[from_K][:, None] == to_K[None]] = 0
    return cost_KK
