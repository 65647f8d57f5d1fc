"""The training step alone and beside a neighbour: samples/s and cores used, by how OpenMP's threads wait.

    python -m benchmarks.busy [--seconds 8] [--rounds 3]       writes benchmarks/results/busy.json

A neighbour is a program with threads of its own; here three processes that each take 0.4 of a core. The step is the
GAN's of params.yaml on random samples, a thread a core. The ways take turns in one run, each in a process of its own,
because OpenMP reads its variables once. `ours` is what tasks/core/threads.py sets.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import replace

from benchmarks.machine import RESULTS, commit, machine
from tasks.core import config, paths, threads

WAYS = {
    "as before": {},
    "ours": threads.SETTINGS,
    "passive": {"OMP_WAIT_POLICY": "PASSIVE"},
    "spin 1000": {"GOMP_SPINCOUNT": "1000"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
NEIGHBOURS, DUTY, PERIOD_S = 3, 0.4, 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0, help="of one measurement; default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="default: all")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        sys.stdout.write(json.dumps(train(args.seconds)))
        return
    ways = list(dict.fromkeys(["as before", "ours", *args.ways]))
    found: dict[str, dict[str, list]] = {way: {"alone": [], "beside": []} for way in ways}
    for _ in range(args.rounds):
        for place in ("alone", "beside"):
            for way in ways:
                found[way][place].append(measured(WAYS[way], args.seconds, NEIGHBOURS * (place == "beside")))
                print(way, place, found[way][place][-1], file=sys.stderr)
    rows = {way: {place: middle(of) for place, of in places.items()} for way, places in found.items()}
    idle = rows["as before"]["alone"]["samples_per_s"]
    for row in rows.values():
        row["share_of_idle"] = {place: round(row[place]["samples_per_s"] / idle, 3) for place in ("alone", "beside")}
    load = os.getloadavg()[0]
    result = {"machine": machine(), "commit": commit(), "load_at_the_end": round(load, 1), "ways": rows}
    (RESULTS / "busy.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(rows, indent=2))


def measured(way: dict[str, str], seconds: float, neighbours: int) -> dict[str, float]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_", "LIPGAN_"))}
    busy = [subprocess.Popen([sys.executable, "-c", BUSY], env=clean) for _ in range(neighbours)]
    try:
        command = [sys.executable, "-m", "benchmarks.busy", "--child", "--seconds", str(seconds)]
        done = subprocess.run(command, env=clean | way, check=True, capture_output=True, text=True)
        result: dict[str, float] = json.loads(done.stdout)
        return result
    finally:
        for one in busy:
            one.kill()
            one.wait()


BUSY = f"""
import os, time
parent = os.getppid()
while os.getppid() == parent:
    until = time.monotonic() + {DUTY * PERIOD_S}
    while time.monotonic() < until:
        pass
    time.sleep({(1 - DUTY) * PERIOD_S})
"""


def train(seconds: float) -> dict[str, float]:
    """Samples/s, and the cores that this process kept busy."""
    import torch

    from model.gan import Gan
    from model.samples import Batch

    p = config.load(paths.PARAMS)
    off = {name: replace(getattr(p.train.terms, name), weight=0.0) for name in ("expert", "temporal", "perceptual")}
    own = replace(p.train, num_runs=0, audio_from_expert="never", terms=replace(p.train.terms, **off))
    torch.manual_seed(0)
    gan = Gan(p.model.width, p.faces.size, own, "cpu")
    num, size = own.batch_size, p.faces.size
    faces = [torch.randint(0, 256, (num, size, size, 3), dtype=torch.uint8) for _ in range(2)]
    sounds = [torch.randn(num, 12, 35) for _ in range(2)]
    batch = Batch(*faces, *sounds, torch.tensor([[30, 60, 66, 80]], dtype=torch.int16).repeat(num, 1))
    gan.step(batch)
    steps, began_s, used_s = 0, time.monotonic(), time.process_time()
    while time.monotonic() - began_s < seconds:
        gan.step(batch)
        steps += 1
    took_s = time.monotonic() - began_s
    used_s = time.process_time() - used_s
    return {
        "samples_per_s": round(steps * num / took_s, 2),
        "cores": round(used_s / took_s, 2),
        "cpu_ms_a_sample": round(1000 * used_s / steps / num, 1),
    }


def middle(measurements: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(of[name] for of in measurements) for name in measurements[0]}


if __name__ == "__main__":
    main()
