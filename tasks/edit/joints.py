"""Where the edited video jumps in its source, and how each jump is smoothed by the mesh.

At a joint the head and face of one frame are followed by those of another. The picture may change over a little earlier
or later than the sound, where nothing is said: at the pair of frames that differ least. Then the pose of the
frames before and after is led from the one to the other, no faster than the person moves in uncut footage, and the
pictures are cross-dissolved over the middle frames. The motion of either side goes on meanwhile.

Shape letters: N frames of the edited video, P points of the mesh
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from model.head_track import Heads

JUMP = 1.6  # frames: a larger step in the source is a joint
SHIFT_S = 0.12  # most of which the picture changes over before or after the sound
SHIFT_NEW_S = 0.6  # the same within new words, whose mouth follows the sound anyway
LEAST_S, MOST_S = 0.08, 0.32  # of either side in which the pose is led over
DISSOLVE_S = 0.08  # of either side in which the pictures are cross-dissolved
STEEPEST = 1.5  # of `eased`
COST_PX = 0.1  # added to a jump for each frame of a shift

HeadOf = Callable[[int], tuple[Heads, int] | None]  # of a source frame; None: it shows no face


@dataclass(frozen=True, slots=True)
class Joint:
    """
    n              first output frame of the new place
    before, after  source frames on either side
    jump_px        mean distance of the mesh's points between these two; nan without a face: a plain cut
    half           output frames on either side that are smoothed; 0: a plain cut
    dissolved      of these, the ones that are cross-dissolved
    shifted        output frames by which the picture changes over later than the sound
    """

    n: int
    before: int
    after: int
    jump_px: float
    half: int
    dissolved: int
    shifted: int = 0


def found(at_N: np.ndarray) -> list[int]:
    """First output frame after each jump."""
    return [int(n) for n in np.flatnonzero(np.abs(np.diff(at_N)) > JUMP) + 1]


def joint(at_N: np.ndarray, n: int, moved_to: int, head_of: HeadOf) -> Joint:
    """The jump before output frame n, taken before frame `moved_to` instead; not smoothed yet."""
    before, after = (round(float(at_N[k])) + moved_to - n for k in (n - 1, n))
    one, other = head_of(before), head_of(after)
    jump_px = float("nan")
    if one is not None and other is not None:
        jump_px = float(np.linalg.norm((other[0].mesh(other[1]) - one[0].mesh(one[1]))[:, :2], axis=1).mean())
    return Joint(moved_to, before, after, jump_px, 0, 0, moved_to - n)


def least(at_N: np.ndarray, n: int, free_N: np.ndarray, reach: int, num_source: int, head_of: HeadOf) -> Joint:
    """The joint at n or near it at which the two sides differ least.

    free_N  output frames that may show either side: nothing is said in them
    """
    forwards_N = np.abs(np.diff(at_N) - 1) < 1e-6
    choices = [joint(at_N, n, n, head_of)]
    for m in range(max(1, n - reach), min(len(at_N) - 1, n + reach) + 1):
        plays = forwards_N[m - 1 : n - 1] if m < n else forwards_N[n:m]
        if m == n or not free_N[min(m, n) : max(m, n)].all() or not plays.all():
            continue
        one = joint(at_N, n, m, head_of)
        if 0 <= min(one.before, one.after) and max(one.before, one.after) < num_source and np.isfinite(one.jump_px):
            choices.append(one)
    return min(choices, key=lambda one: (one.jump_px + COST_PX * abs(one.shifted), abs(one.shifted)))


def moved(at_N: np.ndarray, joint: Joint) -> np.ndarray:
    """The frames shown when the picture changes over at the joint."""
    n, m, at_N = joint.n - joint.shifted, joint.n, at_N.copy()
    if m > n:
        at_N[n:m] = at_N[n - 1] + np.arange(1, m - n + 1)
    elif m < n:
        at_N[m:n] = at_N[n] + np.arange(m - n, 0)
    return at_N


def smoothed(joint: Joint, usual_px: float, room: int, fps: float) -> Joint:
    """With its number of smoothed frames: as many as it takes to move no faster than `usual_px` a frame.

    room: frames on either side that belong to no other joint
    """
    if not np.isfinite(joint.jump_px) or room < 1:
        return joint
    least_frames, most_frames = max(1, round(LEAST_S * fps)), round(MOST_S * fps)
    wanted = int(np.ceil(STEEPEST * joint.jump_px / (2 * max(usual_px, 1e-3))))
    half = min(room, max(least_frames, min(most_frames, wanted)))
    return replace(joint, half=half, dissolved=min(half, max(1, round(DISSOLVE_S * fps))))


def eased(share: float) -> float:
    """0 .. 1 -> 0 .. 1, level at both ends."""
    share = min(1.0, max(0.0, share))
    return share * share * (3 - 2 * share)


def lead(joint: Joint, n: int) -> tuple[float, float]:
    """How far output frame n is on its way across the joint, 0 .. 1: its pose, and its pictures and expression."""
    return tuple(  # type: ignore[return-value]
        eased((n - joint.n + half + 0.5) / (2 * half)) for half in (joint.half, joint.dissolved)
    )


def fields(one: tuple[Heads, int], other: tuple[Heads, int]) -> tuple[np.ndarray, np.ndarray]:
    """From the frame before to the frame after: how the points move by the pose, and by the expression.

    Shape: -> (P, 3), (P, 3) px
    """
    shape_P3 = one[0].canonical_TP3[one[1]]
    turned_P3 = other[0].mesh(other[1], shape_P3)
    return turned_P3 - one[0].mesh(one[1]), other[0].mesh(other[1]) - turned_P3


def rooms(ns: Sequence[int], num: int) -> list[int]:
    """Frames on either side of each joint that are nearer to it than to another one, or to an end."""
    bounds = [0, *ns, num]
    return [
        min((n - low) // (2 if low else 1), (high - n) // (2 if high < num else 1))
        for low, n, high in zip(bounds, ns, bounds[2:], strict=False)
    ]
