"""Photographs and other still pictures, read with Pillow: one upright RGB picture, as viewers show it.

The bytes decide whether a file is a picture, not its name. Of an animation or a burst the first or main picture is
read. Transparent pixels are shown on white; a picture with another colour profile than sRGB, or of high dynamic range,
is converted; one with more than MAX_PIXELS is made smaller, because its dub is a video.
"""

import contextlib
import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pi_heif
from PIL import Image, ImageCms

from tasks.media import upright
from tasks.media.containers import MediaError, Source
from tasks.media.frame import Geometry
from tasks.media.hdr import TRANSFERS, sdr_still

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "HEIF", "AVIF")
MAX_PIXELS = 36_864 * 256  # the largest frame of H.264's levels 5.1 and 5.2: 4096 x 2304
MOST_PIXELS = 120_000_000  # of a picture that is read at all: a small file may hold a huge one
SNIFFED_BYTES = 32
MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*")
BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # their possible lengths: "BM" alone is too little
BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"mif2", b"msf1", b"avif", b"avis"}
ORIENTATION = 274  # tag of EXIF
DNG = 50706  # tag of TIFF: a camera's raw data, whose first picture is only a thumbnail
# what Pillow's readers raise on damaged bytes
DAMAGE = (
    OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, OverflowError, RuntimeError, struct.error,
    zlib.error, ImageCms.PyCMSError,
)  # fmt: skip


def is_picture(source: Source) -> bool:
    """Whether the file holds a still picture; an animated GIF counts as a video."""
    with contextlib.suppress(OSError), _file(source) as file:
        start = file.read(SNIFFED_BYTES)
        bmp = start[:2] == b"BM" and int.from_bytes(start[14:18], "little") in BMP_HEADERS
        webp = start[:4] == b"RIFF" and start[8:12] == b"WEBP"
        heif = start[4:8] == b"ftyp" and start[8:12] in BRANDS
        return start.startswith(MAGIC) or bmp or webp or heif
    return False


def size_wh(source: Source) -> tuple[int, int]:
    """Width and height as stored; nothing is decoded.  Errors: MediaError unreadable"""
    with _opened(source) as image:
        return image.size


def geometry(source: Source) -> Geometry:
    """How the picture is shown.  Errors: MediaError as `read`"""
    with _opened(source) as image:
        return Geometry(image.size, _orientation(image))


def read(source: Source) -> np.ndarray:
    """The picture, upright, of at most MAX_PIXELS.  Shape: -> (H, W, 3) uint8 RGB

    Errors: MediaError unreadable, truncated, empty_file
    """
    with _opened(source) as image:
        image.draft(None, _fitting(*image.size))  # a large JPEG is decoded at a half or a quarter, if that is enough
        rgb = _rgb(image)
        transfer = image.info["transfer"]
        orientation = _orientation(image)  # only now: TIFF's is applied by Pillow, and no longer there
    if (wanted_wh := _fitting(*rgb.size)) != rgb.size:
        rgb = rgb.resize(wanted_wh, Image.Resampling.LANCZOS, reducing_gap=2.0)
    shown_HW3 = sdr_still(np.asarray(rgb), transfer) if transfer else np.asarray(rgb)
    return np.ascontiguousarray(upright.upright(shown_HW3, orientation))


def _fitting(width: int, height: int) -> tuple[int, int]:
    """The size in the same shape that has at most MAX_PIXELS, even as H.264 wants it."""
    scale = min(1.0, (MAX_PIXELS / (width * height)) ** 0.5)
    if scale == 1:
        return width, height
    return max(2, int(width * scale) // 2 * 2), max(2, int(height * scale) // 2 * 2)


@contextlib.contextmanager
def _file(source: Source) -> Iterator[BinaryIO]:
    if isinstance(source, str | Path):
        with Path(source).open("rb") as file:
            yield file
        return
    source.seek(0)
    yield source
    source.seek(0)


@contextlib.contextmanager
def _opened(source: Source) -> Iterator[Image.Image]:
    """The picture, not yet decoded; errors of Pillow inside the block become MediaErrors."""
    pi_heif.register_heif_opener(thumbnails=False)
    Image.MAX_IMAGE_PIXELS = None  # the limit is MOST_PIXELS
    with _file(source) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of metadata that is damaged
        try:
            with Image.open(file, formats=FORMATS) as image:
                _demand_readable(image, file)
                image.info["transfer"] = _hdr_transfer(file) if image.format in ("HEIF", "AVIF") else None
                yield image
        except DAMAGE as error:
            cut = "truncated" in str(error)
            words = "it ends before the picture does" if cut else "damaged, or not a picture that is read here"
            raise MediaError("truncated" if cut else "unreadable", words) from error


def _demand_readable(image: Image.Image, file: BinaryIO) -> None:
    if image.width * image.height > MOST_PIXELS:
        most = f"at most {MOST_PIXELS // 1_000_000} megapixels are read"
        raise MediaError("unreadable", f"the picture is {image.width} x {image.height}; {most}")
    if image.format == "TIFF" and DNG in getattr(image, "tag_v2", {}):
        raise MediaError("unreadable", "a camera's raw data (DNG) is not read; export it as JPEG or HEIC")
    if image.format == "HEIF" and not _is_whole(file):  # libheif gives a picture with holes in it
        raise MediaError("truncated", "it ends before the picture does")


def _is_whole(file: BinaryIO) -> bool:
    """Whether all boxes of the file end within it."""
    at, length = 0, file.seek(0, io.SEEK_END)
    while at + 8 <= length:
        file.seek(at)
        size = int.from_bytes(file.read(4), "big")
        if size == 1:
            file.seek(at + 8)
            size = int.from_bytes(file.read(8), "big")
        if size < 8:
            return size == 0  # up to the file's end
        at += size
    return at <= length


def _hdr_transfer(file: BinaryIO) -> str | None:
    """PQ or HLG, if the colours of the file's main picture are named so."""
    file.seek(0)
    head = file.read(1 << 16)  # the boxes with the properties lie in front of the pictures
    box = head.find(b"colrnclx")
    return TRANSFERS.get(int.from_bytes(head[box + 10 : box + 12], "big")) if box >= 0 else None


def _orientation(image: Image.Image) -> int:
    return upright.of_exif(image.getexif().get(ORIENTATION))


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise MediaError("unreadable", "its pixels have 32 bits; save it with 8 or 16")
    if image.has_transparency_data:
        whole = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", whole.size, "white"), whole).convert("RGB")
    return _in_srgb(image) or image.convert("RGB")


def _in_srgb(image: Image.Image) -> Image.Image | None:
    """The picture converted from its own colour profile; None where that is sRGB, or there is none that fits."""
    embedded = image.info.get("icc_profile")
    if not embedded or image.mode not in ("RGB", "CMYK"):
        return None
    with contextlib.suppress(ImageCms.PyCMSError, OSError):  # viewers leave out a damaged profile
        profile = ImageCms.ImageCmsProfile(io.BytesIO(embedded))
        if "sRGB" in ImageCms.getProfileDescription(profile):
            return None
        if profile.profile.xcolor_space.strip() == image.mode:
            return ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    return None
