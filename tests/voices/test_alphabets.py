import pytest

from tasks.core.errors import UserError
from tasks.media import espeak
from tasks.voices import alphabets

WORDS = {
    "CYRILLIC": "привет", "GREEK": "γειά", "CJK": "你好", "BOPOMOFO": "ㄋㄧ", "HIRAGANA": "こんにちは",
    "KATAKANA": "カタカナ", "HALFWIDTH KATAKANA": "ｶﾀｶﾅ", "HANGUL": "안녕", "ARABIC": "سلام", "HEBREW": "שלום",
    "DEVANAGARI": "नमस्ते", "BENGALI": "নমস্কার", "GURMUKHI": "ਸਤ", "GUJARATI": "નમસ્તે", "ORIYA": "ନମସ୍କାର",
    "TAMIL": "வணக்கம்", "TELUGU": "నమస్తే", "KANNADA": "ನಮಸ್ತೆ", "MALAYALAM": "നമസ്തേ", "SINHALA": "ආයුබෝවන්",
    "THAI": "สวัสดี", "MYANMAR": "မင်္ဂလာပါ", "GEORGIAN": "გამარჯობა", "ARMENIAN": "բարև", "ETHIOPIC": "ሰላም",
    "SHAVIAN": "𐑖𐑱𐑝𐑾𐑯",
}  # fmt: skip


@pytest.mark.parametrize("script", alphabets.SCRIPTS)
def test_a_script_is_refused_by_an_english_voice_and_spoken_by_the_voice_that_is_offered(script):
    pytest.importorskip("espeakng_loader")
    word, offered = WORDS[script], alphabets.SCRIPTS[script].split()[0]
    with pytest.raises(UserError, match=rf"voice en does not speak .* letters: .*; --voice {offered} speaks them"):
        alphabets.demand_spoken(word, "en")
    alphabets.demand_spoken(word, offered)
    said = "".join(phone for phone, _, _ in espeak.say(word, offered).phones)
    assert "l'et@" not in said and "l'Et3" not in said, said  # "letter"


@pytest.mark.parametrize(
    ("text", "voice"),
    [
        ("Grüße aus Köln, 5 €", "de"), ("Ω is ohm", "en"), ("x² µm Å ª º № ™", "en"), ("ﬁne \uff28\uff25\uff39", "en"),
        ("Việt Nam", "vi"), ("naïve", "en-us+f3"), ("hello", "cmn"), ("😀 hi!", "en"), ("", "en"),
    ],
)  # fmt: skip
def test_letters_of_the_voice_and_symbols_are_spoken(text, voice):
    alphabets.demand_spoken(text, voice)


@pytest.mark.parametrize(
    ("text", "voice", "line"),
    [
        ("你好", "en", "--text: voice en does not speak Chinese letters: '你好'; --voice cmn speaks them"),
        ("We say 你好 here", "en-us+f3", "voice en-us\\+f3 does not speak Chinese letters: '你好'"),
        ("你", "en", "does not speak Chinese letters"),
        ("日本", "ja", "voice ja does not speak Chinese letters"),
        ("Привет", "de", "voice de does not speak Cyrillic letters: 'Привет'; --voice ru"),
        ("ᏣᎳᎩ", "en", "Cherokee letters: 'ᏣᎳᎩ'; no voice of espeak-ng speaks them"),
    ],
)
def test_a_word_that_the_voice_would_spell_by_name_is_refused(text, voice, line):
    with pytest.raises(UserError, match=line):
        alphabets.demand_spoken(text, voice)
