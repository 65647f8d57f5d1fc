"""Comparisons: known answers, no verdict without evidence, and the same clips or none."""

import json

import numpy as np
import pytest

from model.metrics import registry
from tasks.core import csv_tables
from tasks.core.errors import UserError
from tasks.evaluate import compare


def clips(values) -> dict[str, float | None]:
    return {f"clip{k:02d}": None if value is None else float(value) for k, value in enumerate(values)}


BASE = np.linspace(0.2, 0.8, 12)


@pytest.mark.parametrize(
    ("metric", "change", "verdict"),
    [
        ("aperture_corr", +0.1, "better"),
        ("aperture_corr", -0.1, "worse"),
        ("mouth_l1", -0.1, "better"),
        ("mouth_l1", +0.1, "worse"),
        ("amplitude_ratio", +0.1, "better"),  # all are below 1
        ("aperture_lag_frames", +0.1, "worse"),
        ("aperture_corr", 0.0, "cannot tell"),
    ],
)
def test_a_constant_change_gets_the_verdict_of_the_metrics_direction(metric, change, verdict):
    got = compare.paired(clips(BASE), clips(BASE + change), metric)
    assert got.verdict == verdict
    if registry.METRICS[metric].better != "one":
        assert abs(got.difference) == pytest.approx(abs(change))
    assert got.b - got.a == pytest.approx(change)


def test_pairing_detects_a_change_that_means_cannot():
    """Clips differ by far more than the checkpoints do; each clip gets a little better."""
    rng = np.random.default_rng(0)
    a = rng.normal(0, 1, 30)
    b = a + rng.normal(0.05, 0.02, 30)
    assert compare.paired(clips(a), clips(b), "aperture_corr").verdict == "better"


def test_noise_alone_is_called_better_or_worse_in_few_of_many_trials():
    decided = 0
    for trial in range(200):
        a, b = np.random.default_rng(trial).normal(0, 1, (2, 25))
        decided += compare.paired(clips(a), clips(b), "aperture_corr").verdict != "cannot tell"
    assert decided <= 22  # 5 % is 10


def test_five_clips_are_too_few_for_any_verdict():
    assert compare.paired(clips(BASE[:5]), clips(BASE[:5] + 1), "aperture_corr").verdict == "cannot tell"
    assert compare.paired(clips(BASE[:6]), clips(BASE[:6] + 1), "aperture_corr").verdict == "better"


def test_a_clip_that_failed_in_b_counts_against_b():
    b = [*BASE[:-6], None, None, None, None, None, None]
    got = compare.paired(clips(BASE), clips(b), "aperture_corr")
    assert got.verdict == "worse" and got.b < got.a


def test_other_clips_cannot_be_compared():
    with pytest.raises(UserError, match=r"1 clips are in only one of the two, e\.g\. clip11"):
        compare.paired(clips(BASE), clips(BASE[:-1]), "aperture_corr")
    with pytest.raises(UserError, match="no clip"):
        compare.paired({}, {}, "aperture_corr")


def pair(metric, verdict):
    return registry.Paired(metric, 0, 0, 0, 0, 0, verdict, 10)


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (("better", "cannot tell", "cannot tell"), "better"),
        (("cannot tell", "worse", "cannot tell"), "worse"),
        (("better", "worse", "better"), "cannot tell"),
        (("cannot tell",) * 3, "cannot tell"),
    ],
)
def test_overall_is_better_only_if_no_headline_metric_is_worse(verdicts, expected):
    pairs = [pair(name, verdict) for name, verdict in zip(compare.HEADLINE, verdicts, strict=True)]
    assert compare.overall([*pairs, pair("psnr", "worse")]) == expected  # the picture alone decides nothing
    line = compare.sentence(pairs, "A", "B")
    assert line.startswith({"better": "B is better than A", "worse": "B is worse than A"}.get(expected, "cannot tell"))


TABLE = """split,case,clip,row,frames,aperture_corr,mouth_l1,closure
test,clean,a,right_audio,80,0.5,0.1,
test,clean,b,right_audio,80,,0.2,1
test,clean,a,real_video,80,1,0,
hard,music,c,right_audio,80,0.1,0.3,
"""


def test_a_table_gives_the_generators_test_clips_and_keeps_failures():
    assert compare.parse(TABLE) == {
        "aperture_corr": {"a": 0.5, "b": None},
        "mouth_l1": {"a": 0.1, "b": 0.2},
        "closure": {"b": 1.0},  # optional: clip a has nothing to measure
    }


def test_records_and_the_table_written_of_them_give_the_same_figures():
    records = [
        {"split": "test", "case": "clean", "clip": clip, "row": row, "aperture_corr": corr, "aperture_lag_frames": -2}
        | ({"closure": 1 / 3} if clip == "b" else {})
        for clip, corr in (("a", 2 / 3), ("b", np.float64(0.1234567891)))
        for row in ("right_audio", "real_video")
    ]
    assert compare.of_rows(records) == compare.parse(csv_tables.csv_text(records))


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A git repository with two evaluations, the second one better."""
    import subprocess

    monkeypatch.chdir(tmp_path)
    table = tmp_path / "reports/plots/clips.csv"
    table.parent.mkdir(parents=True)
    (tmp_path / "reports/metrics.json").write_text(json.dumps({"about": {"version": registry.PANEL_VERSION}}))
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "init", "-q"], check=True)
    for gain in (0.0, 0.1):
        rows = "".join(f"test,clean,c{k},right_audio,80,{v + gain:.6g}\n" for k, v in enumerate(BASE))
        table.write_text("split,case,clip,row,frames,aperture_corr\n" + rows)
        subprocess.run([*git, "add", "."], check=True)
        subprocess.run([*git, "commit", "-qm", "evaluation"], check=True)
    return tmp_path


def test_two_commits_are_compared_by_what_they_hold(repository):
    [forth] = compare.commits("HEAD~1", "HEAD")
    assert (forth.metric, forth.verdict, forth.num_clips) == ("aperture_corr", "better", 12)
    [back] = compare.commits("HEAD", "HEAD~1")
    assert back.verdict == "worse"


def test_a_missing_commit_is_named(repository):
    with pytest.raises(UserError, match="nowhere: no such commit"):
        compare.commits("nowhere", "HEAD")


def test_figures_of_another_version_are_not_compared(repository):
    import subprocess

    old = repository / "reports/metrics.json"
    old.write_text(json.dumps({"about": {"version": registry.PANEL_VERSION - 1}}))
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run([*git, "commit", "-qam", "older"], check=True)
    now = registry.PANEL_VERSION
    with pytest.raises(UserError, match=f"measured by version {now - 1} of the evaluation, this is {now}"):
        compare.commits("HEAD~1", "HEAD")
