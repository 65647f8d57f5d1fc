"""One clip of the corpus: its mp4, its transcript in LRS2's format, and the ground truth of every frame."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from model import backgrounds, seeds
from model.timing import num_frames_of_sound
from tasks.media import encode, espeak
from tasks.synthetic import identity, motion, mouth_curves, picture, scene
from tasks.synthetic.head import Head
from tasks.synthetic.mouth import Mouth
from tasks.synthetic.picture import Actor, Pose
from tasks.synthetic.plan import ClipSpec

SIZE = 160  # px, as LRS2's frames
PX_PER_UNIT = 48.0  # head about 80 px wide
SMILE, SMILE_OPENING = 0.9, 0.035
DARKNESS, DARK_NOISE = 0.28, 4.0  # remaining share of the light; standard deviation, of 255
MICROPHONE = (40, 38, 36)  # RGB
BESIDE = (0.82, -26.0), (0.66, 44.0)  # of two faces: scale and position (px) of the speaker and of the other


@dataclass(frozen=True, slots=True)
class SyntheticClip:
    """A clip as bytes, and its ground truth.

    mp4    160 x 160, 25 frames/s, H.264, AAC 16 kHz mono; the same for the same ClipSpec
    text   LRS2's .txt: "Text:  WORDS", "Conf:  5"
    truth  JSON values only. Lists with an entry per frame: aperture (opening of the mouth in the frame, head units, 0
           closed to about 0.3; 0 without a person), yaw_deg. Lists of [label, start_s, end_s] in the time of the sound:
           phones (espeak's mnemonics), words. And: case, offset_frames (delay of the video), num_frames, speaker,
           voice.
    """

    mp4: bytes
    text: str
    truth: dict[str, Any]


def render(spec: ClipSpec) -> SyntheticClip:
    """Render a clip.  Errors: UserError if espeak-ng is not installed"""
    rng = seeds.generator(spec.seed, "clip", spec.key)
    speech, amplitude = _speak(spec)
    num_frames = num_frames_of_sound(len(speech.sound))
    mouths = _delayed(mouth_curves.mouths(speech.phones, num_frames, amplitude), spec, rng)
    poses = motion.poses(rng, num_frames, spec.case)
    sound = backgrounds.add_background(speech.sound, spec.case, rng)
    out = io.BytesIO()
    encode.encode_video(out, _frames(spec, mouths, poses, rng), sound)
    nobody = spec.case == "no_face"
    truth = {
        "case": spec.case,
        "offset_frames": spec.offset_frames,
        "num_frames": num_frames,
        "speaker": spec.speaker,
        "voice": spec.voice,
        "aperture": [0.0 if nobody else round(mouth.opening, 6) for mouth in mouths],
        "yaw_deg": [round(pose.yaw_deg, 3) for pose in poses],
        "phones": _rounded(speech.phones),
        "words": _rounded(speech.words),
    }
    return SyntheticClip(out.getvalue(), f"Text:  {spec.text.upper()}\nConf:  5\n", truth)


def _rounded(spans: espeak.Spans) -> list[list[Any]]:
    return [[label, round(start_s, 4), round(end_s, 4)] for label, start_s, end_s in spans]


def _speak(spec: ClipSpec) -> tuple[espeak.Speech, float]:
    """The clip's speech, and the amplitude of its speaker's mouth."""
    rng = seeds.generator(spec.seed, "speaker", spec.speaker)
    words_per_minute, liveliness = int(rng.integers(145, 195)), int(rng.integers(35, 75))
    pitch = int(np.clip(rng.normal(50, 14), 15, 90))
    amplitude = rng.uniform(0.85, 1.2)
    seed = seeds.derive(spec.seed, "voice", spec.key) % 2**31
    speech = espeak.say(
        spec.text, spec.voice, words_per_minute=words_per_minute, pitch=pitch, liveliness=liveliness, seed=seed
    )
    return speech, amplitude


def _delayed(mouths: list[Mouth], spec: ClipSpec, rng: np.random.Generator) -> list[Mouth]:
    """The mouth in each frame, delayed by the clip's offset, with the clip's expression."""
    at = np.clip(np.arange(len(mouths)) - spec.offset_frames, 0, len(mouths) - 1)
    smiling = spec.case == "smile"
    smile, wider = (SMILE, SMILE_OPENING) if smiling else (max(0.0, rng.normal(0.05, 0.12)), 0.0)
    return [
        mouth._replace(opening=mouth.opening + wider * (1 - mouth.press), smile=smile)
        for mouth in (mouths[t] for t in at)
    ]


def _frames(spec: ClipSpec, mouths: list[Mouth], poses: list[Pose], rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Shape: (SIZE, SIZE, 3) uint8 RGB each"""
    take = scene.draw(seeds.derive(spec.seed, "take", spec.key), SIZE)
    scale = PX_PER_UNIT * rng.uniform(0.95, 1.12)
    person = identity.draw(_person(spec, 0), female=spec.female, cartoon=spec.case == "cartoon")
    size, place_px = BESIDE[0] if spec.case == "two_faces" else (1.0, 0.0)
    speaker = Actor(Head(person), take, scale * size)
    other, others = None, []
    if spec.case == "two_faces":
        other = Actor(Head(identity.draw(_person(spec, 1))), take, scale * BESIDE[1][0])
        others = motion.poses(rng, len(poses), "clean")
    noise = None if spec.case == "cartoon" else rng
    for frame, (mouth, pose) in enumerate(zip(mouths, poses, strict=True)):
        cast = [(speaker, mouth, pose._replace(shift_x_px=pose.shift_x_px + place_px))]
        if other:
            beside = others[frame]._replace(shift_x_px=others[frame].shift_x_px + BESIDE[1][1])
            cast.insert(0, (other, Mouth(), beside))
        if spec.case == "no_face":
            cast = []
        rendered = picture.render(take, cast, noise)
        lips_px = rendered.landmarks[-1][48:68].mean(axis=0) if cast else None
        yield _disturbed(rendered.rgb_HW3, spec.case, lips_px, frame, rng)


def _person(spec: ClipSpec, number: int) -> int:
    return seeds.derive(spec.seed, "person", spec.speaker, number)


def _disturbed(
    rgb_HW3: np.ndarray, case: str, lips_px: np.ndarray | None, frame: int, rng: np.random.Generator
) -> np.ndarray:
    """The frame with the disturbance of its case: darkness, or a microphone in front of the lips."""
    if case == "dark":
        rgb_HW3 = np.clip(rgb_HW3 * DARKNESS + rng.normal(0, DARK_NOISE, rgb_HW3.shape), 0, 255).astype(np.uint8)
    if case == "occluded" and lips_px is not None:
        centre = int(lips_px[0] + 8), int(lips_px[1] + 14 + 2 * np.sin(frame / 7))
        cv2.ellipse(rgb_HW3, centre, (13, 20), 20, 0, 360, MICROPHONE, -1, cv2.LINE_AA)
    return rgb_HW3
