"""LRS2 from a faulty server to processed shards; the clips are real small videos in LRS2's layout."""

import random

import pytest
from conftest import inside, run_acquire, run_preprocess
from lrs2_archive import Archive, video, workspace_of, write_sums
from lrs2_server import FAULTS, PASSWORD, USER, serving

from tasks.acquire import stage as acquire
from tasks.core import paths
from tasks.core.errors import UserError
from tasks.storage import index, shards

SAID = b"Text:  WE KNEW THAT\nConf:  4\n"
QUICK = {
    "corpus.lrs2.source": "https",
    "acquire.stall_s": 0.2,
    "acquire.backoff_s": 0.0,
    "acquire.delete_parts": True,
}
SPLITS = ("train", "train", "val", "test", "pretrain")


@pytest.fixture(scope="module")
def archive(tiny_folder):
    """One or two clips of each split, and one with a truncated mp4."""
    with inside(tiny_folder):
        clean = [row for row in index.kept(index.read(paths.CLIPS)) if row["split"] != "hard"]
        rows = sorted(clean, key=lambda row: row["size"])[: len(SPLITS)]
        videos = [shards.read(paths.RAW / row["shard"], row["offset"], row["size"])["mp4"] for row in rows]
    archive = Archive()
    for number, (split, mp4) in enumerate(zip(SPLITS, videos, strict=True)):
        archive.add(split, f"{video(number)}/00001", mp4, SAID)
    archive.add("train", f"{video(7)}/00001", videos[0][: len(videos[0]) // 2], SAID)
    return archive


def everything(folder):
    places = [*(folder / paths.RAW).iterdir(), *(folder / paths.SHARDS).iterdir(), folder / paths.INDEX]
    return {str(file.relative_to(folder)): file.read_bytes() for file in places}


def test_server_faults_do_not_change_the_shards_and_a_truncated_clip_is_refused(
    archive, tiny_folder, tmp_path, monkeypatch
):
    monkeypatch.setenv("LIPGAN_LRS2_USER", USER)
    monkeypatch.setenv("LIPGAN_LRS2_PASSWORD", PASSWORD)
    drawn = random.Random(3)
    schedules = {"calm": [], "rough": [(drawn.choice(FAULTS), drawn.random()) for _ in range(25)]}
    outputs = {}
    for name, faults in schedules.items():
        folder = tmp_path / name
        (folder / "models").mkdir(parents=True)
        with inside(folder), serving(archive.served()) as server:
            write_sums(folder / "lrs2", archive)
            p = workspace_of(folder, None, **QUICK, **{"corpus.lrs2.host": server.host})
            server.faults.extend(faults)
            for _ in range(40):
                try:
                    for names in acquire.rounds(p):
                        for part in names:
                            acquire.download(p, part)
                    break
                except UserError:
                    continue
            run_acquire(p)
            run_preprocess(p)
            assert not server.faults
            rows = index.read(paths.INDEX)
        outputs[name] = everything(folder)
    assert outputs["rough"] == outputs["calm"]
    refused = [row for row in rows if row["status"] == "refused"]
    assert [(row["clip"], row["source"]) for row in refused] == [(f"main/{video(7)}/00001", "LRS2")]
    assert refused[0]["reason"] in ("truncated", "unreadable") and refused[0]["detail"]
    assert len(rows) == 6 and all("no redistribution" in row["licence"] for row in rows)
