"""The painted inside of a mouth against the person's own, where the library holds closed mouths alone.

    python -m benchmarks.inside ../shared/grid/video --people s27 p04 p05 p06 p07 p08
    python -m benchmarks.inside ../shared/grid/video --people p04 --weights models/inside.safetensors --sheets out

The library is the least open fifth of a clip's frames. Of the others, those that lack an inside are made with their own
mouth's shape, by the code of `dub`: painted by the network, and dark without it. Truth is the frame itself. Figures are
of the box of the inner lips, with PSNR also of the area between them. A sheet has a column for each of nine frames:
as filmed, dark, painted.
"""

import argparse
import itertools
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks.machine import RESULTS, commit, machine
from benchmarks.real import videos_of
from model import head_mesh
from model.head_track import Heads
from model.inside import InsideNet
from model.metrics import picture
from tasks.compositor import compose, footage, inside, library
from tasks.compositor.library import MOUTH, Library
from tasks.evaluate.measure import ssim
from tasks.features.face_track import detect
from tasks.inference import inside_weights
from tasks.media import decode

RESULT = RESULTS / "inside.json"
CLOSED = 0.2  # share of the frames that are the library
MARGIN_PX = 3
DETECT_PX = 640


def recorded(video: Path, folder: Path) -> tuple[np.ndarray, footage.Footage]:
    frames = np.stack(list(itertools.islice(decode.frames(video), 250)))
    boxes_T4 = np.full((len(frames), 4), np.nan)
    boxes_T4[0] = detect(frames[0], DETECT_PX)[0]
    return frames, footage.record(frames, boxes_T4, np.zeros(len(frames), int), folder)


def closed_library(film: footage.Footage, opening_T: np.ndarray) -> Library:
    kept = np.isin(np.arange(len(film.run_T)), np.argsort(opening_T)[: max(1, round(CLOSED * len(opening_T)))])
    mouths = library.build([replace(film, run_T=np.where(kept, film.run_T, -1))])
    assert mouths is not None
    return mouths


def made(
    frames: np.ndarray, film: footage.Footage, heads: Heads, net: InsideNet | None
) -> tuple[list[int], list[np.ndarray], float]:
    """Numbers of the frames that lack an inside, these frames with it, CPU ms of one."""
    own_TS3 = heads.canonical_TP3[:, MOUTH]
    opening_T = head_mesh.mouth_opening(own_TS3)
    mouths = replace(closed_library(film, opening_T), inside=net)
    path_T = compose.chosen(mouths, own_TS3, library.angles_deg(heads), film.light_T)
    numbers = np.flatnonzero(inside.lack(opening_T, mouths.opening_N[path_T]) > 0).tolist()
    began_s = time.process_time()
    output = [compose.compose(frames[t], mouths, heads, t, own_TS3[t], int(path_T[t]), 1.0).frame_HW3 for t in numbers]
    return numbers, output, 1000 * (time.process_time() - began_s) / max(1, len(numbers))


def figures(made_N: np.ndarray, true_N: np.ndarray, lips_N: np.ndarray) -> dict[str, float]:
    low_N2, high_N2 = lips_N.min(axis=1) - MARGIN_PX, lips_N.max(axis=1) + MARGIN_PX
    boxes_N4 = np.concatenate([np.floor(low_N2), np.ceil(high_N2)], axis=1).astype(int)
    errors = []
    for one, true, lips in zip(made_N, true_N, lips_N, strict=True):
        area = inside.filled(true.shape[:2], lips) > 0.5
        errors.append(np.square(one.astype(float) - true)[area].mean())
    return {
        "psnr_db": float(np.mean(10 * np.log10(255**2 / np.maximum(errors, 1e-3)))),
        "box_psnr_db": picture.mouth_psnr(made_N, true_N, boxes_N4),
        "ssim": ssim(made_N, true_N, boxes_N4)["mouth_ssim"],
        "sharpness": picture.sharpness_ratio(made_N, true_N, boxes_N4),
    }


def sheet(columns: list[list[np.ndarray]], lips_N: np.ndarray, scale: int) -> np.ndarray:
    """The surroundings of the mouths at native size times `scale`; a column for each frame."""
    strips = []
    for pictures, lips in zip(columns, lips_N, strict=True):
        (left, top), wide = np.round(lips.mean(axis=0)).astype(int), 64
        cut = [one[top - 44 : top + 44, left - wide : left + wide] for one in pictures]
        strips.append(np.concatenate([cv2.resize(one, (2 * wide * scale, 88 * scale)) for one in cut]))
    return np.concatenate(strips, axis=1)


def person(video: Path, folder: Path, net: InsideNet, sheets: Path | None) -> dict[str, dict[str, float]]:
    frames, film = recorded(video, folder)
    numbers, heads = film.heads(0, len(frames))
    heads = library.apart(heads)
    assert len(numbers) == len(frames), f"{video}: a frame without a face"
    rows, pictures = {}, []
    for name, of in (("dark", None), ("painted", net)):
        numbers_of, output, cpu_ms = made(frames, film, heads, of)
        lips_N = np.stack([heads.mesh(t)[list(head_mesh.INNER), :2] for t in numbers_of])
        true_N = frames[numbers_of]
        rows[name] = {"frames": len(numbers_of), "cpu_ms": cpu_ms} | figures(np.stack(output), true_N, lips_N)
        pictures.append(output)
    if sheets:
        sheets.mkdir(parents=True, exist_ok=True)
        widest = np.argsort(np.ptp(lips_N[:, :, 1], axis=1))[:: -max(1, len(lips_N) // 9)][:9]
        columns = [[true_N[k], pictures[0][k], pictures[1][k]] for k in widest]
        cv2.imwrite(str(sheets / f"{video.parent.name}.png"), sheet(columns, lips_N[widest], 1)[..., ::-1])
    return rows


def main(args: argparse.Namespace, work: Path) -> None:
    torch.set_num_threads(1)
    net = inside_weights.load(args.weights)
    people = {
        name: person(video, work / name, net, args.sheets)
        for name, video in videos_of(args.folder, args.people).items()
    }
    names = next(iter(people.values()))["dark"]
    mean = {
        kind: {name: float(np.mean([rows[kind][name] for rows in people.values()])) for name in names}
        for kind in ("dark", "painted")
    }
    result = {"machine": machine(), "commit": commit(), "people": people, "mean": mean}
    args.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(mean, indent=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inside", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--people", nargs="+", required=True)
    parser.add_argument("--weights", type=Path, default=inside_weights.RELEASED)
    parser.add_argument("--sheets", type=Path, help="a folder for the sheets")
    parser.add_argument("--work", type=Path, help="a folder for recordings, to keep them")
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as own:
        main(options, options.work or Path(own))
