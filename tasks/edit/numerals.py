"""Numbers in digits as English says them: "42" is forty two, "3rd" is third, "1999" is nineteen ninety nine.

Texts are compared, and aligned to their sound, as they are said.
"""

import re

UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
SCALES = ((1_000_000_000, "billion"), (1_000_000, "million"), (1000, "thousand"), (100, "hundred"))
ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip
DIGITS = re.compile(r"(\d+)(st|nd|rd|th|s)?", re.IGNORECASE)
YEARS = range(1100, 2100)
LONGEST = 12  # digits; a longer number is said digit by digit, as one that begins with 0 is


def spoken(word: str) -> list[str] | None:
    """The words of a number, an ordinal or a decade ("1990s"); None for what is none of them."""
    found = DIGITS.fullmatch(word)
    if not found:
        return None
    digits, ending = found[1], (found[2] or "").lower()
    words = _digits(digits)
    if ending == "s":
        words[-1] = words[-1][:-1] + "ies" if words[-1].endswith("y") else words[-1] + "s"
    elif ending:
        words[-1] = _ordinal(words[-1])
    return words


def _digits(digits: str) -> list[str]:
    if len(digits) > LONGEST or (digits[0] == "0" and len(digits) > 1):
        return [UNITS[int(digit)] for digit in digits]
    number = int(digits)
    century, rest = divmod(number, 100)
    if number in YEARS and century % 10:
        return [*cardinal(century), *(["oh"] if 0 < rest < 10 else []), *(cardinal(rest) if rest else ["hundred"])]
    return cardinal(number)


def cardinal(number: int) -> list[str]:
    """Without "and": 105 is one hundred five."""
    if number < len(UNITS):
        return [UNITS[number]]
    if number < 100:
        tens, unit = divmod(number, 10)
        return [TENS[tens - 2], *([UNITS[unit]] if unit else [])]
    scale, name = next(one for one in SCALES if one[0] <= number)
    high, low = divmod(number, scale)
    return [*cardinal(high), name, *(cardinal(low) if low else [])]


def _ordinal(word: str) -> str:
    if word in ORDINALS:
        return ORDINALS[word]
    return word[:-1] + "ieth" if word.endswith("y") else word + "th"
