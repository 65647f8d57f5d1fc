"""Time of the evaluation by parts, and an estimate for LRS2's test split by scaling.

    python -m benchmarks.evaluate            on an idle machine, after `dvc repro`; writes results/evaluate.json

Each part is timed on the same clips in turn; the estimate multiplies seconds a frame by the frames of that split.
"""

import argparse
import json
import resource
import time

from benchmarks.machine import RESULTS, machine
from tasks.core import config, paths
from tasks.evaluate import conditions, measure
from tasks.evaluate import stage as evaluate
from tasks.evaluate.mesh_generator import MeshGenerator
from tasks.evaluate.raw_clips import RawClips
from tasks.inference.lip_sync import LipSync
from tasks.loading.clips import Clips

LRS2_CLIPS, LRS2_FRAMES = 1243, 45_000  # its test split has half an hour
RESULT = RESULTS / "evaluate.json"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--clips", type=int, default=10, help="test clips; default: %(default)s")
    arguments.add_argument("--dry", action="store_true", help="write no result")
    args = arguments.parse_args()
    p = config.load()
    sync, raw, meters = LipSync(paths.GENERATOR), RawClips(paths.CLIPS, paths.RAW), evaluate.meters_of(p.evaluate)
    clips = Clips(paths.INDEX, paths.SHARDS, "test")
    mesh = MeshGenerator(paths.MOTION, paths.INSIDE, clips, raw)
    seconds: dict[str, float] = {"prepare": 0.0}
    frames = 0
    for number in range(min(args.clips, len(clips))):
        frames += len(clips[number].faces_TSS3)
        began = time.perf_counter()
        to = measure.reference_of(clips[number], clips.keys[number], meters, raw)
        seconds["prepare"] += time.perf_counter() - began
        for row in conditions.ROWS:
            began = time.perf_counter()
            made = conditions.fill(sync, clips, number, (row,), mesh)[row]
            filled = time.perf_counter()
            measure.measure(row, made, to, meters)
            name = "generate" if row in conditions.GENERATED else "mesh" if row in conditions.MESH else "fill others"
            seconds[name] = seconds.get(name, 0.0) + filled - began
            seconds["measure"] = seconds.get("measure", 0.0) + time.perf_counter() - filled
    total = sum(seconds.values())
    result = {
        "machine": machine(),
        "clips": min(args.clips, len(clips)),
        "frames": frames,
        "rows": len(conditions.ROWS),
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
        "share": {name: round(value / total, 3) for name, value in seconds.items()},
        "milliseconds_a_frame": round(1000 * total / frames, 2),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "lrs2_test_minutes_by_scaling": round(total / frames * LRS2_FRAMES / 60, 1),
        "lrs2_test": f"{LRS2_CLIPS} clips, {LRS2_FRAMES} frames, at the width of this checkpoint",
    }
    print(json.dumps(result, indent=2))
    if not args.dry:
        RESULT.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
