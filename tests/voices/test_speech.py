"""Which voice speaks a text, and what it says of one that it cannot speak."""

import wave

import numpy as np
import pytest

from tasks.core.errors import UserError
from tasks.voices import languages, natural, speech

GREEK = "γειά"
GERMAN = "Guten Morgen, wie geht es Ihnen heute?"


@pytest.fixture(autouse=True)
def no_voices_of_this_user(monkeypatch, tmp_path):
    monkeypatch.setenv("HIBARI_HOME", str(tmp_path / "hibari"))


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Welcome back, everybody, it is good to see you.", "en"), (GERMAN, "de"),
        ("Le chat est sur la table.", "fr"), ("Dzień dobry, jak się masz?", "pl"), ("你好世界", "zh"),
        ("こんにちは", "ja"), ("Привіт, світе, як справи?", "uk"), (GREEK, "el"), ("안녕하세요", "ko"),
        ("Hello", None), ("Hi Bob!", None), ("No problem, amigo.", None), ("12:30", None), ("", None),
    ],
)  # fmt: skip
def test_a_text_shows_its_language_or_none(text, language):
    pytest.importorskip("py3langid")
    assert languages.seen(text) == language


def test_without_py3langid_letters_alone_tell(monkeypatch):
    monkeypatch.setattr(languages, "_identifier", lambda codes: None)
    assert languages.seen(GERMAN) is None
    assert languages.seen(GREEK) == "el" and languages.seen("Привет мир") == "ru"


@pytest.mark.parametrize(
    ("text", "voice", "language", "chosen"),
    [
        ("Hello", None, None, "heart"), (GERMAN, None, None, "de"), ("Hello", None, "de", "de"),
        ("Hallo", None, "de-AT", "de"), ("你好世界", None, None, "cmn"), ("Hello", "en-us+f3", None, "en-us+f3"),
        ("Schwarzwald", "heart", None, "heart"), (GERMAN, "de+f2", None, "de+f2"),
        (GERMAN, "en", "en", "en"), ("Hei", None, "nb", "no"), ("你好", "yue", "zh", "yue"),
    ],
)  # fmt: skip
def test_the_voice_is_the_one_named_or_that_of_the_language_told_or_shown(text, voice, language, chosen):
    pytest.importorskip("hibari")
    pytest.importorskip("py3langid")
    assert speech.voice_for(text, voice, language) == chosen


def test_without_hibari_english_is_spoken_by_espeak(monkeypatch):
    monkeypatch.setattr(natural, "installed", lambda: False)
    assert speech.voice_for("Hello", None, None) == "en"
    with pytest.raises(UserError, match="voice heart needs hibari-tts: pip install hibari-tts, or the extra `voices`"):
        speech.voice_for("Hello", "heart", None)


@pytest.mark.parametrize(
    ("text", "voice", "language", "line"),
    [
        (GERMAN, "heart", None, "--voice heart speaks English, and the text is German: --voice de speaks it, "
         "or --language en if it is English"),
        (GERMAN, "en-us+f3", None, "--voice en-us\\+f3 speaks English, and the text is German"),
        ("Hello", "de", "en", "--voice de speaks German, and the text is English: --voice en speaks it$"),
        ("Hello", None, "tlh", "--language tlh: no voice speaks it; known: af, am, "),
        ("你好世界", "heart", None, "voice heart does not speak Chinese letters"),
        ("Hello", "emma", None, "voice emma is not on this machine yet; `hibari Hello --voice emma -o hello.wav`"),
        ("\ud800", None, None, "--text: not UTF-8"),
    ],
)  # fmt: skip
def test_a_voice_that_cannot_speak_the_text_is_refused_by_name(text, voice, language, line):
    pytest.importorskip("hibari")
    pytest.importorskip("py3langid")
    with pytest.raises(UserError, match=line):
        speech.voice_for(text, voice, language)


def test_a_natural_voice_says_the_same_for_the_same_text_as_loud_as_the_others(tmp_path):
    pytest.importorskip("hibari")
    first, second = tmp_path / "a.wav", tmp_path / "b.wav"
    for path in (first, second):
        speech.speak("Good evening and welcome back.", path, None, None)
    assert first.read_bytes() == second.read_bytes()
    with wave.open(str(first)) as file:
        assert file.getframerate() == 24_000
        sound_N = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    assert 1 < len(sound_N) / 24_000 < 4
    assert np.sqrt((sound_N**2).mean()) == pytest.approx(0.12, rel=0.05)


def test_a_voice_that_does_not_exist_is_said_to_be_none(tmp_path):
    pytest.importorskip("espeakng_loader")
    with pytest.raises(UserError, match="espeak-ng has no voice 'no-such-voice'"):
        speech.speak("Welcome back, everybody, it is good to see you.", tmp_path / "a.wav", None, "no-such-voice")


@pytest.mark.parametrize("text", ["", " ", "...", "!?"])
def test_a_natural_voice_refuses_a_text_without_words(text, tmp_path):
    pytest.importorskip("hibari")
    with pytest.raises(UserError, match="there is nothing to say in"):
        speech.speak(text, tmp_path / "a.wav", None, "heart")
    assert not (tmp_path / "a.wav").exists()
