"""The options of a dub, and how they are read from a command line, a row of a CSV or the web page."""

import math
import re
import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, get_args, get_type_hints

from tasks.core.errors import UserError
from tasks.dubbing import spans
from tasks.lines import fit

LENGTHS = ("longest", "video", "sound")
DRIVING_AUDIO = ("auto", "raw", "separated")
BACKGROUNDS = ("drop", "keep")
GENERATORS = ("mesh", "lipgan")
MOST_STRENGTH = 1.5
MIN_BOX_PX = 8
SWITCH = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
RENAMED = {"ear": "driving_audio"}  # the name before version 0.2; sidecars keep it

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What can be asked for; meanings in flows/commands/dub.py."""

    length: str = "longest"
    speaker: str | None = None
    box: Box | None = None
    text: str | None = None
    tts: str | None = None
    voice: str | None = None  # None: by the text's language
    language: str | None = None  # None: as the text shows it
    crf: int = 17
    lossless: bool = False
    label: str | None = None
    side_by_side: str | None = None
    backend: str | None = None
    driving_audio: str = "auto"
    recognition: str | None = None
    idle: bool = False
    generator: str | None = None  # None: by the checkpoint, the backend and params.yaml, see networks.settled
    strength: float = 1.0
    library: tuple[str, ...] = ()
    subtitles: str | None = None
    speakers: str | None = None
    speed: str = "0.8-1.35"
    background: str = "drop"
    tracks: bool = False
    person: str | None = None  # whose kept library: tasks/persons

    @classmethod
    def from_mapping(cls, words: Mapping[str, Any]) -> Self:
        """Options by name, as words or as values; what is None keeps its default.

        Errors: UserError for a name that is no option, and for a word that cannot be read as the option's type
        """
        kinds, values = get_type_hints(cls), {}
        for key, word in words.items():
            name = RENAMED.get(key, key)
            if name not in kinds:
                raise UserError(f"{key!r} is no option of dub; known: {', '.join(kinds)}")
            if word is not None:
                values[name] = read(name, word, kinds[name]) if isinstance(word, str) else word
        return cls(**values)

    def recorded(self) -> dict[str, Any]:
        """The options as the sidecar names them."""
        old = {new: name for name, new in RENAMED.items()}
        values = {old.get(name, name): getattr(self, name) for name in self.__slots__}
        files = {name: path and Path(path).name for name in ("subtitles", "speakers") for path in [getattr(self, name)]}
        if self.person is None:  # it is younger than the key of an output, which this decides
            del values["person"]
        return values | files | {"library": [Path(video).name for video in self.library]}

    def check(self) -> None:
        """Errors: UserError for a value that is out of its range"""
        if not 0 <= self.crf <= 51:
            raise UserError(f"--crf must be from 0 to 51, got {self.crf}")
        if not 0 <= self.strength <= MOST_STRENGTH:
            raise UserError(f"--strength must be from 0 to {MOST_STRENGTH}, got {self.strength:g}")
        if self.library and self.person:
            raise UserError("--library and --person: give one of them; `lipgan person add` adds footage to a person")
        of_mesh = {"--library": self.library, "--person": self.person, "--strength": self.strength != 1}
        if self.generator == "lipgan" and (wrong := [name for name, value in of_mesh.items() if value]):
            raise UserError(f"{wrong[0]} is of --generator mesh, not of lipgan")
        fit.bounds(self.speed)
        if self.speakers and not self.subtitles:
            raise UserError("--speakers is for the cues of --subtitles; --span names the speaker of a line after its @")
        for name, known in (
            ("length", LENGTHS), ("driving_audio", DRIVING_AUDIO), ("background", BACKGROUNDS),
            ("generator", GENERATORS),
        ):  # fmt: skip
            if getattr(self, name) not in (*known, None):
                raise UserError(f"{flag(name)} must be one of {', '.join(known)}, got {getattr(self, name)}")


DEFAULTS = Options()


def flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def read(name: str, word: str, kind: Any) -> Any:
    """A word as the type of the option `name`.  Errors: UserError that names the option"""
    if isinstance(kind, types.UnionType):  # X | None
        kind = get_args(kind)[0]
    if kind == tuple[str, ...]:
        return spans.paths(word)
    if kind == Box:
        return read_box(word)
    if kind is bool:
        if word.lower() not in SWITCH:
            raise UserError(f"{flag(name)} must be yes or no, got {word!r}")
        return SWITCH[word.lower()]
    if kind is int:
        if not re.fullmatch(r"-?\d{1,9}", word):
            raise UserError(f"{flag(name)} must be a whole number, got {word!r}")
        return int(word)
    if kind is float:
        return read_number(name, word)
    return word


def read_number(name: str, word: str) -> float:
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"{flag(name)} must be a number, got {word!r}")
    return number


def read_box(word: str) -> Box:
    """ "40,40,140,140" -> (40.0, 40.0, 140.0, 140.0).  Errors: UserError"""
    sides = word.split(",")
    if len(sides) != 4 or not all(re.fullmatch(r"\d{1,9}(?:\.\d+)?", side) for side in sides):
        raise UserError(f"--box {word}: wanted left,top,right,bottom in pixels")
    left, top, right, bottom = map(float, sides)
    if min(right - left, bottom - top) < MIN_BOX_PX:
        raise UserError(f"--box {word}: right and bottom must be at least {MIN_BOX_PX} px beyond left and top")
    return left, top, right, bottom
