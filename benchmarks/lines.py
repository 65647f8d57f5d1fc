"""A film of three rendered people, dubbed from subtitles: whether each cue moves its speaker's mouth and no other.

    python -m benchmarks.lines                       benchmarks/results/lines.json
    python -m benchmarks.lines --folder out/lines    keeps the film, the dub and the strip strip.png there

Three heads side by side speak in turn under music; the subtitles give each other words at other times, and two speak at
once. Motion is the standard deviation of a mouth's opening in eye distances within a cue, in the source and in the dub;
`changed` is the share of the cue's frames in which any pixel of a person's third differs from the source (the dub is
made without loss).
"""

import argparse
import json
import tempfile
from pathlib import Path

import cv2
import numpy as np

from benchmarks.machine import RESULTS, machine
from model import backgrounds, head_mesh, seeds, timing
from tasks.dubbing import dub
from tasks.dubbing.options import Options
from tasks.features import face_mesh, face_track, lip_refiner
from tasks.media import encode, espeak, native_rate
from tasks.synthetic import identity, motion, picture, scene, visemes
from tasks.synthetic.head import Head
from tasks.synthetic.mouth import Mouth
from tasks.synthetic.picture import Actor

RESULT = RESULTS / "lines.json"
SIDE, PX_PER_UNIT, SEED = 288, 90.0, 15
NAMES, VOICES = ("Ann", "Ben", "Cy"), ("en-us+f3", "en-us+m3", "en-gb-x-rp+m2")
ORIGINAL = (  # who says what in the source, one after the other
    (0, "The boat goes out to open water every morning."), (1, "I have never been fond of the sea, to be honest."),
    (2, "My father used to mend all of the old nets."),
)  # fmt: skip
CUES = (  # start s, end s, who, words
    (0.3, 2.2, 0, "Have you ever seen snow in the mountains?"), (2.4, 4.2, 1, "Only once, when I was a small boy."),
    (4.4, 6.2, 2, "We built a house of it, with a real door."), (6.4, 8.2, 0, "And by the evening it had melted away."),
    (6.9, 8.6, 1, "No, it stayed for more than a week."),
)  # fmt: skip
MUSIC = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where the film, the dub and the strip stay")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        write_film(folder)
        out = folder / "dubbed.mkv"
        options = Options(
            generator="mesh", lossless=True, subtitles=str(folder / "film.srt"), speakers=str(folder / "cast.csv"),
            background="keep",
        )  # fmt: skip
        dub.run(str(folder / "film.mp4"), None, str(out), options=options)
        made, real = frames_of(out), frames_of(folder / "film.mp4")
        lines = json.loads(out.with_suffix(".json").read_text())["lines"]
        table = measured(made, real, lines)
        write_strip(folder / "strip.png", made, real, lines)
    result = {"machine": machine(), "lines": lines, "cues": table}
    print(json.dumps(table, indent=2))
    RESULT.write_text(json.dumps(result, indent=2) + "\n")


def write_film(folder: Path) -> None:
    """film.mp4 with its sound, film.srt and cast.csv."""
    speeches = [espeak.say(text, VOICES[who], seed=SEED + who) for who, text in ORIGINAL]
    starts = np.cumsum([0, *(len(speech.sound) for speech in speeches)])
    num_frames = max(timing.num_frames_of_sound(int(starts[-1])), round((CUES[-1][1] + 0.2) * timing.FPS))
    sound = np.zeros(timing.num_samples(num_frames), np.float32)
    thirds = []
    for (who, _), speech, start in zip(ORIGINAL, speeches, starts, strict=False):
        sound[start : start + len(speech.sound)] = speech.sound
        phones = [(name, low + start / timing.SAMPLE_RATE_HZ, high + start / timing.SAMPLE_RATE_HZ)
                  for name, low, high in speech.phones]  # fmt: skip
        thirds.append(person(who, visemes.mouths(phones, num_frames)))
    music = MUSIC * backgrounds.music(seeds.generator(SEED, "music"), len(sound)).astype(np.float32)
    encode.encode_video(folder / "film.mp4", np.concatenate(thirds, axis=2), sound + music, crf=12)
    cues = [
        f"{k}\n{srt(low)} --> {srt(high)}\n{NAMES[who]}: {text}\n" for k, (low, high, who, text) in enumerate(CUES, 1)
    ]
    (folder / "film.srt").write_text("\n".join(cues))
    rows = [f'{NAMES[who]},"{SIDE * who + SIDE // 2},{SIDE // 2}@0",{VOICES[who]}' for who in range(3)]
    (folder / "cast.csv").write_text("\n".join(["name,face,voice", *rows]) + "\n")


def srt(time_s: float) -> str:
    return f"00:00:{int(time_s):02d},{round(time_s % 1 * 1000):03d}"


def person(who: int, mouths: list[Mouth]) -> np.ndarray:
    """Shape: -> (T, SIDE, SIDE, 3) uint8"""
    rng = seeds.generator(SEED, "person", who)
    take = scene.draw(seeds.derive(SEED, "take", who), SIDE)
    actor = Actor(Head(identity.draw(seeds.derive(SEED, "face", who), female=who == 0)), take, PX_PER_UNIT)
    poses = motion.poses(rng, len(mouths), "clean")
    return np.stack([
        picture.render(take, [(actor, mouth, pose)], rng).rgb_HW3 for mouth, pose in zip(mouths, poses, strict=True)
    ])  # fmt: skip


def frames_of(path: Path) -> np.ndarray:
    return np.stack([picture.rgb() for picture, _ in native_rate.pictures(path)])


def measured(made: np.ndarray, real: np.ndarray, lines: list[dict]) -> list[dict]:
    """For each cue: motion of each mouth in source and dub, and the share of its frames that changed."""
    openings = {name: [opening(frames, who) for who in range(3)] for name, frames in (("source", real), ("dub", made))}
    changed_TP = (made != real).reshape(len(made), SIDE, 3, SIDE, 3).any(axis=(1, 3, 4))
    table = []
    for line in lines:
        inside = slice(round(line["start_s"] * timing.FPS), round(line["end_s"] * timing.FPS))
        motions = {name: [round(float(one[inside].std()), 4) for one in of_all] for name, of_all in openings.items()}
        shares = changed_TP[inside].mean(axis=0).round(3).tolist()
        table.append({"cue": line["cue"], "speaker": line["name"], **motions, "changed": shares})
    return table


def opening(frames: np.ndarray, who: int) -> np.ndarray:
    """Shape: -> (T,) eye distances"""
    third = np.ascontiguousarray(frames[:, :, SIDE * who : SIDE * (who + 1)])
    boxes = [face_track.detect(third[0], SIDE)[0], *[None] * (len(third) - 1)]
    return head_mesh.opening(face_mesh.track(third, boxes, lip_refiner.released()).mesh_T4683)


def write_strip(path: Path, made: np.ndarray, real: np.ndarray, lines: list[dict]) -> None:
    """Source above, dub below, at three times of each cue, the first cues left."""
    at = [round((line["start_s"] + share * (line["end_s"] - line["start_s"])) * timing.FPS)
          for line in lines for share in (0.25, 0.5, 0.75)]  # fmt: skip
    rows = [np.concatenate([real[t], made[t]], axis=1) for t in at]
    cv2.imwrite(str(path), np.concatenate(rows)[..., ::-1])


if __name__ == "__main__":
    main()
