"""An open corpus: a zip or a folder of clips for each person, transcripts beside them, a record of Zenodo or a folder.

reads   corpus.<name>.folder: the archives, which are downloaded there if corpus.<name>.source is https, or the same
        files unpacked
writes  .cache/open/<name>/: what is in an archive (tasks/acquire/open_files.py)

A corpus is a value of OpenCorpus in a module of its own, as in tasks/acquire/grid.py. A person is a `video`, too: the
unit of withdrawals and shards; a file is a clip, `<corpus>/<person>/<file>`. With acquire.delete_parts the persons of a
raw shard are downloaded, stored and deleted before the next shard's: the disk then holds the raw shards and the
archives of one of them.
"""

import hashlib
import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model import splits as rule
from model.params import AUTO, OpenCorpusParams, Params
from tasks.acquire import download, open_files, record, splits
from tasks.acquire.folder import video_id
from tasks.core import paths
from tasks.core.errors import UserError
from tasks.core.progress import say
from tasks.media.decode import VIDEO_ENDINGS
from tasks.provenance import withdrawals
from tasks.storage import shards
from tasks.storage.unit_cache import Unit

MAX_NAMED = 5  # alignments that do not fit, each in a line; the others are counted
GB = 1e9


@dataclass(frozen=True, slots=True)
class Words:
    """A transcript. `times`: (word, start, end), s; empty if they are not known."""

    text: str  # upper case
    times: tuple[tuple[str, float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class OpenCorpus:
    """licence: with the attribution that it demands; it is written into every row, checkpoint and report.
    archive: the name of a person's zip.  texts: a zip or folders with the transcripts of all, in folders by person
    words_of(name of the clip's file, transcript or None): raises ValueError with the reason if it does not fit
    """

    name: str
    licence: str
    archive: str
    video_folders: tuple[str, ...]
    texts: tuple[str, ...]
    text_ending: str
    words_of: Callable[[str, bytes | None], Words]

    def versions(self) -> dict[str, Any]:
        return {"layout": shards.SHARDS_VERSION}

    def params(self, p: Params) -> OpenCorpusParams:
        params: OpenCorpusParams = getattr(p.corpus, self.name)
        return params

    def persons(self, p: Params) -> list[str]:
        withdrawn = withdrawals.read()
        return [person for person in self.params(p).speakers if person not in withdrawn]

    def clips(self, p: Params, persons: Sequence[str] = ()) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The clips of these persons, default: of all, and the rows of files that cannot be used.

        Errors: UserError if a person is missing, or has no video
        """
        wanted: list[dict[str, Any]] = []
        refused: list[dict[str, Any]] = []
        misfits: list[str] = []
        texts = self._texts(p)
        for person in persons or self.persons(p):
            place = self._place(p, person)
            members = open_files.listing(place, VIDEO_ENDINGS, self._state(p))
            if not members:
                raise UserError(
                    f"{place}: no video of person {person} in it; take {person} out of corpus.{self.name}.speakers"
                )
            seen: dict[str, str] = {}
            for member in members:
                name = Path(member.name).stem
                row = self._row(person, name, place, member)
                if reason := _refuse(member, seen.get(row["clip"]), seen.get(member.sha256)):
                    row["clip"] += f"-{hashlib.sha256(member.name.encode()).hexdigest()[:8]}"
                    refused.append(row | {"status": "refused", "reason": reason[0], "detail": reason[1]})
                    continue
                seen[row["clip"]] = seen[member.sha256] = member.name
                try:
                    words = self.words_of(name, texts.get((person, name)))
                except ValueError as error:
                    misfits.append(f"{person}/{name}{self.text_ending}: {error}")
                    words = self.words_of(name, None)
                row |= {"text": words.text, "words": [_timed(*word) for word in words.times]}
                wanted.append(row | {"inputs": row, "place": [str(place), member.name, self._goes(p)]})
        for line in misfits[:MAX_NAMED]:
            say(f"corpus.{self.name}: the alignment does not fit its clip, which stays without times of words: {line}")
        if len(misfits) > MAX_NAMED:
            say(f"corpus.{self.name}: {len(misfits) - MAX_NAMED} further alignments do not fit")
        return wanted, refused

    def fetch(
        self, clip: dict[str, Any], hints: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, bytes | shards.FileMember]]:
        """The clip's row and its members in the raw shard; a transcript with times has LRS2's form."""
        place, member, _ = hints["places"][clip["clip"]]
        content: bytes | shards.FileMember = (
            shards.FileMember(Path(place) / member, clip["source_sha256"])
            if Path(place).is_dir()
            else open_files.read(Path(place), member)
        )
        if isinstance(content, bytes) and hashlib.sha256(content).hexdigest() != clip["source_sha256"]:
            raise UserError(f"{place}: {member} changed while it was read; run the stage again")
        about = json.dumps({name: value for name, value in clip.items() if name not in ("part", "member", "bytes")})
        members: dict[str, bytes | shards.FileMember] = {
            Path(member).suffix[1:].lower(): content,
            "json": json.dumps(json.loads(about), sort_keys=True).encode(),
        }
        if clip["text"]:
            rows = "".join(f"{w['word'].upper()} {w['start_s']:.3f} {w['end_s']:.3f} 0\n" for w in clip["words"])
            table = f"\nWORD START END ASDSCORE\n{rows}" if rows else ""
            members["txt"] = f"Text:  {clip['text']}\n{table}".encode()
        return dict(clip), members

    # ---- download ----

    def rounds(self, p: Params, finished: Callable[[list[str]], bool]) -> Iterator[list[str]]:
        """Archives to download in parallel; with acquire.delete_parts those of one raw shard after the other.

        finished(persons): whether the raw shard with all clips of these persons is stored
        Errors: UserError without enough disk space, or if the record changed
        """
        q, folder = self.params(p), Path(self.params(p).folder)
        if q.source != "https":
            return
        folder.mkdir(parents=True, exist_ok=True)
        groups = self.groups(p)
        shared = [name for name in self.texts if name.endswith(".zip")]
        names = [*shared, *(self._archive(person) for group in groups for person in group)]
        files = record.read(q.record, folder, names, _rules(p))
        if missing := self._missing(folder, shared):
            yield missing
        wanted = [
            self._missing(folder, [self._archive(person) for person in group])
            for group in groups
            if not (all(self._known(p, person) for person in group) and finished(group))
        ]
        self._demand_space(folder, [[files[name].size for name in names] for names in wanted], p)
        for group_names in wanted if self._goes(p) else [[name for each in wanted for name in each]]:
            for start in range(0, len(group_names), p.acquire.parallel):
                yield group_names[start : start + p.acquire.parallel]

    def _missing(self, folder: Path, names: Sequence[str]) -> list[str]:
        return [name for name in names if not (folder / name).is_file()]

    def _known(self, p: Params, person: str) -> bool:
        return open_files.is_known(self._place(p, person), self._state(p))

    def download(self, p: Params, name: str) -> None:
        """Errors: UserError, as tasks/acquire/download.py; also for another md5 than the record's"""
        folder = Path(self.params(p).folder)
        file = record.pinned(folder)[name]
        record.keep(download.fetch(file.url, folder / name, record.OPEN, _rules(p)), folder / name, file.md5)

    def complete(self, p: Params) -> list[list[str]]:
        """Groups of persons whose clips can be stored now, before the other archives are here."""
        if not self._goes(p):
            return []
        return [group for group in self.groups(p) if all(self._place(p, person).exists() for person in group)]

    def release(self, unit: Unit) -> None:
        """Delete the archives of a finished raw shard, if they were downloaded and hold clips of no other."""
        assert unit.done
        for place, _, goes in unit.hints["places"].values():
            if goes:
                Path(place).unlink(missing_ok=True)

    def groups(self, p: Params) -> list[list[str]]:
        """Persons by raw shard; one group of all, if they are too few to have a split each."""
        held, persons = {split: share for split, share in splits.shares(p.corpus).items() if share > 0}, self.persons(p)
        auto = [split for split in held if getattr(p.corpus.num_shards, split) == AUTO]
        if auto and p.acquire.delete_parts:
            raise UserError(
                f"corpus.num_shards.{auto[0]} is auto, but with acquire.delete_parts an archive is deleted before all "
                "clips are counted; give a number"
            )
        if auto or p.corpus.split_by != "person" or len(persons) <= len(held):
            return [persons]
        groups: dict[tuple[str, int], list[str]] = defaultdict(list)
        for person, split in rule.divide(persons, held).items():
            groups[split, shards.shard_of(person, getattr(p.corpus.num_shards, split))].append(person)
        return [groups[key] for key in sorted(groups)]

    def _goes(self, p: Params) -> bool:
        return p.acquire.delete_parts and self.params(p).source == "https" and len(self.groups(p)) > 1

    def _demand_space(self, folder: Path, sizes: list[list[int]], p: Params) -> None:
        total = sum(map(sum, sizes))
        at_once = max(map(sum, sizes), default=0) if self._goes(p) else total
        free = shutil.disk_usage(folder).free
        if free < total + at_once:
            hint = "" if p.acquire.delete_parts else ", or set acquire.delete_parts"
            raise UserError(
                f"{folder}: {(total + at_once) / GB:.1f} GB are needed for archives and raw shards, {free / GB:.1f} GB "
                f"are free; free some space{hint}, or take fewer speakers"
            )

    # ---- names ----

    def _archive(self, person: str) -> str:
        return self.archive.format(person=person)

    def _place(self, p: Params, person: str) -> Path:
        """A person's zip or folder.  Errors: UserError if the corpus is in a folder and has neither"""
        q = self.params(p)
        names = [self._archive(person), *(each.format(person=person) for each in self.video_folders)]
        found = [path for name in names if (path := Path(q.folder) / name).exists()]
        if not found and q.source == "folder":
            raise UserError(f"corpus.{self.name}.folder: {q.folder} has no {', '.join(names)} for person {person}")
        return found[0] if found else Path(q.folder) / names[0]

    def _texts(self, p: Params) -> dict[tuple[str, str], bytes]:
        places = [Path(self.params(p).folder) / name for name in self.texts]
        return next((open_files.texts(place, self.text_ending) for place in places if place.exists()), {})

    def _state(self, p: Params) -> Path:
        folder = str(Path(self.params(p).folder).resolve())
        return paths.cache() / "open" / self.name / hashlib.sha256(folder.encode()).hexdigest()[:16]

    def _row(self, person: str, name: str, place: Path, member: open_files.Member) -> dict[str, Any]:
        return {
            "clip": f"{self.name}/{person}/{video_id(f'{name}.')}",
            "video": person,
            "person": person,
            "corpus": self.name,
            "licence": self.licence,
            "source": f"{place.name}/{member.name}",
            "source_sha256": member.sha256,
            "text": "",
            "part": place.name,
            "member": member.name,
            "bytes": member.size,
        }


def _timed(word: str, start_s: float, end_s: float) -> dict[str, Any]:
    return {"word": word, "start_s": start_s, "end_s": end_s}


def _refuse(member: open_files.Member, same_id: str | None, same_bytes: str | None) -> tuple[str, str] | None:
    if not member.size:
        return "empty_file", "0 bytes"
    if same_bytes or same_id:
        return "duplicate", f"same bytes as {same_bytes}" if same_bytes else f"same id as {same_id}"
    return None


def _rules(p: Params) -> download.Rules:
    return download.Rules(p.acquire.stall_s, p.acquire.max_failures, p.acquire.backoff_s)
