"""`--subtitles`: each cue spoken by its speaker's voice and fitted into its time, before any picture is made."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tasks.core.errors import UserError
from tasks.core.files import all_or_nothing
from tasks.core.progress import bar, say
from tasks.dubbing import cast
from tasks.dubbing.cast import Cast
from tasks.dubbing.options import Options
from tasks.dubbing.spans import Span
from tasks.lines import fit, subtitles
from tasks.lines.subtitles import Cue, refuse, stamp
from tasks.media import containers, decode, native_rate, tempo
from tasks.media.native_rate import SoundFormat
from tasks.media.wav import write_wav
from tasks.voices import languages, natural, speech

MONO = "mono"
MOST_LISTED = 12  # names in an error


def spans(options: Options, face: Path, folder: Path) -> list[Span]:
    """Speak the cues of `options.subtitles` into wav files in `folder`; one that is there already is kept.

    face: the film; a picture has no end
    Errors: UserError for cues that overlap, begin after the film's end, have an unknown speaker, cannot be spoken, or
            do not fit into their time; each is said on a line of its own
    """
    path, speed = Path(str(options.subtitles)), fit.bounds(options.speed)
    cues, members = subtitles.read(path), cast.of_options(options)
    film_s = length_s(face)
    refuse(path, [*unknown(cues, members, options), *apart(cues, members), *beyond(cues, film_s)])
    voices = {name: voice_of(name, cues, members, options) for name in {cue.name for cue in cues}}
    folder.mkdir(exist_ok=True)
    said, problems = [], []
    with bar(len(cues), "speaking", "cue") as progress:
        for k, cue in enumerate(cues):
            voice = voices[cue.name]
            wav = speak(cue, voice, folder / f"{k:04d}.wav", path)
            placed = fit.fitted(wav.duration_s, *fit.rooms_s(cues, k, film_s), speed)
            if placed.too_long_s > 0:
                problems.append(
                    f"{cue}: {wav.duration_s / placed.speed:.2f} s at {placed.speed:g} times the speed, "
                    f"{placed.too_long_s:.2f} s more than it has"
                )
            else:
                said.append(fitted(cue, voice, wav, placed.speed))
            progress.update()
    if problems:
        for problem in problems:
            say(f"{path}: {problem}")
        raise UserError(
            f"{path}: {len(problems)} of {len(cues)} cues do not fit into their time, the first is {problems[0]}; "
            f"shorten them, give them more time, or allow more than --speed {options.speed}"
        )
    return said


def length_s(face: Path) -> float:
    """Of the film; without end for a picture."""
    if decode.is_image(face):
        return float("inf")
    with containers.readable(face):
        return decode.probe(face).duration_s or decode.counted_length_s(face)


def unknown(cues: Sequence[Cue], members: Cast, options: Options) -> list[str]:
    """What is wrong with the speakers' names."""
    names = ", ".join(sorted(filter(None, members))[:MOST_LISTED])
    advice = f"{options.speakers} has {names or 'none by name'}" if members else "--speakers says who has which face"
    return [
        f"{cue}: speaker {cue.name!r} is unknown: {advice}; if it is no name, write it without a colon"
        for cue in cues
        if cast.member(members, cue.name) is None
    ]


def apart(cues: Sequence[Cue], members: Cast) -> list[str]:
    """Which cues of one speaker overlap."""
    last: dict[object, Cue] = {}
    problems = []
    for cue in cues:
        member = cast.member(members, cue.name)
        who = cue.name and cast.key(cue.name) if member is None or member.face is None else member.face
        before = last.get(who)
        if before and cue.start_s < before.end_s - 1e-6:
            name = cue.name or "one speaker"
            problems.append(f"{cue} begins before cue {before.number} ends at {stamp(before.end_s)}; both are {name}'s")
        last[who] = cue if before is None or cue.end_s > before.end_s else before
    return problems


def beyond(cues: Sequence[Cue], film_s: float) -> list[str]:
    return [f"{cue} begins after the film's end at {stamp(film_s)}" for cue in cues if cue.start_s >= film_s]


@dataclass(frozen=True, slots=True)
class Voice:
    """One speaker's, for all cues.  name: of speech.voice_for, None where `command` speaks"""

    face: str | None
    name: str | None
    command: str | None
    language: str | None

    def __str__(self) -> str:
        return self.name or str(self.command).split()[0]


def voice_of(name: str | None, cues: Sequence[Cue], members: Cast, options: Options) -> Voice:
    """The language is seen in all that the speaker says, since a short cue may be of any.

    Errors: UserError with the first cue that the voice cannot speak
    """
    member = cast.member(members, name)
    assert member is not None  # not unknown
    if command := member.tts or (None if member.voice else options.tts):  # an own voice is not the command's for all
        return Voice(member.face, None, command, options.language)
    wanted, mine = member.voice or options.voice, [cue for cue in cues if cue.name == name]
    try:
        chosen = speech.voice_for(" ".join(cue.text for cue in mine), wanted, options.language)
    except UserError as error:
        refuse(
            Path(str(options.subtitles)), [f"{cue}: {why}" for cue in mine if (why := unspoken(cue, wanted, options))]
        )
        raise UserError(f"{options.subtitles}: {name or 'cues without a name'}: {error}") from error
    language = speech.ENGLISH if chosen in natural.VOICES else languages.of_voice(chosen)
    return Voice(member.face, chosen, None, options.language or (language if language in languages.SPOKEN else None))


def unspoken(cue: Cue, wanted: str | None, options: Options) -> str:
    """Why a voice cannot speak a cue; "" where it can."""
    try:
        speech.voice_for(cue.text, wanted, options.language)
    except UserError as error:
        return str(error)
    return ""


@dataclass(frozen=True, slots=True)
class Wav:
    """A cue as the voice speaks it, without the silence around it."""

    path: Path
    sound: np.ndarray
    rate_hz: int

    @property
    def duration_s(self) -> float:
        return len(self.sound) / self.rate_hz


def speak(cue: Cue, voice: Voice, wav: Path, subtitles: Path) -> Wav:
    """Errors: UserError with the cue's number where the voice cannot speak it"""
    if not wav.is_file():
        with all_or_nothing(wav) as partial:
            try:
                speech.speak(cue.text, partial, voice.command, voice.name, voice.language)
            except UserError as error:
                raise UserError(f"{subtitles}: {cue}: {error}") from error
    with containers.readable(wav, f"{cue}: no sound can be read"):
        rate_hz = native_rate.sound_format(wav).rate_hz
        blocks = list(native_rate.channels(wav, SoundFormat(rate_hz, MONO, 0.0)))
    sound = tempo.spoken_part(np.concatenate([block[0] for block in blocks]), rate_hz)
    if not len(sound) or not np.abs(sound).max():
        raise UserError(f"{subtitles}: {cue}: the voice says nothing: {cue.text[:60]!r}")
    return Wav(wav, sound, rate_hz)


def fitted(cue: Cue, voice: Voice, wav: Wav, speed: float) -> Span:
    """The cue at its speed, as a file beside the one that was spoken."""
    out = wav.path.with_name(f"cue-{cue.number}-{wav.path.stem}.wav")
    write_wav(out, tempo.faded(tempo.changed(wav.sound, wav.rate_hz, speed), wav.rate_hz), wav.rate_hz)
    about = {
        "cue": cue.number,
        "text": cue.text,
        **({"name": cue.name} if cue.name else {}),
        "voice": str(voice),
        "speed": round(speed, 3),
        "cue_s": [round(cue.start_s, 3), round(cue.end_s, 3)],
    }
    return Span(cue.start_s, str(out), voice.face, cue.end_s, about)
