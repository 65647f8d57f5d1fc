"""Editing by transcript in the web app, on a real person, in a folder without trained models."""

import shutil

import httpx
import pytest
from conftest import REAL, ROOT, inside
from test_app import browser, opened, over, served, until, upload  # noqa: F401 - browser is a fixture

from tasks.dubbing import networks
from tasks.features import mesh_model
from tasks.media import decode, encode, native_rate
from tasks.serving.job_queue import JobQueue
from tasks.serving.uploads import Limits

CLIP = REAL / "grid_bbaf2n.mpg"
TEXT = "Bin blue at F two now."
pytestmark = [
    pytest.mark.skipif(not CLIP.is_file(), reason="the real clips in ../shared/real are not here"),
    pytest.mark.skipif(not mesh_model.path().is_file(), reason=f"no model: `{mesh_model.COMMAND}`"),
    pytest.mark.skipif(not networks.MOTION.is_file(), reason="the motion network's weights are not here"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A video that a browser plays: a real clip as mp4."""
    pytest.importorskip("pocketsphinx", reason="pocketsphinx is not installed (extra words)")
    made = tmp_path_factory.mktemp("edit-page")
    shutil.copy(ROOT / "params.yaml", made)
    frames = (picture.rgb() for picture, _ in native_rate.pictures(CLIP))
    encode.encode_video(made / "talk.mp4", frames, decode.decode_sound(CLIP), preset="ultrafast")
    return made


@pytest.fixture(scope="module")
def app(folder):
    with inside(folder), JobQueue(Limits(media_s=10)) as queue, served(queue) as address:
        with httpx.Client(base_url=address, timeout=60) as client:
            yield client


@pytest.fixture(scope="module")
def found(app, folder):
    """The upload, the job that found its words, and the words."""
    face = upload(app, folder, "face", "talk.mp4").json()["file"]
    job = app.post("/edits/words", json={"face": face, "text": TEXT}).json()["job"]
    assert over(app, job)["state"] == "done"
    return face, job, app.get(f"/edits/words/{job}").json()["words"]


def test_words_come_as_they_are_spelled_with_times_and_confidence(found):
    _, _, words = found
    assert [word["spelled"] for word in words] == TEXT.split()
    assert all(0 <= word["confidence"] <= 1 and word["start_s"] < word["end_s"] for word in words)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"words": "none"}, "find them again"),
        ({"face": "none"}, "the face is no longer here"),
        ({"text": " "}, "there is no text"),
        ({"text": "a " * 2501}, "the limit here is 5000"),
        ({"step": "all"}, "step 'all' cannot be used"),
        ({"tts": "rm -rf /"}, "'tts' is no field here"),
        ({"voice": "/etc/passwd"}, "there is no such voice here"),
    ],
)
def test_a_bad_edit_is_refused_in_a_line(app, found, change, why):
    face, words, _ = found
    answer = app.post("/edits", json={"face": face, "words": words, "text": "Bin blue."} | change)
    assert answer.status_code == 422 and why in answer.json()["error"] and "\n" not in answer.text


def test_a_text_that_cannot_be_aligned_is_refused_and_names_no_folder(app, found):
    face, _, _ = found
    job = app.post("/edits/words", json={"face": face, "text": "zzyzx"}).json()["job"]
    state = over(app, job)
    assert state["state"] == "refused" and "zzyzx" in state["error"] and "/" not in state["error"]
    assert app.get(f"/edits/words/{job}").status_code == 404


def test_a_person_edits_a_video_in_the_browser(browser, app, folder, tmp_path):  # noqa: F811
    page = opened(browser, app, 1280)
    page.goto(f"{app.base_url}/edit")
    page.locator("#face").set_input_files(folder / "talk.mp4")
    page.locator("#text").fill(TEXT)
    page.locator("#source video").wait_for()
    page.locator("#find").click()
    page.locator(".word").first.wait_for()
    assert page.locator(".word").count() == 6 and page.locator("#render").is_disabled()
    page.locator(".word", has_text="blue").locator(".said").click()
    assert page.locator(".word del").inner_text() == "blue"
    page.locator(".gap").last.click()
    page.locator(".typing").fill("please")
    page.locator(".typing").press("Escape")
    assert page.evaluate("newText()") == "Bin at F two now."
    page.locator(".word", has_text="two").locator(".pen").click()
    page.locator(".typing").fill("six")
    page.locator(".typing").press("Enter")
    assert page.evaluate("newText()") == "Bin at F six now."
    page.locator(".word", has_text="two").locator(".pen").click()
    page.locator(".typing").fill("two")
    page.locator(".typing").press("Enter")
    if page.locator("#force-field").is_visible():
        page.locator("#force").check()
    for step, says in (("preview", "preview: small"), ("render", "edited")):
        page.locator(f"#{step}").click()
        until(page, f"document.getElementById('made-says').textContent.startsWith('{says}') || !$('error').hidden")
        assert page.locator("#error").is_hidden(), page.locator("#error").inner_text()
        until(page, "document.getElementById('made').readyState >= 2")
        assert "blue" in page.locator("#edits del").inner_text()
    assert "The video's own mark: valid" in page.locator("#mark").inner_text()
    with page.expect_download() as waiting:
        page.locator("#download").click()
    assert waiting.value.suggested_filename == "talk-edited.mp4"
    waiting.value.save_as(tmp_path / "got.mp4")
    made, source = (len(list(native_rate.pictures(path))) for path in (tmp_path / "got.mp4", folder / "talk.mp4"))
    assert source - 12 <= made <= source - 3  # the word "blue" lasts 0.2 s
    page.screenshot(path=str(tmp_path / "edit.png"), full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    page.set_viewport_size({"width": 390, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.screenshot(path=str(tmp_path / "edit-390.png"), full_page=True)
    assert page.problems == []
