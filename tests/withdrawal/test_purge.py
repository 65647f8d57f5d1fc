"""Withdrawal reaches every copy: real git, DVC and remotes around the real stages, on the tiny corpus.

The oracle knows nothing of how copies are found: it looks for a run of the person's own bytes in every file there is.
"""

import io
import json
import os
import re
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import yaml
from conftest import ROOT, git

from tasks.core import config, paths, programs
from tasks.core.errors import UserError
from tasks.core.files import md5_file
from tasks.preprocess import stage as preprocess
from tasks.provenance import tombstones
from tasks.storage import index, shards, unit_cache
from tasks.tracking import registry
from tasks.tracking import runs as tracking
from tasks.train.state import training_key
from tasks.withdrawal import copies, purge

STAGES = """
import sys
sys.path[:0] = [{root!r}, {tests!r}]
from conftest import run_acquire, run_preprocess
from tasks.core import config, paths
print({{"acquire": run_acquire, "preprocess": run_preprocess}}[sys.argv[1]](config.load(paths.PARAMS)))
"""
OUTS = {
    "acquire": ["data/raw", "data/clips.parquet"],
    "preprocess": ["data/shards", "data/index.parquet", "reports/preprocess.html"],
}
DEPS = {"acquire": ["withdrawals.csv"], "preprocess": ["data/raw", "data/clips.parquet"]}


def dvc(*arguments, expect=0):
    done = subprocess.run([sys.executable, "-m", "dvc", *arguments], capture_output=True, text=True)
    assert (done.returncode == 0) == (expect == 0), done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def project(tiny, monkeypatch, tmp_path):
    """The tiny project as a git and DVC repository of two stages, run once and committed; two remotes hold it all."""
    monkeypatch.setenv("LIPGAN_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    (tiny / "stage.py").write_text(STAGES.format(root=str(ROOT), tests=str(ROOT / "tests")))
    stages = {
        name: {"cmd": f"{sys.executable} stage.py {name}", "deps": DEPS[name], "outs": OUTS[name]} for name in OUTS
    }
    (tiny / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    (tiny / ".gitignore").write_text("/data\n/models\n/.cache\n")
    paths.WITHDRAWALS.write_text("video,date,reason,source_sha256\n")
    git("init", "-q", "-b", "main")
    dvc("init", "-q")
    (tiny / ".dvc/config").write_text((ROOT / ".dvc/config").read_text())  # outs are links into the cache
    dvc("remote", "add", "-d", "near", str(tmp_path / "near"))
    dvc("repro", "-q")
    dvc("push", "-q", "--run-cache")
    git("add", "-A")
    git("commit", "-qm", "with everybody")
    return tiny


def person(split="train"):
    row = next(row for row in index.read(paths.INDEX) if row["split"] == split and row["status"] == "kept")
    raw = next(each for each in index.read(paths.CLIPS) if each["clip"] == row["clip"])
    mp4 = shards.read(paths.RAW / raw["shard"], raw["offset"], raw["size"])["mp4"]
    faces = shards.read(paths.SHARDS / row["shard"], row["offset"], row["size"])["faces.jpg"]
    return row["video"], [content[len(content) // 2 :][:64] for content in (mp4, faces)]


def files_with(probes, *folders):
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    return [str(file) for file in files if any(probe in file.read_bytes() for probe in probes)]


def load():
    return config.load(paths.PARAMS)


@pytest.mark.slow
def test_a_withdrawn_person_is_erased_everywhere_and_old_commits_do_not_restore_them(project, tmp_path, capfd):
    video, probes = person()
    near = tmp_path / "near"
    assert len(files_with(probes, project, near)) >= 7  # raw, shard, two units, two cache objects, two in the remote
    purge.withdraw(video, "asked", "2026-11-22")
    output = dvc("repro")
    page = paths.PREPROCESS_PAGE.read_bytes()
    assert f"/{video}/".encode() in page  # among the refused, without a picture
    counts = {name: len(list((project / out[0]).iterdir())) for name, out in OUTS.items()}
    assert all(number > 1 for number in counts.values()) and "withdrawn" in output
    dvc("push", "-q")
    git("add", "-A")
    git("commit", "-qm", "without")

    purge.purge(load(), yes=False, originals=False)
    assert "nothing was deleted" in capfd.readouterr().err and files_with(probes, project, near)
    purge.purge(load(), yes=True, originals=False)
    assert files_with(probes, project, near) == []
    assert copies.find(video, copies.everywhere(load())) == []
    assert dvc("status").strip() == "Data and pipelines are up to date."
    paths.PREPROCESS_PAGE.unlink()
    dvc("checkout", "reports/preprocess.html")  # the page of now is not among what was deleted
    assert paths.PREPROCESS_PAGE.read_bytes() == page

    state = purge.state(video, load())
    old = subprocess.run(["git", "rev-parse", "HEAD~1"], capture_output=True, text=True, check=True).stdout.strip()
    assert state["commits"] == [old] and state["left"] == [] and [s["valid"] for s in state["tombstones"]] == [True]
    stone = state["tombstones"][0]
    kinds = {removed["kind"] for removed in stone["removed"]}
    assert {"unit cache", "DVC cache", "run-cache of DVC cache", "remote near", "run-cache of remote near"} <= kinds
    assert str(tmp_path) not in json.dumps(stone)
    lines, holds = purge.proof(video, load())
    assert holds and any("no copy is left in" in line for line in lines)
    assert any("signature valid" in line for line in lines)

    git("add", "-A")
    git("commit", "-qm", "purged")
    git("checkout", "-q", old)
    pulled = dvc("pull", expect=1)
    assert "missing" in pulled.lower() and "reports/preprocess.html" in pulled
    dvc("checkout", expect=1)
    assert files_with(probes, project, near) == []
    assert "withdrawn" in dvc("repro")  # the old commit, made anew: without the person
    assert files_with(probes, project, near) == [] and copies.find(video, copies.everywhere(load())) == []


@pytest.mark.slow
def test_an_s3_remote_is_purged_with_all_its_old_versions(project, monkeypatch):
    moto = pytest.importorskip("moto.server", reason="moto is not installed")
    s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    server = moto.ThreadedMotoServer(port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        address = f"http://{host}:{port}"
        fs = s3fs.S3FileSystem(endpoint_url=address)
        fs.call_s3("create_bucket", Bucket="corpus")
        fs.call_s3("put_bucket_versioning", Bucket="corpus", VersioningConfiguration={"Status": "Enabled"})
        dvc("remote", "add", "far", "s3://corpus/lipgan")
        dvc("remote", "modify", "far", "endpointurl", address)
        dvc("push", "-q", "-r", "far", "--run-cache")
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        monkeypatch.setenv("LIPGAN_UNITS", "s3://corpus/units")
        planned, _ = preprocess.plan(load())
        unit_cache.exchange(planned)
        video, probes = person()

        def held():
            versions = fs.call_s3("list_object_versions", Bucket="corpus").get("Versions", [])
            bodies = [(each["Key"], body_of(fs, each["Key"], each["VersionId"])) for each in versions]
            return [key for key, body in bodies if any(probe in body for probe in probes)]

        assert len(held()) == 3  # raw, shard, shared unit
        purge.withdraw(video, "asked", "2026-11-22")
        purge.purge(load(), yes=True, originals=False)
        assert held() == []
        assert "missing" in dvc("pull", "-r", "far", expect=1).lower()
    finally:
        server.stop()


def body_of(fs, key, version):
    from fsspec.asyn import sync

    async def body():
        answer = await fs._call_s3("get_object", Bucket="corpus", Key=key, VersionId=version)
        return await answer["Body"].read()

    return sync(fs.loop, body)


def test_an_unknown_id_is_one_line_with_similar_ids(tiny, monkeypatch):
    subprocess.run(["git", "init", "-q"], check=True)
    dvc("init", "-q")
    video = index.read(paths.CLIPS)[0]["video"]
    with pytest.raises(UserError, match=f"known: .*{video}"):
        purge.withdraw(video[:-1] + "x", "asked", "2026-11-22")
    assert not paths.WITHDRAWALS.exists()


def test_a_changed_tombstone_is_not_valid(workspace, monkeypatch):
    monkeypatch.setenv("LIPGAN_CONFIG", str(workspace / "config"))
    path = tombstones.write("person", {"removed": [{"md5": "00"}], "by": "t"})
    text = json.loads(path.read_text())
    assert tombstones.valid(text)
    assert not tombstones.valid(text | {"by": "u"}) and not tombstones.valid(text | {"removed": []})
    assert not tombstones.valid({name: value for name, value in text.items() if name != "signature"})
    assert tombstones.write("person", {"removed": []}).name == "person-2.json"
    assert [stone["valid"] for stone in tombstones.read("person")] == [True, True]
    key = workspace / "config/withdrawals.pem"
    assert os.stat(key).st_mode & 0o077 == 0


def test_files_with_a_video_are_recognised_by_their_content(tiny):
    row = next(row for row in index.read(paths.CLIPS) if row["split"] == "train")
    others = [f for f in paths.RAW.iterdir() if f.name != row["shard"]]
    for file in (paths.RAW / row["shard"], paths.CLIPS, paths.INDEX):
        with file.open("rb") as opened:
            assert copies.held(opened, {row["video"], "nobody"}) == {row["video"]}, file
    for file in [*others, paths.PARAMS]:
        with file.open("rb") as opened:
            assert not copies.held(opened, {row["video"]}), file


def test_links_to_a_file_are_read_once_for_all_videos_and_a_changed_file_again(tiny, monkeypatch):
    """A purge of several videos of a large corpus would otherwise read all of it several times for each of them."""
    videos = sorted({row["video"] for row in index.read(paths.CLIPS)})
    raw = next(paths.RAW.iterdir())
    os.link(raw, paths.SHARDS / "the-same.tar")
    alone = {video: copies.find(video, []) for video in videos}
    read = Counter()
    original = copies.held

    def counted(file, *arguments, **named):
        read[os.fstat(file.fileno()).st_ino] += 1
        return original(file, *arguments, **named)

    monkeypatch.setattr(copies, "held", counted)
    search = copies.Search(videos)
    assert {video: copies.find(video, [], search) for video in videos} == alone
    assert raw.stat().st_ino in read and set(read.values()) == {1}
    raw.unlink()
    raw.write_bytes(b"")
    assert search.of_file(raw) == set()


def test_half_a_shard_of_a_killed_build_holds_what_it_has(tiny):
    row = next(row for row in index.read(paths.INDEX) if row["status"] == "kept")
    content = (paths.SHARDS / row["shard"]).read_bytes()
    half = content[: row["offset"] + row["size"] + 700]
    assert copies.held(io.BytesIO(half), {row["video"]}) == {row["video"]}


def test_a_page_holds_those_whose_pictures_it_marks_and_an_old_overview_may_hold_anybody(tiny):
    shown = {row["video"] for row in index.read(paths.INDEX) if f'data-video="{row["video"]}"' in page_text()}
    assert shown and copies.held(io.BytesIO(page_text().encode()), {min(shown)})
    assert not copies.held(io.BytesIO(page_text().encode()), {"somebody-else"})
    unmarked = re.sub(r' data-video="[^"]*"', "", page_text()).encode()
    assert copies.held(io.BytesIO(unmarked), {"somebody-else"})


def page_text():
    return paths.PREPROCESS_PAGE.read_text()


def test_states_and_experiments_of_an_index_with_the_person_are_deleted_and_others_stay(trained):
    video, p = person()[0], load()
    mine = paths.cache() / "experiments" / md5_file(paths.INDEX) / "one/models"
    mine.mkdir(parents=True)
    (mine / "generator.safetensors").write_bytes(b"weights")
    stages = ("train", "expert", "motion", "inside", "experiments")
    states = {f"{stage}/{folder.name}" for stage in stages for folder in (paths.cache() / stage).iterdir()}
    assert sum(state.startswith("inside/") for state in states) == 2  # its pairs of frames too

    def found(video):
        return {copy.name for copy in copies.find(video, []) if copy.kind == "training state"}

    assert found(video) == states and found("somebody-else") == set()
    rows = [row for row in index.read(paths.INDEX) if row["video"] != video]
    index.write(paths.INDEX, rows, index.INDEX_SCHEMA)  # as `dvc repro` leaves it: the states are of the old index
    assert found(video) == states
    after = paths.cache() / "train" / training_key(p)
    after.mkdir()
    assert found(video) == states


def test_tracked_pictures_of_an_index_with_the_person_are_deleted(tiny, monkeypatch):
    monkeypatch.setenv("LIPGAN_TRACKING", "jsonl")
    with tracking.run("train", load()) as tracker:
        tracker.metrics({"l1": 0.5}, 1)
        tracker.picture("strip", np.zeros((8, 8, 3), np.uint8), 1)
        tracker.file(paths.PARAMS, "reports")
    folder = paths.cache() / "tracking" / tracker.run_id
    assert registry.delete_pictures({"0" * 32}) == 0 and len(list(folder.rglob("*.*"))) == 4
    assert registry.delete_pictures({md5_file(paths.INDEX)}) == 1
    assert {file.name for file in folder.rglob("*.*")} == {"about.json", "metrics.jsonl"}


def test_an_error_of_git_is_quoted(workspace):
    with pytest.raises(UserError, match=r"git rev-parse HEAD: .*not a git repository"):
        programs.demand_git("rev-parse", "HEAD")
