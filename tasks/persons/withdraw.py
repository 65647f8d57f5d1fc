"""Withdrawal in persons' libraries: what was read of a withdrawn video goes at once, and a network that learned from it
is retired; `withdraw --purge --yes` deletes that too.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from tasks.core import names, paths
from tasks.core.files import write_atomic
from tasks.persons import store
from tasks.persons.store import Person
from tasks.provenance.withdrawals import Withdrawal


def ids() -> dict[str, set[str]]:
    """What `withdraw` may name, with the hashes of the videos it stands for: each person, and each video's name."""
    found: dict[str, set[str]] = {}
    for person in store.every():
        found[person.folder.name] = {video.sha256 for video in person.videos}
        for video in person.videos:
            found.setdefault(video.name, set()).add(video.sha256)
    return found


def apply(row: Withdrawal) -> list[str]:
    """Delete what was read of the withdrawn videos, and retire networks; returns a line for each person."""
    lines = []
    for person in store.every():
        hashes = _withdrawn(person, row)
        gone = [video for video in person.videos if video.sha256 in hashes]
        for video in gone:
            person = store.forget(person, video)
        retired = _retire(person, hashes, row)
        if gone or retired:
            network = "; the network adapted with them is retired" if retired else ""
            lines.append(f"person {person.name}: what was read of {len(gone)} videos is deleted{network}")
    return lines


def copies(row: Withdrawal, tree: Path) -> Iterator[Path]:
    """What a project folder still holds of a withdrawn person or video: folders of footage, and networks."""
    for file in sorted((tree / paths.PERSONS).glob(f"*/{store.ABOUT}")):
        person, folder = store.read(file.parent), file.parent
        if folder.name == row.video:
            yield folder
            continue
        hashes = set(row.source_sha256.split())
        yield from (
            folder / video.sha256[:16]
            for video in person.videos
            if video.sha256 in hashes and (folder / video.sha256[:16]).is_dir()
        )
        if hashes & set(store.adaptation(person, folder).get("videos", [])):
            yield from (folder / name for name in store.NETWORK if (folder / name).is_file())


def _withdrawn(person: Person, row: Withdrawal) -> set[str]:
    if person.folder.name == row.video:
        return {video.sha256 for video in person.videos} | set(store.adaptation(person).get("videos", []))
    return set(row.source_sha256.split())


def _retire(person: Person, hashes: Iterable[str], row: Withdrawal) -> bool:
    record = store.adaptation(person)
    if not set(hashes) & set(record.get("videos", [])):
        return False
    if not record.get("retired"):
        text = json.dumps(names.valid(record | {"retired": row.date}), indent=2)
        write_atomic(person.folder / store.ADAPTED, text + "\n")
    return True
