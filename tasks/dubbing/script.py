"""What is decided before any mouth is rendered: which face says which lines, in which frames of the output."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from model import timing
from tasks.core.errors import UserError
from tasks.core.progress import say
from tasks.dubbing import hear, idle, plan, speaker
from tasks.dubbing.hear import Line
from tasks.dubbing.idle import Sway
from tasks.dubbing.likeness import Recogniser
from tasks.dubbing.look import Seen
from tasks.dubbing.options import Options
from tasks.dubbing.plan import Plan
from tasks.dubbing.speaker import Choice
from tasks.media import decode


@dataclass(frozen=True)
class Script:
    """num_frames: of driving audio, 25 a second.  original: whose sound is kept between the lines
    sway: of a picture with --idle
    """

    face: Path
    seen: Seen
    choice: Choice
    lines: Sequence[Line]
    plan: Plan
    num_frames: int
    original: Path | None = None
    sway: Sway | None = None

    @property
    def duration_s(self) -> float:
        return float(self.plan.ends_s[-1])

    @cached_property
    def mfcc_FW(self) -> np.ndarray:
        """Of the driving audio, from the output's first frame on; only LipGAN and the sync expert need it."""
        return hear.mfcc(self.driving_audio(), self.num_frames)

    def driving_audio(self) -> Iterator[np.ndarray]:
        """From the output's first frame on.  Shape: yields (n,) float32, num_frames x 640 in all, 16 kHz"""
        return hear.timeline(self.lines, timing.num_samples(self.num_frames))


# Why a frame cannot be changed, "" where it can (T,), or None: all can
Hidden = Callable[[Seen, Choice, Sway | None], np.ndarray | None]


def nothing_hidden(seen: Seen, choice: Choice, sway: Sway | None) -> None:
    return None


def write(
    face: Path, seen: Seen, lines: Sequence[Line], spans: bool, options: Options, recogniser: Recogniser,
    hidden: Hidden = nothing_hidden,
) -> Script:  # fmt: skip
    """seen: of pass 1.  spans: dub only where a line is spoken.  hidden: says what the generator cannot change

    Errors: UserError where the speaker is not found, or a line begins after the video's end
    """
    still = decode.is_image(face)
    has_sound = not still and decode.probe(face).has_sound
    if spans and has_sound and (tracks := decode.sounds_left_out(face)):
        say(f"dub: {face}: {tracks}")
    loudness_T = speaker.loudness(decode.mono(face)) if has_sound and len(seen.faces) > 1 else None
    choice, sway = speaker.choose(seen, options.speaker, loudness_T, recogniser), None
    if spans and not still:
        demand_within(lines, float(seen.ends_s[-1]))
    if options.idle:
        num_frames = len(plan.still_order(plan.sound_s(lines))[0])
        seen, choice, sway = idle.lasting(seen, choice, num_frames)
    frames = plan.make(
        seen, choice, lines, spans=spans, length=options.length, still=still and not options.idle,
        hidden_T=hidden(seen, choice, sway),
    )  # fmt: skip
    num_frames = max(1, int(np.ceil(frames.ends_s[-1] * timing.FPS - 1e-6)))
    return Script(face, seen, choice, lines, frames, num_frames, face if spans and has_sound else None, sway)


def demand_within(lines: Sequence[Line], video_s: float) -> None:
    """Errors: UserError for a line that begins after the video's end."""
    for line in lines:
        if line.start_s >= video_s:
            raise UserError(f"{line.path} begins at {line.start_s:.2f} s, the video ends at {video_s:.2f} s")
        if line.end_s > video_s + plan.SMALL_S:
            say(f"dub: {line.path} ends at {line.end_s:.2f} s, the video at {video_s:.2f} s: the rest is cut off")
