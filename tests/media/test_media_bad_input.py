"""Damaged, empty and foreign files give a known reason, never a crash or a hang."""

import io
import wave

import cv2
import numpy as np
import pytest

from model.timing import SAMPLE_RATE_HZ
from tasks.media import containers, decode, encode

RNG = np.random.default_rng(0)
NOISE = (0.2 * RNG.standard_normal(2 * SAMPLE_RATE_HZ)).astype(np.float32)
PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://localhost:9/a.ts\n#EXT-X-ENDLIST\n"


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> bytes:
    """An mp4 of 50 frames that do not compress well, with its index in front."""
    path = tmp_path_factory.mktemp("whole") / "clip.mp4"
    pictures = [cv2.resize(RNG.integers(0, 255, (9, 9, 3), dtype=np.uint8), (64, 64)) for _ in range(50)]
    encode.encode_video(path, pictures, NOISE)
    return path.read_bytes()


def wav(sound: np.ndarray, rate_hz: int = SAMPLE_RATE_HZ) -> io.BytesIO:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, rate_hz, 0, "NONE", ""))
        out.writeframes(np.round(sound * 32_767).astype("<i2").tobytes())
    return file


def all_frames(source) -> list[np.ndarray]:
    return list(decode.frames(source))


def reason(call, source) -> str:
    with pytest.raises(containers.MediaError) as caught:
        call(source)
    return caught.value.reason


@pytest.mark.parametrize("call", [all_frames, decode.decode_sound, decode.probe, decode.read_image])
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "empty_file"),
        (b"x", "unreadable"),
        (b"once upon a time there was a text file\n" * 300, "unreadable"),
        (bytes(100_000), "unreadable"),
        (RNG.bytes(100_000), "unreadable"),
        (PLAYLIST, "unreadable"),
    ],
    ids=["empty", "one byte", "text", "zeros", "random", "playlist"],
)
def test_a_file_that_is_not_a_video_is_refused_with_a_reason(call, content, expected, tmp_path):
    (tmp_path / "clip.mp4").write_bytes(content)
    assert reason(call, tmp_path / "clip.mp4") == expected


def test_a_list_of_files_opens_none_of_them(clip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clip.mp4").write_bytes(clip)
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile clip.mp4\n")
    assert reason(all_frames, tmp_path / "list.mp4") == "unreadable"


def test_an_mp4_without_its_index_is_unreadable(clip):
    file = io.BytesIO()
    encode.encode_video(file, decode.frames(io.BytesIO(clip)), None)  # a file object gets the index at its end
    assert reason(all_frames, io.BytesIO(file.getvalue()[:-200])) == "unreadable"


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_a_truncated_file_gives_its_frames_and_then_an_error(share, clip):
    whole, got = all_frames(io.BytesIO(clip)), []
    with pytest.raises(containers.MediaError, match=r"truncated: \d+ of 50 frames") as caught:
        for picture in decode.frames(io.BytesIO(clip[: int(share * len(clip))])):
            got.append(picture)
    assert caught.value.reason == "truncated"
    assert 5 < len(got) < 45
    assert all(np.array_equal(one, other) for one, other in zip(got, whole, strict=False))


def test_damage_in_the_middle_ends_the_video_there(clip):
    content = bytearray(clip)
    content[len(clip) // 2 : len(clip) // 2 + 4000] = RNG.bytes(4000)
    whole, got = all_frames(io.BytesIO(clip)), []
    with pytest.raises(containers.MediaError, match="truncated"):
        for picture in decode.frames(io.BytesIO(bytes(content))):
            got.append(picture)
    assert all(np.array_equal(one, other) for one, other in zip(got, whole, strict=False))
    assert len(decode.decode_sound(io.BytesIO(bytes(content)))) >= len(NOISE)


def test_a_few_missing_frames_at_the_end_are_accepted(clip):
    assert 45 <= len(all_frames(io.BytesIO(clip[: int(0.96 * len(clip))]))) < 50


@pytest.mark.parametrize("seed", range(25))
def test_damaged_bytes_give_frames_or_a_reason_and_never_a_crash(seed, clip):
    rng = np.random.default_rng(seed)
    content = bytearray(clip)
    for _ in range(int(rng.integers(1, 5))):
        at, length = int(rng.integers(1500 if rng.random() < 0.5 else len(content))), int(rng.choice([1, 4, 20, 500]))
        content[at : at + length] = rng.bytes(length)
    for call in (decode.probe, all_frames, decode.decode_sound):
        try:
            call(io.BytesIO(bytes(content)))
        except containers.MediaError as error:
            assert error.reason in ("unreadable", "truncated", "no_sound")


def test_a_stream_without_a_decoder_has_a_reason(clip):
    """PyAV gives such a stream no codec context."""
    unknown_picture = io.BytesIO(clip.replace(b"avc1", b"zzz1").replace(b"avcC", b"zzzC"))
    assert reason(all_frames, unknown_picture) == "unreadable"
    assert not decode.probe(unknown_picture).has_video
    assert len(decode.decode_sound(unknown_picture)) >= len(NOISE)
    unknown_sound = io.BytesIO(clip.replace(b"mp4a", b"zzza").replace(b"esds", b"zzzs"))
    assert reason(decode.decode_sound, unknown_sound) == "no_sound"
    assert len(all_frames(unknown_sound)) == 50


@pytest.mark.parametrize("rate_hz", [1, 1 << 30])
def test_an_absurd_sample_rate_is_refused_instead_of_resampled_to_gigabytes(rate_hz):
    content = bytearray(wav(NOISE).getvalue())
    content[24:28] = rate_hz.to_bytes(4, "little")
    assert reason(decode.decode_sound, io.BytesIO(bytes(content))) == "no_sound"


def test_a_video_without_sound_is_recognised_before_and_at_decoding(tmp_path):
    encode.encode_video(tmp_path / "a.mp4", [np.zeros((32, 32, 3), np.uint8)] * 5, None)
    assert reason(decode.decode_sound, tmp_path / "a.mp4") == "no_sound"
    probe = decode.probe(tmp_path / "a.mp4")
    assert probe.has_video
    assert not probe.has_sound


def test_a_sound_file_has_no_frames():
    assert reason(all_frames, wav(NOISE)) == "unreadable"
    assert reason(decode.decode_sound, wav(NOISE[:0])) in ("no_sound", "unreadable")


def test_a_wrong_path_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        decode.probe(tmp_path / "absent.mp4")
