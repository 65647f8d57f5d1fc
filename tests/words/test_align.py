"""Word times against those of a voice that says where its words are, and what is refused in one line."""

import itertools
import json

import numpy as np
import pytest

from flows import cli
from tasks.core.errors import UserError
from tasks.media import espeak
from tasks.media.wav import write_wav
from tasks.words import align
from tasks.words.align import LOW, Aligner, spoken

pytest.importorskip("pocketsphinx")
TEXT = "Good evening, and welcome to the show. We begin with the weather."


@pytest.fixture(scope="module")
def aligner():
    return Aligner()


@pytest.fixture(scope="module")
def speech():
    return espeak.say(TEXT, "en-us")


def test_words_are_found_where_the_voice_says_them(aligner, speech):
    words = aligner(speech.sound, TEXT)
    assert [word.word for word in words] == [name.lower() for name, *_ in speech.words]
    late_s = np.array([word.start_s - start_s for word, (_, start_s, _) in zip(words, speech.words, strict=True)])
    assert np.median(np.abs(late_s)) <= 0.03 and np.abs(late_s).max() <= 0.12


def test_a_word_is_its_phones_in_order_and_within_it(aligner, speech):
    words = aligner(speech.sound, TEXT)
    assert [phone.name for phone in words[0].phones] == ["G", "UH", "D"]
    for word in words:
        times = [word.start_s, *(time for phone in word.phones for time in (phone.start_s, phone.end_s)), word.end_s]
        assert times == sorted(times) and word.start_s < word.end_s
    assert all(one.end_s <= other.start_s + 1e-9 for one, other in itertools.pairwise(words))


def test_a_word_that_is_not_said_has_less_confidence_than_any_that_is(aligner, speech):
    words = aligner(speech.sound, TEXT.replace("welcome", "mathematics"))
    confidence = {word.word: word.confidence for word in words}
    assert confidence["mathematics"] == min(confidence.values()) and confidence["mathematics"] < LOW


def test_speech_that_begins_later_has_its_words_later(aligner, speech):
    later = aligner(np.concatenate([np.zeros(16_000, np.float32), speech.sound]), TEXT)
    shift_s = [b.start_s - a.start_s for a, b in zip(aligner(speech.sound, TEXT), later, strict=True)]
    assert np.allclose(shift_s, 1, atol=0.04)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the text has no words"),
        ("... !", "the text has no words"),
        ("good xyzzyx 42", "not in the English dictionary: 42, xyzzyx; write them as English words"),
    ],
)
def test_a_text_that_cannot_be_aligned_is_refused_in_one_line(aligner, speech, text, message):
    with pytest.raises(UserError, match=message):
        aligner(speech.sound, text)


def test_too_short_a_recording_is_refused(aligner):
    with pytest.raises(UserError, match=r"cannot be aligned to this recording of 0\.1 s"):
        aligner(np.zeros(1600, np.float32), TEXT)


def test_words_are_what_is_spoken():
    assert spoken("It\N{RIGHT SINGLE QUOTATION MARK}s 'fine', O'Clock - well-known.") == [
        "it's", "fine", "o'clock", "well", "known",
    ]  # fmt: skip


def test_a_missing_package_is_one_line(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pocketsphinx", None)
    align.package.cache_clear()
    with pytest.raises(UserError, match="needs the extra `words`"):
        Aligner()
    align.package.cache_clear()


def test_the_command_prints_every_word_and_writes_a_file(speech, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_wav(tmp_path / "a.wav", speech.sound)
    assert cli.main(["align", "a.wav", "--text", TEXT, "--out", "a.json"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(speech.words)
    assert [word["word"] for word in json.loads((tmp_path / "a.json").read_text())["words"]][:2] == ["good", "evening"]
    assert cli.main(["align", "none.wav", "--text", TEXT]) == 2
