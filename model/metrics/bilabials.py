"""The times of p, b and m, at which the lips meet, estimated from the times of words where no phones are known."""

import re

# b is silent in "lamb" and "debt", p in "psalm" and "receipt"; ph is f
SILENT = re.compile(r"(?<=M)B\b|B(?=T\b)|\bP(?=[SNT])|P(?=T\b)|P(?=H)")


def spans_s(transcript: str) -> list[tuple[float, float]]:
    """(start, end) in s of every p, b and m, by the place of its letter in its word.

    transcript  LRS2's text file; in `pretrain` it ends with a line WORD START END SCORE for each word
    """
    return [span for word, start_s, end_s in word_times(transcript) for span in of_word(word, start_s, end_s)]


def word_times(transcript: str) -> list[tuple[str, float, float]]:
    """The words of a transcript with their times, if it has any."""
    lines = transcript.upper().splitlines()
    start = next((number for number, line in enumerate(lines) if line.split()[:3] == ["WORD", "START", "END"]), None)
    if start is None:
        return []
    fields = [line.split() for line in lines[start + 1 :] if len(line.split()) >= 3]
    return [(word, float(start_s), float(end_s)) for word, start_s, end_s, *_ in fields]


def of_word(word: str, start_s: float, end_s: float) -> list[tuple[float, float]]:
    """Where in a word the lips meet, by its letters: equal parts of the word, extended by one letter on either side."""
    letters = SILENT.sub("-", word.upper())
    letter_s = (end_s - start_s) / max(len(letters), 1)
    spans = []
    for match in re.finditer("[PBM]+", letters):  # "hammer" closes once
        first, end = match.span()
        spans.append((max(start_s, start_s + (first - 1) * letter_s), min(end_s, start_s + (end + 1) * letter_s)))
    return spans
