"""Measures mouths of real people, filmed or generated, with an instrument that takes no part in generating them.

    python -m benchmarks.real clip MADE.mp4 TRUE.mp4           a generated mouth against the recording of its audio
    python -m benchmarks.real dubs ../shared/grid/video --people s27 p04 p05 p06 p07 p08
                             each person's face dubbed with the next two people's audio, against the recordings;
                             `--generator lipgan` by LipGAN (default: mesh)
    python -m benchmarks.real motion ../shared/grid/video --people s27 p04 --weights released/motion.safetensors
                             the motion network's output, without rendering, against the recordings
    python -m benchmarks.real offsets ../shared/grid/video --people s1 s4 s31 p03+p04+p05+p06+p07+p08+s27
                             rates of A/V offsets of stage preprocess; needs no instrument: benchmarks/offsets.py
    python -m benchmarks.real agreement ../shared/grid/video --people s1 s4 s31 --clips 7
                             how far the two instruments agree on filmed mouths

The instrument is MediaPipe 0.10.21's full graph with lip attention. It needs numpy below 2 and so runs in its own
environment: LIPGAN_INSTRUMENT names one; otherwise the first call creates .cache/instrument (needs a package index).
`--dlib` adds dlib's published 68-point predictor as a second measurement: FILE, or that of face-recognition-models
0.1.3 (93 MB, not for commercial use), installed in the instrument's environment. How far the two agree on filmed mouths
(`agreement`) indicates the measurement noise.

opening_r    correlation of the lip opening with the recording's; best_r at lag_frames (positive: the mouth is late)
moved_r      control: the opening shifted by a third, half and two thirds of its length, as for mismatched audio
moved_excess what moved_r has beyond that of the recording shifted against itself: tasks/motion/measure.py
amplitude    standard deviation of the opening over the recording's; speed: likewise for its frame-to-frame change
own_amplitude the same over that in the original video of the face: people differ by a factor of two
sharpness    mean gradient in the lips' box, flicker: second difference over time inside the mouth, both over those in
             the original video of the face: benchmarks/lip_pictures.py
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import dlib
import numpy as np

from benchmarks import offsets
from benchmarks.lip_pictures import flicker, sharpness
from benchmarks.machine import machine
from model import head_mesh
from model.motion import frame_middles_s
from model.timing import num_samples
from tasks.core import config, paths
from tasks.core.errors import UserError
from tasks.core.files import demand_file, write_atomic
from tasks.dubbing.options import GENERATORS
from tasks.features import face_track
from tasks.inference import motion_weights
from tasks.media import decode
from tasks.motion import measure

RESULTS = Path("benchmarks/results/real.json")
PROGRAM = Path(__file__).with_name("instrument.py")
PACKAGES = (
    "mediapipe==0.10.21", "numpy==1.26.4", "opencv-python-headless==4.11.0.86", "protobuf==4.25.9", "absl-py==2.5.1",
    "attrs==26.1.0", "flatbuffers==25.12.19", "matplotlib==3.11.2", "contourpy==1.3.3", "cycler==0.12.1",
    "fonttools==4.68.0", "kiwisolver==1.5.1", "packaging==26.4", "pillow==13.0.0", "pyparsing==3.3.3",
    "python-dateutil==4.0.0", "tzdata==2026.6",
)  # fmt: skip
SECOND = ("face-recognition-models==0.1.3", "face_recognition_models/models/shape_predictor_68_face_landmarks.dat")
LEAST_FOUND = 0.9  # share of frames with a face
SOUNDS = 2  # each face is dubbed with the audio of this many next people
DUB = "python -m flows dub --generator GENERATOR --checkpoint released --face {face} --audio {sound} --out {out}"
DUB_S, POINTS_S = 1800, 600


def environment() -> Path:
    """The instrument's Python; creates its environment if needed."""
    if named := os.environ.get("LIPGAN_INSTRUMENT"):
        python = Path(named) / "bin/python"
        if not python.is_file():
            raise UserError(f"LIPGAN_INSTRUMENT: {named}: no environment with MediaPipe; unset it to create one")
        return python
    folder = paths.cache() / "instrument"
    python, complete = folder / "bin/python", folder / "complete"  # an interrupted installation starts over
    if not complete.is_file():
        venv.create(folder, with_pip=True, clear=True)
        install(python, *PACKAGES)
        complete.touch()
    return python


def install(python: Path, *packages: str) -> None:
    """Without their dependencies: jax, sounddevice and sentencepiece are 500 MB that MediaPipe does not use here.

    Errors: UserError with pip's last line
    """
    command = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", *packages]
    done = subprocess.run(command, capture_output=True, text=True, timeout=POINTS_S)
    if done.returncode:
        raise UserError(f"{packages[0]}: pip cannot install it: {' '.join(done.stderr.split())[-300:]}")


def second_predictor(file: str | None) -> Path:
    """FILE, or the published one in the instrument's environment, installed if needed.  Errors: UserError"""
    if file:
        return demand_file(file, option="--dlib")
    package, member = SECOND
    python = environment()
    if not (found := sorted(python.parents[1].glob(f"lib/python*/site-packages/{member}"))):
        install(python, package)
        found = sorted(python.parents[1].glob(f"lib/python*/site-packages/{member}"))
    return found[0]


@cache
def points(video: Path) -> np.ndarray:
    """Shape: -> (T, 468, 3) px; frames without a face repeat the nearest.  Errors: UserError if too few have one"""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "points.npz"
        done = subprocess.run([environment(), PROGRAM, out, video], capture_output=True, text=True, timeout=POINTS_S)
        if done.returncode:
            raise UserError(f"{video}: the instrument failed: {' '.join(done.stderr.split())[-300:]}")
        with np.load(out) as stored:
            points_T4683 = stored["points"][:, :468]
    frames_N = np.flatnonzero(np.isfinite(points_T4683).all(axis=(1, 2)))
    if len(frames_N) < LEAST_FOUND * max(len(points_T4683), 1):
        raise UserError(f"{video}: the instrument finds a face in only {len(frames_N)} of {len(points_T4683)} frames")
    return points_T4683[frames_N[np.abs(np.arange(len(points_T4683))[:, None] - frames_N).argmin(axis=1)]]


def second_opening(video: Path, predictor: Path) -> np.ndarray:
    """The opening by dlib's predictor, in distances between the outer eye corners.  Shape: -> (T,)"""
    shape_of, opening, box = dlib.shape_predictor(str(predictor)), [], dlib.rectangle()
    for frame_HW3 in decode.frames(video):
        boxes_N4 = face_track.detect(frame_HW3, max(frame_HW3.shape))
        if len(boxes_N4):
            box = dlib.rectangle(*(round(side) for side in boxes_N4[(boxes_N4[:, 2] - boxes_N4[:, 0]).argmax()]))
        at = shape_of(np.ascontiguousarray(frame_HW3), box)
        points_682 = np.array([(at.part(i).x, at.part(i).y) for i in range(68)], float)
        gap = points_682[[65, 66, 67], 1].mean() - points_682[[61, 62, 63], 1].mean()
        opening.append(gap / max(np.linalg.norm(points_682[45] - points_682[36]), 1e-6))
    return np.array(opening)


def judged(made: Path, true: Path, face: Path | None = None, predictor: Path | None = None) -> dict[str, float]:
    """A generated mouth against the recording of its audio, and against the original video of the face."""
    made_T4683, true_T4683 = points(made), points(true)
    num = min(len(made_T4683), len(true_T4683))
    row = measure.compared(head_mesh.opening(made_T4683[:num]), head_mesh.opening(true_T4683[:num]))
    if face:
        own_T4683 = points(face)
        row["own_amplitude"] = float(head_mesh.opening(made_T4683).std() / head_mesh.opening(own_T4683).std())
        row["sharpness"] = sharpness(made, made_T4683) / max(sharpness(face, own_T4683), 1e-9)
        row["flicker"] = flicker(made, made_T4683) / flicker(face, own_T4683)
    if predictor:
        second = second_opening(made, predictor)[:num]
        row["second_r"] = measure.correlation(second, second_opening(true, predictor)[: len(second)])
    return row | {"frames": float(num)}


def videos_of(folder: Path, people: Sequence[str]) -> dict[str, Path]:
    """The first clip of each person.  Errors: UserError if a person has none"""
    videos = {}
    for person in people:
        clips = [path for path in sorted((folder / person).glob("*")) if path.suffix in decode.VIDEO_ENDINGS]
        if not clips:
            raise UserError(f"{folder / person}: no video")
        videos[person] = clips[0]
    return videos


def dubs(folder: Path, people: Sequence[str], command: str, kept: Path, predictor: Path | None) -> dict[str, dict]:
    """face+audio -> row, for each person's face with the next people's audio."""
    videos, rows = videos_of(folder, people), {}
    kept.mkdir(parents=True, exist_ok=True)
    for (at, face), further in itertools.product(enumerate(people), range(1, SOUNDS + 1)):
        sound = people[(at + further) % len(people)]
        out = kept / f"{face}+{sound}.mp4"
        # a dub that is there from the same inputs is kept by `dub` itself
        words = [word.format(face=videos[face], sound=videos[sound], out=out) for word in command.split()]
        words[0] = sys.executable if words[0] == "python" else words[0]
        done = subprocess.run(words, capture_output=True, text=True, timeout=DUB_S)
        if done.returncode:
            raise UserError(f"dub of {face} with {sound}'s audio failed: {' '.join(done.stderr.split())[-300:]}")
        rows[f"{face}+{sound}"] = judged(out, videos[sound], videos[face], predictor)
        print(json.dumps({f"{face}+{sound}": rows[f"{face}+{sound}"]}), flush=True)
    return rows


def motions(folder: Path, people: Sequence[str], file: Path) -> dict[str, dict]:
    """person -> mean metrics over the clips of the network's output against the instrument's."""
    network, rows = motion_weights.load(file), {}
    for person in people:
        clip_rows = []
        for video in sorted((folder / person).glob("*")):
            true_T4683, sound = points(video), decode.decode_sound(video)
            num = min(len(true_T4683), len(sound) // num_samples(1))
            true_TS3 = head_mesh.mouths(true_T4683[:num])
            closed_S3 = head_mesh.closed_mouth(true_TS3)
            predicted_TS3 = network.mouths(sound[: num_samples(num)], frame_middles_s(num), closed_S3)
            clip_rows.append(
                measure.compared(head_mesh.mouth_opening(predicted_TS3), head_mesh.mouth_opening(true_TS3))
            )
        rows[person] = {name: float(np.mean([row[name] for row in clip_rows])) for name in clip_rows[0]}
    return rows


def agreement(folder: Path, people: Sequence[str], num_clips: int, predictor: Path) -> dict[str, dict]:
    """person -> clips, and the mean correlation of the two instruments' openings over them."""
    rows = {}
    for person in people:
        videos = [path for path in sorted((folder / person).glob("*")) if path.suffix in decode.VIDEO_ENDINGS]
        values = []
        for video in videos[:num_clips]:
            first_T, second_T = head_mesh.opening(points(video)), second_opening(video, predictor)
            num = min(len(first_T), len(second_T))
            values.append(measure.correlation(first_T[:num], second_T[:num]))
        rows[person] = {"clips": float(len(values)), "opening_r": float(np.mean(values)), "lowest": min(values)}
    return rows


def table(rows: dict[str, dict]) -> str:
    names = list(next(iter(rows.values())))
    lines = [" " * 12 + "".join(f"{name:>15}" for name in names)]
    for label, row in [
        *rows.items(),
        ("mean", {name: float(np.mean([r[name] for r in rows.values()])) for name in names}),
    ]:
        lines.append(f"{label:12}" + "".join(f"{row[name]:15.3f}" for name in names))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="what", required=True)
    clip = kinds.add_parser("clip", help="a generated video against the recording of its audio")
    clip.add_argument("made", type=Path)
    clip.add_argument("true", type=Path)
    clip.add_argument("--face", type=Path, help="original video of the face, for sharpness")
    for name in ("dubs", "motion", "offsets", "agreement"):
        of = kinds.add_parser(name)
        of.add_argument("folder", type=Path, help="FOLDER/PERSON/*.mpg")
        of.add_argument("--people", nargs="+", required=True)
    kinds.choices["dubs"].add_argument("--generator", choices=GENERATORS, default="mesh", help="of the default command")
    kinds.choices["dubs"].add_argument(
        "--command", default=DUB, help="command with {face}, {sound} and {out}; default: %(default)s"
    )
    kinds.choices["dubs"].add_argument(
        "--kept", type=Path, help="folder for the dubbed videos; existing ones are reused; default: out/real-GENERATOR"
    )
    kinds.choices["motion"].add_argument("--weights", type=Path, default=Path("released/motion.safetensors"))
    for name in ("clip", "dubs", "agreement"):
        kinds.choices[name].add_argument(
            "--dlib", nargs="?", const="", metavar="FILE", help="also measure with dlib's 68-point predictor"
        )
    kinds.choices["agreement"].add_argument("--clips", type=int, default=7, help="of each person; default: %(default)s")
    args = parser.parse_args()
    wants_second = args.what == "agreement" or getattr(args, "dlib", None) is not None
    predictor = second_predictor(args.dlib) if wants_second else None
    if args.what == "clip":
        rows = {args.made.stem: judged(args.made, args.true, args.face, predictor)}
    elif args.what == "dubs":
        kept = args.kept or Path(f"out/real-{args.generator}")
        rows = dubs(args.folder, args.people, args.command.replace("GENERATOR", args.generator), kept, predictor)
    elif args.what == "agreement":
        rows = agreement(args.folder, args.people, args.clips, predictor)
    elif args.what == "offsets":
        rows = offsets.offsets(args.folder, args.people, config.load(Path("params.yaml")))
    else:
        rows = motions(args.folder, args.people, args.weights)
    print(offsets.table(rows) if args.what == "offsets" else table(rows))
    if args.what != "clip":
        earlier = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
        name = "dubs_lipgan" if args.what == "dubs" and args.generator == "lipgan" else args.what
        write_atomic(RESULTS, json.dumps(earlier | {"machine": machine(), name: rows}, indent=2) + "\n")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_status)
