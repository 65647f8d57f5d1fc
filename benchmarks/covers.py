"""A hand or a microphone drawn over the mouth of a clip: how often `dub` finds it, and sees one by mistake.

    python -m benchmarks.covers ../shared/grid/video ../shared/real [--clips 2] [--rendered 12]
    writes benchmarks/results/covers.json

FOLDER holds clips, or a folder of clips for each person, of which `--clips` are read. `--rendered` clean clips are of a
seed on which no limit was chosen. Counts are frames called covered, of how many: "free" in the clips as they are (goal:
at most 0.5 % of real frames), "hand" and "microphone" in the middle third, which these cover, and a microphone
throughout the clip.
"""

import argparse
import io
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks.machine import RESULTS, machine
from model.timing import FPS
from tasks.core import config, paths
from tasks.dubbing import look
from tasks.dubbing.plan import covered
from tasks.features import face_track
from tasks.media import decode
from tasks.synthetic import clip as synthetic
from tasks.synthetic.plan import plan

RESULT = RESULTS / "covers.json"
SEED = 72
MICROPHONE = (35, 35, 38)


def hand(frame_HW3: np.ndarray, box_4: np.ndarray, rng: np.random.Generator) -> None:
    """A palm and four fingers in a shade of the forehead's colour, trembling."""
    width, (x, y) = box_4[2] - box_4[0], ((box_4[0] + box_4[2]) / 2, box_4[3] - 0.22 * (box_4[2] - box_4[0]))
    low, left = int(box_4[1] + 0.2 * width), int(x - 0.1 * width)
    forehead_HW3 = frame_HW3[low : low + int(0.15 * width), left : left + int(0.2 * width)]
    skin_3 = np.median(forehead_HW3.reshape(-1, 3), axis=0) * 0.85
    x, y = np.array([x, y]) + rng.normal(0, 0.01, 2) * width
    palm = (int(x), int(y + 0.25 * width)), (int(0.3 * width), int(0.22 * width))
    cv2.ellipse(frame_HW3, *palm, 0, 0, 360, skin_3.tolist(), -1, cv2.LINE_AA)
    for finger in range(4):
        at_x = x + (finger - 1.5) * 0.14 * width
        shade = (skin_3 * (1 - 0.04 * finger)).tolist()
        size = int(0.065 * width), int(0.24 * width)
        cv2.ellipse(frame_HW3, (int(at_x), int(y)), size, 0, 0, 360, shade, -1, cv2.LINE_AA)
        gap_x = int(at_x + 0.07 * width)
        ends = (gap_x, int(y - 0.15 * width)), (gap_x, int(y + 0.25 * width))
        cv2.line(frame_HW3, *ends, (skin_3 * 0.6).tolist(), max(1, int(0.012 * width)), cv2.LINE_AA)


def microphone(frame_HW3: np.ndarray, box_4: np.ndarray, rng: np.random.Generator) -> None:
    """That of the embedded corpus (tasks.synthetic.clip), relative to the face."""
    unit = (box_4[2] - box_4[0]) / 90
    centre = int((box_4[0] + box_4[2]) / 2 + 8 * unit), int(box_4[3] - 8.5 * unit)
    cv2.ellipse(frame_HW3, centre, (int(13 * unit), int(20 * unit)), 20, 0, 360, MICROPHONE, -1, cv2.LINE_AA)


Cover = Callable[[np.ndarray, np.ndarray, np.random.Generator], None]


def planted(
    frames: Sequence[np.ndarray], cover: Cover, throughout: bool = False
) -> tuple[list[np.ndarray], np.ndarray]:
    """A copy of the frames with the middle third, or all, covered, and which frames those are."""
    boxes_T4, rng = face_track.track(frames, config.load(paths.PARAMS).faces).boxes_T4, np.random.default_rng(0)
    out, hidden_T = [frame.copy() for frame in frames], np.zeros(len(frames), bool)
    hidden_T[:] = throughout
    hidden_T[len(frames) // 3 : 2 * len(frames) // 3] = True
    for t in np.flatnonzero(hidden_T):
        cover(out[t], np.median(boxes_T4, axis=0), rng)
    return out, hidden_T


def called_covered(frames: Sequence[np.ndarray]) -> np.ndarray:
    """The frames in which `dub` takes the mouth of the longest-seen face as covered.  Shape: -> (T,) bool"""
    timed = ((frame, t / FPS) for t, frame in enumerate(frames))
    seen = look.look(timed, config.load(paths.PARAMS).faces)
    face = max(seen.faces, key=lambda face: len(face.found_N))
    covered_T = np.zeros(len(frames), bool)
    covered_T[face.first : face.end] = covered(face) & face.found_N
    return covered_T


def filmed(folder: Path, num_clips: int) -> Iterator[Sequence[np.ndarray]]:
    """The first clips of each person, or all that lie in the folder itself."""
    people = sorted(one for one in folder.iterdir() if one.is_dir())
    clips = [sorted(one.glob("*.m[p]*"))[:num_clips] for one in people] or [sorted(folder.glob("*.m[p]*"))]
    return (list(decode.frames(clip)) for clip in itertools.chain(*clips))


def rendered(num_clips: int) -> Iterator[Sequence[np.ndarray]]:
    clean = [spec for spec in plan(SEED, "demo") if spec.case == "clean"]
    for spec in clean[:: max(1, len(clean) // num_clips)][:num_clips]:
        yield list(decode.frames(io.BytesIO(synthetic.render(spec).mp4)))


def counted(frames: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Frames called covered and of how many: of the clip as it is, and of the covered ones with each cover."""
    counts = {"free": np.array([called_covered(frames).sum(), len(frames)])}
    for cover in (hand, microphone):
        out, hidden_T = planted(frames, cover)
        counts[cover.__name__] = np.array([called_covered(out)[hidden_T].sum(), hidden_T.sum()])
    out, hidden_T = planted(frames, microphone, throughout=True)
    return counts | {"microphone_throughout": np.array([called_covered(out).sum(), hidden_T.sum()])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--clips", type=int, default=2)
    parser.add_argument("--rendered", type=int, default=12)
    args = parser.parse_args()
    cv2.setNumThreads(0)
    sets = {folder.as_posix(): filmed(folder, args.clips) for folder in args.folders}
    result: dict[str, object] = {"machine": machine()}
    for name, clips in (sets | {"rendered": rendered(args.rendered)}).items():
        counts = [counted(frames) for frames in clips]
        result[Path(name).as_posix().removeprefix("../")] = {
            kind: {"called": int(called), "of": int(of), "share": round(float(called / of), 4)}
            for kind in counts[0]
            for called, of in [sum(count[kind] for count in counts)]
        } | {"clips": len(counts)}
        print(name, result[Path(name).as_posix().removeprefix("../")], flush=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
