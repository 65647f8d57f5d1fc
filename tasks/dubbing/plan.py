"""Which source frame each output frame shows, and how strongly its mouth is changed, as a weight.

Where no face is found, the head is turned away or something covers the mouth, the original stays; the change fades out
before such frames and in after them.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import median_filter

from model import faces, timing
from tasks.dubbing import occlusion
from tasks.dubbing.hear import Line
from tasks.dubbing.look import Face, Seen
from tasks.dubbing.speaker import Choice

FADE_S = 0.16  # in which the weight rises from 0 to 1
AROUND_S = 0.12  # of blending before and after a line
STEADY_FRAMES = 9  # over which a turn of the head is measured, because landmarks of single frames are noisy
# the head is turned away if the nose is further off the middle, in distances between the outer corners of the eyes
PROFILE = 0.34
SMALL_S = 1 / timing.FPS  # audio that is longer by less does not extend the video


@dataclass(frozen=True, slots=True)
class Plan:
    """Output frames: N of them.

    Shape: source_N int, the source frame each shows; times_s, ends_s (N,); weight_N float32 in [0, 1], 0: unchanged
           why_T: for each source frame the reason why it stays unchanged, else ""; wanted_N bool, to be dubbed
    """

    source_N: np.ndarray
    times_s: np.ndarray
    ends_s: np.ndarray
    weight_N: np.ndarray
    why_T: np.ndarray
    wanted_N: np.ndarray


def make(
    seen: Seen, choice: Choice, lines: Sequence[Line], sound_s: float, *, spans: bool, length: str, still: bool,
    hidden_T: np.ndarray | None = None,
) -> Plan:  # fmt: skip
    """lines: of this speaker.  sound_s: the end of the last line of all speakers
    spans: change only the frames where a line is spoken; else all.  length: one of options.LENGTHS
    still: a picture, which lasts as long as the sound.  hidden_T: why else a frame cannot be changed, "" where it can
    """
    source_N, times_s, ends_s = still_order(sound_s) if still else order(seen, sound_s, "video" if spans else length)
    why_T = reasons(seen, choice)
    if hidden_T is not None:
        why_T = np.where(why_T == "", hidden_T, why_T)
    weight_N = faded(why_T == "", seen.times_s, seen.ends_s, seen.shots)[source_N]
    wanted_N = np.ones(len(source_N), bool)
    if spans:
        middles_s = (times_s + ends_s) / 2
        spoken_N = np.zeros(len(source_N), np.float32)
        for line in lines:
            spoken_N = np.maximum(spoken_N, line.share(middles_s, AROUND_S, AROUND_S))
        weight_N, wanted_N = np.minimum(weight_N, spoken_N), spoken_N > 0
    return Plan(source_N, times_s, ends_s, weight_N.astype(np.float32), why_T, wanted_N)


def sound_s(lines: Sequence[Line]) -> float:
    """The end of the last line, and of what it replaces."""
    return max((line.until_s for line in lines), default=0.0)


def still_order(sound_s: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    num_frames = max(1, timing.num_frames_of_sound(round(sound_s * timing.SAMPLE_RATE_HZ)))
    at = np.arange(num_frames)
    return np.zeros(num_frames, int), at / timing.FPS, (at + 1) / timing.FPS


def order(seen: Seen, sound_s: float, length: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(source frame, start, end) of each output frame.

    A video shorter than the audio is played forwards and backwards (ping-pong), so that no cut is visible.
    """
    num, video_s = len(seen.times_s), float(seen.ends_s[-1])
    wanted_s = {"longest": max(video_s, sound_s), "video": video_s, "sound": sound_s}[length]
    lasting_s = seen.ends_s - seen.times_s
    if wanted_s <= video_s + (SMALL_S if length == "longest" else 1e-6):
        num_shown = max(1, int(np.searchsorted(seen.times_s, min(wanted_s, video_s) - 1e-6)))
        return np.arange(num_shown), seen.times_s[:num_shown], seen.ends_s[:num_shown]
    there_and_back = np.concatenate([np.arange(num), np.arange(num)[::-1]])
    rounds = int(np.ceil(wanted_s / video_s / 2)) + 1
    source_N = np.tile(there_and_back, rounds)
    ends_s = np.cumsum(lasting_s[source_N])
    num_shown = int(np.searchsorted(ends_s, wanted_s - 1e-6)) + 1
    ends_s = ends_s[:num_shown]
    return source_N[:num_shown], np.concatenate([[0.0], ends_s[:-1]]), ends_s


def reasons(seen: Seen, choice: Choice) -> np.ndarray:
    """Why each source frame stays unchanged; "" where it is changed.  Shape: -> (T,) of str"""
    why_T = np.where(choice.who_T < 0, "no_face", "").astype("<U8")
    for number, face in enumerate(seen.faces):
        mine_N = choice.who_T[face.first : face.end] == number
        hidden_N = covered(face)
        for reason, bad_N in (("no_face", ~face.found_N), ("profile", turned(face)), ("occluded", hidden_N)):
            view = why_T[face.first : face.end]
            view[mine_N & bad_N & (view == "")] = reason
    return why_T


def covered(face: Face) -> np.ndarray:
    """Whether something covers the mouth for a while, or a mask or microphone for any time.  Shape: -> (N,) bool"""
    crops_N4 = faces.crop_boxes(face.boxes_N4)
    skins = []
    for number, portrait_SS3 in face.portraits.items():
        crop_4 = crops_N4[number - face.first]
        points_682 = (face.points_N682[number - face.first] - crop_4[:2]) * (
            len(portrait_SS3) / (crop_4[2] - crop_4[0])
        )
        skins.append(occlusion.skin(portrait_SS3, points_682))
    skin_3 = np.median(skins, axis=0).astype(np.uint8)
    if occlusion.blocked(face.lows_NK, face.found_N, skin_3):
        return np.ones(len(face.lows_NK), bool)
    return occlusion.covered(face.lows_NK, face.found_N) | occlusion.masked(face.lows_NK, skin_3)


def turned(face: Face) -> np.ndarray:
    """Whether the head is turned further than in training, by the nose between the eyes.  Shape: -> (N,) bool"""
    left, right, nose = (face.points_N682[:, k, 0] for k in (36, 45, 30))
    off_N = np.abs((nose - left) / np.maximum(right - left, 1e-6) - 0.5)
    return median_filter(off_N, min(STEADY_FRAMES, len(off_N)), mode="nearest") > PROFILE


def faded(usable_T: np.ndarray, times_s: np.ndarray, ends_s: np.ndarray, shots: Sequence[int]) -> np.ndarray:
    """Weights: 0 where not usable, rising to 1 within FADE_S; no fade at the edges of a shot.  Shape: -> (T,)"""
    weight_T = np.zeros(len(usable_T), np.float32)
    bounds = [*shots, len(usable_T)]
    middles_s = (times_s + ends_s) / 2
    for start, end in itertools.pairwise(bounds):
        bad_s = middles_s[start:end][~usable_T[start:end]]
        if not len(bad_s):
            weight_T[start:end] = 1
            continue
        here_s = middles_s[start:end]
        after = np.searchsorted(bad_s, here_s)
        from_last_s = here_s - bad_s[np.maximum(after - 1, 0)]
        from_last_s[after == 0] = np.inf
        to_next_s = np.append(bad_s, np.inf)[after] - here_s
        weight_T[start:end] = np.clip(np.minimum(from_last_s, to_next_s) / (FADE_S + 1e-9), 0, 1)
    return weight_T
