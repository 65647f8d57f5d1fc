"""What is kept of a person's videos, and whether it can still be used: frames are not copied, so the videos must be
where they were, unchanged.

Each video's folder has what tasks/compositor/footage.py records, without pictures, and heard.npz: the frames' times,
the sound's mel power, and what the person looks like.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tasks.compositor import footage
from tasks.compositor.footage import Footage
from tasks.core import files
from tasks.core.errors import UserError
from tasks.core.progress import say
from tasks.features import lip_refiner, mesh_model
from tasks.media import native_rate
from tasks.media.frame import Picture
from tasks.persons import store
from tasks.persons.store import Person, Video
from tasks.provenance import withdrawals
from tasks.provenance.withdrawals import Withdrawal

FILMS_VERSION = 3  # raise it when the same video gives other meshes or features
HEARD, WORDS = "heard.npz", "words.json"
SILENCE = 1e-10  # of mel power, far below any sound


@dataclass(frozen=True, slots=True)
class Heard:
    """times_T, ends_T: of the frames, s.  power_CM: model.motion.listen, by the parameters of the released network; no
    columns without sound.  looks_D: tasks.dubbing.likeness.Patterns
    """

    times_T: np.ndarray
    ends_T: np.ndarray
    power_CM: np.ndarray
    looks_D: np.ndarray


@dataclass(frozen=True, slots=True)
class Library:
    """A person's videos that can be used, and why others cannot, a line each."""

    person: Person
    videos: tuple[Video, ...]
    lost: tuple[str, ...]
    network: Path | None = None  # the motion network adapted to the person, if there is one that may be used

    def films(self) -> list[Footage]:
        """Without pictures; `fetched` brings those that are wanted."""
        return [footage.without_pictures(self.person.of(video)) for video in self.videos]

    def looks(self) -> list[np.ndarray]:
        return [looks(self.person, video) for video in self.videos]

    def described(self) -> dict[str, object]:
        """For the JSON beside a dub, and its key."""
        videos = [{"name": video.name, "sha256": video.sha256, "reader": video.reader} for video in self.videos]
        consent = [one.sha256 for one in self.person.consent]
        return {"name": self.person.name, "videos": videos, "consent_sha256": consent, "own": self.person.own}


def reader() -> str:
    """Hash of what reads mouths: with another, old and new meshes do not fit together."""
    models = f"{FILMS_VERSION} {mesh_model.SHA256} ".encode() + lip_refiner.RELEASED.read_bytes()
    return hashlib.sha256(models).hexdigest()[:16]


def path_as_kept(video: Path) -> str:
    """Relative within the project, so that the project may be moved as a whole; else absolute."""
    whole = os.path.abspath(video)
    inside = os.path.relpath(whole)
    return whole if inside.startswith(os.pardir) else inside


def opened(name: str) -> Library:
    """The library of a person, checked; each video that cannot be used is said in one line.

    Errors: UserError if there is no such person, they have withdrawn, or no video is left to use
    """
    person = store.find(name)
    if not person.videos:
        raise UserError(f"person {person.name} has no footage; `lipgan person add` reads some")
    rows = withdrawals.read()
    states = [(video, state(person, video, rows)) for video in person.videos]
    lost = tuple(f"person {person.name}: {why}" for _, why in states if why)
    videos = tuple(video for video, why in states if not why)
    if not videos:
        raise UserError(f"{lost[0]}{f', and {len(lost) - 1} more' if len(lost) > 1 else ''}; no footage is left to use")
    for line in lost:
        say(line)
    gone = {sha256 for row in rows.values() for sha256 in row.source_sha256.split()}
    return Library(person, videos, lost, store.network_of(person, gone))


def state(person: Person, video: Video, rows: Mapping[str, Withdrawal]) -> str:
    """Why a video cannot be used, "" if it can."""
    if row := withdrawn(person, video.sha256, rows):
        return f"{video.name} was withdrawn on {row.date}"
    if why := moved_or_changed(video):
        return why
    if video.reader != reader() or not (person.of(video) / HEARD).is_file():
        return f"{video.name} was read by another version; add it again: `lipgan person add` with {video.path}"
    return ""


def moved_or_changed(video: Video) -> str:
    path = Path(video.path)
    try:
        stat = path.stat()
    except OSError:
        return f"{video.name} is no longer at {video.path}; add it from where it is now, it is not read again"
    if stat.st_size == video.bytes and (stat.st_mtime_ns == video.modified or files.sha256_file(path) == video.sha256):
        return ""
    return f"{video.name} has changed since it was added; add it again"


def withdrawn(person: Person, sha256: str, rows: Mapping[str, Withdrawal]) -> Withdrawal | None:
    """The row of the person, or of the video, wherever it is withdrawn from.  rows: withdrawals.read()"""
    return rows.get(person.folder.name) or next((r for r in rows.values() if sha256 in r.source_sha256.split()), None)


def of_path(person: Person, path: str) -> Video:
    """The video of a person by its path or its name.  Errors: UserError if there is none, or several"""
    found = [video for video in person.videos if os.path.abspath(video.path) == os.path.abspath(path)]
    found = found or [video for video in person.videos if path in (video.name, video.path)]
    if len(found) != 1:
        problem = "several videos are named so; give the whole path" if found else "it is not among the videos"
        raise UserError(f"person {person.name}: --video {path}: {problem}; see `lipgan person show`")
    return found[0]


def heard(person: Person, video: Video) -> Heard:
    with np.load(person.of(video) / HEARD) as arrays:
        power_CM = np.exp(arrays["log_CM"].astype(np.float32))
        return Heard(arrays["times_T"], arrays["ends_T"], power_CM, arrays["looks_D"])


def look(name: str) -> np.ndarray:
    """What a person looks like, over all videos.  Shape: -> (D,) float32

    Errors: UserError if there is no such person, or they have no footage
    """
    person = store.find(name)
    if not person.videos:
        raise UserError(f"person {person.name} has no footage; `lipgan person add` reads some")
    look_D: np.ndarray = np.median([looks(person, video) for video in person.videos], axis=0)
    return look_D


def looks(person: Person, video: Video) -> np.ndarray:
    """What the person looks like in a video, alone of `heard`."""
    with np.load(person.of(video) / HEARD) as arrays:
        looks_D: np.ndarray = arrays["looks_D"]
    return looks_D


def write_heard(folder: Path, of: Heard) -> None:
    log_CM = np.log(of.power_CM + SILENCE).astype(np.float16)
    with files.all_or_nothing(folder / HEARD) as partial, partial.open("wb") as file:
        np.savez(file, times_T=of.times_T, ends_T=of.ends_T, log_CM=log_CM, looks_D=of.looks_D)


def words(person: Person, video: Video) -> list[tuple[str, float, float]]:
    """(word, start, end in s) where they are known."""
    file = person.of(video) / WORDS
    return [(word, start_s, end_s) for word, start_s, end_s in json.loads(file.read_text())] if file.is_file() else []


def fetched(library: Library, films: Sequence[Footage], wanted: Sequence[Collection[int]], into: Path) -> list[Footage]:
    """The films with the pictures of the frames `wanted` of each, decoded from the videos once more.

    Errors: UserError if a video has been changed or removed meanwhile
    """
    with_pictures = []
    for number, (video, film, frames) in enumerate(zip(library.videos, films, wanted, strict=True)):
        if frames and (why := moved_or_changed(video)):
            raise UserError(f"person {library.person.name}: {why}")
        with contextlib.closing(_frames(Path(video.path))) as pictures:
            with_pictures.append(footage.with_pictures(film, pictures, set(frames), into / f"person{number}"))
    return with_pictures


def _frames(video: Path) -> Generator[Picture]:
    with contextlib.closing(native_rate.pictures(video)) as pictures:
        for picture, _ in pictures:
            yield picture


def uncover(folder: Path, run_T: np.ndarray) -> None:
    """Keep which frames show the mouth uncovered."""
    with np.load(folder / footage.INDEX) as arrays:
        kept = dict(arrays) | {"run_T": run_T}
    with files.all_or_nothing(folder / footage.INDEX) as partial, partial.open("wb") as file:
        np.savez(file, **kept)
