"""The report and the blind page in a real browser: nothing fails, pictures load, no page is wider than its window."""

import json
import os
from pathlib import Path

import pytest
from conftest import inside

from tasks.core import config, paths
from tasks.evaluate import stage as evaluate
from tasks.studies import preference_page, preference_votes

CHROMIUM = Path(os.environ.get("CHROMIUM") or "/usr/bin/chromium")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(not CHROMIUM.is_file(), reason=f"no browser at {CHROMIUM}; apt-get install chromium")


@pytest.fixture(scope="module")
def folder(trained_folder):
    """The tiny project folder with a report and a blind page."""
    with inside(trained_folder):
        p = config.load(Path("params.yaml"))
        evaluate.run(p)
        preference_page.run(1, None, paths.LISTEN)
    return trained_folder


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        flags = [
            "--no-sandbox",
            "--disable-quic",
            "--disable-background-networking",
            "--autoplay-policy=no-user-gesture-required",
        ]
        opened = started.chromium.launch(executable_path=str(CHROMIUM), args=flags)
        yield opened
        opened.close()


def opened(browser, path: Path, width: int):
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.problems = []
    page.on(
        "console", lambda message: page.problems.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on(
        "request", lambda r: page.problems.append(r.url) if not r.url.startswith(("file:", "data:", "blob:")) else None
    )
    page.goto(path.as_uri())
    return page


@pytest.mark.parametrize("width", [1280, 390])
def test_the_report_loads_whole_at_any_width(browser, folder, width, tmp_path):
    page = opened(browser, folder / paths.REPORT, width)
    pictures = page.evaluate("Array.from(document.images, i => [i.complete, i.naturalWidth > 0, i.alt.length > 0])")
    assert len(pictures) >= 5 and all(all(state) for state in pictures)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.wait_for_function("Array.from(document.querySelectorAll('video')).every(v => v.readyState >= 2 || v.error)")
    assert page.evaluate("Array.from(document.querySelectorAll('video'), v => v.error && v.error.message)") == [None]
    assert page.locator("h1").inner_text() == "Lip-sync evaluation"
    targets = page.evaluate(
        "Array.from(document.querySelectorAll('a'), a => !!document.getElementById(a.hash.slice(1)))"
    )
    assert targets and all(targets)
    shot = page.screenshot(path=str(tmp_path / "report.png"))
    assert len(shot) > 20_000  # an empty page has 6 kB
    assert page.problems == []


def test_a_person_votes_and_the_answers_are_scored(browser, folder, tmp_path):
    page = opened(browser, folder / paths.LISTEN, 390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shown = page.locator("#pair").inner_html()
    assert "right_audio" not in shown and "real_video" not in shown  # blind
    for _ in range(2):
        assert page.locator("#choose0").is_disabled()  # both must be played first
        for side in (0, 1):
            page.evaluate(f"document.getElementById('film{side}').dispatchEvent(new Event('play'))")
        page.locator("#choose0").click()
    assert page.locator("#done").is_visible()
    with page.expect_download() as waiting:
        page.locator("#download").click()
    answers = tmp_path / "votes.json"
    waiting.value.save_as(answers)
    assert len(json.loads(answers.read_text())["votes"]) == 2
    scores = preference_votes.score(preference_votes.read([answers]))
    assert {(s.first, s.second) for s in scores} == {("real_video", "right_audio"), ("right_audio", "wrong_audio")}
    assert page.problems == []
