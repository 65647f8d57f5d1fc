import json
import tarfile
from pathlib import Path

import lrs2_archive as fake
import pytest
from conftest import run_acquire
from lrs2_archive import small, video, workspace_of

from flows import __main__ as command
from tasks.acquire import lrs2, lrs2_archive, lrs2_lists, lrs2_parts
from tasks.acquire import stage as acquire
from tasks.core import paths
from tasks.core.errors import UserError
from tasks.core.files import sha256_file
from tasks.provenance import agreement, withdrawals
from tasks.storage import index, shards, unit_cache


def table():
    return {row["clip"]: row for row in index.read(paths.CLIPS)}


def members_of(row):
    return shards.read(paths.RAW / row["shard"], row["offset"], row["size"])


def everything(folder):
    """All that acquire writes, byte for byte."""
    return fake.shards_in(folder) | {"clips": (folder / paths.CLIPS).read_bytes()}


def test_every_clip_of_the_lists_and_of_the_archive_has_a_row(workspace):
    run_acquire(workspace_of(workspace, small()))
    rows = table()
    refused = {clip: row["reason"] for clip, row in rows.items() if row["status"] == "refused"}
    assert refused == {
        f"pretrain/{video(21)}/00050": "held_out_programme",
        f"main/{video(1)}/00090": "missing",
        f"main/{video(1)}/00091": "missing",
        f"main/{video(1)}/00093": "empty_file",
        f"main/{video(30)}/00001": "not_listed",
        "mvlrs_v1/README": "not_listed",
    }
    listed = {clip for clip in rows if clip.startswith(("main", "pretrain"))} - {f"main/{video(30)}/00001"}
    assert len(listed) == sum(len(lines) for lines in small().lists.values())
    assert {row["split"] for row in rows.values()} == {"train", "val", "test", "pretrain", ""}


def test_a_row_says_where_the_clip_came_from(workspace):
    archive = small()
    run_acquire(workspace_of(workspace, archive))
    row = table()[f"main/{video(0)}/00000"]
    content = archive.files[row["member"]]
    assert members_of(row)["mp4"] == content and row["bytes"] == len(content)
    assert row["part"] == "lrs2_v1_partaa" and table()[f"main/{video(2)}/00094"]["part"] == "lrs2_v1_partae"
    assert (row["text"], row["confidence"]) == ("WE KNEW THAT", 4)
    assert "no redistribution" in row["licence"]
    extra = table()["mvlrs_v1/README"]
    assert (extra["member"], extra["bytes"], extra["part"]) == ("mvlrs_v1/README", 5, "lrs2_v1_partae")


def test_a_pretrain_clip_carries_the_times_of_its_words(workspace):
    run_acquire(workspace_of(workspace, small()))
    about = json.loads(members_of(table()[f"pretrain/{video(0)}/00050"])["json"])
    assert about["words"] == [["GO", 0.1, 0.35], ["ON", 0.4, 0.71]] and about["text"] == "GO ON"


def test_a_latin_1_transcript_is_read_and_a_missing_one_refuses_no_clip(workspace):
    run_acquire(workspace_of(workspace, small()))
    assert table()[f"main/{video(2)}/00094"]["text"] == "CAFÉ"
    assert table()[f"main/{video(1)}/00092"]["text"] == ""
    assert sorted(members_of(table()[f"main/{video(1)}/00092"])) == ["json", "mp4"]


def test_a_programme_is_in_one_shard_of_a_split(workspace):
    run_acquire(workspace_of(workspace, small()))
    places = {(row["split"], row["video"], row["shard"]) for row in index.kept(table().values())}
    assert len(places) == len({place[:2] for place in places})


def test_parts_tar_and_folder_in_any_order_give_the_same_shards(workspace):
    archive = small()
    p = workspace_of(workspace, archive)
    run_acquire(p)
    wanted = fake.shards_in(workspace)
    for part in fake.PARTS:
        (workspace / "lrs2" / part).unlink()
    delete_state(workspace)
    archive.files = dict(reversed(archive.files.items()))
    (workspace / "lrs2/lrs2.tar").write_bytes(archive.tar())
    run_acquire(p)
    assert fake.shards_in(workspace) == wanted
    (workspace / "lrs2/lrs2.tar").unlink()
    delete_state(workspace)
    for name, content in archive.files.items():
        (workspace / "lrs2" / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace / "lrs2" / name).write_bytes(content)
    run_acquire(p)
    assert fake.shards_in(workspace) == wanted


def delete_state(workspace):
    import shutil

    shutil.rmtree(workspace / ".cache")


@pytest.mark.parametrize("delete", [False, True])
def test_a_withdrawn_programme_is_only_named_in_the_table(workspace, delete):
    p = workspace_of(workspace, small(), **{"acquire.delete_parts": delete})
    withdrawals.add(video(2), "2026-01-31", "asked for it")
    run_acquire(p)
    rows = [row for row in table().values() if row["video"] == video(2)]
    assert {(row["status"], row["reason"], row["text"]) for row in rows} == {("refused", "withdrawn", "")}
    assert len(rows) >= 3 and all(row["source_sha256"] for row in rows)
    everywhere = [*(workspace / "data/raw").iterdir(), *(workspace / ".cache/lrs2").rglob("spool/*")]
    assert not [file for file in everywhere if video(2).encode() in file.read_bytes()]


class Killed(BaseException):
    """Stands for `kill -9`: no code catches it."""


@pytest.mark.parametrize("delete", [False, True])
@pytest.mark.parametrize("line", [0, 1, 2, 7, 20, 33, 10**6])
def test_reading_resumes_after_a_stop_in_the_middle_of_a_line(workspace, monkeypatch, delete, line):
    archive = small()
    run_acquire(workspace_of(workspace, archive))
    wanted = everything(workspace)
    delete_state(workspace)
    p = workspace_of(workspace, archive, **{"acquire.delete_parts": delete})
    written = []
    whole = lrs2_archive.Journal._write

    def torn(self, what):
        written.append(what)
        if len(written) == line + 1:
            self._file.write(json.dumps(what).encode()[:-9])
            raise Killed
        whole(self, what)

    monkeypatch.setattr(lrs2_archive.Journal, "_write", torn)
    try:
        acquire.plan(p)
    except Killed:
        pass
    monkeypatch.setattr(lrs2_archive.Journal, "_write", whole)
    run_acquire(p)
    assert everything(workspace) == wanted
    assert any((workspace / "lrs2" / part).exists() for part in fake.PARTS) != delete


def test_nothing_is_read_twice(workspace, monkeypatch):
    p = workspace_of(workspace, small())
    acquire.plan(p)
    monkeypatch.setattr(lrs2_archive, "entries", None)
    run_acquire(p)


def test_parts_are_deleted_as_they_are_read_and_the_shards_are_the_same(workspace):
    archive = small()
    run_acquire(workspace_of(workspace, archive))
    wanted = everything(workspace)
    delete_state(workspace)
    p = workspace_of(workspace, archive, **{"acquire.delete_parts": True})
    served, splits, folder = archive.cut(), lrs2_lists.read(workspace / "lrs2"), workspace / "lrs2"
    for part in fake.PARTS:
        (folder / part).unlink()
    biggest = 0
    for part in fake.PARTS:
        (folder / part).write_bytes(served[part])
        files = lrs2.source(p)
        lrs2.take(p, files, splits).close()
        assert not (folder / part).exists()
        used = sum(file.stat().st_size for file in (workspace / ".cache").rglob("*") if "journal" not in file.name)
        biggest = max(biggest, used)
    assert biggest <= sum(map(len, served.values()))
    run_acquire(p)
    assert everything(workspace) == wanted
    run_acquire(p)  # and again, with no part left
    assert everything(workspace) == wanted


def test_present_parts_are_deleted_one_by_one_while_they_are_read(workspace, monkeypatch):
    p = workspace_of(workspace, small(), **{"acquire.delete_parts": True})
    left = []
    drop = lrs2_archive._drop

    def watched(*args, **named):
        drop(*args, **named)
        left.append(sum((workspace / "lrs2" / part).exists() for part in fake.PARTS))

    monkeypatch.setattr(lrs2_archive, "_drop", watched)
    acquire.plan(p)
    assert left == [4, 3, 2, 1, 0]


def test_a_spool_is_deleted_when_its_shard_is_built(workspace):
    p = workspace_of(workspace, small(), **{"acquire.delete_parts": True})
    planned, _ = acquire.plan(p)
    spools = {file.name for file in (workspace / ".cache").rglob("spool/*")}
    assert spools == {unit.name for unit in planned}
    unit_cache.make(acquire.build, planned[0])
    acquire.release(planned[0])
    assert {file.name for file in (workspace / ".cache").rglob("spool/*")} == spools - {planned[0].name}


def with_member(info, content=b""):
    def build(archive):
        import io

        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            for name, data in archive.files.items():
                tar.addfile(fake.member(name, data), io.BytesIO(data))
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        return out.getvalue()

    return build


def of_type(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    ("tar", "message"),
    [
        (with_member(tarfile.TarInfo("mvlrs_v1/../../evil.mp4"), b"x"), "evil.mp4', which is outside its folder"),
        (with_member(tarfile.TarInfo("/etc/passwd"), b"x"), "/etc/passwd', which is outside its folder"),
        (with_member(of_type("mvlrs_v1/main/1/2.mp4", tarfile.SYMTYPE, "/etc")), "a link or device"),
        (with_member(of_type("mvlrs_v1/main/1/2.mp4", tarfile.LNKTYPE, "mvlrs_v1/README")), "a link or device"),
        (with_member(of_type("mvlrs_v1/main/1/2.mp4", tarfile.FIFOTYPE)), "a link or device"),
        (with_member(tarfile.TarInfo("mvlrs_v1/README"), b"2"), "holds mvlrs_v1/README twice"),
        (lambda archive: archive.tar()[:20_000], "the archive ends within|ends early|broken"),
        (lambda archive: archive.tar()[:2048] + b"?" * 9000, "broken"),
        (lambda archive: b"<html>not found</html>" * 99, "broken"),
        (lambda archive: b"", "broken"),
    ],
)
def test_a_foreign_archive_is_one_line_and_nothing_is_written_outside(workspace, tar, message):
    p = workspace_of(workspace)
    archive = small()
    (workspace / "lrs2").mkdir()
    for name, content in archive.list_files().items():
        (workspace / "lrs2" / name).write_bytes(content)
    fake.write_sums(workspace / "lrs2", archive)
    (workspace / "lrs2/x.tar").write_bytes(tar(archive))
    before = {file for file in workspace.parent.rglob("*") if ".cache" not in file.parts}
    with pytest.raises(UserError, match=message) as caught:
        acquire.plan(p)
    assert "\n" not in str(caught.value)
    assert {file for file in workspace.parent.rglob("*") if ".cache" not in file.parts} == before


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("val.txt", lambda text: text + text, r"val\.txt:2: .*/00001 is listed already in val\.txt"),
        ("val.txt", lambda text: b"../../etc\n", r"val\.txt:1: must be <video>/<clip>, got '\.\./\.\./etc'"),
        ("test.txt", lambda text: f"{video(20)}/00001 MV\n".encode(), "listed already in val.txt"),
    ],
)
def test_a_malformed_list_is_named_by_line(workspace, name, change, message):
    p = workspace_of(workspace, small())
    (workspace / "lrs2/MD5SUMS").unlink()
    file = workspace / "lrs2" / name
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(UserError, match=message):
        lrs2_lists.read(Path(p.corpus.lrs2.folder))


def test_a_list_that_is_not_the_published_one_is_refused(workspace):
    p = workspace_of(workspace, small())
    (workspace / "lrs2/MD5SUMS").unlink()
    with pytest.raises(UserError, match=r"train.txt: md5 is \w{32}, expected ae240cd86c8432afb5a6b8935c863f24"):
        acquire.plan(p)


def test_a_missing_part_is_named_and_reading_resumes_with_it(workspace):
    p = workspace_of(workspace, small())
    away = workspace / "away"
    (workspace / "lrs2/lrs2_v1_partad").rename(away)
    with pytest.raises(UserError, match="lrs2: lrs2_v1_partad missing"):
        acquire.plan(p)
    away.rename(workspace / "lrs2/lrs2_v1_partad")
    assert acquire.plan(p)[0]


def test_a_changed_part_is_read_again(workspace):
    run_acquire(workspace_of(workspace, small(seed=1)))
    wanted = everything(workspace)
    delete_state(workspace)
    run_acquire(workspace_of(workspace, small(seed=0)))
    assert everything(workspace) != wanted
    small(seed=1).write(workspace / "lrs2")
    run_acquire(workspace_of(workspace))
    assert everything(workspace) == wanted


def test_without_an_agreement_nothing_is_read(workspace):
    p = workspace_of(workspace, small())
    paths.AGREEMENT.unlink()
    with pytest.raises(UserError, match="python -m flows agree"):
        acquire.plan(p)
    paths.AGREEMENT.write_text('{"who": "x"}')
    with pytest.raises(UserError, match="lacks corpus, organisation"):
        acquire.plan(p)


def test_agree_records_the_person_and_the_hash_of_the_document(workspace, capsys):
    (workspace / "signed.pdf").write_bytes(b"%PDF")
    line = ["agree", "--who", "A. Person", "--organisation", "A University", "--signed"]
    assert command.main([*line, "signed.pdf", "--date", "2026-01-31"]) == 0
    written = json.loads(paths.AGREEMENT.read_text())
    about = agreement.of(["lrs2", "synthetic"])
    assert about == {name: written[name] for name in ("organisation", "date", "signed_sha256")}
    assert agreement.of(["synthetic"]) == {}
    assert written["date"] == "2026-01-31" and written["signed_sha256"] == sha256_file(Path("signed.pdf"))
    for bad, message in (["none.pdf"], "no such file"), (["signed.pdf", "--date", "31.1."], "must be YYYY-MM-DD"):
        assert command.main([*line, *bad]) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("start", [0, 511, 512, 5000, 40_000])
def test_parts_are_read_as_one_file(tmp_path, start):
    segments, content, at = [], bytes(range(256)) * 200, 0
    for number, size in enumerate((1, 511, 513, 20_000, 30_175)):
        (tmp_path / str(number)).write_bytes(content[at : at + size])
        segments.append(lrs2_parts.Segment(at, at + size, tmp_path / str(number)))
        at += size
    parts = lrs2_parts.Parts(segments, whole=True)
    parts.seek(start)
    assert parts.read(10**6) == content[start:]
    assert lrs2_parts.read_extents(parts.extents(start, 700)) == content[start : start + 700]
    with pytest.raises(lrs2_parts.PartMissing):
        lrs2_parts.Parts(segments[:-1], whole=False).seek(0) + len(lrs2_parts.Parts(segments[:-1], False).read(10**6))
