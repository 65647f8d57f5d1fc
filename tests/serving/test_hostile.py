"""Requests that are made to harm: each is refused in a line, takes little, and leaves the page as it was."""

import json
import resource
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from conftest import inside
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_app import WAIT_S, offer, served
from wild import EXAMPLES

from tasks.core.errors import UserError
from tasks.dubbing.options import DEFAULTS
from tasks.media.wav import write_wav
from tasks.serving import checked, connections, examiner, server, uploads
from tasks.serving.job_queue import UNUSED_S, JobQueue
from tasks.serving.store import Full, Store
from tasks.serving.uploads import Limits


@pytest.fixture(scope="module")
def queue(tmp_path_factory):
    with inside(tmp_path_factory.mktemp("hostile")):
        write_wav(Path("speech.wav"), np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32))
        with JobQueue(Limits(upload_mb=1)) as opened:
            yield opened


@pytest.fixture(scope="module")
def address(queue):
    with served(queue) as address:
        yield address


@pytest.fixture(scope="module")
def app(address):
    with httpx.Client(base_url=address, timeout=60) as client:
        yield client


def memory_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.mark.parametrize("path", ["/jobs", "/edits", "/edits/words", "/live/sessions"])
def test_a_huge_json_body_is_refused_while_it_is_read(app, path):
    block, before = b" " * (1 << 20), memory_mb()
    body = (block for _ in range(100))  # without a Content-Length
    answer = app.post(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 413 and "the limit here is 256 kB" in answer.json()["error"]
    assert memory_mb() - before < 40


def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(address):
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=WAIT_S) as sent:
        headers = [f"Host: {host}", "Content-Type: application/json", "Content-Length: 600000000"]
        sent.sendall("\r\n".join(["POST /jobs HTTP/1.1", *headers, "", ""]).encode())
        assert b" 413 " in sent.recv(4096)


def test_half_open_requests_are_closed_and_the_page_answers_meanwhile(address, app, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_S", 0.5)
    monkeypatch.setattr(connections, "STALL_S", 0.5)
    monkeypatch.setattr(connections, "TICK_S", 0.1)
    host, port = address.removeprefix("http://").split(":")
    starts = [b"", b"GET / HT", b"PUT /files/face/a.mp4 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 999\r\n\r\nabc"]
    open_ones = [socket.create_connection((host, int(port)), timeout=WAIT_S) for _ in range(60)]
    for number, one in enumerate(open_ones):
        one.sendall(starts[number % 3])
    assert app.get("/").status_code == 200
    for one in open_ones:
        with one:
            assert ended(one)


def ended(connection):
    """Waits for the other end to close; False if it answers instead."""
    try:
        return connection.recv(100) == b""
    except ConnectionResetError:
        return True


def test_parallel_uploads_do_not_pass_the_limit_of_the_store(tmp_path):
    store = Store(tmp_path, most_bytes=16 << 20)

    def upload(number):
        try:
            folder = store.folder()
            for _ in range(16):
                store.book(folder, 1 << 16)
                with (folder / "a").open("ab") as file:
                    file.write(bytes(1 << 16))
        except Full:
            return 0
        return 1

    with ThreadPoolExecutor(60) as threads:
        num_whole = sum(threads.map(upload, range(60)))
    kept = sum(file.stat().st_size for file in tmp_path.rglob("a"))
    assert kept <= 16 << 20 and num_whole <= 16


def test_a_full_store_says_so_and_heals_when_something_unused_is_old(queue, app, monkeypatch):
    speech = Path("speech.wav").read_bytes()
    first = app.put("/files/sound/speech.wav", content=speech).json()["file"]
    held = sum(queue.store.booked.values())
    monkeypatch.setattr(queue.store, "most_bytes", held + len(speech) // 2)
    refused = app.put("/files/sound/speech.wav", content=speech)
    assert refused.status_code == 507 and "storage is full just now" in refused.json()["error"]
    assert sum(queue.store.booked.values()) == held  # what was written of it is gone
    queue.uploads[first].until_s -= UNUSED_S + 1
    assert app.put("/files/sound/speech.wav", content=speech).status_code == 200
    assert first not in queue.uploads


def test_json_nested_20000_deep_is_a_400(app):
    for body in ("[" * 20_000, '{"a":' * 20_000, "{", '"', b"\xff"):
        answer = app.post("/jobs", content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 400 and answer.json()["error"].startswith("a job is a JSON object")


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("text", "half a \ud83d letter", "the text has characters that cannot be spoken"),
        ("text", "a\0b", "the text has characters that cannot be spoken"),
        ("text", "\x1b[31m", "the text has characters that cannot be spoken"),
        ("voice", "../../etc/passwd", "there is no such voice here"),
        ("voice", "en\0", "there is no such voice here"),
        ("label", "two\nlines", "the label must be one line"),
        ("label", "x" * 81, "the label must be one line of at most 80"),
        ("speaker", "1.2.3,.@.", "the speaker is a face's number, or a point"),
        ("speaker", "\u0663", "the speaker is a face's number, or a point"),
        ("length", "shortest", "length 'shortest' cannot be used"),
        ("strength", "nan", "strength 'nan' cannot be used"),
        ("tts", "rm -rf /", "'tts' is no field here"),
        ("\ud800", "x", "is no field here"),
    ],
)
def test_odd_text_in_a_job_is_refused_in_a_line(app, field, value, why):
    answer = app.post("/jobs", content=json.dumps({field: value}), headers={"content-type": "application/json"})
    assert answer.status_code == 422 and why in answer.json()["error"] and "\n" not in answer.json()["error"]


WORDS = st.dictionaries(
    st.sampled_from([*checked.JOB, *checked.EDIT, "x"]) | st.text(), st.none() | st.text() | st.integers()
)


@given(st.binary() | WORDS.map(lambda words: json.dumps(words).encode()))
@example(b'{"text": "\\ud800"}')
@settings(max_examples=EXAMPLES, deadline=None)
def test_any_body_gives_checked_fields_or_one_line(body):
    for fields in (checked.JOB, checked.WORDS, checked.EDIT, checked.SESSION):
        try:
            given = checked.parsed(body, fields, "wanted")
        except UserError as error:
            assert "\n" not in str(error) and str(error).encode()
        else:
            assert all(name in fields and value and value.encode() for name, value in given.items())


@given(st.text(max_size=300))
@example("\U00020000" * 200 + ".mp4")
@settings(max_examples=EXAMPLES, deadline=None)
def test_any_file_name_is_made_one_that_a_disk_takes(name):
    safe = uploads.safe_name(name)
    assert safe and len(safe.encode()) <= 120 and "/" not in safe and not safe.startswith((".", "-"))


def test_a_first_look_that_takes_too_long_or_dies_refuses_the_file_and_the_next_is_taken(queue, app, monkeypatch):
    speech = Path("speech.wav").read_bytes()
    monkeypatch.setattr(examiner, "LOOK_S", 0.0)
    answer = app.put("/files/sound/speech.wav", content=speech)
    assert answer.status_code == 422 and "speech.wav cannot be read here" in answer.json()["error"]
    monkeypatch.setattr(examiner, "LOOK_S", 60.0)
    assert app.put("/files/sound/speech.wav", content=speech).status_code == 200
    with ThreadPoolExecutor(1) as thread:
        queue.examiner._child[0].kill()
        queue.examiner._child[0].join()
        assert thread.submit(app.put, "/files/sound/speech.wav", content=speech).result().status_code == 200


def test_a_bad_offer_does_not_take_the_live_place(queue, app, monkeypatch):
    pytest.importorskip("aiortc", reason="aiortc is not installed (extra live)")
    begun = []
    monkeypatch.setattr(queue.live, "open", lambda order: begun.append(order) or ("name", "sdp"))
    monkeypatch.setattr(queue, "options_of", lambda fields: (DEFAULTS, None))
    monkeypatch.setitem(queue.faces, "demo", Path("face.png"))
    good = offer()
    for bad in ("v=0", "x" * 900, good.replace("a=fingerprint", "a=finger"), good.replace("m=audio", "m=video")):
        answer = app.post("/live/sessions", json={"offered": "demo", "sdp": bad})
        assert answer.status_code == 422 and "handshake cannot be read" in answer.json()["error"]
    assert not begun
    assert app.post("/live/sessions", json={"offered": "demo", "sdp": good}).status_code == 200 and len(begun) == 1


def test_the_first_look_runs_in_a_process_of_its_own_with_limits(queue, app):
    app.put("/files/sound/speech.wav", content=Path("speech.wav").read_bytes())
    process = queue.examiner._child[0]
    assert process.is_alive()
    limits = Path(f"/proc/{process.pid}/limits").read_text()
    assert str(examiner.MEMORY_BYTES) in limits


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 65536), ("no host", 7860)])
def test_a_port_that_cannot_be_is_one_line(queue, monkeypatch, host, port):
    monkeypatch.setattr(server.signal, "signal", lambda *rest: None)
    with pytest.raises(UserError, match=f"port {port} of {host} cannot be used; choose another with --port"):
        server.serve(queue, host, port)
