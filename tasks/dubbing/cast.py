"""`--speakers`: a table that says which face and which voice each speaker of the subtitles has.

    name,face,voice,tts
    Anna,0,en-gb-x-rp+f3,
    Ben,"640,200@1.5",en-us+m2,
    ,2,,

face   as of --speaker: a number, x,y@seconds, a picture, or person:NAME; empty: as without the table
voice  as of --voice; tts: as of --tts.  A row without a name is for cues that name nobody.
"""

from dataclasses import dataclass
from pathlib import Path

from tasks.core.errors import UserError
from tasks.dubbing import job_table
from tasks.dubbing.options import Options

COLUMNS = ("name", "face", "voice", "tts")


@dataclass(frozen=True, slots=True)
class Member:
    """Who says some of the cues; None: as the options say for all."""

    face: str | None = None
    voice: str | None = None
    tts: str | None = None


Cast = dict[str, Member]  # by name in lower case; "": of cues that name nobody


def read(path: Path) -> Cast:
    """Errors: UserError for a file that is not such a table, and for a speaker who is in it twice"""
    cast: Cast = {}
    for number, cells in job_table.read(path, COLUMNS, "speaker"):
        name = key(cells.get("name", ""))
        if name in cast:
            raise UserError(f"{path}: speaker {number}: {cells.get('name') or 'the one without a name'} is there twice")
        cast[name] = Member(cells.get("face"), cells.get("voice"), cells.get("tts"))
    if not cast:
        raise UserError(f"{path}: names no speaker; the first line names the columns: {','.join(COLUMNS)}")
    return cast


def key(name: str) -> str:
    return " ".join(name.split()).casefold()


def of_options(options: Options) -> Cast:
    """The table of `--speakers`; without one, only cues that name nobody can be spoken."""
    return read(Path(options.speakers)) if options.speakers else {}


def member(cast: Cast, name: str | None) -> Member | None:
    """Who says a cue of this name; None where nobody is known by it. Without a table a face's number is a name."""
    if name is None:
        return cast.get("", Member())
    if not cast and name.isdecimal():
        return Member(face=name)
    return cast.get(key(name))
