"""The sound of edits: what is kept is the source's to the sample, pieces lie on frames, bad input is one line."""

import itertools

import numpy as np
import pytest
from conftest import REAL
from scipy import signal
from scipy.io import wavfile

from tasks.core.errors import UserError
from tasks.edit import joins, sound, speech, tone
from tasks.edit.assembly import SYNC_S
from tasks.media import espeak, native_rate
from tasks.words.align import Aligner, Word

pytest.importorskip("pocketsphinx")
TEXT = "Good evening and welcome to the show, it is late."
RATE_HZ = 44_100
STEP_S = 0.04


@pytest.fixture(scope="module")
def aligner():
    return Aligner()


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A voice with noise around it in two channels, and when it says which word."""
    said = espeak.say(TEXT, "en-us")
    mono = signal.resample_poly(said.sound, RATE_HZ, 16_000)
    noise = np.random.default_rng(0).normal(0, 0.001, (len(mono), 2))
    path = tmp_path_factory.mktemp("edit") / "talk.wav"
    wavfile.write(path, RATE_HZ, (mono[:, None] * [1.0, 0.5] + noise).astype(np.float32))
    return path, [Word(word.lower(), start_s, end_s, 0.9, ()) for word, start_s, end_s in said.words]


@pytest.fixture(scope="module")
def edit(source, aligner):
    def edited(new, **more):
        return sound.made(*source, new, aligner=aligner, **more)

    return edited


def demand_whole(edited, source_CN, fps=25.0):
    """Pieces lie on frames, end to end; what is kept is the source's but for the crossfades."""
    times_s = [time for p in edited.pieces for time in (p.start_s, p.end_s, p.source_start_s, p.source_end_s)]
    assert np.allclose(np.array(times_s) * fps, np.round(np.array(times_s) * fps), atol=1e-6)
    assert len(edited.sound_NC) == round(edited.pieces[-1].end_s * edited.rate_hz)
    near = round((0.5 / fps + joins.FADE_S) * edited.rate_hz)
    for number, piece in enumerate(p for p in edited.pieces if p.kept):
        assert piece.end_s - piece.start_s == pytest.approx(piece.source_end_s - piece.source_start_s)
        first, last = round(piece.start_s * edited.rate_hz), round(piece.end_s * edited.rate_hz)
        first, last = first + (near if first else 0), min(last - near, len(edited.sound_NC))
        if last - first < 100:
            continue
        at = first + round((piece.source_start_s - piece.start_s) * edited.rate_hz)
        most = round(SYNC_S * edited.rate_hz) + 1
        kept_CN = edited.sound_NC[first:last].T
        assert any(
            np.array_equal(kept_CN[:, : source_CN.shape[1] - at - d], source_CN[:, at + d : at + d + last - first])
            for d in range(-most, most + 1)
        ), number


def read(path):
    return speech.read(path, native_rate.sound_format(path)).sound_CN


def words_of(edited):
    return " ".join(word for piece in edited.pieces for word in piece.words)


@pytest.mark.parametrize(
    ("new", "num_kept"),
    [
        ("Good evening and welcome to the show, it is late.".replace("welcome ", ""), 2),
        ("evening and welcome to the show, it is late", 2),
        ("Good evening and welcome to the show, it is", 2),
        ("evening to show", 4),
        ("Welcome.", 3),
    ],
)
def test_deleted_words_are_cut_and_the_rest_stays(edit, source, new, num_kept):
    edited = edit(new, force=True) if new != "Welcome." else edit(new + " it is late", force=True)
    demand_whole(edited, read(source[0]))
    assert {piece.origin for piece in edited.pieces} == {"kept"}
    removed = sum(len(one.removed) for one in edited.changes)
    assert removed + len(words_of(edited).split()) == len(TEXT.split())
    assert len(edited.joins_s) == len(edited.pieces) - 1
    gone_s = sum(one.source_end_s - one.source_start_s for one in edited.changes)
    assert edited.pieces[-1].end_s == pytest.approx(edited.pieces[-1].source_end_s - gone_s)


@pytest.mark.parametrize(
    "new",
    [
        "Good morning and welcome to the show, it is late.",
        "Oh, good evening and welcome to the show, it is late.",
        "Good evening and welcome to the show, it is late. Bye.",
        "Good evening and welcome to the wonderful show, it is 9.",
    ],
)
def test_new_words_are_said_by_the_voice_and_the_rest_stays(edit, source, aligner, new):
    edited = edit(new)
    demand_whole(edited, read(source[0]))
    assert words_of(edited) == new.replace("9.", "nine.")
    assert "voice" in {piece.origin for piece in edited.pieces}
    for one, other in itertools.pairwise(edited.pieces):
        assert one.end_s == other.start_s and one.kept != other.kept
    mono_N = tone.of_sound(np.ascontiguousarray(edited.sound_NC.T), edited.rate_hz).mono_N
    found = aligner(mono_N, new.replace("9", "nine"))
    for piece in (piece for piece in edited.pieces if not piece.kept):
        [first] = [w for w in found if w.word == piece.words[0].lower().strip(".,")][-1:]
        assert first.confidence >= 0.2 and abs(first.start_s - piece.start_s) < 0.2


def test_a_word_that_the_source_says_elsewhere_is_taken_from_there(edit, source):
    edited = edit("Good evening and good show, it is late.")
    [new] = [piece for piece in edited.pieces if not piece.kept]
    assert new.origin == "footage" and new.words == ("good",)
    assert edited.changes[0].origins == ("footage: talk.wav",)
    demand_whole(edited, read(source[0]))


def test_a_recording_goes_before_all_else_at_the_level_of_the_source(edit, source, tmp_path):
    wavfile.write(tmp_path / "good.wav", 16_000, espeak.say("good", "en-gb-x-rp+f3").sound * 0.1)
    edited = edit("Good evening and good show, it is late.", recordings={"Good": tmp_path / "good.wav"})
    [new] = [piece for piece in edited.pieces if not piece.kept]
    assert new.origin == "recording" and edited.changes[0].origins == ("recording: good.wav",)
    whole = tone.of_sound(np.ascontiguousarray(edited.sound_NC.T), RATE_HZ)
    assert whole.level_db(new.start_s, new.end_s) == pytest.approx(whole.level_db(0.2, 1.0), abs=4)


def test_the_same_edit_gives_the_same_sound(edit):
    one, other = (edit("Good evening and welcome to the big show, it is late.") for _ in range(2))
    assert np.array_equal(one.sound_NC, other.sound_NC) and one.pieces == other.pieces


def test_kept_sound_is_no_louder_or_lower_at_a_join_than_elsewhere(edit):
    edited = edit("Good evening and to the show, it is late.")
    whole = tone.of_sound(np.ascontiguousarray(edited.sound_NC.T), RATE_HZ)
    steps = np.abs(np.diff(whole.mix_N, 2))
    [join] = [round(time_s * RATE_HZ) for time_s in edited.joins_s]
    assert steps[join - 441 : join + 441].max() <= np.percentile(steps, 99.9)


@pytest.mark.parametrize(
    ("new", "more", "message"),
    [
        ("", {}, "the new text has no words"),
        ("good evening and WELCOME to the show: it is late", {}, "says the same words"),
        ("Guten Abend und willkommen, добрый вечер всем вам дорогие", {}, "in Cyrillic letters"),
        ("Good", {}, r"leaves 0\.\d+ s of video; wanted at least 1 s"),
        (TEXT + " Bye", {"recordings": {"hello": "talk.wav"}}, "--recording 'hello': the new text does not add"),
        (TEXT + " Bye", {"library": ["none.mp4"]}, r"--library none\.mp4: no such file"),
        (TEXT + " Bye", {"voice": "de"}, "speaks German, and the text is English"),
    ],
)
def test_what_cannot_be_edited_is_one_line(edit, source, new, more, message):
    more = {k: {w: source[0] for w in v} if k == "recordings" else v for k, v in more.items()}
    with pytest.raises(UserError, match=message):
        edit(new, **more)


def test_nothing_is_cut_at_words_that_are_not_said_without_force(source, aligner):
    path, words = source
    doubtful = [Word(w.word, w.start_s, w.end_s, 0.2 if w.word == "welcome" else 0.9, ()) for w in words]
    with pytest.raises(UserError, match=r"not what is cut here: 'welcome' at .* \(0\.20\); correct it, or --force"):
        sound.made(path, doubtful, TEXT.replace("welcome ", ""), aligner=aligner)
    elsewhere = sound.made(path, doubtful, TEXT.replace("the ", ""), aligner=aligner)
    assert "'welcome'" in elsewhere.notes[0]
    assert sound.made(path, doubtful, TEXT.replace("welcome ", ""), aligner=aligner, force=True).pieces


def test_a_transcript_of_something_else_or_in_another_language_is_one_line(source, aligner):
    wrong = "Mathematics frequently confuses several unprepared children"
    with pytest.raises(UserError, match="probably not what is"):
        sound.made(source[0], wrong, wrong + " indeed", aligner=aligner)
    with pytest.raises(UserError, match="not English"):
        sound.made(source[0], "Guten Abend liebe Zuschauer zur Sendung", "Guten Abend", aligner=aligner)
    with pytest.raises(UserError, match="not in the English dictionary: xyzzyx"):
        sound.made(source[0], "good evening xyzzyx and welcome", "good evening", aligner=aligner)


@pytest.mark.skipif(not list(REAL.glob("*.mpg")), reason="no real clips here")
def test_a_real_video_is_edited_on_its_frames(aligner):
    path = sorted(REAL.glob("*.mpg"))[0]
    spans = (("one", 0.2, 0.6), ("two", 0.6, 1.1), ("three", 1.1, 1.6), ("four", 1.6, 2.2))
    words = [Word(word, start_s, end_s, 0.9, ()) for word, start_s, end_s in spans]
    edited = sound.made(path, words, "one four two", aligner=aligner)
    demand_whole(edited, read(path))
    assert {piece.origin for piece in edited.pieces} == {"kept", "footage"}
