"""A withdrawn video is refused by every corpus, under every name, on every branch; all other clips stay the same."""

import json
import shutil

import pytest
from conftest import TINY, git, params_text, run_acquire

from tasks.core import config, paths
from tasks.core.errors import UserError
from tasks.provenance import withdrawals
from tasks.storage import index


def load():
    return config.load(paths.PARAMS)


def test_rows_are_sorted_and_the_first_date_and_reason_stay(workspace):
    withdrawals.add("b", "2026-11-22", "asked,\n twice")
    withdrawals.add("a", "2026-11-23", "no reason given", ["ff"])
    withdrawals.add("b", "2027-01-01", "again", ["00"])
    assert paths.WITHDRAWALS.read_text() == (
        'video,date,reason,source_sha256\na,2026-11-23,no reason given,ff\nb,2026-11-22,"asked, twice",00\n'
    )
    assert withdrawals.read()["b"].reason == "asked, twice"


def test_a_malformed_line_is_named(workspace):
    paths.WITHDRAWALS.write_text("video,date,reason,source_sha256\nx\n")
    with pytest.raises(UserError, match=r"withdrawals.csv: line 2 must be video,date,reason"):
        withdrawals.read()


def test_a_withdrawal_holds_on_other_branches_and_old_commits(workspace):
    git("init", "-q", "-b", "main")
    git("add", "params.yaml")
    git("commit", "-qm", "before")
    withdrawals.add("person", "2026-11-22", "asked")
    git("add", "withdrawals.csv")
    git("commit", "-qm", "withdrawn")
    git("checkout", "-q", "--detach", "HEAD~1")
    assert not paths.WITHDRAWALS.exists() and list(withdrawals.read()) == ["person"]


def test_a_withdrawn_speaker_is_refused_without_text_and_only_its_shard_is_rebuilt(tiny):
    before = {row["clip"]: row for row in index.read(paths.CLIPS)}
    shards = {f.name: f.read_bytes() for f in paths.RAW.iterdir()}
    out = next(row for row in before.values() if row["split"] == "train")
    withdrawals.add(out["video"], "2026-11-22", "asked")
    assert "withdrawn" in run_acquire(load())
    after = {row["clip"]: row for row in index.read(paths.CLIPS)}
    assert after.keys() == before.keys()
    for clip, row in after.items():
        if row["video"] == out["video"]:
            assert (row["status"], row["reason"], row["text"], row["shard"]) == ("refused", "withdrawn", "", None)
            assert row["licence"] == before[clip]["licence"] and row["split"] == before[clip]["split"]
        elif row["shard"] != out["shard"]:
            assert row == before[clip]
    changed = [f.name for f in paths.RAW.iterdir() if f.read_bytes() != shards[f.name]]
    assert changed == [out["shard"]]
    assert f"/{out['video']}/".encode() not in (paths.RAW / out["shard"]).read_bytes()


def test_withdrawn_bytes_under_another_name_are_refused(tiny):
    from tasks.storage import shards

    rows = [row for row in index.read(paths.CLIPS) if row["split"] == "train"][:2]
    mine, other = (shards.read(paths.RAW / row["shard"], row["offset"], row["size"])["mp4"] for row in rows)
    folder = tiny / "videos"
    folder.mkdir()
    (folder / "a-person.mp4").write_bytes(mine)
    (folder / "another.mp4").write_bytes(other)
    whole = {"corpus.val_share": 0.0, "corpus.test_share": 0.0}
    paths.PARAMS.write_text(params_text(TINY | whole | {"corpus.name": "folder", "corpus.folder": "videos"}))
    run_acquire(load())
    [row] = [row for row in index.read(paths.CLIPS) if row["video"] == "a-person"]
    withdrawals.add("a-person", "2026-11-22", "asked", [row["source_sha256"]])
    shutil.move(folder / "a-person.mp4", folder / "nobody.mp4")
    run_acquire(load())
    reasons = {row["video"]: row["reason"] for row in index.read(paths.CLIPS)}
    assert reasons == {"nobody": "withdrawn", "another": ""}


def test_the_stage_fails_if_every_video_is_withdrawn(tiny):
    for video in {row["video"] for row in index.read(paths.CLIPS)}:
        withdrawals.add(video, "2026-11-22", "asked")
    with pytest.raises(UserError, match=r"no clip can be used: withdrawn \d+"):
        run_acquire(load())


def test_no_unit_built_after_a_withdrawal_names_the_video(tiny):
    out = next(row for row in index.read(paths.CLIPS) if row["split"] == "train")
    withdrawals.add(out["video"], "2026-11-22", "asked")
    old = set((tiny / ".cache/units/acquire").glob("*/*"))
    run_acquire(load())
    for unit in set((tiny / ".cache/units/acquire").glob("*/*")) - old:
        assert out["video"] not in {row["video"] for row in json.loads((unit / "rows.json").read_text())}
