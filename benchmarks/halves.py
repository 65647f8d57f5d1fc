"""Half-clip reconstruction of real people by both generators: each half of a clip from the other half and its sound.

    python -m benchmarks.halves --split test

Run it where `data/` holds the shards of real people (docs/training.md, LipGAN on real people). The networks are the
released ones; none of the split's people may have taken part in their training. The code is that of stage `evaluate`
(tasks/evaluate/half_clip.py): PSNR and SSIM are of the lower half of the crops.
"""

import argparse
import json

import numpy as np
import torch

from benchmarks.machine import RESULTS, commit, machine
from tasks.core import paths
from tasks.core.progress import progress
from tasks.evaluate import half_clip
from tasks.evaluate.mesh_generator import MeshGenerator
from tasks.evaluate.raw_clips import RawClips
from tasks.inference import inside_weights, lip_sync, motion_weights
from tasks.inference.lip_sync import LipSync
from tasks.loading.clips import Clips

RESULT = RESULTS / "halves.json"
FIGURES = ("psnr", "ssim")


def measured(split: str) -> dict[str, dict[str, dict[str, float]]]:
    """generator -> person -> mean figures of their clips"""
    raw, clips = RawClips(paths.CLIPS, paths.RAW), Clips(paths.INDEX, paths.SHARDS, split)
    sync = LipSync(lip_sync.RELEASED)
    mesh = MeshGenerator(motion_weights.RELEASED, inside_weights.RELEASED, clips, raw)
    rows: dict[str, dict[str, list[list[float]]]] = {}
    for number in progress(range(len(clips)), "reconstructing halves", "clip"):
        person = clips.rows[number]["person"]
        for record in half_clip.measured(sync, mesh, clips, number):
            of = rows.setdefault(record["generator"], {}).setdefault(person, [])
            of.append([record[name] for name in FIGURES])
    return {
        generator: {person: dict(zip(FIGURES, np.mean(of, axis=0).tolist(), strict=True)) for person, of in by.items()}
        for generator, by in rows.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.halves", description=__doc__.splitlines()[0])
    parser.add_argument("--split", default="test")
    args = parser.parse_args()
    torch.set_num_threads(1)
    figures = measured(args.split)
    for generator, by_person in figures.items():
        means = {name: np.mean([of[name] for of in by_person.values()]) for name in FIGURES}
        shown = " ".join(f"{person} {of['psnr']:.1f} dB {of['ssim']:.3f}" for person, of in sorted(by_person.items()))
        print(f"{generator}: PSNR {means['psnr']:.1f} dB, SSIM {means['ssim']:.3f} ({shown})")
    RESULT.write_text(json.dumps({"machine": machine(), "commit": commit(), "halves": figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
