"""A person's own footage as a source of words: videos with what is said in them, read only where they are needed.

A transcript lies beside its video under the same name: align's JSON (words and phones with times), GRID's .align (words
with times), or a .txt, which is aligned when one of its words is wanted.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks.acquire import grid
from tasks.core import texts
from tasks.core.errors import UserError
from tasks.core.files import demand_file
from tasks.edit import changes, speech
from tasks.edit.speech import Speech
from tasks.media.native_rate import SoundFormat
from tasks.words.align import Aligner, Phone, Word, late_starts

ENDINGS = (".json", ".align", ".txt")
ADVICE = "give what is said in it beside it, as .txt, .align or the .json of `lipgan align`"


class Clip:
    """One video of the person. `said` is known from the start; sound and times are read when they are asked for.

    Errors: UserError
    """

    def __init__(self, path: Path, transcript: Path, like: SoundFormat, aligner: Aligner) -> None:
        self.path, self._like, self._aligner = path, like, aligner
        self.times_from = transcript
        self._given, self.said = _read(transcript)
        self._speech: Speech | None = None
        self._words: list[Word] | None = None

    @classmethod
    def of_source(cls, path: Path, sound: Speech, words: Sequence[Word], like: SoundFormat, aligner: Aligner) -> "Clip":
        clip = cls.__new__(cls)
        clip.path, clip._like, clip._aligner, clip.times_from = path, like, aligner, path
        clip._given, clip.said, clip._speech, clip._words = list(words), [w.word for w in words], sound, list(words)
        return clip

    @property
    def speech(self) -> Speech:
        if self._speech is None:
            self._speech = speech.read(self.path, self._like)
        return self._speech

    @property
    def words(self) -> list[Word]:
        """With times; without phones where the transcript gives none. Empty if the text does not fit the sound."""
        if self._words is None:
            self._words = self._late(self._given) if self._given else self._aligned()
        return self._words

    def with_phones(self) -> list[Word]:
        """`words`, aligned here where the transcript has no phones."""
        if any(not word.phones for word in self.words):
            self._words = self._aligned()
        return self.words

    def _aligned(self) -> list[Word]:
        try:
            return self._aligner(self.speech.mono_N, " ".join(self.said))
        except UserError:  # one clip of many whose text does not fit lends no words
            return []

    def _late(self, words: Sequence[Word]) -> list[Word]:
        """Words after a pause start where the sound does: GRID's starts lie up to half a second before."""
        starts_s = late_starts(self.speech.mono_N, [(word.start_s, word.end_s) for word in words])
        return [
            Word(w.word, min(start_s, w.end_s - 0.02), w.end_s, w.confidence, w.phones)
            for w, start_s in zip(words, starts_s, strict=True)
        ]


def library(paths: Iterable[Path], like: SoundFormat, aligner: Aligner) -> list[Clip]:
    """Errors: UserError for a video that is missing or has no transcript beside it"""
    return [Clip(demand_file(path, option="--library"), transcript_of(path), like, aligner) for path in paths]


def transcript_of(path: Path) -> Path:
    """Errors: UserError where nothing lies beside the video"""
    for ending in ENDINGS:
        for beside in (path.with_suffix(ending), path.with_name(path.name + ending)):
            if beside.is_file() and beside != path:
                return beside
    raise UserError(f"--library {path}: no transcript; {ADVICE}")


def _read(path: Path) -> tuple[list[Word], list[str]]:
    """Words with times, if it has them; and the words as they are said."""
    content = path.read_bytes()
    try:
        if path.suffix == ".json":
            words = of_json(json.loads(content))
        elif path.suffix == ".align":
            words = [Word(*time, 1.0, ()) for time in grid.words_of("", content).times]
        else:
            return [], [word.said for word in changes.words_of(texts.decoded(content))]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a transcript that can be read ({error}); {ADVICE}") from error
    return words, [word.word for word in words]


def of_json(content: Mapping[str, Any]) -> list[Word]:
    """The words of a JSON of `lipgan align`.  Errors: ValueError, KeyError or TypeError for any other"""
    return [
        Word(
            str(word["word"]), float(word["start_s"]), float(word["end_s"]), float(word["confidence"]),
            tuple(Phone(str(p["name"]), float(p["start_s"]), float(p["end_s"])) for p in word["phones"]),
        )
        for word in content["words"]
    ]  # fmt: skip
