"""The messages between the web server and its worker processes."""

from dataclasses import dataclass
from pathlib import Path

from tasks.dubbing.options import Options


@dataclass(frozen=True, slots=True, kw_only=True)
class DubOrder:
    """One job for the dubbing worker: the arguments of `tasks.dubbing.dub.run`."""

    face: Path
    sound: Path | None
    checkpoint: str | None
    out: Path
    options: Options


@dataclass(frozen=True, slots=True, kw_only=True)
class EditOrder:
    """One step of an edit for the same worker.

    step        words: align the transcript, `out` is a JSON; preview, render: `out` is a video
    transcript  what is said; from the second step on the JSON of the first one
    """

    step: str
    face: Path
    transcript: str
    out: Path
    options: Options
    to: str = ""
    force: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """The last bar's state. `what`: the step it counts."""

    what: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Done:
    """`error`: why the job was refused, one line for the visitor; "" where the output is there."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveOrder:
    """One live session. `offer`: the browser's half of the handshake, SDP."""

    face: Path
    checkpoint: str | None
    offer: str
    most_s: float
    options: Options


@dataclass(frozen=True, slots=True)
class LiveAnswer:
    """The app's half of the handshake, SDP; or why there is none, one line for the visitor."""

    sdp: str = ""
    error: str = ""
