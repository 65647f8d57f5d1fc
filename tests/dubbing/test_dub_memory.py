"""Dubbing holds one batch of frames, whatever the length: a video three times as long takes no more memory."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import ROOT

from tasks.media import decode, encode
from tasks.media.wav import write_wav

FPS, SIZE = 10, (640, 360)
DUB = "import resource, sys; from tasks.dubbing import dub; dub.run(*sys.argv[1:]); "
DUB += "sys.stdout.write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024))"


def peak_mb(seconds):
    """Of dubbing a film of so many seconds, in a process of its own."""
    faces = [cv2.resize(picture, (320, 320)) for picture in decode.frames(Path("face.mp4"))]
    pictures = []
    for n in range(len(faces)):
        pictures.append(np.full((SIZE[1], SIZE[0], 3), 90, np.uint8))
        pictures[-1][40:, 160:480] = faces[n]
    there_and_back = pictures + pictures[::-1]
    shown = (there_and_back[n % len(there_and_back)] for n in range(seconds * FPS))
    encode.encode_video(Path(f"{seconds}.mp4"), shown, None, fps=FPS, preset="ultrafast")
    write_wav(Path(f"{seconds}.wav"), np.random.default_rng(0).normal(0, 0.1, seconds * 16000).astype(np.float32))
    command = [sys.executable, "-c", DUB, f"{seconds}.mp4", f"{seconds}.wav", f"out/{seconds}.mp4"]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert Path(f"out/{seconds}.mp4").is_file()
    return int(done.stdout)


@pytest.mark.slow
def test_a_minute_takes_no_more_memory_than_20_seconds(trained):
    one_picture_mb = SIZE[0] * SIZE[1] * 1.5 / 2**20
    short, long = peak_mb(20), peak_mb(60)
    assert long - short < 0.3 * (60 - 20) * FPS * one_picture_mb, (short, long)
