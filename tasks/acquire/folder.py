"""Corpus `folder`: any folder of videos. One file is one video and one clip; its transcript may be beside it as .txt.

Every file, link, pipe and device becomes a clip or a refusal, except transcripts; a hidden folder is one refusal. The
first-level folder names the person, unless corpus.persons is `video`; a video outside of any folder is a person of its
own.
"""

import dataclasses
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.params import Params
from tasks.acquire.words import is_video, read_words, transcripts
from tasks.core import names
from tasks.core.errors import UserError
from tasks.core.files import sha256_file
from tasks.core.progress import progress, say
from tasks.media import decode, folder_files, fragments
from tasks.storage import shards


def versions() -> dict[str, Any]:
    return {"layout": shards.SHARDS_VERSION}


LONG, KEPT = 200, 100  # letters: an id is part of file names, which have at most 255 bytes


@dataclass(frozen=True, slots=True)
class File:
    """A file of the folder as the corpus takes it. `name`: its path in the folder; `refused`: (reason, detail)"""

    path: Path
    name: str
    video: str
    sha256: str
    refused: tuple[str, str] | None


def clips(p: Params) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Clips of the folder (with the `inputs` that decide their bytes), and rows of refused files."""
    folder = Path(p.corpus.folder)
    if not folder.is_dir():
        raise UserError(f"corpus.folder: {folder}: no such folder")
    found, words = listed(folder)
    if all(file.refused and file.refused[0] == "hidden" for file in found):
        raise UserError(f"corpus.folder: {folder} has no file; put videos there ({', '.join(decode.VIDEO_ENDINGS)})")
    wanted, refused = [], []
    for file in found:
        row = {
            "clip": f"folder/{file.video}/00000",
            "video": file.video,
            "person": person_of(file.name, p.corpus.persons),
            "corpus": "folder",
            "licence": p.corpus.licence,
            "source": names.valid(file.name),
            "source_sha256": file.sha256,
        }
        text, unreadable = _text(words.get(file.path))
        if reason := file.refused or unreadable:
            row |= {"status": "refused", "reason": reason[0], "detail": names.valid(reason[1]), "text": ""}
            refused.append(row)
            continue
        clip = row | {"inputs": row | {"text": text}}
        wanted.append(clip | ({"place": file.name} if row["source"] != file.name else {}))
    if p.corpus.persons == "folder":
        _say_empty(folder, {file.name.partition("/")[0] for file in found if not file.refused})
    return wanted, refused


def _text(transcript: Path | None) -> tuple[str, tuple[str, str] | None]:
    """The words of a video, or why its transcript refuses it: without them it would count as one without words."""
    try:
        return read_words(transcript), None
    except OSError as error:
        return "", ("unreadable", f"its transcript cannot be read: {error.strerror}")


def file_of(clip: dict[str, Any], p: Params) -> Path:
    return Path(p.corpus.folder) / clip.get("place", clip["source"])


def listed(folder: Path) -> tuple[list[File], dict[Path, Path]]:
    """Every file of the folder, each with an id of its own, and the transcripts of videos.

    The id is `video_id` of its name; where two files would share it, the first that can be used has it.
    """
    regular = folder_files.regular(folder)
    words = transcripts(regular)
    read = set(words.values())
    taken: set[str] = set()
    files = list[File]()
    found = [*examined(folder, [path for path in regular if path not in read]), *odd_ones(folder)]
    for file in sorted(found, key=lambda file: file.refused is not None):
        video = unique(file.video, file.name, taken)
        taken.add(video)
        files.append(dataclasses.replace(file, video=video))
    return sorted(files, key=lambda file: file.path), words


def examined(folder: Path, paths: Sequence[Path]) -> Iterator[File]:
    """Each file with its hash, and refused where it cannot be a clip."""
    seen_bytes = dict[str, str]()
    for path in progress(paths, "hashing", "file"):
        name, sha256 = path.relative_to(folder).as_posix(), ""
        try:
            sha256 = sha256_file(path)
            refused = _refuse(path, seen_bytes.get(sha256))
        except OSError as error:
            refused = "unreadable", f"the file cannot be read: {error.strerror}"
        if not refused:
            seen_bytes[sha256] = name
        yield File(path, name, video_id(name), sha256, refused)


def odd_ones(folder: Path) -> Iterator[File]:
    """Links to nothing, pipes, devices, hidden files: nothing of them is read."""
    for path, reason, detail in folder_files.odd_ones(folder):
        name = path.relative_to(folder).as_posix()
        yield File(path, name, video_id(name), "", (reason, detail))


def unique(video: str, name: str, taken: set[str]) -> str:
    """An id that no other file has: with a digest of the name, where the plain one is taken."""
    candidates = (video, *(f"{video}-{names.digest(name, num)}" for num in (8, 64)))
    return next(candidate for candidate in candidates if candidate not in taken)


def fetch(clip: dict[str, Any], hints: dict[str, Any]) -> tuple[dict[str, Any], dict[str, bytes | shards.FileMember]]:
    """The clip's row and its members in the raw shard; the video is a file that is checked when it is read."""
    file = Path(hints["folder"]) / hints["places"].get(clip["clip"], fragments.file_of(clip["source"]))
    members: dict[str, bytes | shards.FileMember] = {
        file.suffix[1:].lower(): shards.FileMember(file, clip["source_sha256"]),
        "json": json.dumps(clip, sort_keys=True).encode(),
    }
    if clip["text"]:
        members["txt"] = clip["text"].encode()
    return dict(clip), members


def video_id(name: str) -> str:
    """An id that is a valid key and readable for plain names: "talks/monday.mp4" -> "talks-monday"."""
    stem = name.rsplit(".", 1)[0]
    if not stem.rpartition("/")[2]:  # a hidden file
        stem = name
    plain = re.sub(r"[^A-Za-z0-9_-]", "-", stem)
    if len(plain) > LONG:
        return f"{plain[:KEPT]}-{names.digest(stem)}"
    return plain if plain == stem.replace("/", "-") else f"{plain}-{names.digest(stem)}"


def person_of(name: str, persons: str) -> str:
    """The id of the person in a video: of its first-level folder, otherwise of the video."""
    first, _, rest = name.partition("/")
    return video_id(f"{first}.") if rest and persons == "folder" else video_id(name)


def _say_empty(folder: Path, with_video: set[str]) -> None:
    """One line for each person's folder without a video that can be used."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.name.startswith(".") and path.name not in with_video:
            say(f"corpus.folder: {path}: no video of this person can be used; its folder is left out")


def _refuse(file: Path, same_bytes: str | None) -> tuple[str, str] | None:
    if not is_video(file):
        return "not_a_video", f"{file.name} does not end in one of {' '.join(decode.VIDEO_ENDINGS)}"
    if file.stat().st_size == 0:
        return "empty_file", "0 bytes"
    return ("duplicate", f"same bytes as {same_bytes}") if same_bytes else None
