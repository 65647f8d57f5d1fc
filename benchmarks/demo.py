"""Time and results of `make demo` in a fresh clone of the committed tree, for the README's table.

    python -m benchmarks.demo            about 15 minutes; writes benchmarks/results/demo.json and demo-strip.png

Steps: clone, `make demo` (timed by its output), `dvc status`, a second `dvc repro` (must do nothing), and a second
build of data/ with an empty unit cache (must have the same hashes).
"""

import argparse
import contextlib
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from benchmarks.machine import REPOSITORY, RESULTS, machine

STAGE = re.compile(r"Running stage '(\w+)'")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--keep", type=Path, help="folder for the clone, not deleted; default: a temporary one")
    keep = arguments.parse_args().keep
    with contextlib.nullcontext(str(keep)) if keep else tempfile.TemporaryDirectory() as scratch:
        clone = Path(scratch) / "clone"
        run(["git", "clone", "-q", str(REPOSITORY), str(clone)], REPOSITORY)
        commit = run(["git", "rev-parse", "--short", "HEAD"], clone).strip()
        environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
        began = time.monotonic()
        marks = timed(["make", "demo", f"PYTHON={sys.executable}"], clone, environment)
        total_s = time.monotonic() - began
        python = str(clone / ".venv/bin/python")
        dvc = [python, "-m", "dvc"]
        environment["PATH"] = f"{clone / '.venv/bin'}:{environment['PATH']}"
        status = run([*dvc, "status"], clone, environment).strip()
        began = time.monotonic()
        again = run([*dvc, "repro"], clone, environment)
        nothing_s = time.monotonic() - began
        first = outs(clone)
        environment["LIPGAN_CACHE"] = str(clone / "empty-cache")
        for stage in ("acquire", "preprocess"):
            run([python, "-m", "flows", stage], clone, environment)
        second = outs(clone)
        panel = json.loads((clone / "reports/metrics.json").read_text())
        prepared = json.loads((clone / "reports/preprocess.json").read_text())
        expert = json.loads((clone / "reports/expert.json").read_text())
        strip = sorted((clone / "reports/strips").glob("*.png"))[0]
        picture = Image.open(strip)  # of 12 frames, 96 px wide each; half of them will do in git
        picture.crop((0, 0, picture.width - 6 * 96, picture.height)).save(RESULTS / "demo-strip.png", optimize=True)
    right, wrong = panel["right_audio"], panel["wrong_audio"]
    result = {
        "commit": commit,
        "machine": machine(),
        "seconds": {
            "total": round(total_s),
            **{name: round(s) for name, s in marks.items()},
            "second_repro": round(nothing_s),
        },
        "dvc_status": status,
        "second_repro_did_nothing": "Running stage" not in again,
        "two_builds_of_data_equal": first == second,
        "faces_found_in_clean_frames": prepared["found_share_by_case"].get("clean"),
        "right_audio": right,
        "wrong_audio": wrong,
        "mesh_right_audio": panel["mesh_right_audio"],
        "mesh_wrong_audio": panel["mesh_wrong_audio"],
        "right_minus_wrong": panel["right_minus_wrong"],
        "discriminator": panel["discriminator"],
        "expert": expert,
    }
    (RESULTS / "demo.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result["seconds"]))
    print(f"| sound | aperture corr | best lag | amplitude | mouth L1 |  commit {commit}, {machine()}")
    for row, figures in panel.items():
        if "aperture_lag_frames" in figures:
            print(
                f"| {row} | {figures['aperture_corr']:.2f} | {figures['aperture_lag_frames']:+z.0f} | "
                f"{figures['amplitude_ratio']:.2f} | {figures['mouth_l1']:.4f} |"
            )
    for name in ("dvc_status", "second_repro_did_nothing", "two_builds_of_data_equal", "faces_found_in_clean_frames"):
        print(f"{name}: {result[name]}")


def timed(command: list[str], folder: Path, environment: dict[str, str]) -> dict[str, float]:
    """Run `make demo`; seconds from the start of each part to the start of the next."""
    starts = [("install", time.monotonic())]
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            sys.stderr.write(line)
            if found := STAGE.search(line):
                starts.append((found[1], time.monotonic()))
            elif "finding faces: 0/" in line:
                starts.append(("dub", time.monotonic()))
        assert running.wait() == 0, f"make demo ended with {running.returncode}"
    starts.append(("end", time.monotonic()))
    return {name: later - at for (name, at), (_, later) in itertools.pairwise(starts)}


def outs(clone: Path) -> dict[str, str]:
    import hashlib

    files = [
        *sorted((clone / "data").rglob("*.tar")),
        *sorted((clone / "data").glob("*.parquet")),
    ]
    return {str(file.relative_to(clone)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def run(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> str:
    return subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
