"""A quick look at an edit: its sound, and its picture small, retimed and cut, but with the mouths as filmed."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from tasks.core.files import write_atomic
from tasks.core.progress import bar
from tasks.dubbing.blend import as_array
from tasks.edit import describe, edit, retime
from tasks.edit.film import Reader
from tasks.media import containers, native_rate, segments
from tasks.media.segments import TICKS_HZ, Coding

LONGER_PX = 480  # side
CRF = 26


def run(order: edit.Order, out: Path) -> None:
    """Write a small video of the edit, and a JSON that lists its edits.  Errors: UserError"""
    edited = edit.plan(order)
    with containers.readable(order.face):
        times_s, size_hw = times_of(order.face)
        ends_s = np.append(times_s[1:], times_s[-1] + (np.median(np.diff(times_s)) if len(times_s) > 1 else 0.04))
        frames = retime.frames(edited.pieces, times_s, ends_s, [0])
        near_N = np.clip(np.round(frames.at_N), 0, len(times_s) - 1).astype(int)
        ticks = np.round(frames.times_s * TICKS_HZ).astype(np.int64)
        segment = out.with_name("segment.mp4")
        segments.write_segment(segment, small(order.face, times_s, size_hw, near_N), ticks, Coding(crf=CRF))
    like = native_rate.sound_format(order.face)
    end_tick = round(float(frames.ends_s[-1]) * TICKS_HZ)
    segments.join(out, [segment], ticks, end_tick, [edited.sound_NC.T], edited.rate_hz, like.layout, {})
    segment.unlink()
    about = {"edits": describe.edits(edited), "notes": edited.notes, "duration_s": round(edited.pieces[-1].end_s, 3)}
    write_atomic(out.with_suffix(".json"), json.dumps(about))


def times_of(face: Path) -> tuple[np.ndarray, tuple[int, int]]:
    """The start of each picture, and their size."""
    times_s, size_hw = [], (0, 0)
    with contextlib.closing(native_rate.pictures(face)) as pictures:
        for picture, time_s in pictures:
            times_s.append(time_s)
            size_hw = picture.shape[:2]
    return np.array(times_s), size_hw


def small(face: Path, times_s: np.ndarray, size_hw: tuple[int, int], near_N: np.ndarray) -> Iterator[np.ndarray]:
    """Shape: yields (H, W, 3) uint8 RGB, the longer side at most LONGER_PX, both even"""
    shrink = min(1.0, LONGER_PX / max(size_hw))
    height, width = (max(2, round(side * shrink / 2) * 2) for side in size_hw)
    with (
        contextlib.closing(Reader(face, times_s, size_hw)) as reader,
        bar(len(near_N), "previewing", "frame") as progress,
    ):
        for t in near_N.tolist():
            yield cv2.resize(as_array(reader(t)), (width, height), interpolation=cv2.INTER_AREA)
            progress.update()
