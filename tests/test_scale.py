"""The rehearsal of LRS2's size: a corpus of its form, nested in size, with bytes of its own; and right arithmetic."""

import io
import tarfile

import numpy as np
import pytest

from benchmarks import scale, scale_corpus, scale_report
from tasks.acquire import lrs2_lists, lrs2_parts
from tasks.core.files import md5_file
from tasks.media import decode
from tasks.media.encode import encode_video


def test_a_smaller_corpus_is_the_first_shards_of_the_larger_one():
    largest = scale_corpus.layout(20_000, scale.NUM_SHARDS)
    before: set[scale_corpus.Clip] = set()
    for size in scale.SIZES:
        clips = set(scale_corpus.layout(20_000, scale.NUM_SHARDS, size / 20_000))
        assert before < clips and abs(len(clips) - size) < 0.15 * size + 300
        assert {clip.split for clip in clips} == {"pretrain", "train", "val", "test"}
        before = clips
    assert before == set(largest) and abs(len(largest) - 20_000) < 50


def test_its_lists_parts_and_transcripts_are_read_as_those_of_lrs2(tmp_path):
    clips = scale_corpus.layout(150, dict.fromkeys(scale_corpus.SPLITS, 1))
    scale_corpus.write(tmp_path / "lrs2", clips, [b"one video" * 60, b"another" * 90])
    assert lrs2_lists.read(tmp_path / "lrs2") == {clip.key: clip.split for clip in clips}
    parts = sorted(tmp_path.glob("lrs2/lrs2_v1_part*"))
    assert len(parts) == 5
    content = b"".join(part.read_bytes() for part in parts)
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar}
    assert all(lrs2_parts.MEMBER.fullmatch(name) for name in members) and len(members) == 2 * len(clips)
    videos = [content for name, content in members.items() if name.endswith(".mp4")]
    assert len(set(videos)) == len(videos)
    words = {clip.split: lrs2_lists.transcript(scale_corpus.transcript(clip)) for clip in clips}
    assert len(words["pretrain"].words) == scale_corpus.WORDS_A_CLIP == len(words["train"].text.split())
    assert words["train"].words == [] and words["train"].confidence == 4
    sums = (tmp_path / "lrs2/MD5SUMS").read_text()
    assert all(md5_file(tmp_path / f"lrs2/{split}.txt") in sums for split in scale_corpus.SPLITS)


def test_a_copy_has_other_bytes_and_the_same_frames():
    out = io.BytesIO()
    encode_video(out, np.random.default_rng(0).integers(0, 255, (4, 32, 32, 3), np.uint8), np.zeros(4 * 640))
    content = out.getvalue()
    copies = [scale_corpus.copy_of(content, key) for key in ("main/1/00001", "main/1/00002")]
    assert len({content, *copies}) == 3
    frames = [[frame.tobytes() for frame in decode.frames(io.BytesIO(each))] for each in (content, *copies)]
    assert frames[0] and frames[0] == frames[1] == frames[2]


@pytest.mark.parametrize(
    ("growth", "exponent"), [(lambda n: 3 + 0.002 * n, 1.0), (lambda n: 3 + 1e-6 * n * n, 2.0), (lambda n: 3.0, None)]
)
def test_the_exponent_is_that_of_the_growth_whatever_the_start_costs(growth, exponent):
    found = scale_report.fit({n: growth(n) for n in (10, 2_500, 5_000, 10_000, 20_000)})
    assert found["exponent"] == pytest.approx(exponent, abs=0.02)
    if exponent == 1.0:
        assert found["constant"] == pytest.approx(3) and found["lrs2"] == pytest.approx(3 + 0.002 * 144_482, abs=0.1)


def test_a_value_measured_at_the_size_of_lrs2_is_not_computed():
    assert scale_report.fit({9_000: 1.0, 36_000: 2.0, 144_482: 7.0})["lrs2"] == 7.0
