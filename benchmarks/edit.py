"""The sound of edits of real sentences: seams against uncut footage, and new words found again by the aligner.

python -m benchmarks.edit ../shared/grid [--clips 6] [--keep FOLDER]     Needs GRID's video/s1 and align/s1, and the
extra `words`.

Five kinds of edit of the man's sentences, `--clips` of each; what he says anew comes from his other sentences, or, for
words that he never says, from the voice. A row for each kind:

level       largest change of level in 20 ms within 40 ms of a join, dB: median of the joins, mean and highest
            percentile among the boundaries of words in his uncut sentences, measured alike
spectrum    the same of the distance of the MFCC
click       the same of the largest second difference of the samples within 5 ms, dB over the level there
confidence  of the new words, or of the words beside a cut, when the whole result is aligned again: median, and the
            share of at least 0.5
"""

import argparse
import itertools
import random
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from scipy.io import wavfile

from model.timing import COLUMN_S
from tasks.acquire.grid import sentence, words_of
from tasks.edit import sound, speech, tone
from tasks.edit.sound import Edited
from tasks.edit.speech import Speech
from tasks.media import native_rate
from tasks.words.align import LOW, Aligner, Word

NUM_UNCUT, NUM_ALIGNED = 20, 12  # clips whose boundaries of words, and words, are measured as they are
VOICED_WORDS = "really very loudly honestly maybe kindly".split()
COLOURS = "blue green red white".split()
NEAR = 4  # columns of 10 ms
CLICK_S = 0.005

Case = tuple[Path, list[Word], str, set[int]]  # source, its words, the new text, the words to find again


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("grid", type=Path)
    parser.add_argument("--person", default="s1")
    parser.add_argument("--clips", type=int, default=6, help="of each kind")
    parser.add_argument("--keep", type=Path, help="folder for the edited sounds")
    args = parser.parse_args()
    aligner = Aligner()
    with tempfile.TemporaryDirectory() as name:
        clips = laid_out(args.grid, args.person, Path(name))
        uncut = boundaries(clips[:: max(1, len(clips) // NUM_UNCUT)])
        told = baseline(clips[7 :: max(1, len(clips) // NUM_ALIGNED)], aligner)
        level_db, spectrum, click_db = np.median(uncut, axis=0)
        print(
            f"{len(uncut)} uncut boundaries: level {level_db:.1f} dB, spectrum {spectrum:.1f}, click {click_db:.1f} dB"
        )
        print(f"{len(told)} uncut words: confidence {np.median(told):.2f}, {np.mean(told >= LOW):.0%} at least {LOW}")
        for kind, case in KINDS.items():
            draw = random.Random(kind)
            rows = [
                one_edit(case(clips, draw, Path(name)), clips, aligner, args.keep and args.keep / f"{kind} {n}.wav")
                for n in range(args.clips)
            ]
            report(kind, uncut, rows)


def laid_out(grid: Path, person: str, folder: Path) -> list[Path]:
    """Links to the videos with their alignments beside them."""
    clips = []
    for transcript in sorted(grid.glob(f"align/{person}/*.align")):
        [video] = grid.glob(f"video/{person}/{transcript.stem}.*")
        for path in (video, transcript):
            (folder / path.name).symlink_to(path.resolve())
        clips.append(folder / video.name)
    return clips


def read(path: Path) -> Speech:
    return speech.read(path, native_rate.sound_format(path))


def words_at(path: Path) -> list[Word]:
    times = words_of(path.stem, path.with_suffix(".align").read_bytes()).times
    return [Word(word, start_s, end_s, 1.0, ()) for word, start_s, end_s in times]


def changed(clips: Sequence[Path], draw: random.Random, folder: Path) -> Case:
    """Another colour, from his other sentences."""
    clip = draw.choice(clips)
    text = sentence(clip.stem)
    text[1] = draw.choice([colour for colour in COLOURS if colour != text[1]])
    return clip, words_at(clip), " ".join(text), {1}


def inserted(clips: Sequence[Path], draw: random.Random, folder: Path) -> Case:
    """A word that he never says."""
    clip = draw.choice(clips)
    text = sentence(clip.stem)
    text.insert(5, draw.choice(VOICED_WORDS))
    return clip, words_at(clip), " ".join(text), {5}


def deleted(clips: Sequence[Path], draw: random.Random, folder: Path) -> Case:
    clip, gone = draw.choice(clips), draw.choice([1, 4])
    text = sentence(clip.stem)
    del text[gone]
    return clip, words_at(clip), " ".join(text), {gone - 1, gone}


def joined(clips: Sequence[Path], draw: random.Random, folder: Path) -> Case:
    """The beginning of one sentence and the end of the next, in one recording."""
    pair = draw.sample(list(clips), 2)
    sounds = [read(clip) for clip in pair]
    source = folder / f"{pair[0].stem}-{pair[1].stem}.wav"
    wavfile.write(source, sounds[0].rate_hz, np.concatenate([one.sound_CN for one in sounds], axis=1).T)
    shift_s = sounds[0].length_s
    later = [Word(w.word, w.start_s + shift_s, w.end_s + shift_s, 1.0, ()) for w in words_at(pair[1])]
    text = sentence(pair[0].stem)[:5] + sentence(pair[1].stem)[1:]
    return source, words_at(pair[0]) + later, " ".join(text), {4, 5}


def sentence_added(clips: Sequence[Path], draw: random.Random, folder: Path) -> Case:
    """A sentence that he never said as a whole, after the one he said."""
    clip = draw.choice(clips)
    said = {path.stem for path in clips}
    words = [sentence(draw.choice(clips).stem)[place] for place in range(6)]
    assert "".join(word[0] for word in words) not in said
    return clip, words_at(clip), f"{' '.join(sentence(clip.stem))}. {' '.join(words)}", set(range(6, 12))


KINDS: dict[str, Callable[[Sequence[Path], random.Random, Path], Case]] = {
    "one word changed": changed,
    "one inserted by a voice": inserted,
    "one deleted": deleted,
    "two joined": joined,
    "a sentence added": sentence_added,
}


def one_edit(
    case: Case, clips: Sequence[Path], aligner: Aligner, keep: Path | None
) -> tuple[np.ndarray, list[float], list[str]]:
    """Measures of its joins, confidences of the words to find again, and who says the new ones."""
    source, words, text, wanted = case
    library = [clip for clip in clips if clip != source]
    edited = sound.made(source, words, text, library=library, aligner=aligner)
    result = as_speech(edited)
    if keep:
        keep.parent.mkdir(parents=True, exist_ok=True)
        wavfile.write(keep, edited.rate_hz, edited.sound_NC)
        joins = " ".join(f"{time_s:.3f}" for time_s in edited.joins_s)
        keep.with_suffix(".txt").write_text(f"{text}\n{joins}\n{[one.origins for one in edited.changes]}\n")
    found = aligner(result.mono_N, text)
    confidences = [found[number].confidence for number in sorted(wanted)]
    origins = [origin for one in edited.changes for origin in one.origins]
    return np.array([at_place(result, time_s) for time_s in edited.joins_s]), confidences, origins


def as_speech(edited: Edited) -> Speech:
    return tone.of_sound(np.ascontiguousarray(edited.sound_NC.T), edited.rate_hz)


def at_place(one: Speech, time_s: float) -> list[float]:
    """Level jump, spectral distance and click of a place: the largest near it, as bursts lie near every boundary."""
    columns = [round(time_s / COLUMN_S) + shift for shift in range(-NEAR, NEAR + 1)]
    columns = [min(max(column, 1), min(len(one.level_C), len(one.mfcc_CF)) - 2) for column in columns]
    level = max(abs(one.level_C[column + 1] - one.level_C[column - 1]) for column in columns)
    spectrum = max(np.linalg.norm(one.mfcc_CF[column + 1] - one.mfcc_CF[column - 1]) for column in columns)
    near = round((time_s - CLICK_S) * one.rate_hz), round((time_s + CLICK_S) * one.rate_hz)
    bends = np.abs(np.diff(one.mix_N[max(0, near[0]) : near[1]], 2))
    click = 20 * np.log10(bends.max() + 1e-6) - one.level_C[columns[NEAR]]
    return [float(level), float(spectrum), float(click)]


def boundaries(clips: Sequence[Path]) -> np.ndarray:
    """Of every place where one word goes over into the next, as of a join.  Shape: -> (places, 3)"""
    rows = []
    for clip in clips:
        one, words = read(clip), words_at(clip)
        rows += [at_place(one, after.start_s) for _, after in itertools.pairwise(words)]
    return np.array(rows)


def baseline(clips: Sequence[Path], aligner: Aligner) -> np.ndarray:
    return np.array([w.confidence for clip in clips for w in aligner(read(clip).mono_N, " ".join(sentence(clip.stem)))])


def report(kind: str, uncut: np.ndarray, rows: Sequence[tuple[np.ndarray, list[float], list[str]]]) -> None:
    joins = np.concatenate([one for one, _, _ in rows])
    percentiles = [np.mean([(uncut[:, k] < one).mean() for one in joins[:, k]]) * 100 for k in range(3)]
    worst = [np.max([(uncut[:, k] < one).mean() for one in joins[:, k]]) * 100 for k in range(3)]
    told = np.array([confidence for _, confidences, _ in rows for confidence in confidences])
    origins = sorted({origin.partition(":")[0] for _, _, some in rows for origin in some})
    level, spectrum, click = (
        f"{name} {np.median(joins[:, k]):.1f} (percentile {percentiles[k]:.0f}, worst {worst[k]:.0f})"
        for k, name in enumerate(("level", "spectrum", "click"))
    )
    print(f"{kind}: {len(rows)} edits, {len(joins)} joins; {level}; {spectrum}; {click}; ", end="")
    print(
        f"confidence {np.median(told):.2f}, {np.mean(told >= LOW):.0%} at least {LOW}; {', '.join(origins) or '-'}",
        flush=True,
    )


if __name__ == "__main__":
    main()
