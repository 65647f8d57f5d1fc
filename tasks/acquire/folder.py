"""Corpus `folder`: any folder of videos. One file is one video and one clip; its transcript may be beside it as .txt.

Every file, link, pipe and device becomes a clip or a refusal, except transcripts; a hidden folder is one refusal. The
first-level folder names the person, unless corpus.persons is `video`; a video outside of any folder is a person of its
own.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from model.params import CorpusParams, Params
from tasks.acquire import folder_files
from tasks.core.errors import UserError
from tasks.core.files import sha256_file
from tasks.core.progress import progress, say
from tasks.media import decode, fragments
from tasks.storage import shards


def versions() -> dict[str, Any]:
    return {"layout": shards.SHARDS_VERSION}


def clips(p: Params) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Clips of the folder (with the `inputs` that decide their bytes), and rows of refused files."""
    folder = Path(p.corpus.folder)
    if not folder.is_dir():
        raise UserError(f"corpus.folder: {folder}: no such folder")
    files = folder_files.regular(folder)
    transcripts = {file for file in files if file.suffix.lower() == ".txt" and _has_video_beside(file)}
    if not set(files) - transcripts:
        raise UserError(f"corpus.folder: {folder} has no file; put videos there ({', '.join(decode.VIDEO_ENDINGS)})")
    wanted, refused, seen_bytes, seen_ids = [], [], dict[str, str](), dict[str, str]()
    for file in progress([file for file in files if file not in transcripts], "hashing", "file"):
        name = file.relative_to(folder).as_posix()
        video = video_id(name)
        sha256 = sha256_file(file)
        row = {
            "clip": f"folder/{video}/00000",
            "video": video,
            "person": person_of(name, p.corpus.persons),
            "corpus": "folder",
            "licence": p.corpus.licence,
            "source": name,
            "source_sha256": sha256,
        }
        if reason := _refuse(file, seen_bytes.get(sha256), seen_ids.get(video)):
            if video in seen_ids:  # otherwise two rows would have one name
                row["clip"] += f"-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
            refused.append(row | {"status": "refused", "reason": reason[0], "detail": reason[1], "text": ""})
            continue
        seen_bytes[sha256] = seen_ids[video] = name
        wanted.append(row | {"inputs": row | {"text": read_words(file.with_suffix(".txt"))}})
    if p.corpus.persons == "folder":
        _say_empty(folder, {name.partition("/")[0] for name in seen_ids.values()})
    return wanted, [*refused, *_odd_rows(folder, p.corpus)]


def _odd_rows(folder: Path, p: CorpusParams) -> list[dict[str, Any]]:
    """Rows of dangling links, pipes, devices and hidden files. No id of a video is theirs."""
    rows = []
    for path, reason, detail in folder_files.odd_ones(folder):
        name = path.relative_to(folder).as_posix()
        video = f"odd-{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"
        row = {"clip": f"folder/{video}/00000", "video": video, "split": "", "corpus": "folder", "licence": p.licence}
        row |= {"source": name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"), "text": ""}
        rows.append(row | {"source_sha256": "", "status": "refused", "reason": reason, "detail": detail})
    return rows


def file_of(clip: dict[str, Any], p: Params) -> Path:
    return Path(p.corpus.folder) / clip["source"]


def fetch(clip: dict[str, Any], hints: dict[str, Any]) -> tuple[dict[str, Any], dict[str, bytes | shards.FileMember]]:
    """The clip's row and its members in the raw shard; the video is a file that is checked when it is read."""
    file = Path(hints["folder"]) / fragments.file_of(clip["source"])
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
    plain = re.sub(r"[^A-Za-z0-9_-]", "-", stem)
    return plain if plain == stem.replace("/", "-") else f"{plain}-{hashlib.sha256(stem.encode()).hexdigest()[:8]}"


def person_of(name: str, persons: str) -> str:
    """The id of the person in a video: of its first-level folder, otherwise of the video."""
    first, _, rest = name.partition("/")
    return video_id(f"{first}.") if rest and persons == "folder" else video_id(name)


def read_words(file: Path) -> str:
    """The transcript of a .txt: LRS2's `Text:` line or the whole file, upper case, one line; "" without a file."""
    if not file.is_file():
        return ""
    text = file.read_bytes().decode("utf-8", errors="replace")
    lines = [line.split(":", 1)[1] for line in text.splitlines() if line.startswith("Text:")] or text.splitlines()
    return " ".join(" ".join(lines).split()).upper()


def _say_empty(folder: Path, with_video: set[str]) -> None:
    """One line for each person's folder without a video that can be used."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.name.startswith(".") and path.name not in with_video:
            say(f"corpus.folder: {path}: no video of this person can be used; its folder is left out")


def _has_video_beside(transcript: Path) -> bool:
    return any(transcript.with_suffix(ending).is_file() for ending in decode.VIDEO_ENDINGS)


def _refuse(file: Path, same_bytes: str | None, same_id: str | None) -> tuple[str, str] | None:
    if file.suffix.lower() not in decode.VIDEO_ENDINGS:
        return "not_a_video", f"{file.name} does not end in one of {' '.join(decode.VIDEO_ENDINGS)}"
    if file.stat().st_size == 0:
        return "empty_file", "0 bytes"
    if same_bytes:
        return "duplicate", f"same bytes as {same_bytes}"
    if same_id:
        return "duplicate", f"same id as {same_id}"
    return None
