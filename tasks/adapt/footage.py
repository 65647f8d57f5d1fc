"""Adds footage to a person's library: each video is read once; more footage later reads only what is new.

    python -m flows person add "Anna" talk.mp4 interview.mov --consent anna.pdf

A video that shows several people is refused unless `--speaker` says which of them it is, or they look like the person
whose footage is there already. One bad video stops no other.
"""

import datetime
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from model import motion, timing
from model.params import FaceParams, MotionParams
from tasks.adapt import transcript
from tasks.compositor import footage, library
from tasks.core import config, files, names
from tasks.core.errors import UserError
from tasks.core.files import demand_file
from tasks.core.progress import say
from tasks.dubbing import mesh_mouth, speaker, watch, work_folder
from tasks.dubbing.find_faces import find_faces
from tasks.dubbing.likeness import Patterns
from tasks.dubbing.look import Face, Seen
from tasks.features.mesh_points import MeshPoints
from tasks.inference import motion_weights
from tasks.media import decode
from tasks.media.containers import MediaError
from tasks.persons import films, store
from tasks.persons.store import Consent, Person, Video
from tasks.provenance import agreement, withdrawals

PATTERNS = Patterns()
LEAST_OPEN = 0.05  # eye distances: a mouth that never opens so far shows no inside and no vowel
SHORT = 0.1  # a face seen for less than this share of the main one's frames is a passer-by
READING = ".reading-"
PIECE_S, CONTEXT_S = 60, 1  # of the sound features computed at a time


def add(name: str, videos: Sequence[Path], consent: Path | None, own: bool, wanted: str | None = None) -> int:
    """Read videos into the library of a person, who is new or there already; returns how many were refused.

    consent  the document by which the person agrees; demanded of a new person unless `own`
    wanted   which of several people: as dub's --speaker
    Errors:  UserError for a name or document that cannot be used, a missing or withdrawn video, or if none was added
    """
    with store.alone(name):
        person = agreed(name, consent, own)
        given = hashed(person, videos)
        new = [(video, sha256) for video, sha256 in given if not _known(person, video, sha256)]
        for left_over in set(person.folder.glob(f"{READING}*")) - {_work(person, sha256) for _, sha256 in new}:
            shutil.rmtree(left_over)  # of an interrupted run that is not gone on with
        person = store.new(name) or person  # with the new places of what it knows
        person.save()
        refused = []
        for video, sha256 in new:
            try:
                person = _with(person, video, sha256, wanted)
            except (UserError, MediaError) as error:
                refused.append(f"{video}: {error}" if isinstance(error, MediaError) else str(error))
                say(f"person: not added: {refused[-1]}")
        if not person.videos:
            store.remove(person)
            raise UserError(f"person {person.name}: no video could be added; the first: {refused[0]}")
    minutes, num = sum(video.seconds for video in person.videos) / 60, len(person.videos)
    say(f"person {person.name}: {len(new) - len(refused)} videos read; {num} in all, {minutes:.1f} minutes")
    return len(refused)


def agreed(name: str, document: Path | None, own: bool) -> Person:
    """The person, with the consent that is given now.  Errors: UserError without one, or if they have withdrawn"""
    person, today = store.new(name), datetime.date.today().isoformat()
    if own and document:
        raise UserError("--consent and --own: give one of them; --own is for footage of yourself")
    if person is None:
        if Path(name).exists():
            raise UserError(f"{name} is a file; the person's name comes first, then the videos")
        if not own and not document:
            raise UserError(
                f"person {store.checked(name)} is new: give the person's consent, --consent FILE, of which only the "
                "hash is kept, or --own for footage of yourself"
            )
        person = Person(store.checked(name), own)
    if row := withdrawals.read().get(person.folder.name):
        raise UserError(f"person {person.name} withdrew on {row.date}: no footage of them may be kept")
    if document:
        given = Consent(names.valid(document.name), agreement.hash_of("--consent", document), today)
        if given.sha256 not in [one.sha256 for one in person.consent]:
            person = replace(person, consent=[*person.consent, given])
            if (person.folder / store.ABOUT).is_file():
                person.save()
    return person


def hashed(person: Person, videos: Sequence[Path]) -> list[tuple[Path, str]]:
    """The videos with their hashes, each once.  Errors: UserError for one that is missing, no video, or withdrawn"""
    found: dict[str, Path] = {}
    rows = withdrawals.read()
    for video in videos:
        demand_file(video)
        if decode.is_image(video):
            raise UserError(f"{video}: a picture shows one mouth; a library needs videos")
        sha256 = files.sha256_file(video)
        if row := films.withdrawn(person, sha256, rows):
            raise UserError(f"{video}: was withdrawn on {row.date}: it may not be used")
        if sha256 in found:
            say(f"person: {video} has the bytes of {found[sha256]}; read once")
        found.setdefault(sha256, video)
    return [(video, sha256) for sha256, video in found.items()]


def _known(person: Person, path: Path, sha256: str) -> bool:
    """Whether the video is read already; its place is brought up to date."""
    for video in person.videos:
        if video.sha256 == sha256 and video.reader == films.reader() and (person.of(video) / films.HEARD).is_file():
            here = replace(video, path=films.path_as_kept(path), modified=path.stat().st_mtime_ns)
            others = [one for one in (store.new(person.name) or person).videos if one.sha256 != sha256]
            person.with_videos([*others, here]).save()
            say(f"person {person.name}: {path} is there already; not read again")
            return True
    return False


def _with(person: Person, path: Path, sha256: str, wanted: str | None) -> Person:
    """The person with one more video; what an interrupted run had read of it is taken.

    Errors: UserError, MediaError if it cannot be read or does not show the person
    """
    kept = [video for video in person.videos if (person.of(video) / films.HEARD).is_file()]
    known = [films.looks(person, video) for video in kept]
    work = _work(person, sha256)
    work.mkdir(parents=True, exist_ok=True)
    try:
        video = _read(path, sha256, work, person, known, wanted)
    except (UserError, MediaError):
        shutil.rmtree(work, ignore_errors=True)
        raise
    shutil.rmtree(person.of(video), ignore_errors=True)
    os.replace(work, person.of(video))
    same_place = {video.sha256} | {one.sha256 for one in person.videos if one.path == video.path}
    for stale in (one for one in person.videos if one.sha256 in same_place - {video.sha256}):
        say(f"person {person.name}: {stale.name} has changed; what was read of it before is dropped")
        shutil.rmtree(person.of(stale), ignore_errors=True)
    person = person.with_videos([*(one for one in person.videos if one.sha256 not in same_place), video])
    person.save()
    return person


def _work(person: Person, sha256: str) -> Path:
    """Where a video is read; it has portraits, until it is read whole."""
    return person.folder / f"{READING}{sha256[:16]}"


def _read(path: Path, sha256: str, work: Path, person: Person, known: list[np.ndarray], wanted: str | None) -> Video:
    p, of_video = config.load_here().faces, f" of {names.one_line(path.name)}"
    seen = _seen(path, p, work, of_video)
    who_T = shown(seen, path, person.name, known, wanted)
    film = mesh_mouth.record(path, seen, who_T, work, of_video, pictures=False)
    film = mesh_mouth.uncovered(film, seen, who_T)
    films.uncover(work, film.run_T)
    built = library.build([replace(footage.without_pictures(work), run_T=film.run_T)])
    if built is None:
        raise UserError(f"{path}: no frame shows the mouth of {person.name} whole and near-frontal; use other footage")
    low, high = np.quantile(built.opening_N, (0.05, 0.95)).round(3).tolist()
    if high < LEAST_OPEN:
        say(f"person {person.name}: {path} shows no open mouth (at most {high:.2f} eye distances); insides are painted")
    power_CM = heard(path, motion_weights.load(motion_weights.RELEASED).p)
    if not len(power_CM):
        say(f"person {person.name}: {path} has no sound; its mouths are used, but nothing is learned from it")
    main = max(np.unique(who_T[who_T >= 0]).tolist(), key=lambda k: (who_T == k).sum())
    words = transcript.words(path) if len(power_CM) else []
    transcript.write(work / films.WORDS, words)
    looks_D = speaker.looks(seen.faces[main], PATTERNS)
    films.write_heard(work, films.Heard(seen.times_s, seen.ends_s, power_CM, looks_D))
    for left_over in (work_folder.FACES, watch.MESHES):  # portraits, and the meshes of all faces
        (work / left_over).unlink(missing_ok=True)
    stat = path.stat()
    return Video(
        path=films.path_as_kept(path), sha256=sha256, bytes=stat.st_size, modified=stat.st_mtime_ns,
        reader=films.reader(), added=datetime.date.today().isoformat(), seconds=round(float(seen.ends_s[-1]), 2),
        mouths=len(built), opening=[low, high], sound=len(power_CM) > 0, words=len(words),
    )  # fmt: skip


def _seen(path: Path, p: FaceParams, work: Path, of_video: str) -> Seen:
    return find_faces(path, p, MeshPoints(), None, work, of_video)


def shown(seen: Seen, path: Path, name: str, known: list[np.ndarray], wanted: str | None) -> np.ndarray:
    """Which face is the person in each frame, -1 none.  known: what the person looks like in other footage

    Shape: -> (T,) int
    Errors: UserError if nobody is, or nothing tells which of several people
    """
    if wanted is not None:
        return speaker.choose(seen, wanted, None, PATTERNS).who_T
    looks = [speaker.looks(face, PATTERNS) for face in seen.faces]
    references = known or [looks[max(range(len(looks)), key=lambda k: speaker.area(seen.faces[k]))]]
    alike = [max(PATTERNS.alike(one, look) for one in references) for look in looks]
    if max(alike) < PATTERNS.same:
        raise UserError(
            f"{path}: no face in it looks like {name}: best likeness {max(alike):.2f}, wanted {PATTERNS.same}; if one "
            "is, --speaker x,y@seconds says which"
        )
    mine = [k for k in range(len(alike)) if alike[k] >= PATTERNS.same]
    if not known:
        _demand_alone(seen, mine, path)
    who_T = np.full(len(seen.times_s), -1)
    for k in sorted(mine, key=lambda k: alike[k]):
        who_T[seen.faces[k].first : seen.faces[k].end] = k
    return who_T


def _demand_alone(seen: Seen, mine: list[int], path: Path) -> None:
    """Errors: UserError if other people are seen for more than a moment"""
    longest = max(seen.faces[k].end - seen.faces[k].first for k in mine)
    for k, face in enumerate(seen.faces):
        if k not in mine and face.end - face.first > SHORT * longest:
            raise UserError(
                f"{path}: shows more than one person: {_where(seen, seen.faces[mine[0]])} and {_where(seen, face)}; "
                "--speaker x,y@seconds says which"
            )


def _where(seen: Seen, face: Face) -> str:
    left, top, right, bottom = face.boxes_N4[0]
    return f"{(left + right) / 2:.0f},{(top + bottom) / 2:.0f}@{seen.times_s[face.first]:.1f}"


def heard(path: Path, p: MotionParams) -> np.ndarray:
    """`motion.listen` of the video's sound, a minute at a time; no columns if it has none.  Shape: -> (C, M)"""
    try:
        sound = decode.decode_sound(path)
    except MediaError as error:
        if error.reason != "no_sound":
            raise
        return np.zeros((0, p.num_bands), np.float32)
    rate, per_s = timing.SAMPLE_RATE_HZ, timing.SAMPLE_RATE_HZ // timing.HOP
    parts = []
    for start in range(0, len(sound), PIECE_S * rate):
        before = CONTEXT_S if start else 0
        piece = sound[start - before * rate : start + (PIECE_S + CONTEXT_S) * rate]
        rest = min(PIECE_S * rate, len(sound) - start)
        columns = motion.listen(piece, p)[before * per_s :]
        parts.append(columns[: -(-rest // timing.HOP)])
    return np.concatenate(parts)
