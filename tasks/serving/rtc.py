"""The process of one live session: a microphone over WebRTC in, the speaking face and the delayed audio out.

It gets one LiveOrder, answers with its half of the handshake, and ends with the connection, with its parent, or at its
time limit; nothing is stored. No STUN server is contacted: browser and app must be on one machine or in one network.
aiortc is optional; beside this module only tasks/serving/examiner.py imports it.
"""

import asyncio
import json
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from multiprocessing.connection import Connection
from time import perf_counter
from typing import Any

import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from tasks.live import speakers
from tasks.live.delay import DELAY_S, Delay
from tasks.live.stream import LOOK_AHEAD_S, LiveStream, Speaker, StreamFrame
from tasks.media import stream_writer
from tasks.media.encode import colour_matrix
from tasks.serving.messages import LiveAnswer, LiveOrder
from tasks.tracking import registry

MAX_PIXELS = 1280 * 720  # of the picture, which is encoded 25 times a second
CONNECT_S = 20.0
REPORT_S = 0.5  # between two reports to the page
MAX_GAP_S = 1.0  # of lost audio, filled with silence; a longer gap is a microphone that was off
REMEMBERED = 250  # frames whose computing time is reported


def work(order: LiveOrder, pipe: Connection) -> None:
    """One session.  Errors: UserError where the face or the checkpoint cannot be used."""
    checkpoint = order.checkpoint and registry.path_of(order.checkpoint)
    with speakers.opened(order.face, checkpoint, order.options, MAX_PIXELS) as (speaker, _):
        asyncio.run(session(order, speaker, pipe))


async def session(order: LiveOrder, speaker: Speaker, pipe: Connection) -> None:
    """Until the connection ends, the parent closes the pipe, or the time is over."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    over, connected = asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().add_reader(pipe.fileno(), over.set)
    stream = Stream(speaker)
    tasks: list[asyncio.Task[None]] = []

    def begin(task: asyncio.Task[None]) -> None:
        tasks.append(task)
        task.add_done_callback(lambda _: over.set())

    @peer.on("track")
    def track(track: Any) -> None:
        if track.kind == "audio" and not tasks:
            begin(asyncio.create_task(stream.listen(track)))
            begin(asyncio.create_task(stream.speak()))

    @peer.on("datachannel")
    def channel(channel: Any) -> None:
        begin(asyncio.create_task(stream.report(channel)))

    @peer.on("connectionstatechange")
    def changed() -> None:
        if peer.connectionState == "connected":
            connected.set()
        elif peer.connectionState in ("failed", "closed"):
            over.set()

    async def time_limit() -> None:
        await asyncio.wait_for(connected.wait(), CONNECT_S)
        await asyncio.sleep(order.most_s)

    try:
        await peer.setRemoteDescription(RTCSessionDescription(order.offer, "offer"))
        peer.addTrack(stream.sound_out)
        peer.addTrack(stream.picture_out)
        await peer.setLocalDescription(await peer.createAnswer())
        pipe.send(LiveAnswer(peer.localDescription.sdp))
        begin(asyncio.create_task(time_limit()))
        await over.wait()
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        await peer.close()
    for error in ended:
        if isinstance(error, Exception) and not isinstance(error, TimeoutError):
            raise error


class Stream:
    """From the incoming audio to the outgoing tracks; the frames are generated in a separate thread."""

    def __init__(self, speaker: Speaker) -> None:
        self.delay: Delay[Any] = Delay()
        self.live = LiveStream(speaker, lambda: self.delay.received_s)
        self.resampled, self.work_s = stream_writer.MonoResampler(), deque[float](maxlen=REMEMBERED)
        self.incoming: asyncio.Queue[np.ndarray] = asyncio.Queue()
        self.sound_out, self.picture_out = Outgoing("audio"), Outgoing("video")
        self.num_samples = 0  # sent

    async def listen(self, track: Any) -> None:
        """Audio to the generator and, delayed, back; lost packets become silence of the same length."""
        due_pts: int | None = None
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            lost = 0 if due_pts is None else frame.pts - due_pts
            if -frame.sample_rate < lost < 0:
                continue  # a late packet, already replaced by silence
            due_pts = frame.pts + frame.samples
            blocks = [stream_writer.silence_like(frame, lost)] if 0 < lost < MAX_GAP_S * frame.sample_rate else []
            for block in (*blocks, frame):
                for sound in self.delay.add_sound(block, block.samples / block.sample_rate):
                    sound.pts, sound.time_base = self.num_samples, Fraction(1, sound.sample_rate)
                    self.num_samples += sound.samples
                    self.sound_out.put(sound)
                self.incoming.put_nowait(self.resampled(block))
            self.show()

    async def speak(self) -> None:
        """Generate frames as their audio comes in."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, "speak") as thread:
            while True:
                sound = await self.incoming.get()
                started_s = perf_counter()
                frames = await loop.run_in_executor(thread, self.live.push, sound)
                while (frame := await loop.run_in_executor(thread, next_of, frames)) is not None:
                    if not frame.repeated:
                        self.work_s.append(perf_counter() - started_s)
                    self.delay.add_frame(frame)
                    self.show()
                    started_s = perf_counter()

    def show(self) -> None:
        if due := self.delay.due_frame():
            number, frame = due
            self.picture_out.put(stream_writer.video_frame(frame.picture_HW3, colour_matrix(0), number))

    async def report(self, channel: Any) -> None:
        """Send frame counts and times to the page."""
        while channel.readyState == "open":
            state: dict[str, float] = {
                "frames": self.delay.num_due, "repeated": self.delay.num_repeated,
                "look_ahead_ms": round(1000 * LOOK_AHEAD_S, 1), "delay_ms": round(1000 * DELAY_S, 1),
            }  # fmt: skip
            if self.work_s:
                state["work_ms"], state["slow_ms"] = (round(1000 * q, 1) for q in np.quantile(self.work_s, (0.5, 0.95)))
            channel.send(json.dumps(state))
            await asyncio.sleep(REPORT_S)


def next_of(frames: Iterator[StreamFrame]) -> StreamFrame | None:
    """The next frame; None at the end."""
    return next(frames, None)


class Outgoing(MediaStreamTrack):
    """A track that sends what is put into it: all audio, but of the frames only the newest."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self._to_send: asyncio.Queue[Any] = asyncio.Queue()

    def put(self, frame: Any) -> None:
        while self.kind == "video" and not self._to_send.empty():
            self._to_send.get_nowait()
        self._to_send.put_nowait(frame)

    async def recv(self) -> Any:
        return await self._to_send.get()
