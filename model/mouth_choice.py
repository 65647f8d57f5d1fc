"""Which frame of a person's footage shows the mouth that a frame of the output wants.

Viterbi over the library's frames: near in shape, pose and light, and steady in time: to go on to the library's next
frame is free, a jump costs a little and what it changes. Only the nearest frames of each moment, and those that follow
the best so far, are looked at, so the cost grows with the library only in one product of matrices.

Shape letters: N frames of the library, T frames that want a mouth, D features, S = 59 mouth points, K candidates
Source: Bregler, Covell, Slaney 1997, Video Rewrite (footage of the person, chosen by cost and continuity)
"""

import numpy as np

from model.head_mesh import LOWER_INNER, OUTER, UPPER_INNER

# differences that weigh 1 each, in distances of the eyes' outer corners, degrees, and levels of 255
GAP, WIDTH, POINT, ANGLE_DEG, LEVELS = 0.02, 0.013, 0.09, 6.0, 25.0
CORNERS = (0, 10)  # in OUTER
NEAREST, FOLLOWED = 40, 24
JUMP, STEP = 0.35, 1.0  # of the change that a jump shows, and of any jump
BLOCK = 256  # frames that are compared at a time


def features(mouth_TS3: np.ndarray, angles_T2: np.ndarray, light_T: np.ndarray) -> np.ndarray:
    """What is compared: the squared distance of two rows is how unlike they are.

    The gap between the lips weighs most: it decides what is seen inside, which no warp can make.
    Shape: canonical mouths, degrees, levels -> (T, D) float32
    """
    gaps_T9 = mouth_TS3[:, LOWER_INNER, 1] - mouth_TS3[:, UPPER_INNER, 1]
    width_T = mouth_TS3[:, CORNERS[1], 0] - mouth_TS3[:, CORNERS[0], 0]
    lips_TL = mouth_TS3[:, : 2 * len(OUTER), :2].reshape(len(mouth_TS3), -1)
    parts = (gaps_T9 / GAP, width_T[:, None] / WIDTH, lips_TL / POINT, angles_T2 / ANGLE_DEG, light_T[:, None] / LEVELS)
    return np.concatenate(parts, axis=1).astype(np.float32)


def choose(have_ND: np.ndarray, want_TD: np.ndarray, next_N: np.ndarray) -> np.ndarray:
    """The library frame for each moment.

    next_N  the frame that follows each in its film, -1 at an end
    Shape:  -> (T,) int
    """
    assert len(have_ND) and len(have_ND) == len(next_N)
    after_N = np.where(next_N >= 0, next_N, np.arange(len(next_N)))
    candidates: list[np.ndarray] = []
    back: list[np.ndarray] = []
    cost_K = np.zeros(0)
    for t, nearest_K in enumerate(_nearest(have_ND, want_TD)):
        now_K = nearest_K
        if t:
            best_K = candidates[-1][np.argsort(cost_K, kind="stable")[:FOLLOWED]]
            now_K = np.unique(np.concatenate([nearest_K, after_N[best_K]]))
        near_K = np.square(have_ND[now_K] - want_TD[t]).sum(axis=1)
        if t:
            came_KK = cost_K[:, None] + _moves(have_ND, after_N, next_N, candidates[-1], now_K)
            back.append(came_KK.argmin(axis=0))
            near_K = near_K + came_KK.min(axis=0)
        candidates.append(now_K)
        cost_K = near_K
    at = [int(cost_K.argmin())] if len(want_TD) else []
    for from_K in back[::-1]:
        at.append(int(from_K[at[-1]]))
    return np.array([now_K[k] for now_K, k in zip(candidates, at[::-1], strict=True)], int)


def _nearest(have_ND: np.ndarray, want_TD: np.ndarray) -> list[np.ndarray]:
    """The frames nearest to each moment, in the library's order.  Shape: T of (K,) int"""
    num, size_N, found = min(NEAREST, len(have_ND)), np.square(have_ND).sum(axis=1), list[np.ndarray]()
    for low in range(0, len(want_TD), BLOCK):
        away_BN = size_N - 2 * want_TD[low : low + BLOCK] @ have_ND.T
        found += list(np.sort(np.argpartition(away_BN, num - 1, axis=1)[:, :num], axis=1))
    return found


def _moves(
    have_ND: np.ndarray, after_N: np.ndarray, next_N: np.ndarray, from_K: np.ndarray, to_K: np.ndarray
) -> np.ndarray:
    """What each step costs: nothing to the next frame, else what is seen to change beside it.  Shape: -> (K, K)"""
    due_KD, new_KD = have_ND[after_N[from_K]], have_ND[to_K]
    changed_KK = np.square(due_KD).sum(axis=1)[:, None] + np.square(new_KD).sum(axis=1)[None] - 2 * due_KD @ new_KD.T
    cost_KK = STEP + JUMP * np.maximum(changed_KK, 0)
    cost_KK[next_N[from_K][:, None] == to_K[None]] = 0
    return cost_KK
