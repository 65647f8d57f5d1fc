"""What adapting the motion network to a person gains, on sentences of theirs that it has not seen.

    python -m benchmarks.person ../shared/grid/video --people s1 s4 --rendered data/rendered

Every fifth of a person's clips is the test, the rest is learned from by the code of `lipgan person adapt`, which holds
every fifth of these back for its own judgement. Truth on the test is MediaPipe's full graph, which takes no part in
generating: the points of FOLDER/../reference/PERSON.npz where they are, else the instrument of benchmarks/real.py.

released     the released network, which has learned from 100 clips of s1 and 50 of s4
stranger     a network trained as the released one, but without this person: what a new person gets. `--rendered` are
             the rendered heads that it also learns from: `python -m tasks.motion.rendered --out data/rendered`
others_r     of the same networks, of clips of everybody else of the released network's val and test people: what an
             adapted network loses on other voices
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks import real
from benchmarks.machine import RESULTS, commit, machine
from model import head_mesh
from model.motion import Motion
from model.timing import FPS
from tasks.adapt import motion as adapting
from tasks.core import config, json_files, paths
from tasks.core.files import write_atomic
from tasks.inference import motion_weights
from tasks.media import decode
from tasks.motion import clips, measure, training
from tasks.motion.batches import MotionClip, Pieces, at_most
from tasks.motion.clips import Source
from tasks.motion.loop import MotionTrainer

RESULT = RESULTS / "person.json"
EVERY = 5  # of a person's clips, one is of the test
SHOWN = ("opening_r", "amplitude", "speed", "closed_found", "closed_wrongly", "moved_r")
Row = dict[str, float]


def divided(folder: Path, person: str, most: int) -> tuple[list[Path], list[Path]]:
    """Clips to learn from, and at most so many clips of the test, evenly from all."""
    videos = [path for path in sorted((folder / person).glob("*")) if path.suffix in decode.VIDEO_ENDINGS]
    learn = [video for number, video in enumerate(videos) if number % EVERY != EVERY - 1]
    test = videos[EVERY - 1 :: EVERY]
    return learn, [test[at] for at in np.unique(np.linspace(0, len(test) - 1, min(most, len(test))).astype(int))]


def true_opening(video: Path) -> np.ndarray:
    """By MediaPipe's full graph, in distances between the outer eye corners, in the picture's plane.  Shape: -> (T,)"""
    kept = video.parents[2] / "reference" / f"{video.parent.name}.npz"
    if not kept.is_file():
        return head_mesh.opening(real.points(video))
    with np.load(kept) as reference:
        numbers, points_TN2 = reference["points"].tolist(), reference[video.stem]
    of = {number: points_TN2[:, k] for k, number in enumerate(numbers)}
    across_T2 = of[head_mesh.EYES[1]] - of[head_mesh.EYES[0]]
    down_T2 = np.stack([-across_T2[:, 1], across_T2[:, 0]], axis=1) / np.square(across_T2).sum(axis=1, keepdims=True)
    pairs = list(zip(head_mesh.LOWER_INNER, head_mesh.UPPER_INNER, strict=True))[head_mesh.MIDDLE]
    gaps = [((of[head_mesh.MOUTH[low]] - of[head_mesh.MOUTH[up]]) * down_T2).sum(axis=1) for low, up in pairs]
    return np.mean(gaps, axis=0)


def unseen(network: Motion, test: Sequence[MotionClip], openings: Sequence[np.ndarray]) -> Row:
    """Against the instrument, means over the clips."""
    rows = []
    for clip, true_T in zip(test, openings, strict=True):
        predicted_T = measure.said_opening(network, clip)
        num = min(len(predicted_T), len(true_T))
        rows.append(measure.compared(predicted_T[:num], true_T[:num]))
    return {name: float(np.mean([row[name] for row in rows])) for name in SHOWN}


def loaded(folder: Path, people: Sequence[str], base: Motion) -> list[MotionClip]:
    sources = [source for source in clips.sources([folder]) if source.person in people]
    return clips.load(at_most(sources, base.p.clips_per_person), base.p)


def without(person: str, folder: Path, rendered: Path, base: Motion) -> Motion:
    """Trained as the released network, without a person."""
    released = json_files.read(motion_weights.RELEASED.with_suffix(".json"))["data"]
    people = {split: [name for name in released[split]["people"] if name != person] for split in ("train", "val")}
    train = loaded(folder, people["train"], base)
    heads = at_most(clips.sources([rendered]), base.p.clips_per_person)
    train += [replace(clip, folder=1) for clip in clips.load(heads, base.p)]
    val = loaded(folder, people["val"], base)
    p = config.load(paths.PARAMS)
    trainer = MotionTrainer(Pieces(train, base.p, p.seed), base.p, p.seed)
    for trainer.step in range(base.p.num_steps):
        trainer.train_step()
    return training.trained(trainer.average.network, trainer.pieces, val, base.p)


def gained(
    base: Motion, learn: Sequence[MotionClip], test: Sequence[MotionClip], true: Sequence[np.ndarray],
    others: Sequence[MotionClip],
) -> dict:  # fmt: skip
    began_s = time.process_time()
    outcome = adapting.chosen(base, learn)
    cpu_s = time.process_time() - began_s
    before, after = (
        unseen(motion, test, true) | {"others_r": adapting.figures(motion, others)["opening_r"]}
        for motion in (base, outcome.motion)
    )
    return {
        "kind": outcome.kind,
        "footage_s": sum(len(clip.mouth_TS3) for clip in learn) / FPS,
        "cpu_s": cpu_s,
        "before": before,
        "after": after,
    }


def main(args: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    released = motion_weights.load(motion_weights.RELEASED)
    about = json_files.read(motion_weights.RELEASED.with_suffix(".json"))["data"]
    others = loaded(args.folder, [*about["val"]["people"], *about["test"]["people"]], released)
    rows = {}
    for person in args.people:
        videos, unseen_videos = divided(args.folder, person, args.test)
        learn = clips.load([Source(person, video, 0) for video in videos[: args.clips]], released.p)
        test = clips.load([Source(person, video, 0) for video in unseen_videos], released.p)
        names = {clip.name for clip in test}
        true = [true_opening(video) for video in unseen_videos if video.stem in names]
        for name in ("stranger", "released") if args.rendered else ("released",):
            base = released if name == "released" else without(person, args.folder, args.rendered, released)
            rows[f"{person}, {name}"] = gained(base, learn, test, true, others)
            print(json.dumps({f"{person}, {name}": rows[f"{person}, {name}"]}), flush=True)
            result = {"machine": machine(), "commit": commit(), "people": rows}
            write_atomic(args.out, json.dumps(result, indent=1) + "\n")
    print(table(rows))


def table(rows: dict[str, dict]) -> str:
    names = (*SHOWN, "others_r")
    lines = [f"{'':22}{'footage s':>10}{'CPU s':>7}" + "".join(f"{name:>16}" for name in names)]
    for label, row in rows.items():
        cells = [f"{row['before'][name]:.3f} -> {row['after'][name]:.3f}" for name in names]
        cells = [cell.replace("0.", ".") for cell in cells]
        lines.append(
            f"{label:22}{row['footage_s']:10.0f}{row['cpu_s']:7.0f}" + "".join(f"{cell:>16}" for cell in cells)
        )
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="FOLDER/PERSON/*.mpg")
    parser.add_argument("--people", nargs="+", required=True)
    parser.add_argument("--rendered", type=Path, help="rendered heads, to train networks without the person")
    parser.add_argument("--clips", type=int, help="learn from so many at most; default: all")
    parser.add_argument("--test", type=int, default=60, help="clips of the test at most; default: %(default)s")
    parser.add_argument("--out", type=Path, default=RESULT)
    main(parser.parse_args())
