"""Gives each clip of a corpus without splits of its own to train, val or test: the rule is that of model/splits.py."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from model import splits
from model.params import CorpusParams
from tasks.core.errors import UserError
from tasks.media import decode, fragments
from tasks.media.containers import MediaError

Clip = dict[str, Any]  # a clip as a corpus gives it: its row, with `inputs`
FileOf = Callable[[Clip], Path]


def shares(p: CorpusParams) -> dict[str, float]:
    """Of the held-out splits; test comes first, so that with two persons the tested one is never trained on."""
    return {"test": p.test_share, "val": p.val_share}


def assign(
    clips: Sequence[Clip],
    p: CorpusParams,
    file_of: FileOf | None = None,
    persons: Sequence[str] = (),
    listed: Mapping[str, str] | None = None,
) -> tuple[list[Clip], str]:
    """The clips with `split` and `split_by`, and one line that says how they were divided.

    file_of: the video file of a clip; without it a clip is never cut in time
    persons: of the corpus, if these are not the clips of all
    listed: person -> split, of every person (tasks/acquire/split_list.py); it replaces the rule
    Errors: UserError if there is one single clip and it is too short to be cut
    """
    if listed:
        out = [_with(clip, split=listed[clip["person"]], split_by="person") for clip in clips]
        return out, line(out, p, f"as {p.splits} lists them")
    key_of = {(clip["person"], clip["video"], clip["clip"]): clip for clip in clips}
    others = {(person, "", "") for person in persons} - {(person, "", "") for person, *_ in key_of}
    places = splits.places(key_of.keys() | others, shares(p), p.split_by)
    out = []
    for key in key_of:
        clip, place = key_of[key], places[key]
        if place.by == "time":
            out += _cut(clip, place.splits, p, file_of)
        else:
            out.append(_with(clip, split=place.splits[0], split_by=place.by))
    return out, line(out, p, "by the hash of its name")


def line(clips: Sequence[Clip], p: CorpusParams, why: str) -> str:
    """How the clips were divided, and whom train and the held-out splits share."""
    persons: dict[str, set[str]] = defaultdict(set)
    for clip in clips:
        persons[clip["split"]].add(clip["person"])
    counted = Counter(clip["split"] for clip in clips)
    parts = [
        f"{split} {counted[split]} clips of {_named(persons[split])}"
        for split in (splits.TRAIN, "val", "test")
        if counted[split]
    ]
    num_persons, by = len(set().union(*persons.values())), {clip["split_by"] for clip in clips}
    how = "in time" if by == {"time"} else f"by {', '.join(level for level in (*splits.LEVELS, 'time') if level in by)}"
    text = f"split {how}, {why}: {'; '.join(parts)}"
    if by != {p.split_by}:
        text += f"; {num_persons} person{'s' * (num_persons > 1)} for {len(persons)} splits"
    shared = [split for split in ("val", "test") if persons[split] & persons[splits.TRAIN]]
    return text + (f"; same person in train and {' and '.join(shared)}" if shared else "")


def _named(persons: set[str]) -> str:
    return f"{len(persons)} persons" if len(persons) > 1 else f"person {next(iter(persons))}"


def _with(about: Clip, /, **columns: str) -> Clip:
    return about | columns | {"inputs": about["inputs"] | columns}


def _cut(clip: Clip, held: Sequence[str], p: CorpusParams, file_of: FileOf | None) -> list[Clip]:
    """The clip once for each of its splits, with the span that the split has; whole for training if it is damaged."""
    wanted = {split: share for split, share in shares(p).items() if split in held}
    if not file_of:
        raise UserError(f"{clip['source']}: the only clip for {', '.join(held)}; take more people, or people with more")
    try:
        spans: Mapping[str, tuple[int, int]] = splits.cut(_num_frames(file_of(clip)), wanted)
    except MediaError:  # preprocessing refuses it by name
        return [_with(clip, split=splits.TRAIN, split_by="time")]
    except ValueError as error:
        seconds = f"{int(str(error)) / splits.timing.FPS:g} s"
        raise UserError(
            f"{clip['source']}: the only clip for {', '.join(held)}; it is cut in time from {seconds} on; add videos"
        ) from None
    name = clip["clip"].rpartition("/")[0]
    return [
        _with(
            clip,
            clip=f"{name}/{number:05d}",
            split=split,
            split_by="time",
            source=fragments.source_of(clip["source"], first, end - first),
            text="",  # of the whole: the words of a part are not known
        )
        for number, (split, (first, end)) in enumerate(spans.items())
    ]


def _num_frames(file: Path) -> int:
    """At 25 frames/s; decoded to its end only if the file does not say.  Errors: MediaError"""
    known = 0 if decode.guesses_length(file) else decode.probe(file).num_frames
    return known or sum(1 for _ in decode.Pictures(file))
