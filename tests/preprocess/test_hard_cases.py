"""The gates on rendered clips of a seed that was not used to choose the limits."""

import io

import pytest
from conftest import ROOT

from model import av_offset
from tasks.core import config
from tasks.media import decode
from tasks.preprocess import stage as preprocess
from tasks.preprocess.sync import earlier
from tasks.synthetic import clip as synthetic
from tasks.synthetic.plan import plan

SEED = 71
P = config.load(ROOT / "params.yaml")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def examined():
    """Case -> [(refusal's reason or "", flags, figures, clip or None, mp4)], of the hard cases and four clean clips."""
    loaded = preprocess.tools()
    wanted = ("profile", "offset", "no_face", "two_faces")
    specs = [spec for spec in plan(SEED, "demo") if spec.case in wanted or spec.case == "clean"]
    clean = [spec for spec in specs if spec.case == "clean"][::16][:4]
    outcomes = {}
    for spec in [*clean, *(spec for spec in specs if spec.case != "clean")]:
        mp4 = synthetic.render(spec).mp4
        [one] = preprocess.read_clip({"mp4": mp4, "json": b"{}"}, P.faces, P.quality, loaded)
        refusal = one.refusal(P.quality)
        outcome = (refusal.reason if refusal else "", one.figures.get("flags", ""), one.figures, one.clip, mp4)
        outcomes.setdefault(spec.case, []).append(outcome)
    return outcomes


def test_clean_clips_are_kept_with_their_sound_unshifted(examined):
    assert len(examined["clean"]) == 4
    for reason, flags, figures, _, _ in examined["clean"]:
        assert reason == "" and "moved" not in flags and figures["av_moved"] == 0, (reason, flags, figures)


@pytest.mark.parametrize("case", ["profile", "offset", "no_face", "two_faces"])
def test_a_labelled_case_is_refused_or_flagged(examined, case):
    [(reason, flags, figures, _, _)] = examined[case]
    assert reason or flags, figures


def test_a_known_offset_is_corrected(examined):
    [(reason, flags, figures, _, _)] = examined["offset"]  # the picture is 5 frames late: the sound is early
    assert reason == "" and flags == "moved" and abs(figures["av_moved"] + 5) <= 1 and abs(figures["av_left"]) <= 1


def test_known_offsets_are_measured_with_their_sign(examined):
    tools = preprocess.tools()
    for _, _, _, clip, mp4 in examined["clean"]:
        num_frames = len(clip.faces_TSS3)
        sound = decode.fit(decode.decode_sound(io.BytesIO(mp4)), num_frames)
        mouth_TC = tools.sync.mouth(clip.mesh_T4683)
        for late in range(-7, 8):
            measured, _ = av_offset.offset(mouth_TC, tools.sync.sound(earlier(sound, -late), num_frames))
            assert abs(measured - late) <= 1, (late, measured)
