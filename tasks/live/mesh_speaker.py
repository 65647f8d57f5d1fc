"""The mesh generator in a live stream: a video or a still picture of a person speaks as the audio comes in.

A video's frames run back and forth, whether anything is said or not; in silence the mouth is closed. Mouths are the
person's own, of the video or of `library`. A still picture has one mouth, which is warped: where that opens further
than the picture shows, its inside is dark, unless `library` has the mouth.

Everything is prepared before the stream begins: the mesh of every frame, the library, and the frames themselves, as
yuv420p in a file that the system may keep in memory or not.
"""

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from model import head_mesh, mouth_choice, timing
from model.head_track import angles_deg
from model.motion_stream import MotionStream
from model.mouth_choice import Follower
from tasks.compositor import compose, inside
from tasks.compositor import library as libraries
from tasks.core.errors import UserError
from tasks.core.torch_threads import one_thread
from tasks.dubbing import likeness, overlay, plan, speaker
from tasks.dubbing.find_faces import find_faces
from tasks.dubbing.mesh_mouth import Person
from tasks.dubbing.networks import Mesh
from tasks.dubbing.options import Options
from tasks.live.stream import LOOK_AHEAD_S
from tasks.media import decode, encode

MOST_S = 8.0  # of a video; it is played forwards and backwards
MOST_PIXELS = 1920 * 1080
CRF = 10  # of the video's copy that is prepared: no visible loss
MIDDLE_S = timing.SAMPLES_PER_FRAME / timing.SAMPLE_RATE_HZ / 2


class CodeStream:
    """The mouth's motion of a stream, a row a frame, each LOOK_AHEAD_S after the frame's start."""

    def __init__(self, motion: MotionStream) -> None:
        self._motion = motion
        self.num_samples = self.num_frames = 0

    def push(self, sound: np.ndarray) -> np.ndarray:
        """Shape: (n,) float32, 16 kHz, any n -> (T, K), T >= 0"""
        self.num_samples += len(sound)
        with one_thread():
            codes_TK = self._motion.push(sound)
        self.num_frames += len(codes_TK)
        return codes_TK

    def end(self) -> np.ndarray:
        """The motion of the last frames, after which there is silence."""
        num = timing.num_frames_of_sound(self.num_samples) - self.num_frames
        silence = np.zeros(round(2 * LOOK_AHEAD_S * timing.SAMPLE_RATE_HZ), np.float32)
        with one_thread():
            codes_TK = self._motion.push(silence)[: max(0, num)]
        self.num_frames += len(codes_TK)
        return codes_TK


class Frames:
    """Pictures of one size in a file, as yuv420p."""

    def __init__(self, path: Path, num: int, size_hw: tuple[int, int]) -> None:
        height, width = size_hw
        assert height % 2 == width % 2 == 0, size_hw
        self.size_hw = size_hw
        self._coded = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(num, height * 3 // 2, width))

    def __len__(self) -> int:
        return len(self._coded)

    def __setitem__(self, k: int, picture_HW3: np.ndarray) -> None:
        self._coded[k] = cv2.cvtColor(picture_HW3, cv2.COLOR_RGB2YUV_I420)

    def __getitem__(self, k: int) -> np.ndarray:
        """Shape: -> (H, W, 3) uint8 RGB"""
        return cv2.cvtColor(self._coded[k], cv2.COLOR_YUV2RGB_I420)


class MeshSpeaker:
    """See tasks.live.stream.Speaker."""

    def __init__(self, face: Path, network: Mesh, options: Options, folder: Path, most_pixels: int) -> None:
        """`folder`: for the prepared files, as long as the speaker is used

        Errors: UserError where no face is found, or no frame shows the mouth whole and near-frontal
        """
        copy = prepared(face, folder, min(most_pixels, MOST_PIXELS))
        recogniser = likeness.recogniser(options.recognition)
        with _named(copy, face):
            seen = find_faces(copy, network.p, network.points, options.box, folder, mouths=not options.library)
            choice = speaker.choose(seen, options.speaker, None, recogniser)
            person = Person(copy, network, folder, replace(options, generator="mesh"), recogniser, sound_of=face)
            hidden_T = person.learn(seen, choice, None)
            person.fetch()
        reasons_T = plan.reasons(seen, choice)
        first, end = longest((hidden_T == "") & (reasons_T == ""), seen.shots)
        if first == end:
            raise UserError(f"{face}: no frame shows the mouth whole and near-frontal; use another video or picture")
        _, heads = person.target.footage.heads(first, end)
        self.heads, self.library = libraries.apart(heads), person.library
        self.frames = Frames(folder / "frames.npy", end - first, (seen.size_hw[0] // 2 * 2, seen.size_hw[1] // 2 * 2))
        for k, picture_HW3 in enumerate(itertools.islice(decode.frames(copy), first, end)):
            self.frames[k] = overlay.labelled(picture_HW3, options.label) if options.label else picture_HW3
        self.size_hw = self.frames.size_hw
        self._angles_T2 = angles_deg(heads)
        self._light_T = person.target.footage.light_T[first:end]
        self._motion, self._strength = network.motion, options.strength * self.library.size
        self._follower = Follower(self.library.features_ND, self.library.next_N, self.library.visible_NE)

    def listener(self) -> CodeStream:
        return CodeStream(MotionStream(self._motion, look_ahead_s=LOOK_AHEAD_S - MIDDLE_S))

    def frame(self, number: int, code_K: np.ndarray) -> np.ndarray:
        """Shape: (K,) -> (H, W, 3) uint8"""
        k = there_and_back(number, len(self.frames))
        shift_1S3 = self._motion.shapes.shifts(self._strength * code_K[None])
        wanted_1S3 = head_mesh.without_overlap(shift_1S3 + self.library.closed_S3)
        want_1D = mouth_choice.features(wanted_1S3, self._angles_T2[k : k + 1], self._light_T[k : k + 1])
        lacking_N = inside.lack(head_mesh.mouth_opening(wanted_1S3), self.library.opening_N)
        mouth = self._follower.step(want_1D[0], lacking_N)
        made = compose.compose(self.frames[k], self.library, self.heads, k, wanted_1S3[0], mouth, 1.0)
        assert isinstance(made.frame_HW3, np.ndarray)
        return made.frame_HW3


@contextlib.contextmanager
def _named(copy: Path, face: Path) -> Iterator[None]:
    """An error about the copy names the user's own file."""
    try:
        yield
    except UserError as error:
        raise UserError(str(error).replace(str(copy), str(face))) from error


def prepared(face: Path, folder: Path, most_pixels: int) -> Path:
    """A copy of the picture, or of the video's first MOST_S at 25 frames/s: of even sides, at most `most_pixels`."""
    if decode.is_image(face):
        copy = folder / "face.png"
        cv2.imwrite(str(copy), fitting(decode.read_image(face), most_pixels)[..., ::-1])
        return copy
    copy = folder / "face.mp4"
    first_frames = itertools.islice(decode.frames(face), round(MOST_S * timing.FPS))
    encode.encode_video(copy, _fitted(first_frames, most_pixels), None, crf=CRF, preset="ultrafast")
    return copy


def _fitted(frames: Iterator[np.ndarray], most_pixels: int) -> Iterator[np.ndarray]:
    return (fitting(frame_HW3, most_pixels) for frame_HW3 in frames)


def fitting(picture_HW3: np.ndarray, most_pixels: int) -> np.ndarray:
    """At most so many pixels, and even sides.  Shape: (H, W, 3) -> (H', W', 3)"""
    height, width = picture_HW3.shape[:2]
    scale = min(1.0, (most_pixels / (height * width)) ** 0.5)
    if scale < 1:
        picture_HW3 = cv2.resize(picture_HW3, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        height, width = picture_HW3.shape[:2]
    return np.ascontiguousarray(np.pad(picture_HW3, ((0, height % 2), (0, width % 2), (0, 0)), "edge"))


def longest(usable_T: np.ndarray, shots: list[int]) -> tuple[int, int]:
    """First and end of the longest run of usable frames within one shot; (0, 0) if there is none."""
    best = (0, 0)
    for start, stop in itertools.pairwise([*shots, len(usable_T)]):
        edges = np.flatnonzero(np.diff(usable_T[start:stop].astype(np.int8), prepend=0, append=0)) + start
        for first, end in edges.reshape(-1, 2).tolist():
            if end - first > best[1] - best[0]:
                best = first, end
    return best


def there_and_back(number: int, num: int) -> int:
    """Frame `number` of `num` frames played forwards, backwards, forwards, ...; each end is shown once."""
    at = number % max(1, 2 * num - 2)
    return min(at, 2 * num - 2 - at)
