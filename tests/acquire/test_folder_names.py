"""Any name, links, and words in any encoding: each file of a folder corpus is a row of its own."""

import codecs
import json
import os

import pytest
from conftest import run_acquire
from test_acquire_folder import FOLDER, load, params_text, write_video

from tasks.acquire import folder, words
from tasks.core import names, paths
from tasks.core.errors import REASONS
from tasks.storage import index, shards

NAMES = [
    "plain.mp4", "with space.mp4", " leading.mp4", "trailing .mp4", "two  spaces.mp4", "tab\there.mp4",
    "line\nbreak.mp4", "return\rhere.mp4", "bell\x07.mp4", "delete\x7f.mp4", "-dash.mp4", "--out.mp4", "12:30.mp4",
    "a=b.mp4", "50%d.mp4", "100%.mp4", "quote'.mp4", 'double".mp4', "back\\slash.mp4", "semi;colon.mp4", "comma,.mp4",
    "star*?[x].mp4", "$HOME `x`.mp4", "#t=1,2.mp4", "emoji 😀.mp4", "你好.mp4", "e\u0301.mp4", "é.mp4", "\u202eabc.mp4",
    "dots...mp4", "UPPER.MP4", "&<b>.mp4", "x" * 251 + ".mp4", "ü" * 125 + ".mp4",
    os.fsdecode(b"caf\xe9.mp4"), os.fsdecode(b"\xff\xfe.mp4"), "caf\\xe9.mp4",
]  # fmt: skip


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "a.mp4"
    write_video(path, 90)
    return path.read_bytes()


@pytest.fixture
def videos(workspace):
    (workspace / "params.yaml").write_text(params_text(FOLDER))
    (workspace / "videos").mkdir()
    return workspace / "videos"


@pytest.fixture
def put(videos, video):
    """Writes a video under a name, each of other bytes."""

    def written(name):
        path = videos / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(video + b"\0\0\0\x10free" + names.digest(name).encode())
        return path

    return written


def rows():
    """Of all files, before anything is decoded."""
    wanted, refused = folder.clips(load())
    return [row | {"reason": "", "text": row["inputs"]["text"]} for row in wanted] + refused


def test_every_name_is_a_kept_row_of_its_own_with_its_bytes(put, videos):
    for name in NAMES:
        put(name)
    (videos / os.fsdecode(b"\xe9.pdf")).write_bytes(b"%PDF")
    run_acquire(load())
    table = list(index.read(paths.CLIPS))
    assert [row["source"] for row in table if row["reason"]] == ["\\xe9.pdf"]
    table = [row for row in table if not row["reason"]]
    assert len({row["video"] for row in table}) == len({row["clip"] for row in table}) == len(NAMES)
    assert sum("caf\\xe9" in row["source"] for row in table) == 2
    for row in table:
        members = shards.read(paths.RAW / row["shard"], row["offset"], row["size"])
        assert json.loads(members["json"])["source"] == row["source"]
        assert len(f"folder-{row['video']}-00000-0001.png") <= 255


def test_ordinary_names_keep_their_ids():
    ids = {name: folder.video_id(name) for name in ("a.mp4", "talks/monday.mp4", "talks/monday one.mp4", "é.mp4")}
    assert ids == {
        "a.mp4": "a",
        "talks/monday.mp4": "talks-monday",
        "talks/monday one.mp4": "talks-monday-one-ef26acf8",
        "é.mp4": "--4a99557e",
    }


def test_two_paths_are_never_one_video_and_two_endings_are_one_person(put):
    for name in ("a/b.mp4", "a-b.mp4", "a-b.mov", "c/d.mp4"):
        put(name)
    table = {row["source"]: row for row in rows()}
    assert {row["reason"] for row in table.values()} == {""}
    assert table["a/b.mp4"]["video"] == "a-b" and table["c/d.mp4"]["video"] == "c-d"
    assert len({row["video"] for row in table.values()}) == 4
    assert table["a-b.mp4"]["person"] == table["a-b.mov"]["person"] == "a-b" and table["a/b.mp4"]["person"] == "a"


def test_a_refused_file_takes_no_id_from_a_video(put, videos):
    put("talk.mp4")
    (videos / "talk.avi").write_bytes(b"")
    (videos / "talk.pdf").write_bytes(b"%PDF")
    table = {row["source"]: row for row in rows()}
    assert table["talk.mp4"]["video"] == "talk"
    assert (table["talk.avi"]["reason"], table["talk.pdf"]["reason"]) == ("empty_file", "not_a_video")
    assert len({row["clip"] for row in table.values()}) == 3


ENCODINGS = {
    "utf-8": b"", "utf-8 with mark": codecs.BOM_UTF8, "utf-16-le with mark": codecs.BOM_UTF16_LE,
    "utf-16-be with mark": codecs.BOM_UTF16_BE, "utf-32-le with mark": codecs.BOM_UTF32_LE,
    "utf-32-be with mark": codecs.BOM_UTF32_BE, "utf-16-le": b"", "utf-16-be": b"",
    "utf-7 with mark": b"+/v8-", "gb18030 with mark": b"\x84\x31\x95\x33",
}  # fmt: skip
LAYOUTS = {
    "lrs2": "Text:  GRÜSSE there\nConf:  5\n\nWORD START END ASDSCORE\n", "plain": "Grüße there",
    "lines": "Grüße\r\nthere\r\n", "old Macintosh": "Grüße\rthere",
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_words_are_read_in_any_encoding_with_a_mark(encoding, layout, tmp_path):
    text = LAYOUTS[layout].encode(encoding.split()[0])
    (tmp_path / "a.txt").write_bytes(ENCODINGS[encoding] + text)
    assert words.read_words(tmp_path / "a.txt") == "GRÜSSE THERE"


@pytest.mark.parametrize(
    ("name", "text"),
    [("IMG_1234.MOV", "IMG_1234.txt"), ("a.mp4", "a.TXT"), ("b.mts", "b.mts.txt"), ("ü ß.MP4", "ü ß.txt")],
)
def test_a_text_beside_a_video_is_its_words_and_no_row(put, videos, name, text):
    put(name)
    (videos / text).write_bytes(codecs.BOM_UTF16_LE + "Text:  HELLO\n".encode("utf-16-le"))
    [row] = rows()
    assert (row["source"], row["text"], row["reason"]) == (name, "HELLO", "")


def test_a_text_that_belongs_to_no_video_is_a_row(put, videos):
    put("a.mp4")
    (videos / "b.txt").write_text("nobody's words")
    assert {row["source"]: row["reason"] for row in rows()} == {"a.mp4": "", "b.txt": "not_a_video"}


def test_links_are_followed_and_what_is_no_file_is_a_row(put, videos, tmp_path):
    put("a.mp4")
    put("sub/deep/b.mp4")
    far = tmp_path / "far"
    far.mkdir()
    (far / "c.mp4").write_bytes(put("gone.mp4").read_bytes())
    (videos / "gone.mp4").unlink()
    (videos / "linked").symlink_to(far)
    (videos / "link.mp4").symlink_to(far / "c.mp4")
    (videos / "sub/deep/loop").symlink_to(videos)
    (videos / "nowhere.mp4").symlink_to("missing.mp4")
    (videos / "self.mp4").symlink_to("self.mp4")
    os.mkfifo(videos / "pipe.mp4")
    (videos / ".DS_Store").write_bytes(b"x")
    (videos / ".git").mkdir()
    (videos / ".git/x.mp4").write_bytes(b"x")
    reasons = {row["source"]: row["reason"] for row in rows()}
    assert reasons == {
        "a.mp4": "", "sub/deep/b.mp4": "", "link.mp4": "", "linked/c.mp4": "duplicate", "sub/deep/loop": "not_a_file",
        "nowhere.mp4": "not_a_file", "self.mp4": "not_a_file", "pipe.mp4": "not_a_file", ".DS_Store": "hidden",
        ".git": "hidden",
    }  # fmt: skip
    assert set(reasons.values()) - {""} <= set(REASONS)
