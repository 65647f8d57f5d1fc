"""A span of a video as the index writes it: `talk.mp4#t=12.00,14.40`, seconds, from the first picture.

Source: W3C Media Fragments URI 1.0, temporal dimension.
"""

import re

from model import timing

SPAN = re.compile(r"#t=(\d+\.\d\d),(\d+\.\d\d)$")


def source_of(source: str, first: int, num_frames: int) -> str:
    """The source with the span of some of its frames, in place of the span that it has, if any."""
    return f"{file_of(source)}#t={first / timing.FPS:.2f},{(first + num_frames) / timing.FPS:.2f}"


def span_of(source: str) -> tuple[int, int] | None:
    """First frame and the one after the last; None for a whole video."""
    match = SPAN.search(source)
    return (round(float(match[1]) * timing.FPS), round(float(match[2]) * timing.FPS)) if match else None


def file_of(source: str) -> str:
    return SPAN.sub("", source)
