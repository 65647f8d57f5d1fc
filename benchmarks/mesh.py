"""The face mesh as preprocessing follows it, against MediaPipe's fuller model and against rendered truth.

    python -m benchmarks.mesh ../shared/grid [--clips 3] [--rendered 12] [--sheet out/mesh.png]
    writes benchmarks/results/mesh.json

FOLDER/video/PERSON holds clips and FOLDER/reference/PERSON.npz the reference's points (40 of the lips, 9 others); the
lip refiner learned from some of these people (released/lips.json), the rest are "unseen". At most `--clips` clips of
each person are read, and `--rendered` clean clips of a seed that trained nothing.

opening_r, amplitude   correlation and relative standard deviation of the opening, against the reference or the truth
lips_amplitude         the same with both openings in the reference's eye distances: what the lips alone do
eyes                   the mesh's eye distance over the reference's; the mesh puts the corners of some eyes too far out
crops_r                the same correlation, read from 96 x 96 crops, as the evaluation reads faces
near                   share of SAMPLED frames whose lip centre is within 0.05 eye distances of the reference's
held                   share of the frames in which the mesh holds the face
"""

import argparse
import io
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks.machine import RESULTS, machine
from model import faces, head_mesh
from model.lips import LIPS
from tasks.core import config, paths
from tasks.features import drawing, face_track, lip_refiner
from tasks.features.crop import crop
from tasks.features.face_track import Track
from tasks.features.mesh_points import MeshPoints
from tasks.media import decode
from tasks.synthetic import clip as synthetic
from tasks.synthetic.plan import plan

RESULT = RESULTS / "mesh.json"
SAMPLED, NEAR = 200, 0.05
SEED = 72  # of rendered clips that trained nothing
GAPS = ((87, 82), (14, 13), (317, 312))  # facing points of the inner lips, lower and upper


def follow(frames: Sequence[np.ndarray]) -> Track:
    p = config.load(paths.PARAMS).faces
    return face_track.track(frames, p, None, lip_refiner.released())


def gap(points_TN3: np.ndarray, names: Sequence[int]) -> np.ndarray:
    """The opening in the picture, in eye distances: what the reference's points allow.  Shape: -> (T,)"""
    at = {name: points_TN3[:, k, 1] for k, name in enumerate(names)}
    return np.mean([at[low] - at[up] for low, up in GAPS], axis=0) / eyes(points_TN3, names)


def eyes(points_TN3: np.ndarray, names: Sequence[int]) -> np.ndarray:
    """Distance of the outer eye corners in the picture.  Shape: -> (T,) px"""
    left, right = (points_TN3[:, list(names).index(eye), :2] for eye in head_mesh.EYES)
    return np.linalg.norm(left - right, axis=1)


def compared(measured_T: np.ndarray, true_T: np.ndarray) -> tuple[float, float]:
    """Correlation, and standard deviation over the true one."""
    return float(np.corrcoef(measured_T, true_T)[0, 1]), float(measured_T.std() / true_T.std())


def by_crops(frames: Sequence[np.ndarray], boxes_T4: np.ndarray) -> np.ndarray:
    boxes = faces.crop_boxes(boxes_T4)
    return MeshPoints().meshes(np.stack([crop(frame, box, 96) for frame, box in zip(frames, boxes, strict=True)]))


def filmed(folder: Path, person: str, num_clips: int) -> Iterator[tuple[dict[str, float], np.ndarray, np.ndarray]]:
    """For each clip: its row, distances of the lip centre, and a frame with the mesh."""
    everything = range(head_mesh.NUM_POINTS)
    with np.load(folder / f"reference/{person}.npz") as stored:
        names = stored["points"].tolist()
        lips = [names.index(k) for k in LIPS]
        for video in itertools.islice(sorted((folder / "video" / person).glob("*.m*")), num_clips):
            frames, known_TN2 = list(decode.frames(video)), stored[video.stem]
            num = min(len(frames), len(known_TN2))
            frames, known_TN2 = frames[:num], known_TN2[:num]
            followed = follow(frames)
            assert followed.mesh
            mesh_T4683 = followed.mesh.mesh_T4683
            held_T = followed.mesh.found_T & np.isfinite(known_TN2).all(axis=(1, 2))
            true_T = gap(known_TN2, names)[held_T]
            opening_T, eyes_T = gap(mesh_T4683, everything), eyes(known_TN2, names)
            ruler_T = eyes(mesh_T4683, everything) / eyes_T
            r, amplitude = compared(opening_T[held_T], true_T)
            _, lips_amplitude = compared((opening_T * ruler_T)[held_T], true_T)
            crops_r, _ = compared(gap(by_crops(frames, followed.boxes_T4), everything)[held_T], true_T)
            away_T = np.linalg.norm(mesh_T4683[:, LIPS, :2].mean(axis=1) - known_TN2[:, lips].mean(axis=1), axis=1)
            row = {"opening_r": r, "amplitude": amplitude, "lips_amplitude": lips_amplitude, "crops_r": crops_r}
            row |= {"eyes": float(ruler_T[held_T].mean()), "held": float(held_T.mean())}
            widest = int(np.nan_to_num(opening_T).argmax())
            yield row, away_T / eyes_T, portrait(frames[widest], mesh_T4683[widest], followed.boxes_T4[widest])


def portrait(frame_HW3: np.ndarray, points_4683: np.ndarray, box_4: np.ndarray, size: int = 320) -> np.ndarray:
    """The face, enlarged, with the mesh on it."""
    around_4 = faces.crop_boxes(box_4[None])
    return drawing.draw(crop(frame_HW3, around_4[0], size), head_mesh.in_crops(points_4683[None], around_4, size)[0])


def rendered(num_clips: int) -> Iterator[dict[str, float]]:
    clean = [spec for spec in plan(SEED, "demo") if spec.case == "clean"]
    for spec in clean[:: max(1, len(clean) // num_clips)][:num_clips]:
        made = synthetic.render(spec)
        frames, truth_T = list(decode.frames(io.BytesIO(made.mp4))), np.array(made.truth["aperture"])
        followed = follow(frames)
        assert followed.mesh
        held_T, everything = followed.mesh.found_T, range(head_mesh.NUM_POINTS)
        crops_T = gap(by_crops(frames, followed.boxes_T4), everything)
        yaw_T = head_mesh.pose_deg(head_mesh.place(followed.mesh.mesh_T4683[held_T]))[:, 0]
        yield {
            "opening_r": compared(gap(followed.mesh.mesh_T4683, everything)[held_T], truth_T[held_T])[0],
            "crops_r": compared(crops_T[held_T], truth_T[held_T])[0],
            "held": float(held_T.mean()),
            "yaw_error_deg": float(np.abs(yaw_T - np.array(made.truth["yaw_deg"])[held_T]).mean()),
        }


def mean(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    means = {name: round(float(np.mean([row[name] for row in rows])), 3) for name in rows[0]}
    lowest = min(row["opening_r"] for row in rows)
    return means | {"lowest_r": round(lowest, 3), "clips": len(rows)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=3)
    parser.add_argument("--rendered", type=int, default=12)
    parser.add_argument("--sheet", type=Path, default=Path("out/mesh.png"), help="each person's widest mouth")
    args = parser.parse_args()
    cv2.setNumThreads(0)
    learned = json.loads(lip_refiner.RELEASED.with_suffix(".json").read_text())["people"]["train"]
    result: dict[str, object] = {"machine": machine()}
    rows: dict[bool, list[dict[str, float]]] = {True: [], False: []}
    away, sheet = [], []
    for person in sorted(file.stem for file in (args.folder / "reference").glob("*.npz")):
        clips = list(filmed(args.folder, person, args.clips))
        result[person] = mean([row for row, _, _ in clips])
        rows[person in learned] += [row for row, _, _ in clips]
        away += [distance for _, away_T, _ in clips for distance in away_T]
        sheet.append(clips[0][2])
        print(person, result[person], flush=True)
    sampled = np.array(away)[np.linspace(0, len(away) - 1, SAMPLED).round().astype(int)]
    result |= {
        "unseen people": mean(rows[False]),
        "learned people": mean(rows[True]),
        "near": {"of": SAMPLED, "share": float((sampled < NEAR).mean()), "all": float((np.array(away) < NEAR).mean()),
                 "frames": len(away), "largest": round(float(np.nanmax(away)), 4)},
        "rendered": mean(list(rendered(args.rendered))),
    }  # fmt: skip
    for name in ("unseen people", "learned people", "near", "rendered"):
        print(name, result[name])
    args.sheet.parent.mkdir(parents=True, exist_ok=True)
    across = [np.concatenate(sheet[k : k + 7], axis=1) for k in range(0, len(sheet), 7) if len(sheet[k : k + 7]) == 7]
    cv2.imwrite(str(args.sheet), np.concatenate(across)[..., ::-1])
    RESULT.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
