"""Dubbing with a generator trained for six steps: it moves no mouth well, but everything else is real."""

import itertools
import json
import os
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from model import faces, samples, timing
from tasks.core import config, paths, progress
from tasks.core.errors import UserError
from tasks.dubbing import dub, find_faces, hear, idle, look, speaker
from tasks.dubbing.options import Options
from tasks.features import audio, crop, face_track
from tasks.features.mesh_points import MeshPoints
from tasks.inference import checkpoints, lip_sync
from tasks.media import decode, encode, native_rate, segments
from tasks.media.wav import write_wav
from tasks.storage import index, shards


def speech(samples, path="speech.wav"):
    noise = np.random.default_rng(0).normal(0, 0.1, samples).astype(np.float32)
    write_wav(Path(path), noise)
    return path


def face_frames():
    return np.stack(list(decode.frames(Path("face.mp4"))))


def about(out):
    return json.loads(Path(out).with_suffix(".json").read_text())


def options(**chosen):
    return Options(**chosen)


def lossless(face, audio, out="out/a.mkv", spans=(), **chosen):
    """Dub without loss, so that the frames of the output are those before encoding."""
    dub.run(face, audio, out, spans=spans, options=options(lossless=True, **chosen))
    return np.stack([picture.rgb() for picture, _ in native_rate.pictures(Path(out))])


@pytest.mark.parametrize(("length", "samples", "wanted"), [
    ("longest", 640 * 5, "video"), ("longest", 640 * 70 + 320, "sound"), ("video", 640 * 70, "video"),
    ("sound", 640 * 20 + 1, "sound"),
])  # fmt: skip
def test_the_output_has_the_length_that_was_asked_for(trained, length, samples, wanted):
    dub.run("face.mp4", speech(samples), "out/a.mp4", options=options(length=length))
    num_frames = len(face_frames()) if wanted == "video" else timing.num_frames_of_sound(samples)
    assert len(list(native_rate.pictures(Path("out/a.mp4")))) == num_frames
    assert abs(native_rate.sound_format(Path("out/a.mp4")).duration_s - num_frames / 25) < 0.1


@pytest.mark.parametrize("fps", [Fraction(24000, 1001), 50])
def test_the_output_keeps_the_times_of_the_source(trained, fps):
    pictures = face_frames()[:20]
    times_s = np.arange(20) / float(fps)
    times_s[12:] += 0.21  # and one frame is shown longer
    ticks = np.round(times_s * segments.TICKS_HZ).astype(int)
    segments.write_segment(Path("piece.mp4"), pictures, ticks, segments.Coding())
    dub.run("piece.mp4", speech(640 * 5), "out/a.mp4")
    got = np.array([time_s for _, time_s in native_rate.pictures(Path("out/a.mp4"))])
    assert np.abs(got - times_s).max() < 1e-3


def test_nothing_outside_the_lower_face_changes(trained):
    made, real = lossless("face.mp4", speech(640 * 5)), face_frames()
    left, top, right, bottom = np.array(about("out/a.mkv")["faces"][0]["box"])
    outside = np.ones(real.shape[1:3], bool)
    outside[(top + bottom) // 2 :, left:right] = False
    assert (made[:, outside] == real[:, outside]).all()
    changed = (made != real).any(axis=(1, 2, 3))
    assert changed.all()


def test_frames_without_a_face_pass_through_and_are_listed(trained):
    real = face_frames()
    real[10:20] = 90
    segments.write_segment(Path("gap.mp4"), real, np.arange(len(real)) * 3600, segments.Coding(lossless=True))
    made = lossless("gap.mp4", speech(640 * 5))
    assert (made[10:20] == real[10:20]).all()
    assert (made[5] != real[5]).any()
    sidecar = about("out/a.mkv")
    assert [[span["first"], span["last"], span["reason"]] for span in sidecar["passed_through"]] == [
        [10, 19, "no_face"]
    ]
    assert sidecar["changed"] == int((made != real).any(axis=(1, 2, 3)).sum())


def test_a_hand_before_the_mouth_stays_and_the_change_fades_around_it(trained):
    real = face_frames()
    plain = dub.find_faces(Path("face.mp4"), config.load(paths.PARAMS).faces, MeshPoints(), None, Path())
    left, top, right, bottom = np.median(plain.faces[0].boxes_N4, axis=0).astype(int)
    real[20:26, (top + bottom) // 2 : bottom + 8, left:right] = (60, 160, 60)
    segments.write_segment(Path("hand.mp4"), real, np.arange(len(real)) * 3600, segments.Coding(lossless=True))
    made = lossless("hand.mp4", speech(640 * 5))
    assert (made[20:26] == real[20:26]).all()
    unchanged = {t for span in about("out/a.mkv")["passed_through"] for t in range(span["first"], span["last"] + 1)}
    assert set(range(20, 26)) <= unchanged < set(range(len(real)))
    change = np.abs(made.astype(int) - real).mean(axis=(1, 2, 3))
    assert 0 < change[19] < change[10]


def test_the_bar_counts_every_frame_that_is_read_also_where_more_come_than_were_promised():
    states = []
    with progress.reported(lambda *state: states.append(state)):
        assert list(find_faces.counted(range(5), 4, "all")) == list(range(5))
        assert list(itertools.islice(find_faces.counted(range(9), 5, "some"), 5)) == list(range(5))
    assert [state for state in states if state[1] == 5] == [("all", 5, 5), ("some", 5, 5)]


def test_only_spans_are_changed_and_the_rest_keeps_picture_and_sound(trained, capsys):
    real, sound = face_frames(), decode.decode_sound(Path("face.mp4"))
    made = lossless("face.mp4", None, spans=[(0.4, speech(640 * 10, "line.wav"))])
    changed = np.flatnonzero((made != real).any(axis=(1, 2, 3)))
    assert 10 - 3 <= changed[0] <= 10 and 19 <= changed[-1] <= 19 + 3
    num = about("out/a.mkv")["changed"]
    assert f"{num} changed, 0 passed through, {len(real) - num} outside the spans; " in capsys.readouterr().err
    heard = decode.decode_sound(Path("out/a.mkv"))
    line = decode.decode_sound(Path("line.wav"))
    assert np.abs(heard[: 10 * 640] - sound[: 10 * 640]).max() < 1e-3
    assert np.abs(heard[21 * 640 : 28 * 640] - sound[21 * 640 : 28 * 640]).max() < 1e-3
    assert np.abs(heard[11 * 640 : 19 * 640] - line[640 : 9 * 640]).max() < 1e-3


def test_overlapping_lines_are_refused(trained):
    spans = [(0.0, speech(640 * 10, "one.wav")), (0.2, speech(640 * 10, "two.wav"))]
    with pytest.raises(UserError, match=r"two.wav begins at 0.20 s, before one.wav ends at 0.40 s"):
        dub.run("face.mp4", None, "out/a.mp4", spans=spans)


def test_a_video_shorter_than_the_audio_is_played_forwards_and_backwards(trained):
    real = face_frames()
    order = np.concatenate([np.arange(len(real)), np.arange(len(real))[::-1], np.arange(len(real))])
    made = lossless("face.mp4", speech(640 * (len(real) + 30)))
    top = slice(0, 10)  # rows above the face
    assert (made[:, top] == real[order[: len(made)], top]).all()


def test_a_run_that_was_killed_resumes_and_makes_the_same_bytes(trained, monkeypatch):
    monkeypatch.setattr("tasks.dubbing.render.SEGMENT_FRAMES", 8)
    audio, exact = speech(640 * 5), options(lossless=True)  # the manifest of an mp4 has a date
    dub.run("face.mp4", audio, "out/whole.mkv", options=exact)
    write, written = segments.write_segment, []

    def killed(out, *rest):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(out.name)
        write(out, *rest)

    monkeypatch.setattr(segments, "write_segment", killed)
    with pytest.raises(KeyboardInterrupt):
        dub.run("face.mp4", audio, "out/part.mkv", options=exact)
    assert not Path("out/part.mkv").exists()
    monkeypatch.setattr(segments, "write_segment", lambda out, *rest: (written.append(out.name), write(out, *rest)))
    monkeypatch.setattr(look, "look", None)  # pass 1 is not repeated
    dub.run("face.mp4", audio, "out/part.mkv", options=exact)
    assert written == sorted(set(written))
    assert Path("out/part.mkv").read_bytes() == Path("out/whole.mkv").read_bytes()
    assert sorted(os.listdir("out")) == ["part.json", "part.mkv", "whole.json", "whole.mkv"]


def test_a_picture_speaks_and_a_drawing_with_its_box(trained):
    cv2.imwrite("face.png", face_frames()[0][..., ::-1])
    dub.run("face.png", speech(640 * 12), "out/a.mp4")
    assert len(list(native_rate.pictures(Path("out/a.mp4")))) == 12
    drawing = np.full((200, 200, 3), 200, np.uint8)
    cv2.imwrite("drawing.png", drawing)
    with pytest.raises(UserError, match="no face found"):
        dub.run("drawing.png", "speech.wav", "out/b.mp4")
    dub.run("drawing.png", "speech.wav", "out/b.mp4", options=options(box=(40.0, 40.0, 140.0, 140.0)))
    assert about("out/b.mp4")["found_by"] == "the box that was given"


def test_the_head_of_a_picture_sways_and_its_landmarks_move_with_it(trained):
    picture_HW3 = face_frames()[0]
    p, predictor = config.load(Path("params.yaml")).faces, MeshPoints()
    seen = look.picture_face(picture_HW3, p, predictor, None)
    video, choice, sway = idle.lasting(seen, speaker.choose(seen, None, None), 100)
    [face] = video.faces
    assert (sway.picture(picture_HW3, 0) == picture_HW3).all() and (choice.who_T == 0).all()
    expected, measured = [], []  # where the head is
    box_14 = faces.crop_boxes(seen.faces[0].boxes_N4)  # of the unmoved face, so that the predictor sees all of it
    for frame in range(0, 100, 4):
        crop_1SS3 = crop.crop(sway.picture(picture_HW3, frame), box_14[0], p.size)[None]
        measured.append(look.to_frame(predictor(crop_1SS3), box_14, p.size)[0].mean(axis=0))
        expected.append(face.points_N682[frame].mean(axis=0))
        assert np.ptp(face.boxes_N4[frame, ::2]) == pytest.approx(sway.size_px)
    expected, measured = np.array(expected) - expected[0], np.array(measured) - measured[0]
    assert 0.01 < np.linalg.norm(expected, axis=1).max() / sway.size_px < 0.05
    assert np.abs(expected - measured).mean() < 0.3 * np.abs(expected).mean()


def test_idle_motion_ends_where_the_head_ends():
    wide = np.random.default_rng(0).integers(0, 255, (300, 500, 3), dtype=np.uint8)
    sway = idle.Sway(np.array([150.0, 150.0]), np.array([150.0, 210.0]), 80.0)
    made = [sway.picture(wide, frame) for frame in (0, 40, 90)]
    y, x = np.mgrid[:300, :500]
    far = np.hypot(x - 150, y - 150) > idle.STILL * 80
    assert all((one[far] == wide[far]).all() for one in made)
    assert (made[0] == wide).all() and (made[1] != wide).any() and (made[2] != made[1]).any()


def test_a_picture_with_idle_motion_is_dubbed_and_a_video_is_refused(trained):
    cv2.imwrite("face.png", face_frames()[0][..., ::-1])
    made = lossless("face.png", speech(640 * 40), idle=True)
    sidecar = about("out/a.mkv")
    assert len(made) == 40 and sidecar["found_by"].endswith("idle motion added") and sidecar["changed"] == 40
    assert (made[30] != made[0]).mean() > 0.2
    with pytest.raises(UserError, match=r"--idle is for pictures; face\.mp4 is a video"):
        dub.run("face.mp4", "speech.wav", "out/b.mp4", options=options(idle=True))


def test_the_face_whose_mouth_matches_the_audio_is_dubbed(trained):
    real = face_frames()
    still = np.repeat(real[:1], len(real), axis=0)
    for name, pair in (("left", (real, still[:, :, ::-1])), ("right", (still[:, :, ::-1], real))):
        encode.encode_video(Path("two.mp4"), np.concatenate(pair, axis=2), decode.decode_sound(Path("face.mp4")))
        made = lossless("two.mp4", speech(640 * 5))
        both = np.stack(list(decode.frames(Path("two.mp4"))))
        changed = (made != both).any(axis=(0, 1, 3))
        half = len(changed) // 2
        assert changed[:half].any() == (name == "left") and changed[half:].any() == (name == "right")
    x = half // 2
    made = lossless("two.mp4", "speech.wav", speaker=f"{x},{both.shape[1] // 2}@0.5")
    assert (made != both)[:, :, :half].any() and not (made != both)[:, :, half:].any()


def test_a_picture_of_the_person_chooses_the_speaker_and_the_sidecar_gives_the_likeness(trained):
    """Two persons of the corpus side by side, and of one a picture from another time of the clip."""
    rows = {row["video"]: row for row in index.kept(index.read(paths.CLIPS))}
    one, other = (frames_of(rows[video])[:20] for video in sorted(rows)[:2])
    cv2.imwrite("one.png", frames_of(rows[sorted(rows)[0]])[-1][..., ::-1])
    cv2.imwrite("other.png", frames_of(rows[sorted(rows)[1]])[-1][..., ::-1])
    encode.encode_video(Path("two.mp4"), np.concatenate([one, other], axis=2), None)
    half = one.shape[2]
    for name, side in (("one.png", 0), ("other.png", 1)):
        dub.run("two.mp4", speech(640 * 5), "out/a.mp4", options=options(speaker=name, length="video"))
        sidecar = about("out/a.mp4")
        dubbed = [face for face in sidecar["faces"] if face["dubbed"]]
        assert {int(face["box"][0]) // half for face in dubbed} == {side}
        beside = [face["likeness"] for face in sidecar["faces"] if not face["dubbed"]]
        assert min(face["likeness"] for face in dubbed) > max(beside) + 0.1
        assert sidecar["speaker_by"].startswith("named: likeness 0.9")
    cv2.imwrite("stranger.png", frames_of(rows[sorted(rows)[-1]])[0][..., ::-1])
    with pytest.raises(
        UserError, match=r"no face in the video is like it: the best likeness is -?0\.\d\d, wanted 0\.75"
    ):
        dub.run("two.mp4", "speech.wav", "out/b.mp4", options=options(speaker="stranger.png"))


def frames_of(row):
    members = shards.read(paths.RAW / row["shard"], row["offset"], row["size"])
    Path("clip.mp4").write_bytes(members["mp4"])
    return np.stack(list(decode.frames(Path("clip.mp4"))))


def test_pass_1_finds_the_boxes_of_the_training_track(trained):
    p = config.load(paths.PARAMS).faces
    followed = face_track.track(decode.frames(Path("face.mp4")), p)
    [face] = look.look(native_rate.pictures(Path("face.mp4")), p).faces
    assert np.array_equal(face.boxes_N4, followed.boxes_T4)
    assert np.array_equal(face.found_N, followed.found_T)


def test_a_cut_ends_a_face(trained):
    real = face_frames()[:20]
    cut = np.concatenate([real, 255 - real[:, :, ::-1], real])
    encode.encode_video(Path("cut.mp4"), cut, None)
    seen = look.look(native_rate.pictures(Path("cut.mp4")), config.load(paths.PARAMS).faces)
    assert seen.shots == [0, 20, 40]
    shots = [np.searchsorted(seen.shots, [face.first, face.end - 1], side="right") for face in seen.faces]
    assert all(first == last for first, last in shots)


def test_sound_features_piece_by_piece_are_those_of_the_whole(monkeypatch):
    monkeypatch.setattr(hear, "PIECE_FRAMES", 20)
    sound = np.random.default_rng(0).normal(0, 0.1, 640 * 73).astype(np.float32)
    blocks = (sound[at : at + 999] for at in range(0, len(sound), 999))
    assert np.array_equal(hear.mfcc(blocks, 73), audio.mfcc(sound, 73))


def test_a_frame_at_25_frames_per_second_gets_the_window_it_got_in_training():
    mfcc = np.arange(12 * 200, dtype=np.float32).reshape(12, 200)
    at = np.arange(50)
    assert np.array_equal(samples.windows_at(mfcc, (at + 0.5) / 25), samples.windows(mfcc, at))


def test_loudness_rises_where_there_is_sound():
    sound = np.zeros(640 * 10, np.float32)
    sound[640 * 4 : 640 * 6] = 0.5
    assert (speaker.loudness([sound[:777], sound[777:]]) > 0).tolist() == [False] * 4 + [True] * 2 + [False] * 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"face": "none.mp4"}, "none.mp4: no such file"),
        ({"face": "circle.mp4"}, "circle.mp4: no such file"),
        ({"audio": "none.wav"}, "none.wav: no such file"),
        ({"audio": None}, "give one of --audio, --span, --text and --subtitles"),
        ({"out": "a.avi"}, "--out must end in .mp4"),
        ({"out": "speech.wav/a.mp4"}, "cannot be written"),
        ({"checkpoint": "none.safetensors"}, "none.safetensors: no such file; train with `dvc repro`"),
        ({"face": "speech.wav"}, "no picture can be read: there is no video stream"),
        ({"audio": "mute.mp4"}, "no sound can be read: there is no sound stream"),
        ({"face": "text.mp4"}, "no picture can be read"),
        ({"face": "grey.mp4"}, "no face found in 5 frames"),
        ({"face": "half.mp4"}, "no picture can be read: damaged after"),
        ({"options": Options(speaker="7")}, "--speaker 7: faces are numbered 0 to 0"),
        ({"options": Options(speaker="²")}, "not a face's number, x,y@seconds, a picture file or person:NAME"),
        ({"options": Options(speaker="9" * 5000)}, "faces are numbered 0 to 0"),
        ({"options": Options(speaker="1,1@0")}, "--speaker 1,1@0: there is no face at this point at 0 s"),
        ({"options": Options(speaker="anna")}, "not a face's number, x,y@seconds, a picture file or person:NAME"),
        ({"options": Options(crf=52)}, "--crf must be from 0 to 51, got 52"),
        ({"audio": None, "options": Options(text="a", tts="say 'a {text} {out}")}, "--tts: no closing quotation"),
        ({"audio": None, "options": Options(text="caf\udce9")}, "--text: not UTF-8: 'caf.*xe9'"),
        ({"audio": None, "spans": [(99.0, "speech.wav")]}, "speech.wav begins at 99.00 s, the video ends at 1.16 s"),
        ({"options": Options(length="short")}, "--length must be one of longest, video, sound"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(trained, change, message):
    speech(6400)
    grey = [np.full((96, 96, 3), 127, np.uint8)] * 5
    encode.encode_video(Path("grey.mp4"), grey, np.zeros(3200, np.float32))
    encode.encode_video(Path("mute.mp4"), grey, None)
    Path("text.mp4").write_text("no video")
    Path("circle.mp4").symlink_to("circle.mp4")
    encode.encode_video(Path("half.mp4"), [*face_frames()], None)  # its index is in front
    whole = Path("half.mp4").read_bytes()
    Path("half.mp4").write_bytes(whole[: len(whole) // 2] + bytes(len(whole) // 2))
    arguments = {"face": "face.mp4", "audio": "speech.wav", "out": "out/a.mp4"} | change
    with pytest.raises(UserError, match=message) as caught:
        dub.run(**arguments)
    assert "\n" not in str(caught.value)
    assert list(Path().glob("out/*")) == []


def test_weights_of_another_network_are_refused_by_name(trained):
    weights, described = checkpoints.load(paths.GENERATOR)
    described["params"]["model"]["width"] = 0.25
    checkpoints.save(Path("models/other.safetensors"), weights, described)
    with pytest.raises(UserError, match=r"other\.safetensors: weights do not fit the network"):
        lip_sync.LipSync(Path("models/other.safetensors"))


def test_a_checkpoint_of_another_version_is_one_line(trained):
    weights, described = checkpoints.load(paths.GENERATOR)
    del described["params"]["faces"]["key_every"]
    checkpoints.save(Path("models/old.safetensors"), weights, described)
    with pytest.raises(UserError, match=r"old\.safetensors: trained by another version .*key_every"):
        dub.run("face.mp4", speech(6400), "out/a.mp4", "models/old.safetensors")


def test_the_generator_does_not_see_the_mouth_it_replaces(trained):
    sync = lip_sync.LipSync(paths.GENERATOR)
    faces = np.random.default_rng(0).integers(0, 255, (3, 96, 96, 3), dtype=np.uint8)
    other = faces.copy()
    other[:, 48:] = 0
    windows = np.zeros((3, 12, 35), np.float32)
    assert (sync.generate(faces[0], faces, windows) == sync.generate(faces[0], other, windows)).all()


def test_many_frames_at_a_time_are_the_frames_one_by_one(trained):
    sync = lip_sync.LipSync(paths.GENERATOR)
    rng = np.random.default_rng(0)
    faces = rng.integers(0, 255, (40, 96, 96, 3), dtype=np.uint8)
    windows = rng.normal(size=(40, 12, 35)).astype(np.float32)
    together = sync.generate(faces[0], faces, windows)
    alone = np.concatenate([sync.generate(faces[0], faces[k : k + 1], windows[k : k + 1]) for k in range(40)])
    assert np.abs(together.astype(int) - alone).max() <= 1


def test_each_second_of_new_mouths_is_judged_by_the_expert(trained):
    dub.run("face.mp4", speech(640 * 20), "out/a.mp4", options=options(length="sound"))
    sidecar = about("out/a.mp4")
    if paths.EXPERT.is_file():
        assert sidecar["confidence"][0]["from_s"] == 0 and sidecar["confidence"][-1]["to_s"] <= 0.8
        assert all(0 <= span["fits"] <= 1 for span in sidecar["confidence"])
    assert len(sidecar["seam_levels"]) == 1


def test_a_text_is_spoken_by_any_command(trained):
    speech(640 * 15, "said.wav")
    out = dub.run(
        "face.mp4",
        None,
        "out/a.mp4",
        options=options(text="hello", tts="install -S {text} said.wav {out}", length="sound"),
    )
    assert out.is_file()
