"""Whole dubs of damaged files, one after the other, each in a process of its own that is killed when it takes too long.

    python fuzzed.py FOLDER FIRST END      in a trained project folder; prints one JSON line a file

A number decides which file is damaged, and how. Every start is a fork of this process, which has imported everything
and dubbed nothing. What is wrong with a dub's end is told in its line, "" where nothing is.
"""

import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from fractions import Fraction
from pathlib import Path

import av
import c2pa  # noqa: F401 - once, not in every fork
import cv2
import numpy as np
import torch

from model import timing
from tasks.core.errors import UserError
from tasks.dubbing import dub
from tasks.features import audio, face_track
from tasks.media import decode, native_rate

SIZE_PX, NUM_FRAMES, SOUND_S = 160, 13, 0.6
LIMIT_S = 60  # on the clock; a dub takes half a second of it
MEMORY_MB = 2048
VIDEOS = {
    "mp4": ("libx264", "yuv420p", "aac"),
    "mkv": ("libx264", "yuv420p", "flac"),
    "avi": ("mpeg4", "yuv420p", "mp3"),
    "mov": ("mpeg4", "yuv420p", "aac"),
    "webm": ("libvpx", "yuv420p", "libopus"),
    "gif": ("gif", "rgb8", None),
    "mpg": ("mpeg1video", "yuv420p", "mp2"),
}
PICTURES = ("png", "jpg", "webp")
SOUNDS = {"wav": "pcm_s16le", "mp3": "mp3", "ogg": "libopus", "flac": "flac", "m4a": "aac", "webm": "libopus"}
FACES = (*VIDEOS, *PICTURES)
NUM_KINDS = len(FACES) + len(SOUNDS)


def write(path, pictures, codec, pix_fmt, sound, voice, first=0):
    """A file as other people's programs write it; `codec` and `voice`: None for none; `first`: number of frame 0."""
    with av.open(str(path), "w") as out:
        if codec:
            stream = out.add_stream(codec, rate=25)
            stream.width, stream.height, stream.pix_fmt = SIZE_PX, SIZE_PX, pix_fmt
            stream.gop_size = 5
        if voice:
            heard = out.add_stream(voice, rate=48000, layout="mono")
        for n, picture in enumerate(pictures if codec else ()):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = first + n, Fraction(1, 25)
            out.mux(stream.encode(frame))
        if codec:
            out.mux(stream.encode(None))
        if voice:
            frame = av.AudioFrame.from_ndarray(sound[None], format="flt", layout="mono")
            frame.sample_rate, frame.time_base, frame.pts = 48000, Fraction(1, 48000), 0
            resampler = av.AudioResampler(heard.format, heard.layout, heard.rate, heard.frame_size or None)
            for block in [*resampler.resample(frame), *resampler.resample(None)]:
                out.mux(heard.encode(block))
            out.mux(heard.encode(None))


def wholes(folder):
    """Small files of every kind from face.mp4, in `folder`: face.<ending> and sound.<ending>."""
    folder.mkdir()
    pictures = [cv2.resize(picture, (SIZE_PX, SIZE_PX)) for picture in list(decode.frames("face.mp4"))[:NUM_FRAMES]]
    sound = np.interp(
        np.arange(round(SOUND_S * 48000)) / 3, np.arange(16000), decode.decode_sound("face.mp4")[:16000]
    ).astype(np.float32)
    for ending, (codec, pix_fmt, voice) in VIDEOS.items():
        write(folder / f"face.{ending}", pictures, codec, pix_fmt, sound, voice)
    for ending in PICTURES:
        cv2.imwrite(str(folder / f"face.{ending}"), pictures[0][..., ::-1])
    for ending, voice in SOUNDS.items():
        write(folder / f"sound.{ending}", [], None, None, sound, voice)


def names(number):
    """Of the file that is damaged, and of the whole one beside it."""
    kind = number % NUM_KINDS
    if kind < len(FACES):
        return f"face.{FACES[kind]}", "sound.wav"
    return f"sound.{list(SOUNDS)[kind - len(FACES)]}", "face.mp4"


def damaged(whole, others, number):
    """Cut off, overwritten, zeroed, with blocks swapped, missing or doubled, or going on as another file."""
    rng = np.random.default_rng(number)
    content = np.frombuffer(whole, np.uint8).copy()
    at, length = int(rng.integers(len(content))), int(rng.integers(1, max(2, len(content) // 8)))
    match (number + number // NUM_KINDS) % 8:
        case 0:
            return content[:at]
        case 1:
            places = rng.integers(len(content), size=int(rng.integers(1, 60)))
            content[places] ^= (1 << rng.integers(8, size=len(places))).astype(np.uint8)
        case 2:
            content[at : at + length] = 0
        case 3:
            low, high = sorted(int(at) for at in rng.integers(max(1, len(content) - length), size=2))
            one, other = content[low : low + length].copy(), content[high : high + length].copy()
            content[low : low + length], content[high : high + length] = other, one
        case 4:
            places = rng.integers(min(len(content), 200), size=int(rng.integers(1, 12)))
            content[places] = rng.integers(0, 256, len(places))
        case 5:
            other = np.frombuffer(others[int(rng.integers(len(others)))], np.uint8)
            return np.concatenate([content[:at], other[int(rng.integers(len(other))) :]])
        case 6:
            return np.delete(content, slice(at, at + length))
        case _:
            return np.insert(content, at, content[max(0, at - length) : at])
    return content


def demand(holds, words):
    if not holds:
        raise ValueError(words)


def one(here, number):
    """A dub in folder `here`.  Returns "dubbed", or the one line it was refused by.  Errors: ValueError for others"""
    whole = Path("wholes")
    broken, other = names(number)
    files = [path.read_bytes() for path in sorted(whole.iterdir())]
    (here / broken).write_bytes(damaged((whole / broken).read_bytes(), files, number).tobytes())
    shutil.copy(whole / other, here / other)
    face, sound = sorted((here / broken, here / other))  # face.*, sound.*
    out = here / "out/a.mp4"
    try:
        dub.run(str(face), str(sound), str(out))
    except UserError as error:
        demand("\n" not in str(error) and len(str(error)) < 400, f"not one line: {error}")
        demand(str(face) in str(error) or str(sound) in str(error), f"names no file: {error}")
        demand(not list((here / "out").glob("*")), f"left: {os.listdir(here / 'out')}")
        return str(error).replace(str(here) + "/", "")
    finally:
        demand(not os.listdir(tempfile.gettempdir()), f"temp folder: {os.listdir(tempfile.gettempdir())}")
    demand(sorted(os.listdir(out.parent)) == ["a.json", "a.mp4"], f"left: {os.listdir(out.parent)}")
    demand_right(face, sound, out)
    return "dubbed"


def demand_right(face, sound, out):
    """As many frames as the rule of --length longest gives, of the source's size, with sound, and the JSON agrees."""
    told = json.loads(out.with_suffix(".json").read_text())
    times_s, size = zip(*[(time_s, picture.shape) for picture, time_s in native_rate.pictures(out)], strict=True)
    demand(len(times_s) == told["frames"], f"{len(times_s)} frames, the JSON says {told['frames']}")
    heard_s = len(decode.decode_sound(sound)) / timing.SAMPLE_RATE_HZ
    if decode.is_image(face):
        wanted = timing.num_frames_of_sound(round(heard_s * timing.SAMPLE_RATE_HZ))
        demand(len(times_s) == wanted, f"{len(times_s)} frames of a picture, wanted {wanted}")
        height, width = decode.read_image(face).shape[:2]
    else:
        source = [(time_s, picture.shape[:2]) for picture, time_s in native_rate.pictures(face)]
        source_s = [time_s for time_s, _ in source]
        lasts_s = np.diff(source_s) if len(source_s) > 1 else np.array([0.04])
        video_s = source_s[-1] + float(np.median(lasts_s))
        longer = heard_s > video_s + 0.04
        demand(
            len(times_s) > len(source) if longer else len(times_s) == len(source),
            f"{len(times_s)} frames of {len(source)}",
        )
        slack_s = max(float(lasts_s.max()), video_s - source_s[-1]) + 1e-3 if longer else 1e-3
        demand(
            abs(told["duration_s"] - max(heard_s, video_s)) <= max(slack_s, 0.041),
            f"lasts {told['duration_s']} s, video {video_s}, sound {heard_s}",
        )
        height, width = source[0][1]
    demand(size[0][:2] == (height + height % 2, width + width % 2), f"size {size[0]}, source {(height, width)}")
    made_s = len(decode.decode_sound(out)) / timing.SAMPLE_RATE_HZ
    demand(abs(made_s - told["duration_s"]) < 0.15, f"sound of {made_s} s beside {told['duration_s']} s")


def start(number):
    """Fork, dub, exit; returns the line."""
    with tempfile.TemporaryDirectory(prefix=f"fuzz{number}-") as folder:
        here, line = Path(folder), Path(folder) / "line"
        if child := os.fork():
            _, status, used = os.wait4(child, 0)
            if os.WIFSIGNALED(status):
                name = signal.Signals(os.WTERMSIG(status)).name
                wrong = f"still at it after {LIMIT_S} s" if name == "SIGALRM" else f"died of {name}"
                return {"end": "", "wrong": wrong}
            told = json.loads(line.read_text())
            memory_mb = used.ru_maxrss // 1024
            if not told["wrong"] and memory_mb > MEMORY_MB:
                told["wrong"] = f"took {memory_mb} MB"
            return {**told, "mb": memory_mb, "cpu_s": round(used.ru_utime + used.ru_stime, 2)}
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # kills, also within a decoder
        signal.alarm(LIMIT_S)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30))
        (here / "tmp").mkdir()
        tempfile.tempdir = str(here / "tmp")
        try:
            told = {"end": one(here, number), "wrong": ""}
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            told = {"end": "", "wrong": "".join(traceback.format_exception(error))[-1500:]}
        line.write_text(json.dumps(told))
        os._exit(0)


def main(folder, first, end):
    os.chdir(folder)
    torch.set_num_threads(1)
    audio.mfcc(np.zeros(6400, np.float32), 10)  # what takes long to load, once
    face_track.detector()
    if not Path("wholes").is_dir():
        wholes(Path("wholes"))
    for number in range(first, end):
        line = {"number": number, "file": names(number)[0], **start(number)}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
