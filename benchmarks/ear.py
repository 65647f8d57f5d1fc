"""How well the mouth follows speech with music or noise in the background, with raw and with separated audio.

    python -m benchmarks.ear                 the test clips of data/: benchmarks/results/ear.json

Correlation of the generated mouth opening with the true one, means over clips. auto: each clip by its own measure.
"""

import argparse
import json

import numpy as np

from benchmarks.machine import RESULTS, machine
from model import faces, mixtures
from model.metrics import temporal
from tasks.core import paths
from tasks.dubbing import separate
from tasks.evaluate.raw_clips import RawClips
from tasks.features import audio
from tasks.features.mesh_points import MeshPoints
from tasks.inference import lip_sync, mouth_score
from tasks.loading.clips import Clips

RESULT = RESULTS / "ear.json"
SNR_DB = (20.0, 10.0, 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=10)
    args = parser.parse_args()
    sync, predictor = lip_sync.LipSync(paths.GENERATOR, "torch"), MeshPoints()
    clips, raw = Clips(paths.INDEX, paths.SHARDS, "test"), RawClips(paths.CLIPS, paths.RAW)
    scores: dict[str, dict[str, list[float]]] = {}
    for number in range(min(args.clips, len(clips))):
        clip, key = clips[number], clips.keys[number]
        num_frames = len(clip.faces_TSS3)
        truth_T = np.array(clip.truth["aperture"]) if clip.truth else faces.aperture(predictor(clip.faces_TSS3))
        voice = raw.sound(key)
        sounds = {"clean": voice}
        sounds |= {f"{k} {s:g} dB": mixtures.mix_at_snr(voice, k, s, key) for k in mixtures.KINDS for s in SNR_DB}
        for name, sound in sounds.items():
            found = {}
            for way, driving in (("raw", sound), ("separated", np.concatenate(list(separate.separated([sound]))))):
                frames_TSS3 = mouth_score.generate_clip(sync, clip, audio.mfcc(driving, num_frames))
                found[way] = float(temporal.lag_curve(faces.aperture(predictor(frames_TSS3)), truth_T, 0)[0])
            needed = separate.needs_separating([sound])
            found |= {"auto": found["separated" if needed else "raw"], "share separated": float(needed)}
            for way, value in found.items():
                scores.setdefault(name, {}).setdefault(way, []).append(value)
    table = {name: {way: round(float(np.mean(v)), 3) for way, v in ways.items()} for name, ways in scores.items()}
    about = {"machine": machine(), "checkpoint": lip_sync.describe(sync.about), "clips": min(args.clips, len(clips))}
    print(json.dumps(about | {"aperture_corr": table}, indent=2))
    RESULT.write_text(json.dumps(about | {"aperture_corr": table}, indent=2) + "\n")


if __name__ == "__main__":
    main()
