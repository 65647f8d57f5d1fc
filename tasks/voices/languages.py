"""Which language a text is in: by its letters, and for languages that share letters by py3langid.

Source: py3langid 0.4 (BSD licence; extra `voices`), of its languages those that espeak-ng speaks. Without it, only
        letters that belong to few languages tell.
"""

import functools
import importlib
from typing import Any

from tasks.voices import alphabets

SURE = 0.9  # probability from which a language is taken: "Guten Morgen" alone is 0.30 German, a short sentence 0.98
SPOKEN = (  # ISO 639; "zh" is espeak-ng's cmn
    "af am an ar as az ba be bg bn bs ca cs cy da de el en eo es et eu fa fi fo fr ga gd gu he hi hr ht hu hy id is it "
    "ja ka kk kn ko ku ky la lb lt lv mk ml mr ms mt my ne nl no or pa pl pt qu ro ru si sk sl sq sr sv sw ta te th tk "
    "tr tt ug uk ur uz vi zh"
).split()
NAMES = {
    "ar": "Arabic", "ca": "Catalan", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek", "en": "English",
    "es": "Spanish", "fa": "Persian", "fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi", "hu": "Hungarian",
    "id": "Indonesian", "it": "Italian", "ja": "Japanese", "ko": "Korean", "nl": "Dutch", "no": "Norwegian",
    "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sv": "Swedish", "tr": "Turkish",
    "uk": "Ukrainian", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip
OTHER_CODES = {"cmn": "zh", "yue": "zh", "nb": "no", "nn": "no"}  # of espeak-ng's voices


def name(language: str) -> str:
    return NAMES.get(language, f"{language!r}")


def of_voice(voice: str) -> str:
    """The language of a voice of espeak-ng, as "en-gb-x-rp+m2"."""
    code = voice.lower().partition("+")[0].split("-")[0]
    return OTHER_CODES.get(code, code)


def seen(text: str) -> str | None:
    """The language that a text shows, by ISO 639; None where it could be one of several."""
    script = alphabets.main_script(text)
    if script == alphabets.LATIN:
        language, probability = likely(text, tuple(SPOKEN))
        return language if probability >= SURE else None
    written = tuple(dict.fromkeys(of_voice(voice) for voice in alphabets.SCRIPTS.get(script, "").split()))
    return likely(text, written)[0] if written else None


def likely(text: str, languages: tuple[str, ...]) -> tuple[str, float]:
    """The likeliest of some languages; without py3langid the first, with probability 0."""
    identifier = _identifier(tuple(code for code in languages if code in SPOKEN))
    if identifier is None:
        return languages[0], 0.0
    language, probability = identifier.classify(text)
    return language, float(probability)


@functools.lru_cache(maxsize=4)
def _identifier(languages: tuple[str, ...]) -> Any:
    if len(languages) < 2:  # it tells at least two apart
        return None
    try:
        langid = importlib.import_module("py3langid.langid")
    except ImportError:
        return None
    identifier = langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)
    identifier.set_languages([*languages, "zxx"] if "en" in languages else list(languages))  # zxx: no language
    return identifier
