"""Visemes: classes of sounds that look alike on a mouth, and which class a phone is in.

Source: the 15 classes of MPEG-4's face animation as speech toolkits name them, with "ax" and "LL" for a weak vowel and
        an l; phones as espeak-ng (its mnemonics) and CMU's dictionary (ARPAbet) write them
"""

TITLES = {
    "PP": "p, b, m", "FF": "f, v", "TH": "th", "DD": "t, d, n", "LL": "l", "KK": "k, g, ng, h", "CH": "ch, j, sh",
    "SS": "s, z", "RR": "r, er", "aa": "a (father, hat)", "ah": "u (cup)", "eh": "e (bed)", "ih": "i (sit, see)",
    "oh": "o (thought)", "ou": "oo, w (two, we)", "ax": "a weak vowel (about)", "sil": "a pause",
}  # fmt: skip
CLOSED = "PP"  # the lips meet

# prefixes of espeak's mnemonics; the first match counts: vowels before consonants, long before short
VOWELS = {
    "aI@": "aa ih ax", "aU@": "aa ou ax", "aI": "aa ih", "aU": "aa ou", "eI": "eh ih", "OI": "oh ih", "oU": "oh ou",
    "e@": "eh ax", "i@": "ih ax", "U@": "ou ax", "o@": "oh", "O@": "oh", "A@": "aa", "@L": "ax LL", "VR": "ah RR",
    "a": "aa", "A": "aa", "&": "aa", "0": "oh", "O": "oh", "o": "oh", "W": "oh", "V": "ah", "E": "eh", "e": "eh",
    "3": "RR", "@": "ax", "I": "ih", "i": "ih", "y": "ou", "Y": "ou", "U": "ou", "u": "ou",
}  # fmt: skip
CONSONANTS = {
    "tS": "CH", "dZ": "CH", "S": "CH", "Z": "CH", "T": "TH", "D": "TH", "p": "PP", "b": "PP", "m": "PP", "B": "PP",
    "f": "FF", "v": "FF", "t": "DD", "d": "DD", "n": "DD", "N": "KK", "l": "LL", "L": "LL", "k": "KK", "g": "KK",
    "Q": "KK", "h": "KK", "x": "KK", "?": "KK", "s": "SS", "z": "SS", "r": "RR", "R": "RR", "*": "RR", "w": "ou",
    "j": "ih",
}  # fmt: skip
BEGINNINGS = [(start, names.split()) for table in (VOWELS, CONSONANTS) for start, names in table.items()]
ARPABET = {
    "AA": "aa", "AE": "aa", "AH": "ah", "AO": "oh", "AW": "aa ou", "AY": "aa ih", "B": "PP", "CH": "CH", "D": "DD",
    "DH": "TH", "EH": "eh", "ER": "RR", "EY": "eh ih", "F": "FF", "G": "KK", "HH": "KK", "IH": "ih", "IY": "ih",
    "JH": "CH", "K": "KK", "L": "LL", "M": "PP", "N": "DD", "NG": "KK", "OW": "oh ou", "OY": "oh ih", "P": "PP",
    "R": "RR", "S": "SS", "SH": "CH", "T": "DD", "TH": "TH", "UH": "ou", "UW": "ou", "V": "FF", "W": "ou", "Y": "ih",
    "Z": "SS", "ZH": "CH", "SIL": "sil",
}  # fmt: skip

Timed = tuple[str, float, float]  # viseme, start s, end s


def of_espeak(phone: str) -> list[str]:
    """Visemes of an espeak phoneme, stress marks allowed: `'aI` -> aa, ih. Pauses are sil, unknown ones ax."""
    plain = bare(phone)
    if not plain or plain.startswith("_"):
        return ["sil"]
    return next((names for start, names in BEGINNINGS if plain.startswith(start)), ["ax"])


def bare(phone: str) -> str:
    """An espeak phoneme without marks of stress and length before it."""
    return phone.lstrip("',%=|")


def of_arpabet(phone: str) -> list[str]:
    """Visemes of an ARPAbet phone, with or without its stress: `AY1` -> aa, ih; unknown ones are ax."""
    return ARPABET.get(phone.rstrip("012"), "ax").split()


def timed(names: list[str], start_s: float, end_s: float) -> list[Timed]:
    """The visemes of one phone, in equal parts of its time."""
    part_s = (end_s - start_s) / len(names)
    return [(name, start_s + k * part_s, start_s + (k + 1) * part_s) for k, name in enumerate(names)]
