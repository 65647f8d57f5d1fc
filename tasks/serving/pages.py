"""The pages, each sent as one file: style sheet and shared script are put in their places."""

import base64
import hashlib
import re
from pathlib import Path

from fastapi.responses import HTMLResponse, Response

PAGES = {"/": "page.html", "/edit": "edit.html", "/live": "live.html"}
PARTS = re.compile(r"(?<=>)(page\.css|shared\.js)(?=<)")  # files that all pages contain


def assembled(name: str) -> str:
    """A page with its style sheet and the script it shares with the other pages."""
    folder = Path(__file__).parent
    return PARTS.sub(lambda part: "\n" + (folder / part[1]).read_text(), (folder / name).read_text())


def response(page: str) -> Response:
    return HTMLResponse(
        page, headers={"Content-Security-Policy": content_policy(page), "Referrer-Policy": "no-referrer"}
    )


def content_policy(page: str) -> str:
    """Nothing is loaded from anywhere else, and no script runs but the page's own."""
    scripts = re.findall(r"<script>(.*?)</script>", page, re.S)
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in scripts]
    return (
        f"default-src 'none'; script-src {' '.join(hashes)}; style-src 'unsafe-inline'; connect-src 'self'; "
        "img-src 'self' blob: data:; media-src 'self' blob:; form-action 'none'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
