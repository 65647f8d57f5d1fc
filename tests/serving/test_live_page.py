"""Live over WebRTC: audio is delayed until its frame is ready; the real server with a real browser."""

import threading
import time
import wave
from pathlib import Path

import httpx
import numpy as np
import pytest
from conftest import inside
from test_app import CHROMIUM, folder, served, until  # noqa: F401 - folder is a fixture

from model import timing
from tasks.live.delay import DELAY_S, Delay
from tasks.live.stream import LOOK_AHEAD_S, WORK_S, StreamFrame
from tasks.media import decode
from tasks.serving import live_sessions
from tasks.serving.job_queue import JobQueue
from tasks.serving.uploads import Limits

BLOCK_S = 0.02


def frame(number, repeated=False):
    return StreamFrame(number, np.zeros((2, 2, 3), np.uint8), repeated, 0.0)


def test_audio_comes_out_once_in_order_and_delayed_by_look_ahead_and_work():
    delay, got = Delay(), []
    for k in range(100):
        got += [(block, delay.received_s - block * BLOCK_S) for block in delay.add_sound(k, BLOCK_S)]
    assert [block for block, _ in got] == list(range(len(got))) and len(got) == 88
    assert all(LOOK_AHEAD_S + WORK_S <= late + 1e-6 <= DELAY_S + BLOCK_S for _, late in got)


def test_a_frame_that_is_in_time_goes_out_with_its_audio():
    delay, out = Delay(), {}
    for k in range(100):
        sounds = delay.add_sound(k, BLOCK_S)
        if k % 2 == 0:
            delay.add_frame(frame(k // 2))  # long before it is due
        if due := delay.due_frame():
            out[due[0]] = (due[1].number, sounds)
    assert len(out) >= 40 and all(number == place for place, (number, _) in out.items())
    assert all(sounds[0] == 2 * place for place, (_, sounds) in out.items())
    assert delay.num_repeated == 0


def test_a_late_frame_is_skipped_and_the_audio_continues():
    delay, sounds, out = Delay(), [], []
    for k in range(200):
        sounds += delay.add_sound(k, BLOCK_S)
        if k % 8 == 0:  # one of four is generated
            delay.add_frame(frame(k // 2))
        out += [due] if (due := delay.due_frame()) else []
    places = [place for place, _ in out]
    assert places == sorted(set(places)) and sounds == list(range(len(sounds)))
    assert delay.num_repeated == delay.num_due - len(out) > 100 * 0.6
    assert all(shown.number <= place for place, shown in out)


def test_the_newest_of_several_late_frames_is_shown():
    delay = Delay()
    delay.add_sound(0, 1.0)
    for number in range(5):
        delay.add_frame(frame(number))
    assert delay.due_frame()[1].number == 4 and delay.due_frame() is None


def test_lost_audio_becomes_silence_of_the_same_length():
    av, streams = pytest.importorskip("av"), pytest.importorskip("tasks.media.stream_writer")
    frame = av.AudioFrame.from_ndarray(np.ones((1, 960 * 2), np.int16), format="s16", layout="stereo")
    frame.sample_rate = 48_000
    made = streams.silence_like(frame, 480)
    assert (made.samples, made.sample_rate, made.layout.name) == (480, 48_000, "stereo")
    assert not made.to_ndarray().any()


def test_audio_at_48_khz_is_resampled_to_16_khz_in_place():
    av, streams = pytest.importorskip("av"), pytest.importorskip("tasks.media.stream_writer")
    tone = np.sin(np.arange(48_000) * 2 * np.pi * 440 / 48_000)
    heard, got = streams.MonoResampler(), []
    for at in range(0, 48_000, 960):
        both = np.repeat((tone[at : at + 960] * 20_000).astype(np.int16), 2)[None]
        frame = av.AudioFrame.from_ndarray(both, format="s16", layout="stereo")
        frame.sample_rate = 48_000
        got.append(heard(frame))
    got = np.concatenate(got)
    assert 0 <= timing.SAMPLE_RATE_HZ - len(got) < 32
    wanted = tone[::3][: len(got)] * 20_000 / 32_768
    assert np.abs(got - wanted)[200:-200].max() < 0.01


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    """Bursts of noise at uneven times, 48 kHz, for Chromium's fake microphone."""
    rng, path = np.random.default_rng(1), tmp_path_factory.mktemp("mic") / "speech.wav"
    pieces = []
    for _ in range(60):
        pieces += [
            rng.normal(0, 0.2, int(rng.uniform(0.08, 0.3) * 48_000)),
            np.zeros(int(rng.uniform(0.1, 0.4) * 48_000)),
        ]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes((np.clip(np.concatenate(pieces), -1, 1) * 32_767).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="module")
def queue(folder):  # noqa: F811
    with inside(folder), JobQueue(Limits(upload_mb=1, media_s=10), {"face.mp4": Path("face.mp4")}) as opened:
        yield opened


@pytest.fixture(scope="module")
def address(queue):
    pytest.importorskip("aiortc", reason="aiortc is not installed (extra live)")
    with served(queue) as address:
        yield address


@pytest.fixture(scope="module")
def browser(speech):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.is_file():
        pytest.skip(f"no browser at {CHROMIUM}; apt-get install chromium")
    with playwright.sync_playwright() as started:
        flags = ["--no-sandbox", "--disable-quic", "--autoplay-policy=no-user-gesture-required",
                 "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
                 f"--use-file-for-fake-audio-capture={speech}"]  # fmt: skip
        opened = started.chromium.launch(executable_path=str(CHROMIUM), args=flags)
        yield opened
        opened.close()


RECEIVED = """async kind => {
  for (const each of (await state.peer.getStats()).values())
    if (each.type === "inbound-rtp" && each.kind === kind) return each.framesDecoded ?? each.packetsReceived;
  return 0;
}"""
PIXELS = """() => {
  const canvas = document.createElement("canvas"), video = document.getElementById("made");
  canvas.width = video.videoWidth; canvas.height = video.videoHeight;
  const pen = canvas.getContext("2d");
  pen.drawImage(video, 0, 0);
  return [canvas.height, canvas.width, ...pen.getImageData(0, 0, canvas.width, canvas.height).data];
}"""


def pixels(page):
    height, width, *values = page.evaluate(PIXELS)
    return np.array(values, np.uint8).reshape(height, width, 4)[..., :3].astype(int)


def grown(page, kind, num):
    until_s = time.monotonic() + 60
    while (got := page.evaluate(RECEIVED, kind)) < num:
        assert time.monotonic() < until_s, (kind, got)
        page.wait_for_timeout(200)


def test_a_person_goes_live_in_the_browser(browser, address, queue, folder):  # noqa: F811
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(60_000)
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None)
    page.goto(f"{address}/live")
    until(page, "!document.getElementById('go').disabled")  # the offered face is loaded
    page.locator("#label").uncheck()
    page.locator("#go").click()
    until(page, "document.getElementById('made').videoWidth > 0")
    grown(page, "video", 50)
    grown(page, "audio", 100)
    with inside(folder):
        real = decode.read_image(Path("face.mp4")).astype(int)
    rows = slice(0, real.shape[0] // 3)
    assert np.abs(pixels(page)[rows] - real[rows]).mean() < 8  # the colours of the picture
    until(page, "document.getElementById('measured').textContent.includes('ms, measured')")
    assert LOOK_AHEAD_S < page.evaluate("delay()") < 1.5
    report = page.evaluate("state.report")
    assert report["look_ahead_ms"] == 202.5 and 0 < report["work_ms"] <= report["slow_ms"]
    assert page.evaluate("document.getElementById('measured').innerText").count("ms") >= 4
    assert str(folder) not in page.content() and str(queue.folder) not in page.content()

    other = browser.new_page()
    other.goto(f"{address}/live")
    until(other, "!document.getElementById('go').disabled")
    other.locator("#go").click()
    other.locator("#error").wait_for()
    assert "someone else is live here" in other.locator("#error").inner_text()
    other.close()

    [session] = queue.live.sessions.values()
    page.close()  # without ending the session
    until_s = time.monotonic() + 20
    while queue.live.sessions or session.process.is_alive():  # not join: the thread of the queue waits for it too
        assert time.monotonic() < until_s
        threading.Event().wait(0.1)
    assert problems == []


def test_a_picture_without_a_face_is_refused_on_the_page_and_leaves_no_session(browser, address, queue, folder):  # noqa: F811
    page = browser.new_page(viewport={"width": 390, "height": 900})
    page.goto(f"{address}/live")
    page.locator("#face").set_input_files(folder / "grey.png")
    until(page, "state.face !== null")
    page.locator("#go").click()
    page.locator("#error").wait_for(timeout=60_000)
    assert page.locator("#error").inner_text().startswith("no face found in the picture")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert queue.live.sessions == {} and page.locator("#go").inner_text() == "Start"
    page.close()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"sdp": None}, "needs the browser's half of the handshake"),
        ({"checkpoint": "/etc/passwd"}, "no such checkpoint"),
        ({"offered": "../face.mp4"}, "the face is no longer here"),
    ],
)
def test_a_bad_session_request_is_refused(address, change, why):
    asked = {"offered": "face.mp4", "sdp": "v=0"} | change
    answer = httpx.post(f"{address}/live/sessions", json=asked)
    assert answer.status_code == 422 and why in answer.json()["error"]


def test_without_aiortc_the_page_says_what_to_install(queue, address, monkeypatch):
    monkeypatch.setattr(live_sessions.importlib.util, "find_spec", lambda name: None)
    assert "'.[live]'" in httpx.get(f"{address}/choices").json()["live"]["missing"]
    refused = httpx.post(f"{address}/live/sessions", json={"offered": "face.mp4", "sdp": "v=0"})
    assert refused.status_code == 422 and "needs aiortc" in refused.json()["error"]
