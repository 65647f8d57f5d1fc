"""What strangers send, parsed once at the edge: bodies counted while they are read, JSON into checked fields.

Whatever code behind this gets is text that can be written, spoken and logged: no half characters, no control
characters, no name that is not offered.
"""

import json
import re
import unicodedata
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from fastapi import Request

from tasks.core.errors import UserError
from tasks.dubbing.options import BACKGROUNDS
from tasks.serving import choices

JSON_BYTES = 256 << 10  # of a job or a session: an offer takes some 10 kB
LABEL_LETTERS = 80
NAME_LETTERS = 200
OFFER_LETTERS = 100_000


class TooLarge(UserError):
    """A body beyond its route's limit."""

    http_status = 413


class Malformed(UserError):
    """A body that is no JSON."""

    http_status = 400


async def blocks(request: Request, max_bytes: int, what: str) -> AsyncIterator[bytes]:
    """The body, block by block.  Errors: TooLarge as soon as it is longer, or says that it will be."""
    limit = f"{max_bytes >> 20} MB" if max_bytes >= 1 << 20 else f"{max_bytes >> 10} kB"
    too_large = TooLarge(f"{what} is too large; the limit here is {limit}")
    length = request.headers.get("content-length", "")
    if re.fullmatch("[0-9]+", length) and (len(length) > 18 or int(length) > max_bytes):
        raise too_large
    num_bytes = 0
    async for block in request.stream():
        num_bytes += len(block)
        if num_bytes > max_bytes:
            raise too_large
        yield block


async def json_fields(request: Request, fields: Mapping[str, Callable[[str], bool]], what: str) -> dict[str, str]:
    """The fields of a JSON object of strings; those that are null or empty are left out.

    fields  name -> whether a value is acceptable
    Errors: Malformed, TooLarge; UserError for another type, another field, and a value that is not acceptable
    """
    wanted = f"{what} is a JSON object of strings: {', '.join(fields)}"
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise UserError(wanted)
    body = b"".join([block async for block in blocks(request, JSON_BYTES, what)])
    return parsed(body, fields, wanted)


def parsed(body: bytes, fields: Mapping[str, Callable[[str], bool]], wanted: str) -> dict[str, str]:
    """`json_fields` of a body.  Errors: as there"""
    try:
        values: Any = json.loads(body)
    except (ValueError, RecursionError) as error:  # also of bytes that are no UTF-8
        raise Malformed(wanted) from error
    if not isinstance(values, dict) or not all(v is None or isinstance(v, str) for v in values.values()):
        raise UserError(wanted)
    if unknown := [name for name in values if name not in fields]:
        raise UserError(f"{printable(unknown[0])!r} is no field here; {wanted}")
    given = {name: value for name, value in values.items() if value}
    for name, value in given.items():
        if not fields[name](value):
            raise UserError(REFUSED.get(name) or f"{name} {printable(value)!r} cannot be used; load the page again")
    return given


def is_plain(text: str) -> bool:
    """Whether a text has only characters that can be written: no half characters, no control but line ends and tabs."""
    return all(unicodedata.category(letter) not in ("Cc", "Cs", "Cn") or letter in "\n\r\t" for letter in text)


def is_label(text: str) -> bool:
    return len(text) <= LABEL_LETTERS and is_plain(text) and text.isprintable()


def is_offered(name: str) -> bool:
    """Of a checkpoint or a face, which is then looked up in a list."""
    return len(name) <= NAME_LETTERS and is_plain(name)


def printable(text: str) -> str:
    """The beginning of a stranger's word, for a message."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:40])


def matches(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern, re.ASCII)
    return lambda value: compiled.fullmatch(value) is not None


UPLOAD = r"[\w-]{1,40}"
NUMBER = r"\d{1,6}(?:\.\d{1,6})?"
MOUTH: dict[str, Callable[[str], bool]] = {
    "checkpoint": is_offered,
    "generator": lambda value: value in ("mesh", "lipgan"),
    "strength": matches(NUMBER),
    "library": matches(rf"{UPLOAD}(?: {UPLOAD})*"),
    "person": is_offered,
    "label": is_label,
    "face": matches(UPLOAD),
}
JOB = MOUTH | {
    "sound": matches(UPLOAD),
    "text": is_plain,
    "voice": lambda value: value in choices.voices(),
    "speaker": matches(
        rf"\d{{1,4}}|{NUMBER},{NUMBER}@{NUMBER}"
    ),  # a face's number, or a point: no file of this machine
    "length": lambda value: value in ("longest", "video", "sound"),
    "background": lambda value: value in BACKGROUNDS,
}
WORDS: dict[str, Callable[[str], bool]] = {"face": MOUTH["face"], "text": is_plain}
EDIT = WORDS | {
    "words": matches(UPLOAD),
    "step": lambda value: value in ("preview", "render"),
    "voice": JOB["voice"],
    "strength": MOUTH["strength"],
    "label": is_label,
    "force": lambda value: value == "yes",
}
SESSION = MOUTH | {
    "offered": is_offered,
    "sdp": lambda value: len(value) <= OFFER_LETTERS and is_plain(value),
}
REFUSED = {  # field -> what a visitor reads where its value is not acceptable
    "checkpoint": "there is no such checkpoint here; load the page again",
    "person": "there is no such person here; load the page again",
    "speaker": "the speaker is a face's number, or a point in the picture",
    "text": "the text has characters that cannot be spoken; write it in plain letters",
    "label": f"the label must be one line of at most {LABEL_LETTERS} plain letters",
    "voice": "there is no such voice here; load the page again",
    "face": "the face is no longer here; choose the file again",
    "sound": "the sound is no longer here; choose the file again",
    "words": "the words are no longer here; find them again",
    "sdp": "the browser's half of the handshake cannot be read; load the page again",
}
