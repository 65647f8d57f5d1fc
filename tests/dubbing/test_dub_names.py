"""Whole dubs with names, sounds and texts as people have them."""

import io
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from made_media import RATE_HZ, level_db, media, tone, voice
from test_dub import options, speech

from flows import cli
from model import timing
from tasks.core.errors import UserError
from tasks.dubbing import dub
from tasks.media import decode, native_rate
from tasks.preprocess import pieces
from tasks.provenance import c2pa_mark
from tasks.voices.speech import text_of

LATIN_1 = os.fsdecode(b"caf\xe9 \xff.mp4")
SHORT = timing.num_samples(5)


def files(folder="."):
    return sorted(str(path) for path in Path(folder).rglob("*"))


@pytest.mark.parametrize(
    "out", [f"out/{LATIN_1}", '12:30 "it\'s" 😀\n.mp4', "-" + "x" * 245 + ".mp4", "ü" * 123 + ".mp4"]
)
def test_a_dub_is_made_and_signed_under_any_name(trained, out):
    shutil.copy("face.mp4", LATIN_1)
    shutil.copy(speech(SHORT), os.fsdecode(b"\xe9.wav"))
    before = {path for path in files() if not path.startswith("out")}
    dub.run(LATIN_1, os.fsdecode(b"\xe9.wav"), out, options=options(length="sound"))
    assert len(list(native_rate.pictures(Path(out)))) == 5
    text = Path(out).with_suffix(".json").read_text()
    assert json.loads(text)["lines"][0]["file"] == "\\xe9.wav"
    assert "\\ud" not in text and "\\udc" not in text
    mark = c2pa_mark.read(Path(out))
    assert mark.state == "valid"
    assert mark.about["sources"]["face"]["name"] == "caf\\xe9 \\xff.mp4"
    left = {path for path in files() if not path.startswith("out")} - before
    assert left <= {out, str(Path(out).with_suffix(".json"))}
    dub.run(LATIN_1, os.fsdecode(b"\xe9.wav"), out, options=options(length="sound"))  # kept: made from the same inputs


@pytest.mark.parametrize(
    ("out", "chosen", "line"),
    [
        ("out/" + "x" * 252 + ".mp4", {}, r"--out: .*File name too long; .*\.\.\. has 256 bytes"),
        ("out/" + "x" * 251 + ".mp4", {}, "--out: the JSON beside it: .*File name too long"),
        ("out/a.mp4", {"label": "x" * 5000}, "--label: 5000 letters do not fit"),
        ("out/a.mp4", {"label": "😀"}, "--label: the font cannot write"),
    ],
)
def test_what_cannot_be_written_is_refused_before_any_work(trained, out, chosen, line):
    speech(SHORT)
    before = files()
    with pytest.raises(UserError, match=line):
        dub.run("face.mp4", "speech.wav", out, options=options(**chosen))
    assert files() == before


def test_a_text_that_the_voice_does_not_speak_is_refused(trained):
    with pytest.raises(UserError, match="--voice cmn speaks them"):
        dub.run("face.mp4", None, "out/a.mp4", options=options(text="你好", voice="en"))
    assert not Path("out/.a.mp4.work").exists()


def test_the_default_track_is_kept_between_spans_and_the_sound_keeps_its_channels(trained, capsys):
    sound = np.stack([np.zeros_like(voice())] * 2 + [voice()] + [np.zeros_like(voice())] * 3)
    tracks = [("pcm_s16le", "mono", RATE_HZ, tone(len(voice()))), ("pcm_s16le", "5.1", RATE_HZ, sound)]
    Path("sound.mkv").write_bytes(media("matroska", tracks, default=1))
    remux("face.mp4", "sound.mkv", "film.mkv")
    speech(SHORT)
    what = ["--face", "film.mkv", "--span", "0.4=speech.wav", "--out", "out/a.mp4", "--generator", "lipgan"]
    assert cli.main(["dub", *what]) == 0
    assert "film.mkv: of 2 sound tracks number 2 (no language), marked default, is used" in capsys.readouterr().err
    like = native_rate.sound_format(Path("out/a.mp4"))
    assert like.layout == "5.1"
    out = np.concatenate(list(native_rate.channels(Path("out/a.mp4"), like)), axis=1)
    before = slice(0, round(0.4 * RATE_HZ))
    levels = [level_db(one[before]) for one in out]
    assert levels.index(max(levels)) == 2 and max(levels) > level_db(voice()[before]) - 1
    assert max(levels[:2] + levels[3:]) < max(levels) - 40


def remux(picture, sound, out):
    """The picture of one file and all sound tracks of another, the second of them marked default."""
    import av

    with av.open(picture) as one, av.open(sound) as other, av.open(out, "w", format="matroska") as whole:
        streams = [(one, one.streams.video[0]), *((other, track) for track in other.streams.audio)]
        copies = [whole.add_stream_from_template(stream) for _, stream in streams]
        for number, copy in enumerate(copies):
            copy.disposition = 1 if number in (0, 2) else 0
        for (container, stream), copy in zip(streams, copies, strict=True):
            container.seek(0)
            for packet in container.demux(stream):
                if packet.dts is not None:
                    packet.stream = copy
                    whole.mux(packet)


def test_preprocessing_names_the_tracks_that_are_left_out():
    tracks = [("aac", "mono", RATE_HZ, tone(RATE_HZ)), ("aac", "mono", RATE_HZ, voice(1))]
    content = media("matroska", tracks, "libx264", num_frames=25, default=1)
    video = pieces.Video(content, 100, None)
    assert "number 2 (no language), marked default, is used; left out: 1" in video.sounds_left_out
    video.close()
    heard = pieces.SoundReader(content, video).span(0, None)
    assert np.array_equal(heard, decode.decode_sound(io.BytesIO(content)))


def test_a_text_comes_from_a_file_or_standard_input(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_bytes("\ufeffGood morning.\n".encode("utf-16-le"))
    assert text_of("@text.txt") == "Good morning.\n"
    assert text_of("Good morning.") == "Good morning." and text_of("@") == "@"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbfHello")))
    assert text_of("-") == "Hello"
    with pytest.raises(
        UserError, match=r"--text @FILE: none.txt: no such file; a text that begins with @ names a file"
    ):
        text_of("@none.txt")
    Path("text.txt").write_bytes(b"caf\xe9")
    with pytest.raises(UserError, match=r"--text: text\.txt: not a text in UTF-8"):
        text_of("@text.txt")


def test_the_json_names_the_voice_that_was_chosen_for_a_text(trained):
    pytest.importorskip("hibari")
    dub.run("face.mp4", None, "out/a.mp4", options=options(text="Good morning.", length="sound"))
    assert json.loads(Path("out/a.json").read_text())["made_by"]["options"]["voice"] == "heart"
