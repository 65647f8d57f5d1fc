"""When lips meet: the times of p, b and m, from known phonemes, or from the times of words."""

import re
from typing import Any

# b is silent in "lamb" and "debt", p in "psalm" and "receipt"; ph is f
SILENT = re.compile(r"(?<=M)B\b|B(?=T\b)|\bP(?=[SNT])|P(?=T\b)|P(?=H)")


def spans_s(truth: dict[str, Any] | None, transcript: str) -> list[tuple[float, float]]:
    """(start, end) in s of every p, b and m: exact where phonemes are known, within a word where words have times.

    truth       of the embedded corpus: `phones`, lists of [label, start_s, end_s]
    transcript  LRS2's text file; those of `pretrain` end in a line WORD START END SCORE for each word
    """
    if truth and truth.get("phones"):
        return [(start_s, end_s) for label, start_s, end_s in truth["phones"] if label.lstrip("',%=|")[:1] in "pbm"]
    return [span for word, start_s, end_s in word_times(transcript) for span in of_word(word, start_s, end_s)]


def word_times(transcript: str) -> list[tuple[str, float, float]]:
    """The words with times of a transcript, none where it has none."""
    lines = transcript.upper().splitlines()
    start = next((number for number, line in enumerate(lines) if line.split()[:3] == ["WORD", "START", "END"]), None)
    if start is None:
        return []
    fields = [line.split() for line in lines[start + 1 :] if len(line.split()) >= 3]
    return [(word, float(start_s), float(end_s)) for word, start_s, end_s, *_ in fields]


def of_word(word: str, start_s: float, end_s: float) -> list[tuple[float, float]]:
    """Where in a word lips meet, by its letters: each takes an equal part, and a neighbour's part on either side."""
    heard = SILENT.sub("-", word.upper())
    letter_s = (end_s - start_s) / max(len(heard), 1)
    spans = []
    for found in re.finditer("[PBM]+", heard):  # "hammer" closes once
        first, end = found.span()
        spans.append((max(start_s, start_s + (first - 1) * letter_s), min(end_s, start_s + (end + 1) * letter_s)))
    return spans
