"""Word times of tasks.words against GRID's own alignments, and confidence of words that are said and that are not.

python -m benchmarks.words ../shared/grid [--every 1]     Needs GRID's video/ and align/ folders and the extra `words`.
"""

import argparse
import random
from pathlib import Path

import numpy as np

from tasks.acquire.grid import words_of
from tasks.media import decode
from tasks.words.align import LOW, Aligner


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("grid", type=Path)
    parser.add_argument("--every", type=int, default=1, help="of the clips, every n-th")
    args = parser.parse_args()
    aligner, draw = Aligner(), random.Random(0)
    clips = [path for path in sorted(args.grid.glob("align/*/*.align"))][:: args.every]
    vocabulary = sorted({word for path in clips for word, _, _ in truth(path)})
    errors_s, said, not_said = [], [], []
    for path in clips:
        [video] = args.grid.glob(f"video/{path.parent.name}/{path.stem}.*")
        sound, right = decode.decode_sound(video), truth(path)
        words = aligner(sound, " ".join(word for word, _, _ in right))
        errors_s += [
            (w.start_s - start_s, w.end_s - end_s) for w, (_, start_s, end_s) in zip(words, right, strict=True)
        ]
        said += [word.confidence for word in words]
        text = [word for word, _, _ in right]
        at = draw.randrange(len(text))
        text[at] = draw.choice([word for word in vocabulary if word != text[at]])
        not_said.append(aligner(sound, " ".join(text))[at].confidence)
    report(np.abs(np.array(errors_s)) * 1000, np.array(said), np.array(not_said), len(clips))


def truth(path: Path) -> list[tuple[str, float, float]]:
    return list(words_of(path.stem, path.read_bytes()).times)


def report(errors_ms: np.ndarray, said: np.ndarray, not_said: np.ndarray, num_clips: int) -> None:
    first = np.arange(len(errors_ms)) % (len(errors_ms) // num_clips) == 0
    others_ms = np.concatenate([errors_ms[first, 1], errors_ms[~first].ravel()])
    rows = {"all": errors_ms, "starts of the first words": errors_ms[first, 0], "the other times": others_ms}
    for name, some_ms in rows.items():
        within = (some_ms <= 50).mean()
        print(f"{name}: {some_ms.size} times, median error {np.median(some_ms):.0f} ms, {within:.1%} within 50 ms")
    print(f"said: {(said >= LOW).mean():.1%} of {len(said)} with confidence {LOW} or more")
    print(f"not said: {(not_said < LOW).mean():.1%} of {len(not_said)} below")


if __name__ == "__main__":
    main()
