"""Damaged files in whole dubs: each ends in one line or in a right video, none hangs, nothing is left lying about."""

import collections
import json
import os
import select
import subprocess
import sys
from pathlib import Path

import fuzzed
import numpy as np
import pytest
from conftest import ROOT

from tasks.core.errors import UserError
from tasks.dubbing import dub
from tasks.media import decode
from tasks.provenance import c2pa_mark

NUM_DAMAGED = 320
PATIENCE_S = 2 * fuzzed.LIMIT_S  # without a line of the process that kills each dub at its limit


def fuzz(first, end):
    """One dict a file, as tests/fuzzed.py tells it."""
    driver = [sys.executable, str(ROOT / "tests/fuzzed.py"), ".", str(first), str(end)]
    with (
        Path("log").open("w") as log,
        subprocess.Popen(
            driver, stdout=subprocess.PIPE, stderr=log, env={**os.environ, "PYTHONPATH": str(ROOT)}
        ) as process,
    ):
        assert process.stdout is not None
        for number in range(first, end):
            if not select.select([process.stdout], [], [], PATIENCE_S)[0]:
                process.kill()
                pytest.fail(f"{number} {fuzzed.names(number)}: no end in sight")
            line = process.stdout.readline()
            assert line, Path("log").read_text()[-2000:]
            yield json.loads(line)


@pytest.mark.parametrize("first", [0, *(pytest.param(at, marks=pytest.mark.slow) for at in range(32, NUM_DAMAGED, 96))])
def test_a_damaged_file_is_dubbed_correctly_or_refused_in_one_line_and_leaves_nothing(trained, first):
    end = first + (96 if first else 32)
    outcomes = collections.Counter()
    wrong = []
    for outcome in fuzz(first, end):
        outcomes["dubbed" if outcome["end"] == "dubbed" else "refused"] += 1
        if outcome["wrong"]:
            wrong.append(f"{outcome['number']} {outcome['file']}: {outcome['wrong']}")
    assert not wrong, "\n".join(wrong)
    assert min(outcomes["dubbed"], outcomes["refused"]) > (end - first) / 5, outcomes


@pytest.mark.parametrize("ending", ["wav", "flac"])
def test_truncated_audio_is_refused_and_audio_of_unknown_length_is_not(trained, ending):
    fuzzed.wholes(Path("wholes"))
    whole = Path(f"wholes/sound.{ending}").read_bytes()
    cut = Path(f"cut.{ending}")
    cut.write_bytes(whole[: len(whole) * 6 // 10])
    if ending == "wav":  # as programs write it that do not know yet how long they will speak
        at = whole.index(b"data") + 4
        cut.write_bytes(whole[:at] + bytes.fromhex("00f0ff7f") + whole[at + 4 : len(whole) * 6 // 10])
        assert dub.run("wholes/face.mp4", str(cut), "out/a.mp4").is_file()
        return
    with pytest.raises(UserError, match=r"cut\.flac: no sound can be read: damaged after 0\.3 s of 0\.6 s"):
        dub.run("wholes/face.mp4", str(cut), "out/a.mp4")


def test_audio_before_the_first_picture_is_no_damage(trained):
    """A video whose pictures begin half a second after its sound: that half second is never heard, and not lost."""
    fuzzed.wholes(Path("wholes"))
    pictures = list(decode.frames("wholes/face.mp4"))
    sound = np.random.default_rng(0).normal(0, 0.1, 48000).astype(np.float32)
    fuzzed.write("late.mkv", pictures, "libx264", "yuv420p", sound, "flac", first=12)
    assert dub.run("wholes/face.mp4", "late.mkv", "out/a.mp4").is_file()


def test_a_video_with_the_wrong_suffix_is_dubbed_and_marked(trained):
    fuzzed.wholes(Path("wholes"))
    Path("mp4.avi").write_bytes(Path("wholes/face.mp4").read_bytes())
    out = dub.run("mp4.avi", "wholes/sound.wav", "out/a.mp4")
    assert c2pa_mark.read(out).about["sources"]["face"]["name"] == "mp4.avi"
