"""What is decided before any mouth is rendered: which faces say which lines, in which frames of the output."""

import itertools
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
    """One person's part.

    num_frames: of driving audio, 25 a second.  original: whose sound is kept between the lines
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


@dataclass(frozen=True)
class Role:
    """Lines, and the face that says them."""

    choice: Choice
    lines: Sequence[Line]


def cast(face: Path, seen: Seen, lines: Sequence[Line], options: Options, recogniser: Recogniser) -> list[Role]:
    """Which face says which lines: a role for each person.

    Errors: UserError where a speaker is not found, or one face is to say two lines at a time
    """
    has_sound = len(seen.faces) > 1 and not decode.is_image(face) and decode.probe(face).has_sound
    loudness_T = speaker.loudness(decode.mono(face)) if has_sound else None
    roles: dict[bytes, Role] = {}
    for wanted, mine in hear.by_speaker(lines).items():
        choice = speaker.choose(seen, wanted or options.speaker, loudness_T, recogniser)
        known = roles.get(choice.who_T.tobytes(), Role(choice, []))
        roles[choice.who_T.tobytes()] = Role(known.choice, sorted([*known.lines, *mine], key=lambda one: one.start_s))
    for role in roles.values():
        hear.demand_apart(role.lines)
    for one, other in itertools.combinations(roles.values(), 2):
        demand_apart(seen, one, other)
    return list(roles.values())


def demand_apart(seen: Seen, one: Role, other: Role) -> None:
    """Errors: UserError where two roles, which share a face in some shots, have it say two lines at a time."""
    shared_T = (one.choice.who_T == other.choice.who_T) & (one.choice.who_T >= 0)
    for mine, yours in itertools.product(one.lines, other.lines) if shared_T.any() else ():
        low_s, high_s = max(mine.start_s, yours.start_s), min(mine.end_s, yours.end_s)
        at_T = shared_T & (seen.times_s < high_s - timing.COLUMN_S) & (seen.ends_s > low_s)
        if high_s - low_s > timing.COLUMN_S and at_T.any():
            number = int(one.choice.who_T[np.argmax(at_T)])
            raise UserError(f"{mine.path} and {yours.path} are both said by face {number} at {low_s:.2f} s")


def write(
    face: Path, seen: Seen, roles: Sequence[Role], spans: bool, options: Options, hidden: Sequence[Hidden],
) -> list[Script]:  # fmt: skip
    """A script for each role; they have the frames of the output in common.

    seen: of pass 1.  spans: dub only where a line is spoken
    hidden: says what the generator cannot change, for each role

    Errors: UserError where a line begins after the video's end
    """
    still = decode.is_image(face)
    has_sound = not still and decode.probe(face).has_sound
    if spans and has_sound and not options.tracks and (tracks := decode.sounds_left_out(face)):
        say(f"dub: {face}: {tracks}")
    lines = [line for role in roles for line in role.lines]
    if spans and not still:
        demand_within(lines, float(seen.ends_s[-1]))
    sound_s, scripts = plan.sound_s(lines), []
    for role, hidden_of in zip(roles, hidden, strict=True):
        in_view, choice, sway = seen, role.choice, None
        if options.idle:
            in_view, choice, sway = idle.lasting(seen, choice, len(plan.still_order(sound_s)[0]))
        frames = plan.make(
            in_view, choice, role.lines, sound_s, spans=spans, length=options.length,
            still=still and not options.idle, hidden_T=hidden_of(in_view, choice, sway),
        )  # fmt: skip
        num_frames = max(1, int(np.ceil(frames.ends_s[-1] * timing.FPS - 1e-6)))
        original = face if spans and has_sound else None
        scripts.append(Script(face, in_view, choice, role.lines, frames, num_frames, original, sway))
    return scripts


def demand_within(lines: Sequence[Line], video_s: float) -> None:
    """Errors: UserError for a line that begins after the video's end."""
    for line in lines:
        if line.start_s >= video_s:
            raise UserError(f"{line.path} begins at {line.start_s:.2f} s, the video ends at {video_s:.2f} s")
        if line.end_s > video_s + plan.SMALL_S:
            say(f"dub: {line.path} ends at {line.end_s:.2f} s, the video at {video_s:.2f} s: the rest is cut off")
