"""Files from strangers: limits, checks before a file is kept, and errors without the folders of this machine."""

import re
from dataclasses import dataclass
from pathlib import Path

from tasks.core.errors import UserError
from tasks.media import containers, decode

KINDS = {"face": "a video or a picture", "sound": "a sound or a video", "library": "a video"}
MAX_PIXELS = 4096 * 2304  # of a video; photographs are made that small when they are read
NAME_BYTES = 100  # of a name without its suffix: with what is added to it, it stays a name that a disk takes
FOLDER = re.compile(r"(?<![\w:/])/(?:[^\s/:'\"]+/)+")  # /a/b/ of /a/b/c.mp4; not the slashes of models:/lipgan@champion


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one visitor may use."""

    upload_mb: int = 200
    media_s: float = 120.0  # of each file
    work_s: float = 1800.0  # of one job
    text_letters: int = 1000
    transcript_letters: int = 5000  # of two minutes of fast speech
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
    stem = stem.encode("utf-8", "ignore")[:NAME_BYTES].decode("utf-8", "ignore")
    suffix = suffix if suffix.isascii() else ""
    return f"{stem or 'file'}{suffix[:8]}"


def check(path: Path, kind: str, limits: Limits) -> float:
    """Returns the duration in s, counted; 0 for a picture.

    Errors: UserError, one line, for a file that is no medium of this kind or exceeds the limits
    """
    try:
        info, duration_s = decode.probe(path), decode.counted_length_s(path)
    except containers.MediaError as error:
        raise UserError(f"{path.name} is not {KINDS[kind]} that can be read here ({error.detail})") from error
    if kind != "sound" and not info.has_video:
        raise UserError(f"{path.name} has no picture in it; {KINDS[kind]} is wanted")
    if kind == "sound" and not info.has_sound:
        raise UserError(f"{path.name} has no sound in it; {KINDS[kind]} is wanted")
    if kind != "sound" and info.width * info.height > MAX_PIXELS and not decode.is_image(path):
        raise UserError(f"{path.name} is {info.width} x {info.height}; the limit here is 4096 x 2304 for a video")
    if duration_s > limits.media_s:
        raise UserError(f"{path.name} lasts {duration_s:.0f} s; the limit here is {limits.media_s:g} s")
    return duration_s


def without_folders(line: str) -> str:
    """An error as a visitor may read it: files by their names alone."""
    return FOLDER.sub("", line)
