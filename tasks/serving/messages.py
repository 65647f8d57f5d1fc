"""What the page and the process of a live session tell each other."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """`offer`: the browser's half of the handshake, SDP."""

    picture: Path
    checkpoint: str
    label: str | None
    offer: str
    most_s: float
    backend: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The other half, or, in one line for the visitor, why there is none."""

    sdp: str = ""
    error: str = ""
