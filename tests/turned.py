"""Pictures and videos stored in each of the eight ways of EXIF, from which every viewer shows the same."""

import io
from fractions import Fraction

import av
import numpy as np
from PIL import Image

from tasks.media.upright import MATRICES

# the stored picture that a viewer, told this EXIF number, turns into the upright one: written out, not computed
STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: upright.swapaxes(0, 1)[::-1],  # stored lying on its left side: a viewer turns it clockwise
    7: lambda upright: upright[::-1, ::-1].swapaxes(0, 1),
    8: lambda upright: upright.swapaxes(0, 1)[:, ::-1],
}


def photograph(upright_HW3, orientation, ending=".png", **saved):
    """The bytes of a picture file."""
    image = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright_HW3)))
    exif = image.getexif()
    exif[274] = orientation
    out = io.BytesIO()
    image.save(out, {".jpg": "JPEG", ".tif": "TIFF"}.get(ending, ending[1:].upper()), exif=exif, **saved)
    return out.getvalue()


def film(
    path, upright_THW3, orientation=1, *, codec="png", pixels="rgb24", aspect=None, scale=1, sound=None, has=None,
    options=None,
):  # fmt: skip
    """A video with a display matrix, as telephones write it. PNG in a mov is without loss.

    scale: of the matrix, which viewers leave out.  sound: (n,) float at 16 kHz.  has: attributes of the codec
    """
    a, b, c, d = (round(number * scale * 65536) for number in MATRICES[orientation])
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=25, options=options or {})
        frames_THW3 = [np.ascontiguousarray(STORED[orientation](picture)) for picture in upright_THW3]
        stream.height, stream.width, stream.pix_fmt = *frames_THW3[0].shape[:2], pixels
        for name, value in (has or {}).items():
            setattr(stream.codec_context, name, value)
        if aspect:
            stream.codec_context.sample_aspect_ratio = Fraction(aspect)
        if (a, b, c, d) != (65536, 0, 0, 65536):
            stream.set_display_matrix([a, b, 0, c, d, 0, 7 << 16, 9 << 16, 1 << 30])
        voice = None if sound is None else out.add_stream("pcm_s16le", rate=16000, layout="mono")
        for picture in frames_THW3:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels)))
        out.mux(stream.encode(None))
        if voice:
            samples = np.round(np.clip(sound, -1, 1)[None] * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 16000, 0, Fraction(1, 16000)
            out.mux(voice.encode(frame))
            out.mux(voice.encode(None))
    return path


class Pipe:
    """What a browser's recorder writes into: no length is filled in afterwards."""

    def __init__(self, path):
        self.file = path.open("wb")
        self.write, self.close = self.file.write, self.file.close


def recorded(path, picture, num_frames):
    """A webm without a duration."""
    pipe = Pipe(path)
    with av.open(pipe, "w", format="webm") as out:
        stream = out.add_stream("libvpx", rate=25)
        stream.height, stream.width, stream.pix_fmt = *picture.shape[:2], "yuv420p"
        for _ in range(num_frames):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")))
        out.mux(stream.encode(None))
    pipe.close()
    return path
