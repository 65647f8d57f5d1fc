"""What a benchmark's figures belong to: the machine and the commit."""

import os
import platform
import subprocess
from pathlib import Path

import torch

REPOSITORY = Path(__file__).parents[1]
RESULTS = Path(__file__).with_name("results")


def machine(device: torch.device | None = None) -> str:
    """Cores and processor, or the GPU; no name of the host."""
    if device is not None and device.type == "cuda":
        return torch.cuda.get_device_name(device)
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{len(os.sched_getaffinity(0))} cores of {names[0] if names else platform.processor() or 'unknown'}"


def commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout.strip()
