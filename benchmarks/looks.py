"""Accuracy of `dub --speaker PICTURE`: how reliably its face descriptor recognises the person.

    python -m benchmarks.looks          the clips of data/: benchmarks/results/looks.json
    python -m benchmarks.looks --recognition dlib_face_recognition_resnet_model_v1.dat

One frame is the picture, the second half of a clip is the video: of the same clip, of another clip of the same person
(other light and place), or of another person. hit: the same person is recognised. false: another person is taken for
them. nearer: the right face is more similar than a wrong one.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from benchmarks.machine import RESULTS, machine
from tasks.core import paths
from tasks.dubbing import likeness
from tasks.dubbing.speaker import MAX_PORTRAITS
from tasks.loading.clips import Clips

RESULT = RESULTS / "looks.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recognition")
    args = parser.parse_args()
    by = likeness.recogniser(args.recognition)
    who, pictures, films = [], [], []
    for split in ("train", "val", "test"):
        clips = Clips(paths.INDEX, paths.SHARDS, split)
        for number in range(len(clips)):
            faces_TSS3 = clips[number].faces_TSS3
            at = np.linspace(len(faces_TSS3) // 2, len(faces_TSS3) - 1, MAX_PORTRAITS).astype(int)
            who.append(clips.keys[number].split("/")[1])
            pictures.append(by.describe(faces_TSS3[0]))
            films.append(np.median([by.describe(faces_TSS3[t]) for t in at], axis=0))
    alike_NN = np.array([[by.alike(picture, film) for film in films] for picture in pictures])
    same_NN = np.array(who)[:, None] == np.array(who)
    own_NN = np.eye(len(who), dtype=bool)
    kinds = {"same clip": own_NN, "another clip of the person": same_NN & ~own_NN, "another person": ~same_NN}
    told = {
        "machine": machine(),
        "by": "patterns" if args.recognition is None else Path(args.recognition).name,
        "persons": len(set(who)),
        "clips": len(who),
        "taken_from_likeness": by.same,
    }
    for name, kind_NN in kinds.items():
        values = alike_NN[kind_NN]
        rate = "false" if name == "another person" else "hit"
        told[name] = {
            "pairs": len(values),
            rate: round(float((values >= by.same).mean()), 3),
            "likeness 5, 50, 95 %": np.quantile(values, [0.05, 0.5, 0.95]).round(3).tolist(),
        }
        if rate == "hit":
            right = [alike_NN[k, j] > alike_NN[k, ~same_NN[k]] for k, j in zip(*np.nonzero(kind_NN), strict=True)]
            told[name]["nearer"] = round(float(np.concatenate(right).mean()), 3)
    print(json.dumps(told, indent=2))
    RESULT.write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()
