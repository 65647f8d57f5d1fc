"""The web app: its answers over HTTP, and in a real browser from upload to download."""

import asyncio
import contextlib
import os
import re
import shutil
import socket
import threading
import time
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
import uvicorn
from conftest import inside

from tasks.core import config, paths
from tasks.core.errors import UserError
from tasks.core.files import md5_file, sha256_file
from tasks.dubbing.options import Options
from tasks.expert import stage as expert
from tasks.inference import lip_sync
from tasks.media import decode
from tasks.media.wav import write_wav
from tasks.serving import choices, connections, server, uploads
from tasks.serving.job_queue import JobQueue
from tasks.serving.uploads import Limits
from tasks.storage import index, shards
from tasks.tracking import registry

CHROMIUM = Path(os.environ.get("CHROMIUM") or "/usr/bin/chromium")
WAIT_S = 120
RELEASED = ["released"] * lip_sync.RELEASED.is_file()


@pytest.fixture(scope="module")
def folder(trained_folder, tmp_path_factory):
    """The tiny project folder with a sync expert, a sound, a picture and a file that is none."""
    made = shutil.copytree(trained_folder, tmp_path_factory.mktemp("app") / "p", symlinks=True)
    with inside(made):
        if not paths.EXPERT.is_file():
            expert.run(config.load(Path("params.yaml")))
        write_wav(Path("speech.wav"), np.random.default_rng(0).normal(0, 0.1, 640 * 30).astype(np.float32))
        cv2.imwrite("grey.png", np.full((96, 96, 3), 127, np.uint8))
        Path("letter.mp4").write_text("Dear all")
    return made


@contextlib.contextmanager
def served(queue):
    """The real server on a free port; its address."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        server.application(queue), log_level="error", timeout_graceful_shutdown=1, http=connections.TimedProtocol
    )
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        running.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def queue(folder):
    with inside(folder), JobQueue(Limits(upload_mb=1, media_s=10, keep_s=600)) as opened:
        yield opened
    assert not opened.folder.exists()


@pytest.fixture(scope="module")
def app(queue):
    with served(queue) as address, httpx.Client(base_url=address, timeout=60) as client:
        yield client


def offer():
    """What a browser that wants to send its microphone offers."""
    import aiortc

    async def made():
        peer = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
        peer.addTransceiver("audio")
        peer.addTransceiver("video", direction="recvonly")
        await peer.setLocalDescription(await peer.createOffer())
        await peer.close()
        return peer.localDescription.sdp

    return asyncio.run(made())


def upload(app, folder, kind, name):
    return app.put(f"/files/{kind}/{name}", content=(folder / name).read_bytes())


def over(app, job):
    """The state a job ends in."""
    until_s = time.monotonic() + WAIT_S
    while (state := app.get(f"/jobs/{job}").json())["state"] in ("waiting", "working"):
        assert time.monotonic() < until_s, state
        threading.Event().wait(0.1)
    return state


@pytest.mark.parametrize(
    ("kind", "name", "why"),
    [
        ("face", "letter.mp4", "letter.mp4 is not a video or a picture that can be read here"),
        ("face", "speech.wav", "speech.wav has no picture in it"),
        ("sound", "grey.png", "grey.png has no sound in it"),
    ],
)
def test_a_file_of_the_wrong_kind_is_refused_in_one_line(app, folder, queue, kind, name, why):
    answer = upload(app, folder, kind, name)
    assert answer.status_code == 422 and answer.json()["error"].startswith(why)
    assert "\n" not in answer.text and str(queue.folder) not in answer.text
    assert not list(queue.folder.rglob(name))


def test_a_file_over_the_limits_is_refused_and_not_kept(app, folder, queue):
    assert "the limit here is 1 MB" in app.put("/files/face/a.mp4", content=bytes((1 << 20) + 1)).json()["error"]
    write_wav(folder / "long.wav", np.zeros(16000 * 11, np.float32))
    assert "lasts 11 s; the limit here is 10 s" in upload(app, folder, "sound", "long.wav").json()["error"]
    assert "is empty" in app.put("/files/face/a.mp4", content=b"").json()["error"]
    assert not list(queue.folder.rglob("a.mp4")) and not list(queue.folder.rglob("long.wav"))


@pytest.mark.parametrize(
    ("name", "safe"),
    [("../../etc/passwd", "passwd"), ("C:\\x\\Talk 1.MP4", "Talk_1.mp4"), (".bashrc", "bashrc"), ("/", "file")],
)
def test_a_file_name_is_made_safe(name, safe):
    assert uploads.safe_name(name) == safe


def test_an_error_names_files_without_folders():
    line = "/tmp/a/b/talk.mp4: no face found; see models:/lipgan@champion, /opt/x/expert.json and models/landmarks.dat"
    wanted = "talk.mp4: no face found; see models:/lipgan@champion, expert.json and models/landmarks.dat"
    assert uploads.without_folders(line) == wanted


def test_a_job_that_is_refused_names_no_path_and_leaves_nothing(app, folder, queue):
    face = upload(app, folder, "face", "grey.png").json()["file"]
    sound = upload(app, folder, "sound", "speech.wav").json()["file"]
    job = app.post("/jobs", json={"face": face, "sound": sound}).json()["job"]
    state = over(app, job)
    assert state["state"] == "refused" and state["error"].startswith("grey.png: no face found")
    assert app.get(f"/jobs/{job}/video").status_code == 404
    assert not queue.jobs[job].order.out.parent.exists()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"sound": None}, "give either a sound or a text"),
        ({"text": "x" * 1001, "sound": None}, "the text has 1001 letters"),
        ({"face": "none"}, "the face is no longer here"),
        ({"checkpoint": "/etc/passwd"}, "no such checkpoint"),
        ({"speaker": "/etc/passwd"}, "the speaker is a face's number"),
    ],
)
def test_a_bad_job_request_is_refused(app, folder, change, why):
    face, sound = (
        upload(app, folder, *file).json()["file"] for file in (("face", "face.mp4"), ("sound", "speech.wav"))
    )
    answer = app.post("/jobs", json={"face": face, "sound": sound} | change)
    assert answer.status_code == 422 and why in answer.json()["error"]


def test_other_sites_and_host_names_are_refused(app):
    assert app.get("/", headers={"host": "evil.example"}).status_code == 400
    assert app.post("/jobs", content=b"{}", headers={"content-type": "text/plain"}).status_code == 422
    policy = app.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'sha256-" in policy


def test_only_generators_are_offered_the_one_trained_here_first(app):
    assert list(app.get("/choices").json()["checkpoints"]) == ["generator", *RELEASED]


def test_a_cancelled_job_is_stopped_and_the_next_one_runs(app, folder, queue):
    face = upload(app, folder, "face", "face.mp4").json()["file"]
    sound = upload(app, folder, "sound", "speech.wav").json()["file"]
    jobs = [app.post("/jobs", json={"face": face, "sound": sound, "length": "sound"}).json()["job"] for _ in range(2)]
    app.delete(f"/jobs/{jobs[0]}")
    assert over(app, jobs[0])["state"] == "stopped"
    assert over(app, jobs[1])["state"] == "done"
    assert len(list(decode.frames(queue.jobs[jobs[1]].order.out))) == 30


def test_a_worker_that_dies_fails_only_its_own_job(app, folder, queue):
    face = upload(app, folder, "face", "face.mp4").json()["file"]
    sound = upload(app, folder, "sound", "speech.wav").json()["file"]
    job = app.post("/jobs", json={"face": face, "sound": sound}).json()["job"]
    while queue.jobs[job].state == "waiting":
        threading.Event().wait(0.01)
    queue.worker[0].kill()
    state = over(app, job)
    assert state["state"] == "refused" and "the program failed at this job" in state["error"]
    assert over(app, app.post("/jobs", json={"face": face, "sound": sound, "length": "sound"}).json()["job"])


def test_uploads_and_outputs_are_deleted_after_their_time(folder):
    with inside(folder), JobQueue(Limits(keep_s=0)) as queue:
        path = queue.new_path("face.mp4")
        shutil.copy("face.mp4", path)
        name = queue.add_upload(path, "face")
        until_s = time.monotonic() + WAIT_S
        while name in queue.uploads:
            assert time.monotonic() < until_s
            threading.Event().wait(0.05)
        with pytest.raises(UserError, match="no longer here"):
            queue.upload(name, "face")
        while list(queue.folder.iterdir()):
            assert time.monotonic() < until_s
            threading.Event().wait(0.05)


def test_a_job_that_takes_too_long_is_stopped(folder):
    with inside(folder), JobQueue(Limits(work_s=0)) as queue, served(queue) as address:
        with httpx.Client(base_url=address, timeout=60) as app:
            face = upload(app, folder, "face", "face.mp4").json()["file"]
            sound = upload(app, folder, "sound", "speech.wav").json()["file"]
            state = over(app, app.post("/jobs", json={"face": face, "sound": sound}).json()["job"])
    assert state["state"] == "stopped" and "stopped after 0 s of work" in state["error"]


def test_a_text_is_spoken_by_the_champion_whose_bytes_come_from_dvcs_cache(committed, monkeypatch):
    pytest.importorskip("espeakng_loader", reason="espeak-ng is not installed (extra synthetic)")
    monkeypatch.setenv("LIPGAN_TRACKING", "mlflow")
    known, files = registry.Registry(), (paths.GENERATOR, paths.GENERATOR.with_suffix(".json"))
    weights = sha256_file(paths.GENERATOR)
    md5 = dict(zip(("dvc.md5", "dvc.json.md5"), map(md5_file, files), strict=True))
    known.promote(known.register({**md5, "data.index.md5": "i", "git.commit": "0" * 40}), "better")
    for path in files:
        path.unlink()
    row = index.kept(index.read(paths.CLIPS), "test")[0]
    Path("face.mp4").write_bytes(shards.read(paths.RAW / row["shard"], row["offset"], row["size"])["mp4"])
    with JobQueue() as queue, served(queue) as address, httpx.Client(base_url=address, timeout=60) as app:
        assert list(app.get("/choices").json()["checkpoints"]) == ["models:/lipgan@champion", *RELEASED]
        face = upload(app, committed, "face", "face.mp4").json()["file"]
        asked = {"face": face, "text": "Good morning.", "voice": "en-us", "checkpoint": "models:/lipgan@champion"}
        job = app.post("/jobs", json={**asked, "length": "sound"}).json()["job"]
        state = over(app, job)
        assert state["state"] == "done", state
        sidecar = app.get(f"/jobs/{job}/about").json()["sidecar"]
        assert weights in sidecar["made_by"]["sha256"].values() and sidecar["made_by"]["options"]["voice"] == "en-us"
        heard = decode.decode_sound(queue.jobs[job].order.out)
        assert 0.5 < len(heard) / 16000 < 3 and np.abs(heard).max() > 0.05


def test_jobs_and_sessions_use_the_backend_of_the_app(folder):
    with inside(folder), JobQueue(options=Options(backend="abacus")) as queue, served(queue) as address:
        with httpx.Client(base_url=address, timeout=60) as app:
            face = upload(app, folder, "face", "face.mp4").json()["file"]
            sound = upload(app, folder, "sound", "speech.wav").json()["file"]
            state = over(app, app.post("/jobs", json={"face": face, "sound": sound}).json()["job"])
            assert state["state"] == "refused" and "--backend must be one of auto, torch" in state["error"]
            pytest.importorskip("aiortc", reason="aiortc is not installed (extra live)")
            live = app.post("/live/sessions", json={"face": face, "sdp": offer()}).json()
            assert "--backend must be one of auto, torch" in live["error"]
        with pytest.raises(UserError, match="--backend must be one of auto, torch"):
            choices.defaults(None, None, "abacus")


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.is_file():
        pytest.skip(f"no browser at {CHROMIUM}; apt-get install chromium")
    with playwright.sync_playwright() as started:
        flags = ["--no-sandbox", "--disable-quic", "--disable-background-networking"]
        flags += ["--autoplay-policy=no-user-gesture-required"]
        opened = started.chromium.launch(executable_path=str(CHROMIUM), args=flags)
        yield opened
        opened.close()


def opened(browser, app, width):
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.set_default_timeout(WAIT_S * 1000)
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("console", lambda m: page.problems.append(m.text) if m.type in ("error", "warning") else None)
    address = str(app.base_url)
    page.on("request", lambda r: r.url.startswith((address, "blob:", "data:")) or page.problems.append(r.url))
    page.goto(address)
    return page


def until(page, expression):
    """Wait for an expression; the page's policy forbids the script that playwright's own waiting brings."""
    until_s = time.monotonic() + WAIT_S
    while not page.evaluate(expression):
        assert time.monotonic() < until_s, expression
        page.wait_for_timeout(100)


def test_a_person_dubs_a_video_in_the_browser(browser, app, folder, queue, tmp_path):
    page = opened(browser, app, 1280)
    assert page.locator("#go").is_disabled()
    page.locator("#face").set_input_files(folder / "face.mp4")
    page.locator("#sound").set_input_files(folder / "speech.wav")
    page.locator("#length").select_option("sound")
    page.locator("#point video").wait_for()  # the upload is examined first
    until(page, "document.querySelector('#point video').readyState >= 2")
    page.locator("#point video").click()  # the middle: the face
    assert page.evaluate("/^[\\d.]+,[\\d.]+@0.00$/.test(state.speaker)")
    page.locator("#go").click()
    page.locator("#result").wait_for()
    until(page, "document.getElementById('made').readyState >= 2")
    assert page.evaluate("document.getElementById('made').error") is None
    page.locator("#both").click()
    until(page, "document.getElementById('made').currentTime > 0.2")
    assert page.locator("#chart .span").count() == 2  # seconds of sound, begun or whole
    assert "30 of 30 frames changed" in page.locator("#legend").inner_text()
    with page.expect_download() as waiting:
        page.locator("#download").click()
    assert waiting.value.suggested_filename == "face-dubbed.mp4"
    waiting.value.save_as(tmp_path / "got.mp4")
    assert len(list(decode.frames(tmp_path / "got.mp4"))) == 30
    page.locator("[role=tab]", has_text="Lineage").click()
    lineage = page.locator("#tab-lineage").inner_text()
    assert "The video's own mark: valid" in lineage and "generator.safetensors" in lineage and "face.mp4" in lineage
    assert str(queue.folder) not in page.content() and str(folder) not in page.content()
    assert not re.search(r"/(tmp|root|home|work)/", page.content())
    assert page.problems == []


def test_the_page_fits_a_phone_and_shows_errors(browser, app, folder):
    page = opened(browser, app, 390)
    page.locator("#face").set_input_files(folder / "letter.mp4")
    page.locator("#error").wait_for()
    assert page.locator("#error").inner_text().startswith("letter.mp4 is not a video or a picture")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator("#go").is_disabled()
    assert [problem for problem in page.problems if "422" not in problem] == []  # Chromium itself logs the refusal
