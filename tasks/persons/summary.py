"""What `person list` and `person show` say of a person."""

from typing import Any

from tasks.persons import films, store
from tasks.persons.store import Person, Video
from tasks.provenance import withdrawals


def line(person: Person) -> str:
    adapted = "adapted" if store.network_of(person) else ""
    return "  ".join(filter(None, (f"{person.name:24}", _amount(person), consent(person), adapted)))


def lines(person: Person) -> str:
    rows = withdrawals.read()
    low, high = opening(person)
    return "\n".join([
        f"{person.name}: {_amount(person)}",
        f"consent: {consent(person)}",
        f"mouth: opens from {low:.2f} to {high:.2f} eye distances; {sum(v.mouths for v in person.videos):,} mouths",
        f"motion: {network(person)}",
        *(_row(video, films.state(person, video, rows)) for video in person.videos),
    ])  # fmt: skip


def opening(person: Person) -> tuple[float, float]:
    """The range over all videos, between their 5th and 95th percentiles; (0, 0) without footage."""
    return (
        min((video.opening[0] for video in person.videos), default=0.0),
        max((video.opening[1] for video in person.videos), default=0.0),
    )


def consent(person: Person) -> str:
    given = [f"{one.file} of {one.date}, sha256 {one.sha256[:12]}" for one in person.consent]
    return "; ".join(given) if given else "own footage"


def network(person: Person) -> str:
    """Which network moves the mouth, and how well it did on footage held back."""
    record: dict[str, Any] = store.adaptation(person)
    if not record:
        return "the released network; `lipgan person adapt` tunes it"
    if record.get("retired"):
        return f"the released network; the adapted one learned from what is withdrawn, retired {record['retired']}"
    before, after = record["figures"]["released"], record["figures"]["adapted"]
    which = "the released network, which was not improved" if record["kind"] == "released" else "adapted"
    new = len({video.sha256 for video in person.videos if video.sound} - set(record["videos"]))
    further = f"; {new} videos are newer: adapt again" if new else ""
    return (
        f"{which} on {record['date']}: opening r {before['opening_r']:.2f} -> {after['opening_r']:.2f}, amplitude "
        f"{before['amplitude']:.2f} -> {after['amplitude']:.2f} on footage held back{further}"
    )


def _amount(person: Person) -> str:
    minutes = sum(video.seconds for video in person.videos) / 60
    return f"{minutes:.1f} minutes in {len(person.videos)} videos"


def _row(video: Video, why: str) -> str:
    low, high = video.opening
    words = f", {video.words} words" if video.words else ""
    sound = "" if video.sound else ", no sound"
    about = f"{video.seconds / 60:6.1f} min  {video.mouths:6,} mouths, {low:.2f} to {high:.2f}{words}{sound}"
    return f"  {about}  {video.path}" + (f"  NOT USED: {why}" if why else "")
