"""`--tracks`: other sound tracks, subtitles and chapters of a film in its dub, moved to the film's first picture."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from made_media import RATE_HZ, media, tone

from tasks.media import decode, segments
from tasks.media.tracks import Tracks

CODECS = {"aac", "flac"}


@pytest.fixture
def film(tmp_path):
    """Two sound tracks, subtitles and chapters: film.mkv."""
    plain = tmp_path / "plain.mkv"
    tracks = [(codec, "mono", RATE_HZ, tone(2 * RATE_HZ)[None]) for codec in ("aac", "flac")]
    plain.write_bytes(media("matroska", tracks, "mpeg4"))
    path = tmp_path / "film.mkv"
    with av.open(str(plain)) as source, av.open(str(path), "w") as whole:
        copies = {stream.index: whole.add_stream_from_template(stream) for stream in source.streams}
        texts = whole.add_mux_stream("subrip")
        texts.metadata["language"] = copies[2].metadata["language"] = "deu"
        texts.time_base = Fraction(1, 1000)
        whole.set_chapters([
            {"id": k, "start": 1000 * k, "end": 1000 * (k + 1), "time_base": Fraction(1, 1000),
             "metadata": {"title": f"part {k}"}}
            for k in range(3)
        ])  # fmt: skip
        for packet in source.demux():
            if packet.size:
                packet.stream = copies[packet.stream.index]
                whole.mux(packet)
        words = av.Packet(b"Guten Morgen")
        words.stream, words.pts, words.dts, words.duration, words.time_base = texts, 500, 500, 400, Fraction(1, 1000)
        whole.mux(words)
    return path


def joined(out: Path, film: Path, num_frames: int = 50) -> Tracks:
    ticks, tracks = np.arange(num_frames) * 3600, Tracks(film)
    lossless = out.suffix == ".mkv"
    piece = out.with_name("piece.mp4")
    pictures = (np.full((64, 64, 3), k, np.uint8) for k in range(num_frames))
    segments.write_segment(piece, pictures, ticks, segments.Coding(lossless=lossless))
    sound = iter([tone(num_frames * 640)[None]])
    segments.join(out, [piece], ticks, num_frames * 3600, sound, RATE_HZ, "mono", {}, lossless, tracks)
    return tracks


def test_an_mkv_takes_all_of_them_bit_for_bit(tmp_path, film):
    tracks = joined(tmp_path / "out.mkv", film)
    assert tracks.kept == ["2 chapters", "sound 2 (flac, deu)", "subtitles 1 (srt, deu)"] and not tracks.left_out
    with av.open(str(tmp_path / "out.mkv")) as made, av.open(str(film)) as source:
        assert [chapter["metadata"]["title"] for chapter in made.chapters()] == ["part 0", "part 1"]
        assert [(s.type, s.language) for s in made.streams][2:] == [("audio", "deu"), ("subtitle", "deu")]
        assert data(made, 2) == data(source, 2) and data(made, 3) == data(source, 3)
    assert "number 1" in decode.sounds_left_out(tmp_path / "out.mkv")  # players choose the dubbed one


def data(container, index):
    container.seek(0)
    return [
        (round(float(p.pts * p.time_base), 3), bytes(p)) for p in container.demux(container.streams[index]) if p.size
    ]


def test_what_an_mp4_does_not_take_is_named_and_the_rest_is_there(tmp_path, film):
    tracks = joined(tmp_path / "out.mp4", film)
    assert tracks.left_out == ["subtitles 1 (srt, deu)"]
    assert tracks.kept == ["2 chapters", "sound 2 (flac, deu)"]
    with av.open(str(tmp_path / "out.mp4")) as made:
        assert [stream.type for stream in made.streams if stream.type != "data"] == ["video", "audio", "audio"]
        assert len(made.chapters()) == 2


def test_tracks_end_with_the_film(tmp_path, film):
    joined(tmp_path / "out.mkv", film, num_frames=10)
    with av.open(str(tmp_path / "out.mkv")) as made:
        assert len(made.chapters()) == 1 and not data(made, 3)
        assert data(made, 2)[-1][0] <= 0.4
