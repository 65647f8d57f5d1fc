"""The people who speak in a dub: what is learned of each, and the mouths that each gets."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tasks.core.errors import UserError
from tasks.dubbing import networks, script
from tasks.dubbing.judge import Judge
from tasks.dubbing.likeness import Recogniser
from tasks.dubbing.look import Seen
from tasks.dubbing.mesh_mouth import Person
from tasks.dubbing.networks import Mesh, Network
from tasks.dubbing.options import Options
from tasks.dubbing.render import Part
from tasks.dubbing.script import Hidden, Role
from tasks.inference.sync_meter import SyncMeter
from tasks.persons.films import Library


def performed(
    face: Path, network: Network, folder: Path, options: Options, recogniser: Recogniser, seen: Seen,
    roles: Sequence[Role], in_spans: bool, kept: Mapping[str, Library] = MappingProxyType({}), adapted: bool = True,
) -> tuple[list[Part], dict[str, Any]]:  # fmt: skip
    """A part for each role, and the sidecar's entries about the people.

    kept     the libraries of the speakers that are named as person:NAME, by that
    adapted  whether the networks adapted to them move their mouths, where there are some
    Errors: UserError for options that are of one speaker, where there are several
    """
    if len(roles) > 1 and (options.library or options.person or options.idle):
        of_footage = "--person" if options.person else "--library"
        what = "--idle: a picture's head moves" if options.idle else f"{of_footage}: footage is"
        raise UserError(f"{what} of one person, and {len(roles)} speak here; dub one after the other")
    people: list[Person] = []
    if isinstance(network, Mesh):
        named = [role.lines[0].span.speaker for role in roles]
        people = [
            Person(
                face, of_role(network, name or options.speaker, kept, adapted), folder / f"speaker{k}" if k else folder,
                options, recogniser, None, f"speaker {name}" if name else "the speaker",
            )
            for k, name in enumerate(named)
        ]  # fmt: skip
    hidden: list[Hidden] = [person.learn for person in people] or [script.nothing_hidden] * len(roles)
    scripts = script.write(face, seen, roles, in_spans, options, hidden)
    parts = []
    for k, one in enumerate(scripts):
        judge = Judge(SyncMeter(network.expert), one.plan, one.mfcc_FW) if network.expert else None
        mouths = people[k].mouths(one, judged=judge is not None) if people else networks.lipgan_mouths(network, one)
        parts.append(Part(one, mouths, judge))
    return parts, together([person.about for person in people])


def of_role(network: Mesh, speaker: str | None, kept: Mapping[str, Library], adapted: bool) -> Mesh:
    """The network that moves a speaker's mouth, with the footage kept of the person."""
    library = kept.get(speaker or "")
    return networks.of_person(network, library, adapted) if library else network


def together(abouts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The entries of several people: counts are added, kept people listed; the others are of one."""
    counts = {name for about in abouts for name, value in about.items() if isinstance(value, int)}
    one = {name: value for about in abouts for name, value in about.items() if name not in counts}
    if len(kept := [about["person"] for about in abouts if "person" in about]) > 1:
        one["person"] = kept
    return one | {name: sum(about.get(name, 0) for about in abouts) for name in sorted(counts)}
