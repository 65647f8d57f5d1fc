"""The frames of the edited video before any mouth is changed: retimed, and smoothed at the joints.

A frame that is neither retimed nor near a joint is the source's picture as decoded.

Shape letters: N frames of the edited video, T of the source, P points of the mesh
"""

import contextlib
from collections import OrderedDict
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from model.head_mesh import NUM_POINTS
from model.head_track import REACH, Heads
from tasks.compositor.footage import MESH, Footage
from tasks.edit import body, joints, morph
from tasks.edit.joints import Joint
from tasks.edit.retime import Frames
from tasks.features.face_track import Frame
from tasks.media import native_rate
from tasks.media.frame import Picture

CHUNK = 256  # source frames whose heads are stabilised at a time
USUAL_PERCENT = 90  # of the speeds of uncut footage: a joint is smoothed to move no faster
SPEED_FRAMES = 3000  # of uncut footage that is measured, evenly spread
HELD_BYTES = 160 << 20  # of decoded pictures
FORWARD = 48  # pictures: further ahead is reached by seeking
HELD = (12, 200)  # at least and at most


class Meshes:
    """The stabilised heads of the source, by frame."""

    def __init__(self, footage: Footage) -> None:
        self.footage = footage
        self._chunks: OrderedDict[int, tuple[np.ndarray, Heads]] = OrderedDict()

    def head(self, t: int) -> tuple[Heads, int] | None:
        """The heads that hold frame t, and its index in them; None where no face is tracked."""
        number = t // CHUNK
        if number not in self._chunks:
            self._chunks[number] = self.footage.heads(number * CHUNK, (number + 1) * CHUNK)
            if len(self._chunks) > 4:
                self._chunks.popitem(last=False)
        frames, heads = self._chunks[number]
        k = int(np.searchsorted(frames, t))
        return (heads, k) if k < len(frames) and frames[k] == t else None

    def mesh(self, at: float) -> np.ndarray | None:
        """At a frame, or between two.  Shape: -> (P, 3) px"""
        low = int(np.floor(at))
        one, share = self.head(low), at - low
        if one is None or share == 0:
            return one and one[0].mesh(one[1])
        other = self.head(low + 1)
        if other is None or self.footage.run_T[low] != self.footage.run_T[low + 1]:
            return one[0].mesh(one[1]) if share < 0.5 else other and other[0].mesh(other[1])
        return (1 - share) * one[0].mesh(one[1]) + share * other[0].mesh(other[1])

    @cached_property
    def usual_px(self) -> float:
        """How far the mesh moves from frame to frame in uncut footage."""
        speeds = self.speeds(self.sampled())
        return float(np.percentile(speeds, USUAL_PERCENT)) if len(speeds) else 1.0

    def sampled(self) -> np.ndarray:
        """Frames that follow on one of the same run, at most SPEED_FRAMES."""
        run_T = self.footage.run_T
        follows = np.flatnonzero((run_T[1:] == run_T[:-1]) & (run_T[1:] >= 0)) + 1
        return follows[:: max(1, len(follows) // SPEED_FRAMES)]

    def speeds(self, frames: np.ndarray) -> np.ndarray:
        """Mean distance of the mesh's points from those of the frame before, px.  Shape: (n,) -> (n,)"""
        pairs = [(self.mesh(float(t - 1)), self.mesh(float(t))) for t in frames.tolist()]
        return np.array([
            np.linalg.norm((other - one)[:, :2], axis=1).mean()
            for one, other in pairs
            if one is not None and other is not None
        ])  # fmt: skip


class Reader:
    """A video's pictures in any order, fastest in their own.  Memory holds HELD_BYTES of them."""

    def __init__(self, source: Path, times_s: np.ndarray, size_hw: tuple[int, int]) -> None:
        self.source, self.times_s = source, times_s
        self.num_held = int(np.clip(HELD_BYTES // (size_hw[0] * size_hw[1] * 3 // 2 + 1), *HELD))
        self._held: OrderedDict[int, Picture] = OrderedDict()
        self._next = 0
        self._open: Generator[Picture] | None = None

    def __call__(self, t: int) -> Picture:
        if t not in self._held:
            if self._open is None or not self._next <= t < self._next + FORWARD:
                self._start(max(0, t - self.num_held // 2) if self._next > t else t)  # it may play backwards
            while self._next <= t:
                self._keep(self._next, next(self._open))  # type: ignore[arg-type]
                self._next += 1
        return self._held[t]

    def _start(self, first: int) -> None:
        self.close()
        self._next, self._open = first, native_rate.onwards(self.source, self.times_s, first)

    def _keep(self, t: int, picture: Picture) -> None:
        self._held[t] = picture
        while len(self._held) > self.num_held:
            self._held.popitem(last=False)

    def close(self) -> None:
        if self._open is not None:
            self._open.close()


@dataclass(frozen=True)
class Film:
    """
    times_s   of the source's frames
    frames    with the joints at the places where the picture changes over
    bodies    `body.flow` of the joint that was reached last, by its number
    """

    source: Path
    times_s: np.ndarray
    size_hw: tuple[int, int]
    meshes: Meshes
    frames: Frames
    joints: tuple[Joint, ...]
    bodies: dict[int, np.ndarray | None] = field(default_factory=dict)

    @cached_property
    def near_N(self) -> np.ndarray:
        """The source frame whose picture each output frame shows.  Shape: (N,) int"""
        return np.clip(np.floor(self.frames.at_N + 0.5), 0, len(self.times_s) - 1).astype(int)

    @cached_property
    def joint_N(self) -> np.ndarray:
        """Number of the joint at which a frame is smoothed, -1: none.  Shape: (N,) int"""
        number_N = np.full(len(self.frames.at_N), -1)
        for number, joint in enumerate(self.joints):
            number_N[joint.n - joint.half : joint.n + joint.half] = number
        return number_N

    @cached_property
    def as_filmed_N(self) -> np.ndarray:
        """Which frames are the source's, untouched.  Shape: (N,) bool"""
        return (self.joint_N < 0) & (self.near_N == self.frames.at_N)

    def mesh(self, n: int) -> np.ndarray | None:
        """Of the face in output frame n.  Shape: -> (P, 3) px"""
        mesh_P3 = self.meshes.mesh(float(np.clip(self.frames.at_N[n], 0, len(self.times_s) - 1)))
        number = self.joint_N[n]
        if mesh_P3 is None or number < 0:
            return mesh_P3
        joint = self.joints[number]
        pose, shape = joints.lead(joint, n)
        by_pose_P3, by_shape_P3 = self.fields[number]
        ahead = 0 if n < joint.n else 1
        return mesh_P3 + (pose - ahead) * by_pose_P3 + (shape - ahead) * by_shape_P3

    @cached_property
    def fields(self) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """`joints.fields` of each smoothed joint, by its number."""
        heads = {k: [self.meshes.head(t) for t in (one.before, one.after)] for k, one in enumerate(self.joints)}
        return {
            k: joints.fields(before, after)
            for k, (before, after) in heads.items()
            if self.joints[k].half and before is not None and after is not None
        }

    def pictures(self, first: int = 0) -> Iterator[Frame]:
        """Output frames from `first` on.  Shape: yields (H, W, 3)"""
        with contextlib.closing(Reader(self.source, self.times_s, self.size_hw)) as reader:
            for n in range(first, len(self.near_N)):
                yield self.picture(n, reader)

    def picture(self, n: int, reader: Reader) -> Frame:
        wanted_P3 = None if self.as_filmed_N[n] else self.mesh(n)
        if wanted_P3 is None:
            return reader(int(self.near_N[n]))
        picture, number = self._warped(int(self.near_N[n]), wanted_P3, reader), int(self.joint_N[n])
        return picture if number < 0 else self._at_joint(number, n, picture, wanted_P3, reader)

    def _at_joint(self, number: int, n: int, picture: Frame, wanted_P3: np.ndarray, reader: Reader) -> Frame:
        """The body led over, and the other side's picture seen through it."""
        joint = self.joints[number]
        pose, share = joints.lead(joint, n)
        if number not in self.bodies:
            self.bodies.clear()
            self.bodies[number] = self._body(number, reader)
        flow_HW2, ahead = self.bodies[number], n >= joint.n
        if flow_HW2 is not None:
            picture = body.shifted(picture, flow_HW2, 1 - pose if ahead else -pose)
        if not -joint.dissolved <= n - joint.n < joint.dissolved:
            return picture
        other = self._warped(joint.before if ahead else joint.after, wanted_P3, reader)
        if flow_HW2 is not None:
            other = body.shifted(other, flow_HW2, -pose if ahead else 1 - pose)
        return morph.dissolved(picture, other, 1 - share if ahead else share)

    def _body(self, number: int, reader: Reader) -> np.ndarray | None:
        joint, half_way_P3 = self.joints[number], sum(self.fields[number]) / 2
        own_P3 = self.meshes.mesh(float(joint.before))
        assert own_P3 is not None, joint
        middle_P3 = own_P3 + half_way_P3
        one, other = (self._warped(t, middle_P3, reader) for t in (joint.before, joint.after))
        return body.flow(one, other, middle_P3[:, :2])

    def _warped(self, t: int, wanted_P3: np.ndarray, reader: Reader) -> Frame:
        own_P3 = self.meshes.mesh(float(t))
        assert own_P3 is not None, t
        return morph.warped(reader(t), own_P3[:, :2], wanted_P3[:, :2])


def of_frames(
    source: Path, times_s: np.ndarray, size_hw: tuple[int, int], footage: Footage, frames: Frames, quiet_N: np.ndarray
) -> Film:
    """With its joints.  quiet_N: output frames in which nothing is said"""
    meshes = Meshes(footage)
    at_N, placed = frames.at_N, []
    period_s = float(np.median(frames.ends_s - frames.times_s))
    for n in joints.found(frames.at_N):
        reach = round((joints.SHIFT_NEW_S if frames.new_N[n - 1 : n + 1].all() else joints.SHIFT_S) / period_s)
        placed.append(joints.least(at_N, n, quiet_N | frames.new_N, reach, len(times_s), meshes.head))
        at_N = joints.moved(at_N, placed[-1])
    rooms = joints.rooms([one.n for one in placed], len(at_N))
    usual_px = meshes.usual_px if placed else 1.0
    smooth = [joints.smoothed(one, usual_px, room, 1 / period_s) for one, room in zip(placed, rooms, strict=True)]
    return Film(source, times_s, size_hw, meshes, replace(frames, at_N=at_N), tuple(smooth))


def as_footage(film: Film, needed_N: np.ndarray, folder: Path) -> Footage:
    """The faces of the edited video, as if it had been recorded; without pictures of mouths.

    needed_N  frames whose mesh is wanted
    """
    folder.mkdir(exist_ok=True)
    num, source = len(film.near_N), film.meshes.footage
    mesh_N4683 = np.lib.format.open_memmap(folder / MESH, mode="w+", dtype=np.float32, shape=(num, NUM_POINTS, 3))
    mesh_N4683[...] = np.nan
    run_N, run = np.full(num, -1), 0
    plain = {joint.n for joint in film.joints if not joint.half}
    for n in np.flatnonzero(widened(needed_N, REACH)).tolist():
        if (mesh_P3 := film.mesh(n)) is None:
            continue
        mesh_N4683[n] = mesh_P3
        run += n in plain or n == 0 or run_N[n - 1] < 0
        run_N[n] = run
    at_N4, near_N = np.zeros((num, 4), np.int64), film.near_N
    return Footage(folder, mesh_N4683, run_N, at_N4, source.light_T[near_N], source.between_T6[near_N])


def widened(flags_N: np.ndarray, by: int) -> np.ndarray:
    """True also for `by` frames on either side."""
    return np.convolve(flags_N.astype(int), np.ones(2 * by + 1, int), "same") > 0


def shots(film: Film) -> Sequence[int]:
    """First frames of the edited video after plain cuts."""
    return [0, *(joint.n for joint in film.joints if not joint.half)]
