"""Web pages of one file each, readable without a network: the frame, the shared style, pictures as data URIs."""

import base64
import html

import cv2
import numpy as np

SHOWS = "data-video"
STYLE = """
:root { color-scheme: light; --line: #dde1e6; --soft: #5f6770; --good: #1b7f4b; --bad: #c0341d; --accent: #0b6bcb }
* { box-sizing: border-box }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 72rem; margin: 0 auto; padding: 1.5rem 1rem 4rem;
  color: #1d2329 }
h1 { font-size: 1.6rem; margin: 0 0 .3rem } h2 { font-size: 1.25rem; margin: 2.6rem 0 .5rem }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem } p { max-width: 46rem } small, .soft { color: var(--soft) }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .4rem .65rem; border-bottom: 1px solid var(--line); vertical-align: top }
th { vertical-align: bottom; font-weight: 600 } tr:last-child td { border-bottom: 0 }
code { font-size: .85em; overflow-wrap: anywhere } .good { color: var(--good) }
.bad { color: var(--bad); font-weight: 600 } .first { font-size: 1.2rem }
img, video, svg { max-width: 100%; height: auto; display: block }
figure { margin: .8rem 0 } figcaption { font-size: .88rem }
@media (max-width: 40rem) { body { padding-top: 1rem } th, td { padding: .35rem .5rem } }
"""


def document(title: str, body: str, style: str = "") -> str:
    """A whole page.  style: rules of this page, after the shared ones"""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><title>{html.escape(title)}</title><style>{STYLE}{style}</style></head><body>
{body}
</body></html>
"""


def figure(kind: str, content: bytes, caption: str) -> str:
    """A picture with its caption, which is plain text.  kind: "image/png", ..."""
    text = html.escape(caption)
    return f'<figure><img alt="{text}" src="{data_uri(kind, content)}"><figcaption>{text}</figcaption></figure>'


def shows(video: str) -> str:
    """The attribute of a picture that shows the person of a video, by which tasks/withdrawal finds the page."""
    return f' {SHOWS}="{html.escape(video)}"'


def data_uri(kind: str, content: bytes) -> str:
    """The address of bytes that the page itself contains."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def encoded(picture_HW3: np.ndarray, suffix: str) -> bytes:
    """A picture as the bytes of a file.  Shape: (H, W, 3) uint8 RGB; suffix: ".png" or ".jpg" """
    done, content = cv2.imencode(suffix, picture_HW3[..., ::-1])
    assert done
    return content.tobytes()
