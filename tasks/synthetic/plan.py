"""The clips of the corpus, as plain values that can be cached, listed and sent to worker processes."""

from dataclasses import dataclass

import numpy as np

from model import seeds
from tasks.synthetic.script import SCRIPTS, Script

CORPUS_VERSION = 2  # raise it when any byte of any clip changes; it is part of the unit cache's keys

# case -> what makes the clip hard
HARD_CASES = {
    "music": "chords play under the voice",
    "noise": "white noise under the voice, about 8 dB below it",
    "smile": "a constant smile that shows the teeth",
    "dark": "a quarter of the light, and a noisy sensor",
    "occluded": "a microphone in front of the lips",
    "turned": "the head is turned 38 degrees: dlib finds it in most frames",
    "profile": "the head is turned 70 degrees: dlib finds it in none",
    "turning_away": "the head turns away to 75 degrees and back",
    "cartoon": "large eyes, flat colours, outlines",
    "offset": "the video is delayed against the audio",
    "no_face": "no person in the picture",
    "two_faces": "a smaller, silent person beside the speaker",
}
LATE_FRAMES = 5  # delay of the case `offset`

# size -> split -> (speakers, clips of each)
SIZES = {
    "demo": {"train": (24, 2), "val": (3, 2), "test": (5, 2)},
    "large": {"train": (150, 2), "val": (6, 2), "test": (10, 2)},  # for an hour of training: many more faces
    "tiny": {"train": (3, 1), "val": (1, 1), "test": (1, 1)},
}
HARD_OF_SIZE = {"demo": tuple(HARD_CASES), "large": tuple(HARD_CASES), "tiny": ("music", "no_face")}
FIRST_SPEAKER = {"train": 0, "val": 1000, "test": 2000, "hard": 3000, "pretrain": 4000}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSpec:
    """Everything that decides one clip, together with CORPUS_VERSION."""

    key: str  # "main/<19 digits>/00001", as LRS2 names its clips
    video: str  # the 19 digits
    split: str  # train | val | test | hard | pretrain
    case: str  # clean, or a key of HARD_CASES
    speaker: int
    female: bool
    voice: str
    text: str
    seed: int  # of the corpus; a clip's randomness is derived from it and the key
    offset_frames: int = 0  # the mouth is this much later than the sound


def plan(seed: int, size: str) -> list[ClipSpec]:
    """The corpus of a size of SIZES, ordered by split. No speaker, voice or phrase is in two splits.

    Errors: ValueError for an unknown size.
    """
    if size not in SIZES:
        raise ValueError(f"unknown corpus size {size!r}; known: {', '.join(SIZES)}")
    specs = []
    for split, (num_speakers, num_clips) in SIZES[size].items():
        specs += _clean(seed, split, size, num_speakers, num_clips)
    script, used = SCRIPTS["hard"], set[str]()
    for number, case in enumerate(HARD_OF_SIZE[size]):
        late = LATE_FRAMES if case == "offset" else 0
        specs += _speaker(seed, "hard", size, number, 1, script, used, case=case, offset_frames=late)
    return specs


def pretrain(seed: int, num_clips: int, size: str) -> list[ClipSpec]:
    """Clips of LRS2's `pretrain` part, with the script of the training split; they have a time for every word."""
    return _clean(seed, "pretrain", size, num_clips, 1)


def _clean(seed: int, split: str, size: str, num_speakers: int, num_clips: int) -> list[ClipSpec]:
    script, used = SCRIPTS["train" if split == "pretrain" else split], set[str]()
    return [
        spec for number in range(num_speakers) for spec in _speaker(seed, split, size, number, num_clips, script, used)
    ]


def _speaker(
    seed: int,
    split: str,
    size: str,
    number: int,
    num_clips: int,
    script: Script,
    used: set[str],
    *,
    case: str = "clean",
    offset_frames: int = 0,
) -> list[ClipSpec]:
    """The clips of one video, which has one speaker."""
    speaker = FIRST_SPEAKER[split] + number
    rng = seeds.generator(seed, "plan", size, speaker)
    female = number % 2 == 0
    voices = script.women if female else script.men
    video = f"{seeds.derive(seed, 'video', size, speaker):019d}"
    part = "pretrain" if split == "pretrain" else "main"
    return [
        ClipSpec(
            key=f"{part}/{video}/{clip:05d}", video=video, split=split, case=case, speaker=speaker, female=female,
            voice=voices[number // 2 % len(voices)],  # in turn, so that all are used
            text=_new_sentence(rng, script, size, used), seed=seed, offset_frames=offset_frames,
        )
        for clip in range(1, num_clips + 1)
    ]  # fmt: skip


def _new_sentence(rng: np.random.Generator, script: Script, size: str, used: set[str]) -> str:
    for _ in range(1000):
        if (text := script.sentence(rng, size)) not in used:
            used.add(text)
            return text
    return text  # the script is exhausted, as by a large `pretrain` of tiny clips
