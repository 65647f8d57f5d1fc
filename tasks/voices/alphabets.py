"""Which letters a voice of espeak-ng can speak. Letters of another script it spells by name: "Chinese letter, Chinese
letter".

Source: the languages of espeak-ng 1.52 and what it says for a word of each script; scripts as Unicode names them.
"""

import collections
import re
import unicodedata

from tasks.core.errors import UserError

LATIN = "LATIN"  # every voice speaks it, those of other scripts as English
SCRIPTS = {  # languages that are written in another script; the first voice is offered for it
    "CYRILLIC": "ru uk be bg sr mk bs hr ba cv kk ky nog tt uz",
    "GREEK": "el grc",
    "CJK": "cmn yue",
    "BOPOMOFO": "cmn",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "HALFWIDTH KATAKANA": "ja",
    "HANGUL": "ko",
    "ARABIC": "ar fa ur sd ug",
    "HEBREW": "he",
    "DEVANAGARI": "hi mr ne kok",
    "BENGALI": "bn as bpy",
    "GURMUKHI": "pa",
    "GUJARATI": "gu",
    "ORIYA": "or",
    "TAMIL": "ta",
    "TELUGU": "te",
    "KANNADA": "kn",
    "MALAYALAM": "ml",
    "SINHALA": "si",
    "THAI": "th",
    "MYANMAR": "my shn",
    "GEORGIAN": "ka",
    "ARMENIAN": "hy hyw",
    "ETHIOPIC": "am ti",
    "SHAVIAN": "en-shaw",
}
NAMES = {"CJK": "Chinese"}
SHOWN = 20  # letters of a text in an error
ALONE = 2  # letters of another script in a row; one alone is a symbol: the voice says "alpha"


def demand_spoken(text: str, voice: str, called: str | None = None) -> None:
    """`called`: the voice's own name, where it has the letters of `voice`.

    Errors: UserError for a text of which a word is in a script that the voice does not speak"""
    for word in re.findall(r"\w+", unicodedata.normalize("NFC", text)):
        letters = [(letter, script_of(letter)) for letter in word if unicodedata.category(letter)[0] == "L"]
        foreign = [(letter, script) for letter, script in letters if not speaks(voice, script)]
        if len(foreign) >= ALONE or (foreign and len(text.split()) == 1):
            script = foreign[0][1]
            offered = SCRIPTS.get(script, "").split()[:1]
            advice = f"--voice {offered[0]} speaks them" if offered else "no voice of espeak-ng speaks them; --tts may"
            kind = NAMES.get(script, script.title())
            raise UserError(
                f"--text: voice {called or voice} does not speak {kind} letters: {word[:SHOWN]!r}; {advice}"
            )


def script_of(letter: str) -> str:
    """The script of a letter, by the first word of its Unicode name: "CYRILLIC"; "ª" and the like count as Latin."""
    name = unicodedata.name(letter, "UNKNOWN")
    known = next((script for script in SCRIPTS if name.startswith(f"{script} ")), None)
    return known or (LATIN if unicodedata.normalize("NFKD", letter).isascii() else name.split()[0])


def main_script(text: str) -> str:
    """The script of most letters; LATIN where there are none."""
    scripts = collections.Counter(script_of(letter) for letter in text if unicodedata.category(letter)[0] == "L")
    return scripts.most_common(1)[0][0] if scripts else LATIN


def speaks(voice: str, script: str) -> bool:
    """Whether a voice, as "en-us+f3", has the letters of a script."""
    language = voice.lower().partition("+")[0]
    known = SCRIPTS.get(script, "").split()
    return (
        script in (LATIN, "MODIFIER", "FEMININE", "MASCULINE") or language in known or language.split("-")[0] in known
    )
