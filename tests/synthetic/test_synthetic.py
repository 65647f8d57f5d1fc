"""The embedded corpus, checked on the encoded clips."""

import dataclasses
import hashlib
import io
import json
import multiprocessing
import re
import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from model import faces, visemes
from model.timing import SAMPLES_PER_FRAME
from tasks.core.errors import UserError
from tasks.features import face_track
from tasks.media import decode, espeak
from tasks.synthetic import clip, identity, layout, mouth_curves, picture, plan, scene
from tasks.synthetic.head import Head
from tasks.synthetic.mouth import Mouth
from tasks.synthetic.script import SCRIPTS

pytest.importorskip("espeakng_loader", reason="the optional extra `synthetic` is not installed")

TINY = plan.plan(0, "tiny")
SPLITS = ("train", "val", "test", "hard")


@pytest.fixture(scope="module")
def rendered():
    return {spec.key: clip.render(spec) for spec in TINY}


def frames_of(rendered: clip.SyntheticClip) -> np.ndarray:
    return np.stack(list(decode.frames(io.BytesIO(rendered.mp4))))


def sha256_of_clip(spec: plan.ClipSpec) -> str:
    made = clip.render(spec)
    return hashlib.sha256(made.mp4 + made.text.encode() + json.dumps(made.truth).encode()).hexdigest()


# the plan


@pytest.mark.parametrize("size", plan.SIZES)
def test_no_speaker_voice_or_sentence_is_in_two_splits(size):
    seen = {}
    for spec in plan.plan(0, size):
        timbre = spec.voice.partition("+")[2] or spec.voice
        for thing in ("speaker", spec.speaker), ("video", spec.video), ("voice", timbre), ("text", spec.text):
            assert seen.setdefault(thing, spec.split) == spec.split, thing


def test_no_phrase_is_part_of_two_scripts():
    for one in SPLITS:
        for other in set(SPLITS) - {one}:
            assert not set(SCRIPTS[one].parts) & set(SCRIPTS[other].parts)


def test_all_sentences_of_the_demo_differ():
    texts = [spec.text for spec in plan.plan(0, "demo")]
    assert len(set(texts)) == len(texts)


def test_the_demo_has_every_hard_case_once_and_only_there():
    hard = [spec.case for spec in plan.plan(0, "demo") if spec.split == "hard"]
    assert sorted(hard) == sorted(plan.HARD_CASES)
    assert {spec.case for spec in plan.plan(0, "demo") if spec.split != "hard"} == {"clean"}


def test_keys_look_like_those_of_lrs2():
    assert all(re.fullmatch(r"main/\d{19}/\d{5}", spec.key) and spec.video in spec.key for spec in TINY)


def test_a_plan_follows_from_its_seed():
    assert plan.plan(3, "demo") == plan.plan(3, "demo") != plan.plan(4, "demo")


def test_an_unknown_size_is_refused_by_name():
    with pytest.raises(ValueError, match="unknown corpus size 'huge'; known: demo, large, tiny"):
        plan.plan(0, "huge")


# speech


def test_the_same_text_gives_the_same_sound_after_other_texts():
    first = espeak.say("Mary bought four apples", "en+f2")
    espeak.say("something else", "en-us+m3")
    again = espeak.say("Mary bought four apples", "en+f2")
    assert np.array_equal(first.sound, again.sound) and first.phones == again.phones


def test_phones_are_contiguous_and_surrounded_by_silence():
    speech = espeak.say("the painter has moved to a small village")
    starts, ends = np.array([phone[1:] for phone in speech.phones]).T
    assert np.all(starts < ends + 1e-9) and np.allclose(starts[1:], ends[:-1])
    first, last = int(starts[0] * 16_000), int(ends[-1] * 16_000)
    assert 0.1 < np.sqrt((speech.sound[first:last] ** 2).mean()) < 0.15
    assert max(np.abs(speech.sound[:first]).max(), np.abs(speech.sound[last + 160 :]).max()) < 0.005
    assert len(speech.sound) % SAMPLES_PER_FRAME == 0


def test_the_sound_of_an_s_is_at_the_time_of_its_phone():
    speech = espeak.say("a sausage, a season, a saucer", "en-us")
    crossings = np.abs(np.diff(np.signbit(speech.sound).astype(int)))  # hissing crosses zero most often

    def hissing(wanted):
        spans = [crossings[int(a * 16_000) : int(b * 16_000)] for label, a, b in speech.phones if label[-1] == wanted]
        return np.mean([span.mean() for span in spans])

    assert hissing("s") > 3 * hissing("@")


def test_every_word_has_a_time_although_espeak_merges_some():
    text = "The man in the moon, isn't he 2024 years of age?"
    speech = espeak.say(text)
    assert [word for word, _, _ in speech.words] == "THE MAN IN THE MOON ISN'T HE 2024 YEARS OF AGE".split()
    bounds = [time for _, start, end in speech.words for time in (start, end)]
    assert bounds == sorted(bounds)


def test_an_unknown_voice_and_an_empty_text_are_user_errors():
    with pytest.raises(UserError, match="no voice 'xx'"):
        espeak.say("hello", "xx")
    with pytest.raises(UserError, match="nothing to say"):
        espeak.say("  ...  ")


def test_missing_espeak_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(UserError, match=r"pip install .*\[synthetic\].*GPLv3"):
        espeak.say("hello")


# mouths


def test_lips_are_closed_in_the_middle_of_every_m_b_and_p():
    closed, opened = [], []
    for text in SCRIPTS["train"].subjects + SCRIPTS["train"].objects:
        speech = espeak.say(text)
        mouths = mouth_curves.mouths(speech.phones, len(speech.sound) // SAMPLES_PER_FRAME)
        for phone, start_s, end_s in speech.phones:
            opening = mouths[int((start_s + end_s) / 2 * 25)].opening
            (closed if visemes.of_espeak(phone) == ["PP"] else opened).append(opening)
    assert len(closed) > 20 and max(closed) < 0.03 < np.median(opened)


@pytest.mark.parametrize(
    "phone, names", [("'aI", ["aa", "ih"]), ("tS", ["CH"]), ("t", ["DD"]), ("_:", ["sil"]), ("¤", ["ax"])]
)
def test_a_phoneme_is_matched_by_its_longest_known_prefix(phone, names):
    assert visemes.of_espeak(phone) == names


def test_the_true_landmarks_have_the_requested_opening():
    take = scene.draw(1, 160)
    actor = picture.Actor(Head(identity.draw(1)), take, 48.0)
    openings = np.linspace(0, 0.25, 6)
    landmarks = [picture.render(take, [(actor, Mouth(opening=x), picture.Pose())], None).landmarks[0] for x in openings]
    measured = faces.aperture(np.stack(landmarks))
    assert np.corrcoef(openings, measured)[0, 1] > 0.999
    assert measured[0] < 0.02 < 0.2 < measured[-1]


@pytest.mark.parametrize("landmark", [8, 33, 51, 57], ids=["chin", "nose", "upper lip", "lower lip"])
def test_a_landmark_is_at_the_rendered_position_of_its_mesh_point(landmark):
    take, head = scene.draw(7, 160), Head(identity.draw(7))
    cast = [(picture.Actor(head, take, 48.0), Mouth(), picture.Pose(yaw_deg=6, pitch_deg=2, shift_x_px=3))]
    before = picture.render(take, cast, None)
    row, column = divmod(int(head.landmarks_68[landmark]), head.rest_RC3.shape[1])
    head.colour_RC3[row - 1 : row + 2, column - 1 : column + 2] = 0
    change_HW = np.abs(picture.render(take, cast, None).rgb_HW3.astype(float) - before.rgb_HW3).sum(axis=-1)
    y, x = np.mgrid[:160, :160] + 0.5  # pixel i covers [i, i + 1)
    seen = np.array([(change_HW * x).sum(), (change_HW * y).sum()]) / change_HW.sum()
    assert np.linalg.norm(seen - before.landmarks[0][landmark]) < 0.6


# clips


def test_a_clip_is_the_same_to_the_byte_in_a_fresh_process():
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh:
        elsewhere = fresh.submit(sha256_of_clip, TINY[0])
        assert sha256_of_clip(TINY[0]) == elsewhere.result()


def test_every_clip_has_a_truth_and_640_samples_per_frame(rendered):
    for made in rendered.values():
        num_frames = len(frames_of(made))
        assert num_frames == made.truth["num_frames"] == len(made.truth["aperture"]) == len(made.truth["yaw_deg"]) < 38
        sound = decode.decode_sound(io.BytesIO(made.mp4))
        assert 0 <= len(sound) - num_frames * SAMPLES_PER_FRAME < 1024  # AAC comes in blocks of 1024
        assert made.text == f"Text:  {' '.join(word for word, _, _ in made.truth['words'])}\nConf:  5\n"
        assert json.loads(json.dumps(made.truth)) == made.truth


def test_dlib_finds_one_face_in_clean_frames_and_none_without_a_person(rendered):
    for spec in TINY:
        frames = frames_of(rendered[spec.key])[::3]
        counts = [len(face_track.detect(frame, 160)) for frame in frames]
        assert np.mean(np.array(counts) == (0 if spec.case == "no_face" else 1)) >= 0.99, spec.case


def test_the_video_of_an_offset_clip_is_delayed_by_that_many_frames():
    spec = TINY[1]

    def film(offset_frames):
        made = clip.render(dataclasses.replace(spec, offset_frames=offset_frames))
        return frames_of(made).astype(float), np.array(made.truth["aperture"])

    still, _ = film(1000)  # does not begin to speak
    (on_time, opening), (late, opening_late) = film(0), film(plan.LATE_FRAMES)
    assert np.array_equal(opening_late[plan.LATE_FRAMES :], opening[: -plan.LATE_FRAMES])
    # only lips differ by more than 30 of 255; smaller differences are the codec's
    moved, moved_late = (np.maximum(np.abs(f - still) - 30, 0).mean(axis=(1, 2, 3)) for f in (on_time, late))
    lags = range(10)
    alike = [np.corrcoef(moved[: len(moved) - lag], moved_late[lag:])[0, 1] for lag in lags]
    assert lags[int(np.argmax(alike))] == plan.LATE_FRAMES and max(alike) > 0.95


def test_every_hard_case_renders_and_changes_the_clip():
    speaker = dataclasses.replace(TINY[1], text="hm")
    clean = clip.render(speaker)
    for case in plan.HARD_CASES:
        made = clip.render(dataclasses.replace(speaker, case=case, offset_frames=5 if case == "offset" else 0))
        assert made.mp4 != clean.mp4, case


# the tree


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("corpus") / "lrs2"
    layout.write_tree(root, [TINY[0], TINY[4], TINY[5], *plan.pretrain(0, 1, "tiny")])
    return root


def test_every_line_of_a_list_names_a_clip_with_its_text_and_truth(tree):
    lists = {path.stem: path.read_text().splitlines() for path in tree.glob("*.txt")}
    assert {name: len(lines) for name, lines in lists.items()} == {"train": 1, "test": 1, "hard": 1, "pretrain": 1}
    for name, lines in lists.items():
        part = "pretrain" if name == "pretrain" else "main"
        for line in lines:
            base = line.split()[0]
            assert decode.probe(tree / f"mvlrs_v1/{part}/{base}.mp4").has_sound
            assert (tree / f"mvlrs_v1/{part}/{base}.txt").read_text().startswith("Text:  ")
            assert json.loads((tree / f"truth/{part}/{base}.json").read_text())["aperture"]


def test_the_test_list_has_lrs2s_second_word(tree):
    assert re.fullmatch(r"\d{19}/\d{5} (NF|MV)\n", (tree / "test.txt").read_text())


def test_pretrain_texts_have_a_row_for_every_word(tree):
    [path] = tree.glob("mvlrs_v1/pretrain/*/*.txt")
    text, confidence, empty, header, *rows = path.read_text().splitlines()
    assert (confidence, empty, header) == ("Conf:  5", "", "WORD START END ASDSCORE")
    assert [row.split()[0] for row in rows] == text.removeprefix("Text:  ").split()
    assert all(float(start) < float(end) for _, start, end, _ in map(str.split, rows))


def test_a_folder_that_is_not_empty_is_not_overwritten(tmp_path, capsys):
    (tmp_path / "mine").write_text("my file")
    assert layout.main(["--out", str(tmp_path)]) == 2
    assert "exists and is not empty" in capsys.readouterr().err
    assert (tmp_path / "mine").read_text() == "my file"
