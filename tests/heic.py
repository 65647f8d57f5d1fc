"""HEIC files as telephones write them: a picture as a grid of tiles, several pictures in one file, turned ones.

Source: ISO/IEC 23008-12, and 14496-12 for the boxes
"""

import io

import av
import numpy as np
from PIL import Image


def box(kind, *content, version=None):
    full = b"" if version is None else bytes([version, 0, 0, 0])
    body = full + b"".join(content)
    return (8 + len(body)).to_bytes(4, "big") + kind.encode() + body


def u16(*numbers):
    return b"".join(int(number).to_bytes(2, "big") for number in numbers)


def u32(*numbers):
    return b"".join(int(number).to_bytes(4, "big") for number in numbers)


def hevc(picture_HW3):
    """The picture as one HEVC sample, and the `hvcC` box that describes it."""
    mp4 = io.BytesIO()
    with av.open(mp4, "w", format="mp4") as out:
        stream = out.add_stream("libx265", rate=25, options={"x265-params": "log-level=none:info=0:keyint=1"})
        stream.height, stream.width, stream.pix_fmt = *picture_HW3.shape[:2], "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture_HW3), format="rgb24")
        out.mux([*stream.encode(frame.reformat(format="yuv420p")), *stream.encode(None)])
    whole = mp4.getvalue()
    at = whole.index(b"hvcC") - 4
    with av.open(io.BytesIO(whole)) as read:
        sample = next(bytes(packet) for packet in read.demux(video=0) if packet.size)
    return sample, whole[at : at + int.from_bytes(whole[at : at + 4], "big")]


def heic(pictures, size_wh=None, columns=0, primary=1, turn=b"", orientation=None):
    """A file of pictures of one size.

    columns: of a grid of them, which then is the primary one, of size_wh.  turn: a box `irot` or `imir` of the primary
    orientation: in EXIF, which telephones write beside `turn`; HEIF says that it turns nothing
    """
    coded = [hevc(picture) for picture in pictures]
    height, width = pictures[0].shape[:2]
    numbers = list(range(1, len(pictures) + 1))
    samples, refs = [sample for sample, _ in coded], []
    properties = [coded[0][1], box("ispe", u32(width, height), version=0)]
    if columns:
        primary = len(pictures) + 1
        samples.append(bytes([0, 0, len(pictures) // columns - 1, columns - 1]) + u16(*size_wh))
        refs.append(box("dimg", u16(primary, len(pictures), *numbers)))
        properties.append(box("ispe", u32(*size_wh), version=0))
    owned = {number: [0x81, 2] for number in numbers} | ({primary: [3]} if columns else {})  # 0x80: must be understood
    if turn:
        properties.append(turn)
        owned[primary] = [*owned[primary], 0x80 | len(properties)]
    kinds = {number: b"grid" if columns and number == primary else b"hvc1" for number in owned}
    if orientation:
        exif = Image.Exif()
        exif[274] = orientation
        samples.append(u32(6) + exif.tobytes())
        kinds[len(samples)] = b"Exif"
        refs.append(box("cdsc", u16(len(samples), 1, primary)))
    entries = [box("infe", u16(number, 0), kind, b"\0", version=2) for number, kind in kinds.items()]
    maps = [u16(number) + bytes([len(owned[number]), *owned[number]]) for number in owned]
    head = box("ftyp", b"heic", u32(0), b"mif1", b"heic")

    def meta(first):
        places, at = [], first
        for number, sample in zip(kinds, samples, strict=True):
            places.append(u16(number, 0, 1) + u32(at, len(sample)))
            at += len(sample)
        return box(
            "meta",
            box("hdlr", u32(0), b"pict", u32(0, 0, 0), b"\0", version=0),
            box("pitm", u16(primary), version=0),
            box("iloc", bytes([0x44, 0]), u16(len(places)), *places, version=0),
            box("iinf", u16(len(entries)), *entries, version=0),
            box("iref", *refs, version=0) if refs else b"",
            box("iprp", box("ipco", *properties), box("ipma", u32(len(maps)), *maps, version=0)),
            version=0,
        )

    first = len(head) + len(meta(0)) + 8
    return head + meta(first) + box("mdat", *samples)
