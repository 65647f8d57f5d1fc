"""Corpus `grid`: 1,000 sentences of 3 s by each of 33 people, open, from its makers' record on Zenodo or from a folder.

Source: Cooke, Barker, Cunningham, Shao 2006, J. Acoust. Soc. Am. 120, 2421; s21 has no video. A file is named by its
sentence: `bbaf2n` is "bin blue at f two now". An alignment has lines `start end word` in units of 1/25,000 s.
"""

from tasks.acquire.open_corpus import OpenCorpus, Words

TICKS_PER_S = 25_000
LENGTH_S, TOLERANCE_S = 3.0, 0.5
SILENCE = ("sil", "sp")
WORDS = (
    {"b": "bin", "l": "lay", "p": "place", "s": "set"},
    {"b": "blue", "g": "green", "r": "red", "w": "white"},
    {"a": "at", "b": "by", "i": "in", "w": "with"},
    {letter: letter for letter in "abcdefghijklmnopqrstuvxyz"},  # w is too long to say
    dict(zip("z123456789", "zero one two three four five six seven eight nine".split(), strict=True)),
    {"a": "again", "n": "now", "p": "please", "s": "soon"},
)


def words_of(name: str, alignment: bytes | None) -> Words:
    """The sentence of a clip, with the times of its words if it has an alignment.

    Errors: ValueError with the reason if the alignment does not fit the clip
    """
    spoken = sentence(name)
    if alignment is None:
        return Words(" ".join(spoken).upper())
    times = []
    for line in alignment.decode("ascii", errors="replace").splitlines():
        columns = line.split()
        if len(columns) != 3 or not (columns[0].isdecimal() and columns[1].isdecimal()):
            raise ValueError(f"a line is {line[:40]!r}, wanted `start end word`")
        times.append((columns[2].lower(), int(columns[0]) / TICKS_PER_S, int(columns[1]) / TICKS_PER_S))
    if any(start > end for _, start, end in times) or times != sorted(times, key=lambda word: word[1]):
        raise ValueError("its times do not rise")
    end_s = times[-1][2] if times else 0.0
    if abs(end_s - LENGTH_S) > TOLERANCE_S:
        raise ValueError(f"it ends at {end_s:.2f} s, the clip at {LENGTH_S:g} s")
    timed = [word for word in times if word[0] not in SILENCE]
    if spoken and [word for word, *_ in timed] != spoken:
        raise ValueError(f"it says {' '.join(word for word, *_ in timed)!r}, the clip is {' '.join(spoken)!r}")
    return Words(" ".join(word for word, *_ in timed).upper(), tuple(timed))


def sentence(name: str) -> list[str]:
    """The words of a file's name; none if it is no name of GRID's."""
    if len(name) != len(WORDS) or any(letter not in of for letter, of in zip(name, WORDS, strict=True)):
        return []
    return [of[letter] for letter, of in zip(name, WORDS, strict=True)]


CORPUS = OpenCorpus(
    name="grid",
    licence="CC BY 4.0: GRID audiovisual sentence corpus, Cooke, Barker, Cunningham and Shao 2006, "
    "doi 10.5281/zenodo.3625687",
    archive="{person}.zip",
    video_folders=("video/{person}", "{person}"),
    texts=("alignments.zip", "align", "alignments"),
    text_ending=".align",
    words_of=words_of,
)
