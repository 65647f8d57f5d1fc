"""The picture of edited videos: how fast the face moves at the cuts, and how sharp a new mouth is, both against the
uncut source.

python -m benchmarks.edit_picture SOURCE.mp4 EDITED.mp4... [--strips FOLDER] [--out FILE.json]

The mesh is tracked anew in the frames as they were encoded. A row for each edited video, whose JSON lies beside it:

jump        percentile, among the mesh speeds of the source, of the largest jump that was cut (as a speed of one frame)
seam        the same of the fastest frame within the smoothed ones of any joint
piece_ends  the same of the frames where a new piece begins and ends
sharpness   mean gradient in the lips' box of new mouths over that in the source
"""

import argparse
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from model.lips import LIPS
from tasks.features import face_mesh, face_track, lip_refiner
from tasks.media import native_rate

AROUND = 1  # frames beside a joint that count as part of it


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("source", type=Path)
    parser.add_argument("edited", type=Path, nargs="+")
    parser.add_argument("--strips", type=Path, help="folder for a picture of the frames at each joint, of native size")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    frames_T, mesh_T4683 = seen(args.source)
    usual_px, usual_sharp = (
        speeds(mesh_T4683),
        np.mean([sharpness(*one) for one in zip(frames_T, mesh_T4683, strict=True)]),
    )
    rows = {path.stem: measured(path, usual_px, float(usual_sharp), args.strips) for path in args.edited}
    for name, row in rows.items():
        print(f"{name}: {json.dumps(row)}")
    if args.out:
        args.out.write_text(json.dumps(rows, indent=2) + "\n")


def measured(path: Path, usual_px: np.ndarray, usual_sharp: float, strips: Path | None) -> dict[str, Any]:
    frames_T, mesh_T4683 = seen(path)
    about, moves_px = json.loads(path.with_suffix(".json").read_text()), speeds(mesh_T4683)
    fps = len(frames_T) / about["duration_s"]
    seams, ends = [], []
    for joint in about["joints"]:
        n, half = round(joint["at_s"] * fps), joint["smoothed_frames"] // 2
        seams.append(moves_px[max(0, n - half - AROUND - 1) : n + half + AROUND].max())
        if strips:
            strip(frames_T[max(0, n - half - 2) : n + half + 2], strips / f"{path.stem}-{n}.png")
    for piece in about["pieces"]:
        if piece["origin"] != "kept":
            at = [round(piece[name] * fps) for name in ("from_s", "to_s")]
            ends += [moves_px[max(0, n - 2) : n + 1].max() for n in at if 0 < n < len(frames_T)]
            if strips:
                strip(frames_T[max(0, at[0] - 2) : at[1] + 2], strips / f"{path.stem}-new-{at[0]}.png")
    changed = [k for span in about["changed_spans"] for k in range(span["first"] + 3, span["last"] - 2)]
    return {
        "frames": len(frames_T),
        "joints": len(seams),
        "jump": percentile(max((joint["jump_px"] or 0.0 for joint in about["joints"]), default=None), usual_px),
        "seam": percentile(max(seams, default=None), usual_px),
        "piece_ends": percentile(max(ends, default=None), usual_px),
        "sharpness": round(float(np.mean([sharpness(frames_T[k], mesh_T4683[k]) for k in changed])) / usual_sharp, 3)
        if changed
        else None,
    }


def seen(path: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """The frames, and the mesh in each.  Shape: T of (H, W, 3), (T, 468, 3)"""
    frames_T = [picture.rgb() for picture, _ in native_rate.pictures(path)]
    boxes = [face_track.detect(frames_T[0], max(frames_T[0].shape))[0], *[None] * (len(frames_T) - 1)]
    return frames_T, face_mesh.track(frames_T, boxes, lip_refiner.released()).mesh_T4683


def speeds(mesh_T4683: np.ndarray) -> np.ndarray:
    """Mean distance of the points from those of the frame before, px.  Shape: -> (T - 1,)"""
    return np.asarray(np.linalg.norm(np.diff(mesh_T4683[..., :2], axis=0), axis=2).mean(axis=1))


def percentile(speed_px: float | None, usual_px: np.ndarray) -> float | None:
    return None if speed_px is None else round(100 * float((usual_px < speed_px).mean()), 1)


def sharpness(frame_HW3: np.ndarray, points_4683: np.ndarray) -> float:
    (left, top), (right, bottom) = (np.round(f(points_4683[LIPS, :2], axis=0)).astype(int) for f in (np.min, np.max))
    grey_HW = cv2.cvtColor(frame_HW3, cv2.COLOR_RGB2GRAY).astype(np.float32)[top - 2 : bottom + 3, left - 2 : right + 3]
    return float(np.hypot(*np.gradient(grey_HW)).mean())


def strip(frames: list[np.ndarray], out: Path, columns: int = 4) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    blank = [np.zeros_like(frames[0])] * (-len(frames) % columns)
    rows = [np.hstack([*frames, *blank][k : k + columns]) for k in range(0, len(frames), columns)]
    cv2.imwrite(str(out), np.vstack(rows)[..., ::-1])


if __name__ == "__main__":
    main()
