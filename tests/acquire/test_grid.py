"""Corpus `grid` from a folder, from zips, and over HTTP from a server that fails; its clips are of shared/grid."""

import hashlib
import io
import json
import random
import shutil
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT, TINY, params_text, run_acquire
from lrs2_server import FAULTS, serving

from tasks.acquire import grid, open_corpus
from tasks.acquire import stage as acquire
from tasks.core import config, paths
from tasks.core.errors import UserError
from tasks.provenance import withdrawals
from tasks.storage import index, shards, unit_cache
from tasks.tracking import runs

GRID = ROOT.parent / "shared/grid"
pytestmark = pytest.mark.skipif(not GRID.is_dir(), reason="the people of GRID in ../shared/grid are not here")

SPEAKERS = ["s1", "s4", "s16", "s25", "s27", "s31"]
CLIPS = {"s1": 3, "s4": 2, "s31": 2}  # of the others there is one
BASE = TINY | {
    "corpus.name": "grid",
    "corpus.grid.speakers": SPEAKERS,
    "corpus.grid.folder": "grid",
    "corpus.grid.source": "folder",
    "corpus.num_shards": {"train": 2, "val": 1, "test": 1, "hard": 1, "pretrain": 1},
    "acquire.stall_s": 0.2,
    "acquire.backoff_s": 0.0,
    "acquire.parallel": 2,
}


def load(**changes):
    Path("params.yaml").write_text(params_text(BASE | changes))
    return config.load(Path("params.yaml"))


def clips_of(person):
    return sorted((GRID / "video" / person).iterdir())[: CLIPS.get(person, 1)]


def zipped(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return out.getvalue()


@pytest.fixture(scope="module")
def archives():
    """s1.zip ... and alignments.zip, laid out as on Zenodo."""
    made = {
        f"{person}.zip": zipped({f"{person}/{file.name}": file.read_bytes() for file in clips_of(person)})
        for person in SPEAKERS
    }
    aligned = {f"alignments/s1/{file.name}": file.read_bytes() for file in sorted((GRID / "align/s1").iterdir())}
    return made | {"alignments.zip": zipped(aligned)}


def unpacked(folder):
    """As in ../shared/grid."""
    for person in SPEAKERS:
        for file in clips_of(person):
            (folder / "video" / person).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, folder / "video" / person / file.name)
    shutil.copytree(GRID / "align", folder / "align")


def table():
    return {row["clip"]: row for row in index.read(paths.CLIPS)}


def stored():
    """Raw shards and rows, without the names of the archive or folder that they came from."""
    rows = [row | {"source": "", "part": "", "member": ""} for row in table().values()]
    return rows, {row["clip"]: shards.read(paths.RAW / row["shard"], row["offset"], row["size"]) for row in rows}


def members_of(row):
    return shards.read(paths.RAW / row["shard"], row["offset"], row["size"])


def test_a_persons_clips_are_rows_with_their_words_and_attribution(workspace, capsys):
    unpacked(workspace / "grid")
    assert "10 clips of corpus grid" in run_acquire(load())
    row = table()["grid/s1/bbaf2n"]
    assert (row["video"], row["person"], row["split_by"]) == ("s1", "s1", "person")
    assert row["text"] == "BIN BLUE AT F TWO NOW" and row["source"] == "s1/bbaf2n.mpg"
    assert row["licence"].startswith("CC BY 4.0: GRID") and "10.5281/zenodo.3625687" in row["licence"]
    assert row["words"][0] == {"word": "bin", "start_s": 0.95, "end_s": 1.18} and len(row["words"]) == 6
    assert members_of(row)["mpg"] == (GRID / "video/s1/bbaf2n.mpg").read_bytes()
    assert b"Text:  BIN BLUE AT F TWO NOW\n\nWORD START END ASDSCORE\nBIN 0.950 1.180 0\n" in members_of(row)["txt"]
    assert json.loads(members_of(row)["json"])["words"] == row["words"]
    unaligned = table()["grid/s4/bbaf2a"]
    assert (unaligned["text"], unaligned["words"]) == ("BIN BLUE AT F TWO AGAIN", [])
    assert "split by person, by the hash of its name: train" in capsys.readouterr().err


def test_the_attribution_is_a_tag_of_every_run(workspace):
    unpacked(workspace / "grid")
    run_acquire(load())
    index.write(paths.INDEX, index.read(paths.CLIPS), index.INDEX_SCHEMA)
    assert runs.tags("train")["licence"] == grid.CORPUS.licence


def test_no_person_is_in_two_splits(workspace):
    unpacked(workspace / "grid")
    run_acquire(load())
    of = {(row["person"], row["split"]) for row in table().values()}
    assert len(of) == len(SPEAKERS) and {split for _, split in of} == {"train", "val", "test"}


def test_a_list_decides_the_splits_of_speakers(workspace):
    unpacked(workspace / "grid")
    listed = dict.fromkeys(SPEAKERS, "train") | {"s27": "test", "s31": "val"}
    Path("who.csv").write_text("person,split\n" + "".join(f"{who},{split}\n" for who, split in listed.items()))
    run_acquire(load(**{"corpus.splits": "who.csv"}))
    assert {row["person"]: row["split"] for row in table().values()} == listed


def test_zips_and_the_same_unpacked_give_the_same_clips(workspace, archives):
    unpacked(workspace / "grid")
    run_acquire(load())
    rows, members = stored()
    shutil.rmtree("grid")
    Path("grid").mkdir()
    for name, content in archives.items():
        (workspace / "grid" / name).write_bytes(content)
    run_acquire(load())
    again, same = stored()
    place = ("offset", "size", "member_sha256")
    assert [{k: v for k, v in row.items() if k not in place} for row in again] == [
        {k: v for k, v in row.items() if k not in place} for row in rows
    ]
    assert all(same[clip][kind] == members[clip][kind] for clip in members for kind in members[clip] if kind != "json")


@pytest.mark.parametrize("persons", [["s1"], ["s1", "s16"]])
def test_one_or_two_persons_fill_all_splits_and_the_line_says_so(workspace, capsys, persons):
    unpacked(workspace / "grid")
    run_acquire(load(**{"corpus.grid.speakers": persons}))
    assert {row["split"] for row in table().values()} == {"train", "val", "test"} or len(persons) == 2
    said = capsys.readouterr().err
    assert f"{len(persons)} person" in said and "for 3 splits; same person in train and" in said


@pytest.mark.parametrize(
    ("alignment", "why"),
    [
        ("0 23750 sil\n23750 29500 bin\n", "it ends at 1.18 s, the clip at 3 s"),
        ("0 23750 sil\n23750 29500 lay\n29500 74500 sil\n", "it says 'lay', the clip is 'bin blue at f two now'"),
        ("0 23750 sil\n20000 bin\n", "a line is '20000 bin', wanted `start end word`"),
        ("23750 29500 bin\n0 23750 sil\n29500 74500 sil\n", "its times do not rise"),
        ("", "it ends at 0.00 s, the clip at 3 s"),
    ],
)
def test_an_alignment_that_does_not_fit_is_named_and_its_clip_stays(workspace, capsys, alignment, why):
    unpacked(workspace / "grid")
    (workspace / "grid/align/s1/bbaf2n.align").write_text(alignment)
    run_acquire(load())
    assert f"the alignment does not fit its clip, which stays without times of words: s1/bbaf2n.align: {why}\n" in (
        capsys.readouterr().err
    )
    row = table()["grid/s1/bbaf2n"]
    assert (row["status"], row["text"], row["words"]) == ("kept", "BIN BLUE AT F TWO NOW", [])


def test_every_alignment_of_the_real_corpus_fits():
    files = sorted((GRID / "align/s1").iterdir())
    words = [grid.words_of(file.stem, file.read_bytes()) for file in files]
    assert len(files) == 300 and all(len(one.times) == 6 and len(one.text.split()) == 6 for one in words)
    assert grid.words_of("utterance", None) == open_corpus.Words("")


def test_a_person_without_a_video_and_an_unknown_one_are_one_line(workspace):
    unpacked(workspace / "grid")
    with pytest.raises(UserError, match=r"grid has no s2\.zip, video/s2, s2 for person s2"):
        acquire.plan(load(**{"corpus.grid.speakers": ["s1", "s2"]}))
    (workspace / "grid/video/s2").mkdir()
    with pytest.raises(
        UserError, match=r"video/s2: no video of person s2 in it; take s2 out of corpus\.grid\.speakers"
    ):
        acquire.plan(load(**{"corpus.grid.speakers": ["s1", "s2"]}))
    with pytest.raises(UserError, match=r"speakers: '\.\./x' is no name of a person"):
        load(**{"corpus.grid.speakers": ["../x"]})


def test_a_damaged_zip_and_doubled_clips_are_named(workspace, archives):
    (workspace / "grid").mkdir()
    for name, content in archives.items():
        (workspace / "grid" / name).write_bytes(content)
    (workspace / "grid/s4.zip").write_bytes(archives["s4.zip"][:-400])
    with pytest.raises(UserError, match=r"grid/s4\.zip: a damaged zip, .*; download it again"):
        acquire.plan(load())
    first, *_ = clips_of("s4")
    twice = {f"{folder}/{first.name}": first.read_bytes() for folder in "ab"} | {
        "a/empty.mpg": b"",
        "__MACOSX/x.mpg": b"1",
    }
    (workspace / "grid/s4.zip").write_bytes(zipped(twice))
    run_acquire(load())
    assert {row["reason"] for row in table().values() if row["person"] == "s4"} == {"", "duplicate", "empty_file"}


def test_a_withdrawn_person_is_not_asked_for(workspace, archives):
    unpacked(workspace / "grid")
    run_acquire(load())
    withdrawals.add("s4", "2026-11-30", "asked")
    shutil.rmtree(workspace / "grid/video/s4")
    run_acquire(load())
    assert "s4" not in {row["person"] for row in index.kept(table().values())}


# ---- over HTTP ----


def record_of(archives, host):
    files = [
        {
            "key": name,
            "size": len(content),
            "checksum": f"md5:{hashlib.md5(content).hexdigest()}",
            "links": {"self": f"{host}/api/records/1/files/{name}/content"},
        }
        for name, content in archives.items()
    ]
    return json.dumps({"id": 1, "files": files}).encode()


@pytest.fixture
def server(archives):
    with serving(archives, login=False) as server:
        server.files["1"] = record_of(archives, server.host)
        yield server


def https(server, **changes):
    return load(**{"corpus.grid.source": "https", "corpus.grid.record": f"{server.host}/api/records/1", **changes})


def run_all(p):
    """What flows/acquire.py does, without Prefect; returns the most archives that lay on the disk at once."""
    most = 0

    def build(units):
        nonlocal most
        most = max(most, len(list(Path("grid").glob("s*.zip"))))
        for unit in units:
            unit_cache.make(acquire.build, unit)
            acquire.release(unit)

    for names in acquire.rounds(p):
        for name in names:
            acquire.download(p, name)
        build(acquire.ready(p))
    planned, refused = acquire.plan(p)
    build(planned)
    acquire.collect(planned, refused, p)
    return most


def test_a_downloaded_corpus_equals_that_of_local_zips(workspace, server, archives):
    run_all(https(server))
    downloaded = stored()
    num_requests = len(server.log)
    run_all(https(server))
    assert [name for _, name, *_ in server.log[num_requests:]] == ["1"]  # the record, and nothing again
    shutil.rmtree("grid")
    Path("grid").mkdir()
    for name, content in archives.items():
        (workspace / "grid" / name).write_bytes(content)
    run_acquire(load())
    assert stored() == downloaded


def test_faults_of_the_server_do_not_change_the_clips_and_the_disk_is_bounded(workspace, server):
    """Eight schedules, five seconds: a stall lasts as long as `acquire.stall_s`."""
    run_all(https(server))
    reference, seen = stored(), set()
    for seed in range(8):
        drawn = random.Random(seed)
        for folder in ("grid", ".cache", "data"):
            shutil.rmtree(folder, ignore_errors=True)
        p = https(server, **{"acquire.delete_parts": seed % 2 == 0})
        server.faults.extend((drawn.choice(FAULTS[:8]), drawn.random()) for _ in range(drawn.randrange(1, 12)))
        for _ in range(20):
            try:
                most = run_all(p)
                break
            except UserError as error:
                assert "\n" not in str(error)
        assert stored() == reference, f"seed {seed}"
        seen |= {fault for *_, fault in server.log}
        server.faults.clear()
        if p.acquire.delete_parts:
            assert most < len(SPEAKERS) and not list(Path("grid").glob("s*.zip"))
    assert len(seen) > 6


def test_deleted_archives_are_not_downloaded_again(workspace, server):
    p = https(server, **{"acquire.delete_parts": True})
    run_all(p)
    before = len(server.log)
    run_all(p)
    assert {name for _, name, *_ in server.log[before:]} == {"1"}
    shutil.rmtree(workspace / ".cache/units")
    run_all(p)
    assert {name for _, name, *_ in server.log[before:]} > {"s1.zip", "s31.zip"}


def test_a_changed_record_is_named_and_nothing_is_downloaded(workspace, server, archives):
    p = https(server)
    run_all(p)
    changed = archives | {"s4.zip": zipped({"s4/bbaf2n.mpg": b"another"})}
    server.files["1"] = record_of(changed, server.host)
    before = len(server.log)
    new, old = (hashlib.md5(of["s4.zip"]).hexdigest() for of in (changed, archives))
    with pytest.raises(
        UserError, match=rf"the record changed: the md5 of s4\.zip is {new}, grid/record\.json has {old}"
    ):
        run_all(p)
    assert {name for _, name, *_ in server.log[before:]} == {"1"}


def test_an_archive_with_another_md5_than_the_records_is_kept_under_another_name(workspace, server):
    server.files["s4.zip"] = server.files["s4.zip"][:-1] + b"?"
    with pytest.raises(UserError, match=r"s4\.zip: md5 is \w{32}, expected \w{32}; kept as grid/s4\.zip\.bad-"):
        run_all(https(server))
    assert not Path("grid/s4.zip").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>", "no record of Zenodo with files"),
        (b'{"files": []}', r"the record has no alignments\.zip, s31\.zip"),
        (b'{"files": [{"key": "a", "size": 1, "checksum": "sha1:1", "links": {"self": "x"}}]}', "no md5 for a"),
    ],
)
def test_another_document_than_a_record_is_one_line(workspace, server, content, message):
    server.files["1"] = content
    with pytest.raises(UserError, match=message):
        run_all(https(server))


def test_too_little_disk_space_is_an_error_before_any_download(workspace, server, monkeypatch):
    usage = shutil.disk_usage(workspace)._replace(free=10_000)
    monkeypatch.setattr(open_corpus.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(UserError, match=r"GB are needed for archives and raw shards, .* or set acquire\.delete_parts"):
        run_all(https(server))
    assert not [name for _, name, *_ in server.log if name.startswith("s")]
