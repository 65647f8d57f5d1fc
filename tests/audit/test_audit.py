"""The audit on a small project that was really trained, committed to git and to DVC, and then tampered with."""

import json
import random
import shutil
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import commit, dvc, git

from tasks.audit import chain, evidence, links
from tasks.core import config, files, paths
from tasks.core.errors import UserError
from tasks.provenance import dvc_cache, dvc_lock, training_record, withdrawals
from tasks.storage import index, shards
from tasks.storage.table_rows import Rows
from tasks.tracking import runs as tracking
from tasks.train import stage as train

FLIPS = 208


def findings(**options):
    return [finding for link in chain.run(**options) for finding in link.findings]


def states():
    return {link.name: link.state for link in chain.run()}


def test_an_untouched_project_is_clean_and_every_link_was_checked(committed):
    links = chain.run()
    assert findings() == []
    assert {link.name for link in links if link.state != "holds"} == {"evaluation"}
    assert all(link.claim for link in links) and all(len(link.lines) == 1 for link in links)


def flip(path, at, bit):
    content = bytearray(path.read_bytes())
    content[at] ^= 1 << bit
    path.write_bytes(content)


def test_any_flipped_bit_is_found_and_its_file_named(committed):
    """In each kind of file in turn, at random places; for a clip's bytes in a shard the clip is named too."""
    rng = random.Random(0)
    kinds = [
        sorted(paths.RAW.glob("*.tar")), sorted(paths.SHARDS.glob("*.tar")), [paths.INDEX], [paths.CLIPS],
        [paths.GENERATOR], [paths.GENERATOR.with_suffix(".json")], [paths.DISCRIMINATORS],
        [paths.DISCRIMINATORS.with_suffix(".json")], [paths.PARAMS], [Path(dvc_lock.LOCK)],
        [Path("released/lips.safetensors")], [paths.TRAIN_RECORD], [Path("tasks/train/stage.py")],
    ]  # fmt: skip
    place = {
        (folder / row["shard"]): sorted((r["offset"], r["offset"] + r["size"], r["clip"]) for r in rows if
                                        r["shard"] == row["shard"])
        for folder, table in ((paths.RAW, paths.CLIPS), (paths.SHARDS, paths.INDEX))
        for rows in [index.kept(index.read(table))]
        for row in rows
    }  # fmt: skip
    missed = []
    for turn in range(FLIPS):
        path = rng.choice(kinds[turn % len(kinds)])
        at, bit = rng.randrange(path.stat().st_size), rng.randrange(8)
        flip(path, at, bit)
        found = findings()
        flip(path, at, bit)
        clip = next((name for start, end, name in place.get(path, []) if start <= at < end), "")
        if not [line for line in found if str(path) in line] or (clip and not [x for x in found if clip in x]):
            missed.append((path, at, bit, found))
    assert missed == [] and findings() == []


def test_a_stage_that_is_only_in_the_lock_is_of_an_older_pipeline_and_no_finding(committed):
    lock = yaml.safe_load(Path(dvc_lock.LOCK).read_text())
    lock["stages"]["landmarks"] = lock["stages"]["train"] | {
        "outs": [{"path": "models/landmarks.dat", "md5": "0" * 32}]
    }
    Path(dvc_lock.LOCK).write_text(yaml.safe_dump(lock))
    commit("an entry of version 0.1")
    assert findings() == []


def test_without_dvcs_cache_a_flip_is_found_and_named_all_the_same(committed):
    shutil.rmtree(".dvc/cache")
    shard = next(paths.SHARDS.glob("*.tar"))
    flip(shard, 700, 3)
    assert [line for line in findings() if str(shard) in line]


def test_two_swapped_shards_are_both_named(committed):
    one, two = sorted(paths.SHARDS.glob("*.tar"))[:2]
    one.rename("aside")
    two.rename(one)
    Path("aside").rename(two)
    found = findings()
    assert [line for line in found if str(one) in line] and [line for line in found if str(two) in line]


@pytest.mark.parametrize("path", ["a shard", "a raw shard", str(paths.INDEX), str(paths.GENERATOR), "params.yaml"])
def test_a_missing_file_is_named(committed, path):
    folder = {"a shard": paths.SHARDS, "a raw shard": paths.RAW}.get(path)
    gone = next(folder.glob("*.tar")) if folder else Path(path)
    gone.unlink()
    assert [line for line in findings() if str(gone) in line and "missing" in line]


def recommit(stage, message="changed"):
    """As someone would who forges the whole chain after a change: DVC and git agree with what lies here."""
    dvc("commit", "-f", stage)
    commit(message)


def test_an_index_row_without_a_member_is_found_though_dvc_and_git_agree(committed):
    rows = index.read(paths.INDEX)
    row = index.kept(rows)[0]
    ghost = row | {"clip": row["clip"] + "9"}
    index.write(paths.INDEX, [ghost if r is row else r for r in rows], index.INDEX_SCHEMA)
    flip(paths.SHARDS / row["shard"], row["offset"] + 3, 0)
    recommit("preprocess")
    found = findings()
    assert [line for line in found if f"row of {ghost['clip']} without its member" in line]
    assert [line for line in found if f"{ghost['clip']} has a row, but was never acquired" in line]
    assert [line for line in found if f"{row['clip']} was acquired, but has no row" in line]


def test_a_member_without_an_index_row_is_found_though_dvc_and_git_agree(committed):
    rows = index.read(paths.INDEX)
    gone = index.kept(rows)[0]
    index.write(paths.INDEX, [row for row in rows if row is not gone], index.INDEX_SCHEMA)
    recommit("preprocess")
    found = findings()
    where = [line for line in found if str(paths.SHARDS / gone["shard"]) in line and "belong to no row" in line]
    assert where and gone["clip"] in where[0]


def test_a_checkpoint_whose_index_is_another_is_found_though_dvc_and_git_agree(committed):
    table = pq.read_table(paths.INDEX)
    pq.write_table(table, paths.INDEX, compression="gzip")  # the same rows in other bytes
    recommit("preprocess")
    found = findings()
    assert [line for line in found if line.startswith(f"{paths.GENERATOR}: trained on index")]
    assert [line for line in found if line.startswith("stage train: ran with another data/index.parquet")]
    assert [line for line in found if line.startswith(f"{paths.TRAIN_RECORD}: trained on another")]


def test_a_work_tree_that_was_dirty_at_training_time_is_found(committed):
    Path("tasks/train/stage.py").write_text(Path("tasks/train/stage.py").read_text() + "\n# an experiment\n")
    shutil.rmtree(".cache/train")
    train.run(config.load(Path("params.yaml")))
    git("checkout", "--", "tasks/train/stage.py")
    recommit("train")
    assert findings() == ["work tree dirty at training time: M tasks/train/stage.py"]


def test_training_with_other_code_than_the_commits_is_found(committed):
    lock = Path(dvc_lock.LOCK).read_text()
    digest = files.md5_file(Path("tasks/loading/batches.py"))
    Path(dvc_lock.LOCK).write_text(lock.replace(digest, "f" * 32))
    commit("a lock that names other code")
    assert [line for line in findings() if line.startswith("stage train: ran with another tasks/loading/batches.py")]


def test_mlflow_dvc_and_git_lead_to_each_other(committed):
    filter_string = f"tags.`dvc.generator.md5` = '{files.md5_file(paths.GENERATOR)}'"
    [run] = tracking.connect().search_runs(filter_string=filter_string, output_format="list")
    run_id = run.info.run_id
    record = training_record.load(paths.TRAIN_RECORD.read_text())
    tags = tracking.tags_of(run_id)
    assert record["mlflow_run"] == run_id
    assert tags["dvc.generator.md5"] == dvc_lock.out(dvc_lock.committed(), paths.GENERATOR)
    assert tags["git.commit"] == record["sessions"][0]["git_commit"] == git("rev-parse", "HEAD~1").strip()
    assert tracking.tags_of("0" * 32) is None


def test_other_hashes_in_mlflow_are_found(committed):
    record = json.loads(paths.TRAIN_RECORD.read_text())
    tracking._quiet_mlflow().MlflowClient().set_tag(record["mlflow_run"], "dvc.generator.md5", "0" * 32)
    assert [line for line in findings() if "MLflow run" in line and "dvc.generator.md5" in line]


def test_raw_bytes_can_be_left_out(committed):
    shutil.rmtree(paths.RAW)
    assert findings() and findings(without_raw=True) == []
    assert [link.state for link in chain.run(without_raw=True) if link.name == "raw bytes"] == ["unchecked"]


def test_a_second_clone_that_pulled_audits_clean_and_what_no_remote_has_is_not_held_here(
    committed, tmp_path, monkeypatch
):
    """Three minutes' work of an engineer on another machine: clone, pull, audit; raw bytes never left the first one."""
    dvc("remote", "add", "-d", "near", str(tmp_path / "near"))
    dvc("push")
    commit("with a remote")
    git("clone", "-q", str(committed), str(tmp_path / "second"))
    monkeypatch.chdir(tmp_path / "second")
    monkeypatch.setenv("LIPGAN_CACHE", str(tmp_path / "second/.cache"))
    Path(".dvc/cache").mkdir(parents=True)
    dvc("pull", "--allow-missing")
    links = chain.run()
    assert [finding for link in links for finding in link.findings] == []
    lines = {link.name: link.lines[0] for link in links}
    assert not paths.RAW.exists() and not paths.PREPROCESS_PAGE.exists()
    assert "data/raw not held here" in lines["bytes of acquire"] and "not held here" in lines["raw bytes"]
    assert "reports/preprocess.html not held here" in lines["bytes of preprocess"]


def test_a_missing_out_is_brought_back_by_a_command_that_can_work(committed):
    def hint():
        [line] = [line for line in findings(without_raw=True) if str(paths.INDEX) in line and "missing" in line]
        return line.rpartition("; ")[2]

    copy = dvc_cache.place(dvc_lock.out(dvc_lock.committed(), paths.INDEX))
    paths.INDEX.unlink()
    assert hint() == "`dvc checkout data/index.parquet`"
    copy.unlink()
    assert hint() == "`dvc repro` makes it again"
    dvc("remote", "add", "-d", "near", "elsewhere")
    assert hint() == "`dvc pull data/index.parquet`"


def test_lrs2_without_its_agreement_is_a_finding(committed):
    rows = [row | {"corpus": "lrs2"} for row in index.read(paths.CLIPS)]
    link = links.licences(links.Case("", {}, Rows(pa.Table.from_pylist(rows)), None, None))
    assert link.findings and "data/agreement.json: no such file" in link.findings[0]


def test_a_withdrawn_video_that_is_still_in_the_index_is_found(committed):
    video = index.kept(index.read(paths.INDEX))[0]["video"]
    withdrawals.add(video, "2026-11-22", "no reason given")
    commit("a person leaves")
    assert f"{paths.INDEX}: {video} is withdrawn but still in it; `dvc repro`" in findings()


def test_outside_git_it_is_a_user_error(workspace):
    with pytest.raises(UserError, match="no git commit here"):
        chain.run()


def test_a_shard_is_checked_clip_by_clip(tmp_path):
    """Eight shards of LRS2 at a time, whole, would take two gigabytes."""
    samples = ((f"main/1/{number:05d}", {"faces.jpg": bytes([number]) * 100_000}) for number in range(64))
    spans = shards.write(tmp_path / "train.tar", samples)
    places = [
        {"clip": clip, "shard": "train.tar", "offset": span.offset, "size": span.size, "member_sha256": span.sha256}
        for clip, span in spans.items()
    ]
    rows = Rows(pa.Table.from_pylist(places))
    tracemalloc.start()
    try:
        assert evidence.members(tmp_path, rows) == (64, [])
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()
