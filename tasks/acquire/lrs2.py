"""Corpus `lrs2`: Lip Reading Sentences 2, downloaded from its publishers or read from a folder, never unpacked.

reads   data/agreement.json; the lists and parts (or the tar, or mvlrs_v1/) in corpus.lrs2.folder, which
        tasks/acquire/lrs2_fetch.py downloads if corpus.lrs2.source is https
writes  .cache/lrs2/: the journal of what has been read (tasks/acquire/lrs2_archive.py)

Every clip of the lists is kept or refused, and every file that no list names is refused. A clip whose programme is in
val or test is not in a training split.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from model.params import Params
from tasks.acquire import lrs2_archive, lrs2_fetch, lrs2_journal, lrs2_lists, lrs2_parts
from tasks.acquire.lrs2_archive import SpoolOf
from tasks.acquire.lrs2_journal import Journal, Member
from tasks.acquire.lrs2_parts import MEMBER
from tasks.core import paths
from tasks.core.errors import UserError
from tasks.provenance import agreement, withdrawals
from tasks.storage import shards
from tasks.storage.unit_cache import Unit

TREE = "mvlrs_v1"
ROW = (
    "clip", "video", "split", "corpus", "licence", "source", "source_sha256", "text", "part", "member", "bytes",
    "confidence",
)  # fmt: skip


def versions() -> dict[str, Any]:
    return {"layout": shards.SHARDS_VERSION}


def clips(p: Params) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Clips that are in the lists and in the source, and rows of refused clips.

    `inputs` is a line of JSON, the values of ROW: 144,000 clips as dicts would take half a gigabyte.
    Errors: UserError if the agreement, a list or a part is missing, or the archive is not LRS2's.
    """
    licence = agreement.demand()
    lrs2_fetch.check_lists(p)
    splits = lrs2_lists.read(Path(p.corpus.lrs2.folder))
    journal = read(p, splits)
    journal.close()
    held_out, members, journal_path = lrs2_lists.held_out_videos(splits), journal.members, str(journal.path)
    wanted, refused = [], []
    for clip in sorted(splits.keys() | {match[1] for name in members if (match := MEMBER.fullmatch(name))}):
        row, words = _row(clip, splits.get(clip, ""), licence, journal)
        if reason := _refuse(row, words, held_out):
            refused.append(row | {"status": "refused", "reason": reason[0], "detail": reason[1]})
            continue
        about = {name: row[name] for name in ("clip", "video", "split", "corpus", "licence", "source_sha256")}
        line = json.dumps([*row.values(), words.sha256 if words else ""])
        place = (journal_path, members[row["member"]], members.get(_text_of(row["member"])))
        wanted.append(about | {"inputs": line, "place": place})
    for name in members:
        if not MEMBER.fullmatch(name):
            extra = journal.read(name)
            known = {"member": name, "source_sha256": extra.sha256, "bytes": extra.size, "part": extra.part}
            row = _row(name, "", licence, journal)[0] | known
            refused.append(row | {"status": "refused", "reason": "not_listed", "detail": "no clip of LRS2's layout"})
    return wanted, refused


def fetch(inputs: str, hints: dict[str, Any]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The clip's row and its members in the raw shard.

    Errors: UserError if the bytes are missing or changed since the archive was read.
    """
    clip = dict(zip((*ROW, "txt_sha256"), json.loads(inputs), strict=True))
    journal, video, words = hints["places"][clip["clip"]]
    members = {"mp4": _bytes(Path(journal), video, clip["source_sha256"], clip["member"])}
    row = {name: value for name, value in clip.items() if name != "txt_sha256"}
    row |= {"person": row["video"], "split_by": "corpus"}  # nobody knows more: a programme may have several persons
    names = ("clip", "video", "person", "split", "split_by", "corpus", "licence", "source", "source_sha256", "text")
    about = {name: row[name] for name in names}
    if clip["txt_sha256"]:
        members["txt"] = _bytes(Path(journal), words, clip["txt_sha256"], _text_of(clip["member"]))
        about["words"] = lrs2_lists.transcript(members["txt"]).words
        if about["words"]:
            row["words"] = [{"word": word, "start_s": start, "end_s": end} for word, start, end in about["words"]]
    about["confidence"] = row["confidence"]
    return row, members | {"json": json.dumps(about, sort_keys=True).encode()}


def rounds(p: Params) -> Iterator[list[str]]:
    """Rounds of downloads: names to download in parallel. Between two rounds the finished parts are read.

    Errors: UserError without an agreement, user and password, or enough disk space.
    """
    if p.corpus.lrs2.source != "https":
        return
    agreement.demand()
    folder = Path(p.corpus.lrs2.folder)
    folder.mkdir(parents=True, exist_ok=True)
    if lists := [name for split in lrs2_lists.LISTS if not (folder / (name := f"{split}.txt")).is_file()]:
        yield lists
    lrs2_fetch.check_lists(p)
    files = source(p)
    splits = lrs2_lists.read(folder)
    parts = [file.name for file in lrs2_archive.needed(files, state(files))]
    if parts:
        lrs2_fetch.demand_space(p, parts)
    for start in range(0, len(parts), p.acquire.parallel):
        yield parts[start : start + p.acquire.parallel]
        if p.acquire.delete_parts:
            take(p, files, splits).close()


def read(p: Params, splits: dict[str, str]) -> Journal:
    """Read the rest of the archive.  Errors: UserError if it or a part of it is missing."""
    files = source(p)
    if len(files) == 1 and files[0].is_dir():
        journal = lrs2_archive.take_tree(files[0], state(files))
        demand_clips(p, splits, journal)
        return journal
    journal = take(p, files, splits)
    if not journal.whole:
        missing = [file.name for file in files if not file.is_file() and file.name not in journal.parts]
        raise UserError(
            f"{p.corpus.lrs2.folder}: {', '.join(missing)} missing: download with `python -m flows acquire` and "
            "corpus.lrs2.source https, or put every part there"
        )
    return journal


def take(p: Params, files: Sequence[Path], splits: dict[str, str]) -> Journal:
    """Read the rest of the parts that are present (`lrs2_archive.take`)."""
    return lrs2_archive.take(files, state(files), spools(p, splits), lambda journal: demand_clips(p, splits, journal))


def demand_clips(p: Params, splits: dict[str, str], journal: Journal) -> None:
    """Errors: UserError if more of the listed clips than acquire.max_missing are not in the archive."""
    missing = [clip for clip in splits if not _find(journal, clip, "mp4")]
    if len(missing) > p.acquire.max_missing * len(splits):
        raise UserError(
            f"{p.corpus.lrs2.folder}: {len(missing)} of {len(splits)} listed clips are not in the archive, for one "
            f"{missing[0]}; acquire.max_missing allows {p.acquire.max_missing:g} of them; is every part "
            "whole, and of the same release as the lists?"
        )


def source(p: Params) -> list[Path]:
    """The parts in order, present or not; otherwise the only .tar, or the folder mvlrs_v1."""
    folder = Path(p.corpus.lrs2.folder)
    parts = [folder / name for name in p.corpus.lrs2.parts]
    if p.corpus.lrs2.source == "https" or any(part.exists() for part in parts) or state(parts).exists():
        return parts
    if len(tars := sorted(folder.glob("*.tar"))) == 1:
        return tars
    if (folder / TREE).is_dir():
        return [folder / TREE]
    raise UserError(
        f"corpus.lrs2.folder: {folder} contains neither {p.corpus.lrs2.parts[0]} ..., nor one .tar, nor {TREE}/; "
        "name the folder that does"
    )


def state(files: Sequence[Path]) -> Path:
    """The folder of the journal of these files."""
    about = json.dumps([str(file.resolve()) for file in files])
    return paths.cache() / "lrs2" / hashlib.sha256(about.encode()).hexdigest()[:16]


def spools(p: Params, splits: dict[str, str]) -> SpoolOf | None:
    """With acquire.delete_parts: a clip's spool has the name of its raw shard; unusable clips have none."""
    if not p.acquire.delete_parts:
        return None
    held_out = lrs2_lists.held_out_videos(splits)
    withdrawn = withdrawals.read()
    clips, wanted = Counter(splits.values()), p.corpus.num_shards

    def spool_of(clip: str) -> str | None:
        split, video = splits.get(clip), clip.split("/")[1]
        if split is None or video in withdrawn or (split not in lrs2_lists.HELD_OUT and video in held_out):
            return None
        num_shards = shards.num_shards(getattr(wanted, split), clips[split])
        return shards.shard_name(split, shards.shard_of(video, num_shards), num_shards)

    return spool_of


def release(unit: Unit) -> None:
    """Delete the spool of a finished raw shard."""
    assert unit.done
    for journal in {place[0] for place in unit.hints["places"].values()}:
        (Path(journal).parent / "spool" / unit.name).unlink(missing_ok=True)


def _row(clip: str, split: str, licence: str, journal: Journal) -> tuple[dict[str, Any], Member | None]:
    """The clip's row, as far as the archive determines it, and its transcript."""
    name, text = _find(journal, clip, "mp4"), _find(journal, clip, "txt")
    video, words = (journal.read(member) if member else None for member in (name, text))
    row = {
        "clip": clip,
        "video": clip.split("/")[1] if clip.count("/") == 2 else "",
        "split": split,
        "corpus": "lrs2",
        "licence": licence,
        "source": "LRS2",
        "source_sha256": video.sha256 if video else "",
        "text": words.text if words else "",
        "part": video.part if video else "",
        "member": name,
        "bytes": video.size if video else 0,
        "confidence": words.confidence if words else None,
    }
    assert tuple(row) == ROW
    return row, words


def _find(journal: Journal, clip: str, ending: str) -> str:
    """Its name in the archive; "" if it is missing."""
    names = (f"{TREE}/{clip}.{ending}", f"./{TREE}/{clip}.{ending}")
    return next((name for name in names if name in journal.members), "")


def _text_of(video: str) -> str:
    return video.removesuffix("mp4") + "txt"


def _refuse(row: dict[str, Any], words: Member | None, held_out: dict[str, str]) -> tuple[str, str] | None:
    if not row["split"]:
        return "not_listed", "no list names it"
    if not row["member"]:
        return "missing", f"in {row['split']}.txt" + (", only its text is there" if words else "")
    if row["bytes"] == 0:
        return "empty_file", "0 bytes"
    if row["split"] not in lrs2_lists.HELD_OUT and row["video"] in held_out:
        return "held_out_programme", f"programme {row['video']} is in {held_out[row['video']]}.txt"
    return None


def _bytes(journal: Path, line: int, sha256: str, name: str) -> bytes:
    extents = lrs2_journal.read_member(journal, line).at
    content = lrs2_parts.read_extents(extents)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise UserError(f"{name} changed since the archive was read ({extents[0][0]}); run the stage again")
    return content
