"""What strangers hand in: checked before it is kept, and named without the places of this machine."""

import re
from dataclasses import dataclass
from pathlib import Path

from tasks.core.errors import UserError
from tasks.media import containers, decode

KINDS = {"face": "a video or a picture", "sound": "a sound or a video"}
MAX_PIXELS = 3840 * 2160  # of a picture: a small file may hold a huge one
NAME_LETTERS = 60
PLACE = re.compile(r"(?<![\w:/])/(?:[^\s/:'\"]+/)+")  # /a/b/ of /a/b/c.mp4; not the slashes of models:/lipgan@champion


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one visitor may ask for."""

    upload_mb: int = 200
    media_s: float = 120.0  # of each file
    work_s: float = 1800.0  # of one job
    text_letters: int = 1000
    num_waiting: int = 8  # jobs
    keep_s: float = 3600.0  # what was handed in and what was made
    num_live: int = 1  # sessions at a time
    live_s: float = 600.0  # of one session

    @property
    def upload_bytes(self) -> int:
        return self.upload_mb << 20

    @property
    def kept_bytes(self) -> int:
        return 16 * self.upload_bytes


def safe_name(given: str) -> str:
    """The file's own name with nothing in it that means something to a file system; its ending says what it is."""
    name = re.sub(r"[^\w.-]+", "_", Path(given.replace("\\", "/")).name).lstrip(".-")
    stem, suffix = Path(name).stem, Path(name).suffix.lower()
    return f"{stem[:NAME_LETTERS] or 'file'}{suffix[:8]}"


def check(path: Path, kind: str, limits: Limits) -> float:
    """How long it lasts, s; 0 for a picture, or where the file does not say.

    Errors: UserError, one line, for what is no such medium, or more of it than `limits` allow.
    """
    try:
        told = decode.probe(path)
    except containers.MediaError as error:
        raise UserError(f"{path.name} is not {KINDS[kind]} that can be read here ({error.detail})") from error
    if kind == "face" and not told.has_video:
        raise UserError(f"{path.name} has no picture in it; {KINDS[kind]} is wanted")
    if kind == "sound" and not told.has_sound:
        raise UserError(f"{path.name} has no sound in it; {KINDS[kind]} is wanted")
    if kind == "face" and told.width * told.height > MAX_PIXELS:
        raise UserError(f"{path.name} is {told.width} x {told.height}; at most 3840 x 2160 is taken here")
    duration_s = 0.0 if kind == "face" and decode.is_image(path) else told.duration_s
    if duration_s > limits.media_s:
        raise UserError(f"{path.name} lasts {duration_s:.0f} s; at most {limits.media_s:g} s is taken here")
    return duration_s


def without_places(line: str) -> str:
    """An error as a visitor may read it: files by their names alone."""
    return PLACE.sub("", line)
