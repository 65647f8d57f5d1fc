"""Long videos and cuts: a piece equals a clip of the same frames and sound."""

import hashlib
import io
import json
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY, params_text, run_acquire, run_preprocess

from model import timing
from tasks.core import config, paths
from tasks.core.errors import Refusal, UserError
from tasks.evaluate.raw_clips import RawClips
from tasks.features import audio, face_track
from tasks.media import decode, encode
from tasks.preprocess import examine, pieces
from tasks.preprocess import stage as preprocess
from tasks.provenance import withdrawals
from tasks.storage import index, shards

LONGEST = 20


@pytest.fixture
def filmed(tiny):
    """Frames and sound of two different clips of the tiny corpus."""
    rows = [row for row in index.kept(index.read(paths.INDEX), "train")][:2]
    came_in = {row["clip"]: row for row in index.read(paths.CLIPS)}
    clips = []
    for row in (came_in[row["clip"]] for row in rows):
        mp4 = shards.read(paths.RAW / row["shard"], row["offset"], row["size"])["mp4"]
        frames = list(decode.frames(io.BytesIO(mp4)))
        sound = decode.fit(decode.decode_sound(io.BytesIO(mp4)), len(frames))
        # forwards and backwards: longer, without a cut
        clips.append(([*frames, *frames[::-1]], np.concatenate([sound, sound])))
    return clips


def params(longest=LONGEST, **changes):
    changes = {"faces.max_frames": longest, "quality.max_change": 0.08} | changes
    Path("params.yaml").write_text(params_text(TINY | changes))
    return config.load(Path("params.yaml"))


def parts_of(source, p):
    return list(examine.of_video(source, p.faces, p.quality, preprocess.tools()))


def write(path, frames, sound):
    path.parent.mkdir(exist_ok=True)
    encode.encode_video(path, frames, sound, crf=4)
    return path


def test_a_long_video_is_cut_and_each_piece_has_its_own_pictures_and_sound(filmed, monkeypatch):
    (frames, sound), _ = filmed
    frames, sound = frames[:50], sound[: timing.num_samples(50)]
    video = write(Path("v/long.mp4"), frames, sound)
    p = params()
    parts = parts_of(video, p)
    assert [(part.number, part.first, part.num_frames, part.alone) for part in parts] == [
        (0, 0, 20, False),
        (1, 20, 20, False),
        (2, 40, 10, False),
    ]
    assert isinstance(parts[2].outcome, Refusal) and parts[2].outcome.reason == "too_short"
    whole = list(decode.frames(video))
    sound = decode.decode_sound(video)
    for part in parts[:2]:
        arrays, span = part.outcome.arrays, slice(part.first, part.first + 20)
        track = face_track.track(whole[span], p.faces, None, preprocess.tools().refiner)
        assert (arrays["boxes_T4"] == track.boxes_T4.astype(np.float32)).all()
        [(crops, mesh)] = examine.cut(whole[span], [track], p.faces.size)
        assert (arrays["faces_TSS3"] == crops).all() and np.array_equal(arrays["mesh_T4683"], mesh, equal_nan=True)
        if not part.outcome.figures["av_moved"]:
            own = sound[timing.num_samples(part.first) :][: timing.num_samples(20)]
            assert (arrays["mfcc_FW"] == audio.mfcc(own, 20)).all()
    monkeypatch.setattr(pieces, "HOLD_BYTES", 0)  # every pass decodes again
    for one, other in zip(parts_of(video.read_bytes(), p)[:2], parts[:2], strict=True):
        assert all(np.array_equal(one.outcome.arrays[name], array) for name, array in other.outcome.arrays.items())


def test_pieces_end_at_cuts_and_a_flash_is_too_short(filmed):
    (frames, sound), (others, other_sound) = filmed
    flash = [np.full_like(frames[0], 250)] * 2
    joined = np.concatenate([sound[: 18 * 640], np.zeros(2 * 640, np.float32), other_sound[: 16 * 640]])
    parts = parts_of(write(Path("v/cut.mp4"), [*frames[:18], *flash, *others[:16]], joined), params(3000))
    assert [(part.first, part.num_frames) for part in parts] == [(0, 18), (18, 2), (20, 16)]
    assert parts[1].outcome.reason == "too_short"
    assert all(part.outcome.figures["cut_change"] < 0.08 for part in (parts[0], parts[2]))


def test_a_truncated_long_video_loses_only_its_last_piece(filmed):
    (frames, sound), _ = filmed
    content = write(Path("v/long.mp4"), frames[:50], sound[: timing.num_samples(50)]).read_bytes()
    parts = parts_of(content[: int(len(content) * 0.8)], params())
    assert len(parts) >= 2 and isinstance(parts[0].outcome, examine.Examined)
    assert isinstance(parts[-1].outcome, Refusal) and parts[-1].outcome.reason == "truncated"


def test_the_index_names_each_piece_with_its_span_and_a_withdrawal_covers_all_of_them(filmed, monkeypatch):
    (frames, sound), (others, other_sound) = filmed
    write(Path("v/long.mp4"), frames[:50], sound[: timing.num_samples(50)])
    write(Path("v/short.mp4"), others[:18], other_sound[: timing.num_samples(18)])
    Path("v/long.txt").write_text("WORDS OF ALL OF IT")
    folder = {
        "corpus.name": "folder",
        "corpus.folder": "v",
        "corpus.val_share": 0.0,
        "corpus.test_share": 0.0,
        "quality.sync_confidence": 2.0,  # 20 frames say little about the offset, which is no subject of this test
    }
    p = params(**folder)
    monkeypatch.setattr(index, "demand_splits", lambda *_: None)
    run_acquire(p)
    run_preprocess(p)
    rows = {row["clip"]: row for row in index.read(paths.INDEX)}
    summary = {key: (row["status"], row["source"], row["video"], row["text"]) for key, row in rows.items()}
    assert summary == {
        "folder/long/00000-0000": ("kept", "long.mp4#t=0.00,0.80", "long", ""),
        "folder/long/00000-0001": ("kept", "long.mp4#t=0.80,1.60", "long", ""),
        "folder/long/00000-0002": ("refused", "long.mp4#t=1.60,2.00", "long", ""),
        "folder/short/00000": ("kept", "short.mp4", "short", ""),
    }
    row = rows["folder/long/00000-0001"]
    stored = shards.read(paths.SHARDS / row["shard"], row["offset"], row["size"])
    assert json.loads(stored["json"])["source"] == row["source"]
    raw = RawClips(paths.CLIPS, paths.RAW)
    frames = list(raw.frames(row["clip"]))
    assert len(frames) == 20 and (frames[0] == list(decode.frames(Path("v/long.mp4")))[20]).all()
    assert len(raw.sound(row["clip"])) == timing.num_samples(20) and raw.words(row["clip"]) == ""
    withdrawals.add("long", "2026-11-22", "asked")
    run_acquire(p)
    run_preprocess(p)
    left = {row["clip"]: row["reason"] for row in index.read(paths.INDEX)}
    assert left == {"folder/long/00000": "withdrawn", "folder/short/00000": ""}


def test_a_piece_that_takes_too_long_is_refused_and_ends_the_video(filmed, monkeypatch):
    (frames, sound), _ = filmed
    video = write(Path("v/slow.mp4"), frames[:50], sound[: timing.num_samples(50)])
    clock = iter(range(10_000))
    monkeypatch.setattr(pieces.time, "thread_time", lambda: next(clock))  # every picture takes a second
    parts = parts_of(video, params(**{"quality.clip_cpu_s": 5.0}))
    assert [(part.alone, part.outcome.reason) for part in parts] == [(True, "too_slow")]
    assert next(clock) < 12


def test_a_file_that_changes_while_it_is_read_is_an_error(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"other bytes than those that were hashed")
    member = shards.FileMember(tmp_path / "a.mp4", "0" * 64)
    with pytest.raises(UserError, match=r"a.mp4 changed while it was read"):
        shards.write(tmp_path / "a.tar", [("folder/a/00000", {"mp4": member})])


def test_members_can_be_read_alternately(tmp_path):
    content = bytes(range(256)) * 3000
    (tmp_path / "a.mp4").write_bytes(content)
    member = shards.FileMember(tmp_path / "a.mp4", hashlib.sha256(content).hexdigest())
    samples = [("folder/a/00000", {"mp4": member, "json": b"{}"}), ("folder/b/00000", {"json": b"other"})]
    spans = shards.write(tmp_path / "a.tar", samples)
    with shards.opened(tmp_path / "a.tar", *(spans["folder/a/00000"].offset, spans["folder/a/00000"].size)) as raw:
        one, other = raw["mp4"](), raw["mp4"]()
        assert one.read(5000) == content[:5000] and other.read(70) == content[:70]
        assert one.read() == content[5000:] and raw.keys() == {"mp4", "json"}


def test_a_span_of_a_video_equals_a_video_of_these_frames_and_their_sound(filmed):
    (frames, sound), _ = filmed
    frames, sound = frames[:50], sound[: timing.num_samples(50)]
    whole = write(Path("v/whole.mp4"), frames, sound)
    p = params(longest=100)
    decoded, heard = list(decode.frames(whole)), decode.decode_sound(whole)
    [part] = list(examine.of_video(whole, p.faces, p.quality, preprocess.tools(), (20, 45)))
    assert isinstance(part.outcome, examine.Examined)
    assert (part.number, part.first, part.num_frames, part.alone) == (0, 20, 25, True)
    assert part.outcome.figures["length_diff_s"] == 0.0
    with closing(pieces.Video(whole, 100, p.quality, (20, 45))) as video:
        [piece] = [list(piece) for piece in video]
    assert all((picture.rgb() == decoded[20 + t]).all() for t, picture in enumerate(piece)) and len(piece) == 25
    with closing(pieces.SoundReader(whole)) as reader:
        span = reader.span(timing.num_samples(20), timing.num_samples(45))
    assert np.array_equal(span, heard[timing.num_samples(20) : timing.num_samples(45)])


def test_a_single_video_is_cut_in_time_and_every_split_is_preprocessed(filmed, capsys):
    (frames, sound), _ = filmed
    loop = [k % len(frames) for k in range(320)]
    hz = timing.num_samples(1)
    long = np.concatenate([sound[k * hz : (k + 1) * hz] for k in loop])
    write(Path("v/only.mp4"), [frames[k] for k in loop], long)
    p = params(longest=400, **{"corpus.name": "folder", "corpus.folder": "v", "quality.max_change": 1.0})
    run_acquire(p)
    assert "split in time" in (said := capsys.readouterr().err) and "same person in train and val and test" in said
    run_preprocess(p)
    rows = {row["split"]: row for row in index.read(paths.INDEX)}
    assert {split: (row["source"], row["num_frames"], row["split_by"]) for split, row in rows.items()} == {
        "train": ("only.mp4#t=0.00,6.80", 170, "time"),
        "test": ("only.mp4#t=7.80,9.80", 50, "time"),
        "val": ("only.mp4#t=10.80,12.80", 50, "time"),
    }
    raw = RawClips(paths.CLIPS, paths.RAW)
    assert len(list(raw.frames(rows["test"]["clip"]))) == 50
    assert len(raw.sound(rows["val"]["clip"])) == timing.num_samples(50)
