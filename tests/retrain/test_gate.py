"""The gate and the drift report: known answers."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from model.params import RetrainParams
from tasks.evaluate import compare
from tasks.retrain import drift, gate
from tasks.retrain.gate import Evaluation
from tasks.storage import index
from tasks.storage.table_rows import Rows

P = RetrainParams(
    metric="aperture_corr", promote="not_worse", min_clips=5, min_aperture_corr=0.3, min_amplitude_ratio=0.5,
    max_amplitude_ratio=2.0, max_wrong_audio_corr=0.3, max_moved_audio_corr=0.3, min_in_sync=0.5, min_hard_corr=0.0,
    drift_ks=0.3, timeout_h=0, notify=[],
)  # fmt: skip


def evaluation(values, *, amplitude=0.8, wrong=0.05, moved=0.0, lags=None, hard=0.4, method="m", names=None):
    names = names or [f"c{k}" for k in range(len(values))]
    lags = lags or [0] * len(values)
    lines = [
        f"test,clean,{clip},right_audio,{'' if value is None else value},{lag}"
        for clip, value, lag in zip(names, values, lags, strict=True)
    ]
    by_clip = "\n".join(["split,case,clip,row,aperture_corr,aperture_lag_frames", *lines, "hard,x,h,right_audio,-1,9"])
    mean = float(np.mean([value or 0 for value in values]))
    panel = {
        "right_audio": {"aperture_corr": mean, "amplitude_ratio": amplitude},
        "wrong_audio": {"aperture_corr": wrong},
        "moved_audio": {"aperture_corr": moved},
        "hard_dark": {"aperture_corr": hard},
    }
    return Evaluation(panel, compare.parse(by_clip), {clip: f"sha {clip}" for clip in names}, method)


GOOD = [0.5, 0.6, 0.7, 0.55, 0.65, 0.6]


def better(by, values=GOOD):
    return [value + by for value in values]


def failed(judgement):
    return [reason.demand.split(" ")[0] for reason in judgement.reasons if not reason.holds]


def test_a_challenger_that_is_better_is_promoted_and_one_that_is_worse_is_not():
    assert gate.judge(evaluation(better(0.1)), evaluation(GOOD), [], P).promoted
    worse = gate.judge(evaluation(better(-0.1)), evaluation(GOOD), [], P)
    assert not worse.promoted and "worse: -0.100" in worse.sentence()


def test_a_challenger_that_cannot_be_told_apart_is_promoted_only_if_not_worse_suffices():
    mixed = [value + change for value, change in zip(GOOD, [0.1, -0.1, 0.1, -0.1, 0.1, -0.1], strict=True)]
    judged = [
        gate.judge(evaluation(mixed), evaluation(GOOD), [], dataclasses.replace(P, promote=demand)).promoted
        for demand in ("not_worse", "better")
    ]
    assert judged == [True, False]


@pytest.mark.parametrize(
    ("broken", "demand"),
    [
        ({"amplitude": 0.4}, "amplitude"),
        ({"amplitude": 2.1}, "amplitude"),
        ({"amplitude": None}, "amplitude"),
        ({"wrong": 0.31}, "correlation"),
        ({"moved": 0.31}, "correlation"),
        ({"moved": None}, "correlation"),
        ({"lags": [0, 0, 5, -5, 3, 7]}, "share"),
        ({"hard": -0.1}, "mean"),
        ({"hard": None}, "mean"),
    ],
)
def test_each_floor_alone_keeps_a_better_challenger_out(broken, demand):
    judgement = gate.judge(evaluation(better(0.1), **broken), evaluation(GOOD), [], P)
    assert failed(judgement) == [demand]


def test_without_a_champion_the_floors_decide():
    assert gate.judge(evaluation(GOOD), None, [], P).promoted
    assert not gate.judge(evaluation([0.1] * 6), None, [], P).promoted


def test_a_finding_of_the_audit_keeps_the_best_out():
    judgement = gate.judge(evaluation(better(0.3)), evaluation(GOOD), ["a shard changed"], P)
    assert failed(judgement) == ["audit"] and "a shard changed" in judgement.sentence()


def test_only_clips_with_the_same_bytes_are_compared():
    champion = evaluation(GOOD)
    other = dataclasses.replace(champion, clips=champion.clips | {"c0": "other bytes", "c1": "other bytes"})
    judgement = gate.judge(evaluation(better(0.1)), other, [], P)
    assert not judgement.promoted and "4 test clips in common, 5 are needed" in judgement.sentence()


def test_figures_of_different_methods_are_never_compared():
    judgement = gate.judge(evaluation(better(0.3)), evaluation(GOOD, method="other"), [], P)
    assert failed(judgement) == ["aperture_corr"]


def test_a_clip_that_could_not_be_measured_counts_as_the_worst_not_as_absent():
    ours = evaluation([*GOOD[:5], None])
    judgement = gate.judge(ours, evaluation(GOOD), [], dataclasses.replace(P, promote="better"))
    assert "on 6 clips" in judgement.sentence() and "-" in judgement.reasons[6].found


def listed(face_px):
    return [{"clip": f"c{k}", "status": "kept", "split": "test", "face_px": float(px)} for k, px in enumerate(face_px)]


def rows(face_px):
    return Rows(pa.Table.from_pylist(listed(face_px)))


def test_smaller_faces_are_flagged_and_the_same_faces_are_not():
    rng = np.random.default_rng(0)
    before, same, small = (rng.normal(mean, 10, 200) for mean in (120, 120, 90))
    assert drift.compare(rows(before), rows(same), 0.3)["flagged"] == []
    moved = drift.compare(rows(before), rows(small), 0.3)
    assert moved["flagged"] == ["face_px"] and moved["columns"]["face_px"]["ks"] > 0.7
    assert any("drift in face_px: median 1" in line for line in drift.lines(moved))


def test_every_monitored_column_is_a_column_of_the_index():
    assert set(drift.COLUMNS) <= set(index.INDEX_SCHEMA.names)


def test_few_clips_are_not_flagged_by_chance():
    far = drift.compare(rows([100, 101, 102, 103, 104]), rows([103, 104, 105, 99, 106]), 0.3)
    assert far["columns"]["face_px"]["ks"] >= 0.3 and far["flagged"] == []


def test_new_gone_and_refused_clips_are_counted():
    before = rows([1, 2, 3])
    now = [*listed([1, 2, 3])[1:], {"clip": "new", "status": "refused", "split": "test", "face_px": None}]
    found = drift.compare(before, Rows(pa.Table.from_pylist(now)), 0.3)
    assert (found["new"], found["gone"], found["clips"], found["refused_share"]) == (0, 1, [3, 2], [0.0, 0.3333])
