"""The picture of edited videos: how fast the face moves at the cuts, and how sharp a new mouth is, both against the
uncut source.

python -m benchmarks.edit_picture ../shared/grid --folder out/edits [--strips]     Needs GRID's video/s1 and align/s1,
and the extra `words`. `benchmarks.edit` measures the sound.

A talk is made of three of the man's sentences, and five edits of it. The mesh is tracked anew in the frames as they
were encoded. A row for each edit:

jump        percentile, among the mesh speeds of the sentences, of the largest jump that was cut
seam        the same of the fastest of the smoothed frames of a joint, among the fastest of as many frames in a row
piece_ends  the same of the three frames where new words begin or end, the faster
sharpness   mean gradient in the lips' box of new mouths over that in the source
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from model.lips import LIPS
from tasks.edit import edit
from tasks.features import face_mesh, face_track, lip_refiner
from tasks.media import native_rate, segments
from tasks.media.segments import TICKS_HZ, Coding

AROUND = 1  # frames beside a joint that count as part of it
FPS = 25  # GRID's
TALK = ("bbaf2n", "prac9a", "lgaz9a")
SAID = "bin blue at f two now place red at c nine again lay green at z nine again"
EDITS = {
    "one word from other sentences": "bin white at f two now place red at c nine again lay green at z nine again",
    "one word by a voice": "bin blue at f two now place red at c nine maybe again lay green at z nine again",
    "two words deleted": "bin blue two now place red at c nine again lay green at z nine again",
    "two sentences joined": "bin blue at f two now green at z nine again",
    "a new sentence": "bin blue at f two now good morning and welcome to the show place red at c nine again "
    "lay green at z nine again",
}
LENDS = "bw*.align"  # sentences with "white"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("grid", type=Path)
    parser.add_argument("--folder", type=Path, required=True, help="for the videos")
    parser.add_argument("--strips", action="store_true", help="pictures of the frames at each joint, of native size")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    source, library = talk(args.grid, args.folder / "talk.mp4"), lent(args.grid, args.folder / "library")
    frames_T, mesh_T4683 = seen(source)
    usual_px = [speeds(part) for part in np.split(mesh_T4683, len(TALK))]  # where one sentence follows another is a cut
    usual_sharp = float(np.mean([sharpness(*one) for one in zip(frames_T, mesh_T4683, strict=True)]))
    rows = {}
    for name, text in EDITS.items():
        # the aligner doubts some of GRID's fast words
        order = edit.Order(face=source, transcript=SAID, to=text, library=library, force=True)
        made = edit.run(order, str(args.folder / f"{name}.mp4"))
        rows[name] = measured(made, usual_px, usual_sharp, args.folder if args.strips else None)
        print(f"{name}: {json.dumps(rows[name])}", flush=True)
    if args.out:
        args.out.write_text(json.dumps(rows, indent=2) + "\n")


def talk(grid: Path, out: Path) -> Path:
    """Sentences one after the other, as one video."""
    clips = [grid / f"video/s1/{name}.mpg" for name in TALK]
    like = native_rate.sound_format(clips[0])
    pictures = [[picture.rgb() for picture, _ in native_rate.pictures(clip)] for clip in clips]
    sounds = [
        np.concatenate([*native_rate.channels(clip, like), np.zeros((like.num_channels, like.rate_hz))], axis=1)
        for clip in clips
    ]  # longer than the pictures
    sound = [one[:, : len(some) * like.rate_hz // FPS] for one, some in zip(sounds, pictures, strict=True)]
    frames = [frame for some in pictures for frame in some]
    ticks, segment = np.arange(len(frames)) * (TICKS_HZ // FPS), out.with_suffix(".segment.mp4")
    segments.write_segment(segment, frames, ticks, Coding(crf=12))
    end_tick = len(frames) * TICKS_HZ // FPS
    blocks = [np.concatenate(sound, axis=1).astype(np.float32)]
    segments.join(out, [segment], ticks, end_tick, blocks, like.rate_hz, like.layout, {})
    segment.unlink()
    return out


def lent(grid: Path, folder: Path) -> tuple[Path, ...]:
    """Links to other sentences, with their words beside them."""
    folder.mkdir(exist_ok=True)
    videos = []
    for words in sorted(grid.glob(f"align/s1/{LENDS}")):
        for path in (grid / f"video/s1/{words.stem}.mpg", words):
            if not (folder / path.name).exists():
                (folder / path.name).symlink_to(path.resolve())
        videos.append(folder / f"{words.stem}.mpg")
    return tuple(videos)


def measured(path: Path, usual_px: Sequence[np.ndarray], usual_sharp: float, strips: Path | None) -> dict[str, Any]:
    frames_T, mesh_T4683 = seen(path)
    about, moves_px = json.loads(path.with_suffix(".json").read_text()), speeds(mesh_T4683)
    fps = len(frames_T) / about["duration_s"]
    seams, ends = [], []
    for joint in about["joints"]:
        n, half = round(joint["at_s"] * fps), joint["smoothed_frames"] // 2
        window = moves_px[max(0, n - half - AROUND - 1) : n + half + AROUND]
        seams.append(percentile(window.max(), fastest(usual_px, len(window))))
        if strips:
            strip(frames_T[max(0, n - half - 2) : n + half + 2], strips / f"{path.stem}-{n}.png")
    for piece in about["pieces"]:
        if piece["origin"] != "kept":
            at = [round(piece[name] * fps) for name in ("from_s", "to_s")]
            near = [moves_px[max(0, n - 2) : n + 1] for n in at if 0 < n < len(frames_T)]
            ends += [percentile(window.max(), fastest(usual_px, len(window))) for window in near]
            if strips:
                strip(frames_T[max(0, at[0] - 2) : at[1] + 2], strips / f"{path.stem}-new-{at[0]}.png")
    changed = [k for span in about["changed_spans"] for k in range(span["first"] + 3, span["last"] - 2)]
    jumps = [percentile(joint["jump_px"] or 0.0, fastest(usual_px, 1)) for joint in about["joints"]]
    return {
        "frames": len(frames_T),
        "joints": len(seams),
        "jump": max(jumps, default=None),
        "seam": max(seams, default=None),
        "piece_ends": max(ends, default=None),
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


def fastest(usual_px: Sequence[np.ndarray], num: int) -> np.ndarray:
    """The largest of each `num` speeds in a row, within one sentence."""
    return np.concatenate([np.lib.stride_tricks.sliding_window_view(one, num).max(axis=1) for one in usual_px])


def percentile(speed_px: float, usual_px: np.ndarray) -> float:
    return round(100 * float((usual_px < speed_px).mean()), 1)


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
