"""Memory and speed of preprocessing long 1080p videos, which are cut into pieces: memory must not grow with length.

    python -m benchmarks.long_video --minutes 1 3

Each length is acquired (copied into a raw shard, hashed) and preprocessed in a separate process; peak RSS is the
kernel's. The video is 8 s of a rendered speaker enlarged
to 1920 x 1080, its packets repeated. Results: benchmarks/results/long_video.json
"""

import argparse
import hashlib
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
import cv2
import numpy as np

from benchmarks.machine import RESULTS, machine
from model import timing
from tasks.core import config
from tasks.core.errors import Refusal
from tasks.media import decode, encode
from tasks.preprocess import stage as preprocess
from tasks.storage import shards
from tasks.synthetic import clip as synthetic
from tasks.synthetic.plan import plan

LOOP_S, WIDTH, HEIGHT = 8, 1920, 1080


def loop(out: Path) -> None:
    """8 s of a speaker in a large picture, forwards and backwards, so that it can be repeated."""
    spec = next(spec for spec in plan(0, "demo") if spec.case == "clean")
    mp4 = synthetic.render(spec).mp4
    frames = list(decode.frames(io.BytesIO(mp4)))
    sound = decode.fit(decode.decode_sound(io.BytesIO(mp4)), len(frames))
    there_and_back = [*frames, *frames[::-1]]
    num_frames = LOOP_S * timing.FPS
    pictures = (_large(there_and_back[t % len(there_and_back)]) for t in range(num_frames))
    encode.encode_video(out, pictures, np.resize(sound, timing.num_samples(num_frames)), preset="ultrafast", crf=23)


def _large(frame_HW3: np.ndarray) -> np.ndarray:
    side = cv2.resize(frame_HW3, (HEIGHT, HEIGHT), interpolation=cv2.INTER_CUBIC)
    border = (WIDTH - HEIGHT) // 2
    return cv2.copyMakeBorder(side, 0, 0, border, border, cv2.BORDER_REPLICATE)


def repeat(one: Path, out: Path, times: int) -> None:
    """The packets of a video again and again."""
    with av.open(str(out), "w") as target:
        streams, last = {}, dict[int, int]()
        for number in range(times):
            with av.open(str(one)) as source:
                if not number:
                    streams = {s.index: target.add_stream_from_template(s) for s in source.streams}
                for packet in source.demux():
                    if packet.dts is None:
                        continue
                    shift, into = round(number * LOOP_S / packet.time_base), packet.stream_index
                    if packet.dts + shift <= last.get(into, -(1 << 40)):
                        continue  # sound has a block before its beginning
                    last[into] = packet.dts + shift
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = streams[into]
                    target.mux(packet)


def measure(video: Path) -> dict[str, float]:
    """Write the raw shard and preprocess every piece of it in this process, as the stages do."""
    p = config.load()
    with video.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    loaded = preprocess.tools()
    began_s, cpu_s = time.monotonic(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        raw_shard = Path(folder) / "raw.tar"
        member = shards.FileMember(video, sha256)
        [span] = shards.write(raw_shard, [("folder/long/00000", {"json": b"{}", "mp4": member})]).values()
        kept = []
        about = {"clip": "folder/long/00000", "source": video.name, "text": ""}

        def samples():
            with shards.opened(raw_shard, span.offset, span.size) as raw:
                for one in preprocess.read_clip(raw, p.faces, p.quality, loaded):
                    kept.append(not isinstance(one.clip, Refusal))
                    if kept[-1]:
                        yield (
                            one.about(about)["clip"],
                            shards.encode(one.clip, one.about(about), p.faces.storage, p.faces.jpeg_quality),
                        )
                    del one

        shards.write(Path(folder) / "shard.tar", samples())
    return {
        "pieces": len(kept),
        "pieces_with_a_face": sum(kept),
        "file_mb": round(video.stat().st_size / 1e6, 1),
        "wall_s": round(time.monotonic() - began_s, 1),
        "cpu_s": round(time.process_time() - cpu_s, 1),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 3])
    parser.add_argument("--video", type=Path, help="measure this one here, and print it")
    options = parser.parse_args()
    if options.video:
        print(json.dumps(measure(options.video)))
        return
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        one = Path(folder) / "loop.mp4"
        loop(one)
        for minutes in options.minutes:
            video = Path(folder) / "long.mp4"
            repeat(one, video, round(minutes * 60 / LOOP_S))
            command = [sys.executable, "-m", "benchmarks.long_video", "--video", str(video)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found[f"{minutes:g} min"] = json.loads(done.stdout)
            print(minutes, found[f"{minutes:g} min"], flush=True)
    (RESULTS / "long_video.json").write_text(json.dumps({"machine": machine(), "found": found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
