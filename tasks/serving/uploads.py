"""Files from strangers: limits, checks before a file is kept, and errors without the folders of this machine."""

import re
from dataclasses import dataclass
from pathlib import Path

from tasks.core.errors import UserError
from tasks.media import containers, decode

KINDS = {"face": "a video or a picture", "sound": "a sound or a video", "library": "a video"}
MAX_PIXELS = 3840 * 2160  # of a picture: a small file may hold a huge one
NAME_LETTERS = 60
FOLDER = re.compile(r"(?<![\w:/])/(?:[^\s/:'\"]+/)+")  # /a/b/ of /a/b/c.mp4; not the slashes of models:/lipgan@champion


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one visitor may use."""

    upload_mb: int = 200
    media_s: float = 120.0  # of each file
    work_s: float = 1800.0  # of one job
    text_letters: int = 1000
    num_waiting: int = 8  # jobs
    keep_s: float = 3600.0  # for which uploads and outputs are kept
    num_live: int = 1  # sessions at a time
    live_s: float = 600.0  # of one session

    @property
    def upload_bytes(self) -> int:
        return self.upload_mb << 20

    @property
    def kept_bytes(self) -> int:
        return 16 * self.upload_bytes


def safe_name(name: str) -> str:
    """The file's own name without anything that has a meaning to a file system; its suffix gives the format."""
    plain = re.sub(r"[^\w.-]+", "_", Path(name.replace("\\", "/")).name).lstrip(".-")
    stem, suffix = Path(plain).stem, Path(plain).suffix.lower()
    return f"{stem[:NAME_LETTERS] or 'file'}{suffix[:8]}"


def check(path: Path, kind: str, limits: Limits) -> float:
    """Returns the duration in s; 0 for a picture, or where the file does not say.

    Errors: UserError, one line, for a file that is no medium of this kind or exceeds the limits
    """
    try:
        info = decode.probe(path)
    except containers.MediaError as error:
        raise UserError(f"{path.name} is not {KINDS[kind]} that can be read here ({error.detail})") from error
    if kind != "sound" and not info.has_video:
        raise UserError(f"{path.name} has no picture in it; {KINDS[kind]} is wanted")
    if kind == "sound" and not info.has_sound:
        raise UserError(f"{path.name} has no sound in it; {KINDS[kind]} is wanted")
    if kind != "sound" and info.width * info.height > MAX_PIXELS:
        raise UserError(f"{path.name} is {info.width} x {info.height}; the limit here is 3840 x 2160")
    duration_s = 0.0 if kind == "face" and decode.is_image(path) else info.duration_s
    if duration_s > limits.media_s:
        raise UserError(f"{path.name} lasts {duration_s:.0f} s; the limit here is {limits.media_s:g} s")
    return duration_s


def without_folders(line: str) -> str:
    """An error as a visitor may read it: files by their names alone."""
    return FOLDER.sub("", line)
