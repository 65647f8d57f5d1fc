"""Damaged files through all of preprocessing: each is refused or kept, and nothing hangs or crashes."""

import io
import time

import numpy as np
import pytest
from conftest import ROOT

from model import timing
from model.mfcc import NUM_MFCC
from tasks.core import config, paths
from tasks.core.errors import REASONS, Refusal
from tasks.media import decode, encode
from tasks.preprocess import stage as preprocess
from tasks.storage import index, shards

P = config.load(ROOT / "params.yaml")
NUM_DAMAGED = 560
LIMIT_S = 20.0  # of processor time, for a clip of half a second


@pytest.fixture
def small(tiny):
    """A clip of 14 frames with sound, and the predictor."""
    row = index.kept(index.read(paths.CLIPS), "train")[0]
    raw = shards.read(paths.RAW / row["shard"], row["offset"], row["size"])
    frames = list(decode.frames(io.BytesIO(raw["mp4"])))[:14]
    sound = decode.decode_sound(io.BytesIO(raw["mp4"]))[: timing.num_samples(14)]
    encode.encode_video(tiny / "small.mp4", frames, sound)
    return (tiny / "small.mp4").read_bytes(), preprocess.tools()


def damaged(whole, number):
    """Truncated, overwritten, zeroed, with a piece missing, doubled or out of place."""
    rng = np.random.default_rng(number)
    content = np.frombuffer(whole, np.uint8).copy()
    at, length = int(rng.integers(len(content))), int(rng.integers(1, 400))
    match number % 6:
        case 0:
            return content[:at].tobytes()
        case 1:
            places = rng.integers(len(content), size=int(rng.integers(1, 60)))
            content[places] = rng.integers(0, 256, len(places))
            return content.tobytes()
        case 2:
            content[at : at + length] = 0
            return content.tobytes()
        case 3:
            return np.delete(content, slice(at, at + length)).tobytes()
        case 4:
            return np.insert(content, at, content[:length]).tobytes()
        case _:
            return np.roll(content, at).tobytes()


@pytest.mark.parametrize("numbers", [range(60), pytest.param(range(60, NUM_DAMAGED), marks=pytest.mark.slow)])
def test_every_damaged_file_is_kept_or_refused_and_none_hangs(small, numbers):
    whole, loaded = small
    outcomes = dict.fromkeys(("kept", *REASONS), 0)
    for number in numbers:
        began = time.process_time()
        raw = {"mp4": damaged(whole, number), "json": b"{}"}
        pieces = list(preprocess.read_clip(raw, P.faces, P.quality, loaded))
        assert pieces
        for one in pieces:
            if isinstance(one.clip, Refusal):
                outcomes[one.clip.reason] += 1
                continue
            outcomes["kept"] += 1
            assert one.clip.mfcc_FW.shape == (NUM_MFCC, 4 * len(one.clip.faces_TSS3))
            assert np.isfinite(one.clip.mfcc_FW).all() and np.isfinite(list(figures_of(one.figures))).all()
        assert time.process_time() - began < LIMIT_S, number
    assert sum(outcomes.values()) >= len(numbers)
    assert outcomes["kept"] and outcomes["unreadable"] and outcomes["truncated"], outcomes


def figures_of(figures):
    return [value for name, value in figures.items() if not isinstance(value, str)]
