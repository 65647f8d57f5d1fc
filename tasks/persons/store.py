"""Persons by name, in the project's data/persons, which git does not track.

data/persons/<letters>-<hash of the name>/
    person.json          name, consent, and every video by path, hash and size
    <hash of a video>/   its mesh and sound features: tasks/persons/films.py
    motion.safetensors   the motion network adapted to the person, where it is better than the released one
    adapted.json         from which videos it learned, and what was measured: tasks/adapt/motion.py
"""

import json
import os
import re
import shutil
import unicodedata
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tasks.core import config, files, json_files, names, paths
from tasks.core.errors import UserError
from tasks.core.files import write_atomic

ABOUT, MOTION, ADAPTED, SHEET, LOCK = "person.json", "motion.safetensors", "adapted.json", "mouths.png", ".lock"
NETWORK = (MOTION, "motion.json", ADAPTED)  # the files of an adaptation
MOST_LETTERS = 80
FORBIDDEN = r"/\:"


@dataclass(frozen=True, slots=True)
class Consent:
    """The document is not kept, only its hash.  date: on which it was given to us, YYYY-MM-DD"""

    file: str
    sha256: str
    date: str


@dataclass(frozen=True, slots=True)
class Video:
    """Footage by reference.

    path      within the project relative to it, else absolute
    modified  of the file, ns: unchanged, the hash is not computed again
    reader    hash of what read it: tasks/persons/films.py
    mouths    frames whose mouth can be used; opening: their 5th and 95th percentile, in eye distances
    """

    path: str
    sha256: str
    bytes: int
    modified: int
    reader: str
    added: str
    seconds: float
    mouths: int
    opening: list[float]
    sound: bool
    words: int

    @property
    def name(self) -> str:
        return Path(self.path).name


@dataclass(frozen=True, slots=True)
class Person:
    """own: the footage is of who added it, and needs no document"""

    name: str
    own: bool
    consent: list[Consent] = field(default_factory=list)
    videos: list[Video] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return folder_of(self.name)

    def of(self, video: Video) -> Path:
        """The folder of what was read of a video."""
        return self.folder / video.sha256[:16]

    def save(self) -> None:
        write_atomic(self.folder / ABOUT, json.dumps(names.valid(asdict(self)), indent=2) + "\n")

    def with_videos(self, videos: list[Video]) -> "Person":
        return replace(self, videos=videos)


def checked(name: str) -> str:
    """The name as it is kept.  Errors: UserError for one that is empty, too long, a path or no text"""
    plain = " ".join(unicodedata.normalize("NFC", name).split())
    if not plain or not any(letter.isalnum() for letter in plain):
        raise UserError(f"{names.one_line(name)!r} is no name of a person: it has no letter")
    if wrong := [letter for letter in plain if letter in FORBIDDEN or not letter.isprintable()]:
        raise UserError(
            f"{names.one_line(plain)!r} is no name of a person: it has {names.one_line(wrong[0])!r} in it; the name "
            "comes first, then the videos"
        )
    if len(plain) > MOST_LETTERS:
        raise UserError(f"{plain[:20]!r}... is no name of a person: {len(plain)} letters, at most {MOST_LETTERS}")
    return plain


def key(name: str) -> str:
    """Equal for names that differ in case or width alone: people and file systems take them for one."""
    return unicodedata.normalize("NFKC", name).casefold()


def folder_of(name: str) -> Path:
    letters = re.sub(r"[^a-z0-9]+", "-", key(name))[:20].strip("-")
    return paths.PERSONS / f"{letters or 'person'}-{names.digest(key(name))}"


def read(folder: Path) -> Person:
    """Errors: UserError if its person.json is damaged"""
    where = folder / ABOUT
    advice = "restore it, or delete its folder and add the person again"
    values = json_files.read(where, advice)
    try:
        parsed: Person = config.build(Person, values)
    except ValueError as error:
        raise UserError(f"{where}: damaged: {error}; {advice}") from None
    return parsed


def every() -> list[Person]:
    """All persons by name; a damaged one is an error."""
    folders = [file.parent for file in sorted(paths.PERSONS.glob(f"*/{ABOUT}"))]
    return sorted((read(folder) for folder in folders), key=lambda person: key(person.name))


def find(name: str) -> Person:
    """Errors: UserError that names the person whose name is nearest, if there is no such person"""
    import difflib

    wanted = checked(name)
    if (folder_of(wanted) / ABOUT).is_file():
        person = read(folder_of(wanted))
        if person.name == wanted:
            return person
        raise UserError(f"there is no person {wanted!r}; the name is written {person.name!r}")
    known = [person.name for person in every()]
    near = difflib.get_close_matches(wanted, known, n=1, cutoff=0.5) or known[:5]
    hint = f"known: {', '.join(near)}" if near else "`lipgan person add NAME VIDEO` makes one"
    raise UserError(f"there is no person {wanted!r}; {hint}")


def new(name: str) -> Person | None:
    """The person to add footage to, None if they are new.

    Errors: UserError for a name that only differs in case from another's
    """
    wanted = checked(name)
    if not (folder_of(wanted) / ABOUT).is_file():
        return None
    person = read(folder_of(wanted))
    if person.name != wanted:
        raise UserError(
            f"{wanted!r} differs only in case from {person.name!r}, who is there already; write it like that, or give "
            "another name"
        )
    return person


@contextmanager
def alone(name: str) -> Iterator[None]:
    """One change of a person at a time.  Errors: UserError if another process is at it"""
    folder = folder_of(checked(name))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with files.locked(folder / LOCK, f"person {name}: another command changes the library; wait until it is done"):
            yield
    finally:
        if folder.is_dir() and {file.name for file in folder.iterdir()} <= {LOCK}:
            shutil.rmtree(folder)


def rename(name: str, to: str) -> Person:
    """Errors: UserError if there is no such person, or the new name is taken"""
    with alone(name):
        person, wanted = find(name), checked(to)
        if key(wanted) != key(name) and (folder_of(wanted) / ABOUT).is_file():
            raise UserError(f"--to {wanted}: there is a person of this name already: {read(folder_of(wanted)).name}")
        named = replace(person, name=wanted)
        if named.folder != person.folder:
            shutil.rmtree(named.folder, ignore_errors=True)  # left empty by an interrupted command
            os.replace(person.folder, named.folder)
        named.save()
    return named


def forget(person: Person, video: Video) -> Person:
    """The person without a video; an adapted network that learned from it stays only until the next `adapt`."""
    shutil.rmtree(person.of(video), ignore_errors=True)
    (person.folder / SHEET).unlink(missing_ok=True)  # it may show it
    left = person.with_videos([one for one in person.videos if one.sha256 != video.sha256])
    left.save()
    return left


def remove(person: Person) -> None:
    """The whole library, with the adapted network; the videos themselves stay."""
    shutil.rmtree(person.folder)


def drop_network(person: Person) -> None:
    for name in NETWORK:
        (person.folder / name).unlink(missing_ok=True)


def network_of(person: Person, withdrawn: Collection[str] = ()) -> Path | None:
    """The adapted motion network, where there is one that may be used: one that learned from a withdrawn video may not.

    withdrawn: hashes of videos
    """
    file, record = person.folder / MOTION, adaptation(person)
    barred = record.get("retired") or set(record.get("videos", [])) & set(withdrawn)
    return file if file.is_file() and not barred else None


def adaptation(person: Person, folder: Path | None = None) -> dict[str, Any]:
    """What `person adapt` measured; empty before it.  folder: of the person, in another work tree"""
    file = (folder or person.folder) / ADAPTED
    return json_files.read(file, "adapt the person again") if file.is_file() else {}
