"""`person`: a person's footage, read once and kept; the network adapted to them."""

import argparse
from pathlib import Path
from typing import Any

from flows.commands import command, show
from tasks.core.errors import Stopped


def add(commands: Any) -> None:
    person = command(
        commands,
        "person",
        "keep a person's footage for many dubs, and adapt to them",
        lambda args: args.run_person(args),
        what="A person's library: footage read once and kept in data/persons, frames not copied, with the person's "
        "consent; `dub --person NAME` takes the mouths from it.",
        example='lipgan person add "Anna Berg" talk.mp4 interview.mov --consent anna.pdf\n'
        'lipgan person adapt "Anna Berg"\n'
        'lipgan dub --face talk.mp4 --audio speech.wav --person "Anna Berg" --out out/dubbed.mp4\n'
        "lipgan person list",
    )
    parts = person.add_subparsers(dest="part", required=True, metavar="{add,adapt,list,show,rename,remove}")
    add_add(parts)
    adapt = part(parts, "adapt", "tune the motion network to the person, if that is better", run_adapt)
    adapt.epilog = "A minute or two for ten minutes of footage. Every fifth piece is held back to judge by."
    part(parts, "list", "every person, with minutes of footage", run_list, named=False)
    part(parts, "show", "footage, consent, range of opening; writes a contact sheet of the mouths", run_show)
    renamed = part(parts, "rename", "give the person another name", run_rename)
    renamed.add_argument("--to", required=True, metavar="NAME")
    removed = part(parts, "remove", "delete the library; the videos themselves stay", run_remove)
    removed.add_argument("--video", metavar="VIDEO", help="only what was read of this video")


def add_add(parts: Any) -> None:
    added = part(parts, "add", "read footage into the library; what is there already is not read again", run_add)
    added.add_argument("videos", nargs="+", type=Path, metavar="VIDEO")
    added.add_argument(
        "--consent", type=Path, metavar="FILE",
        help="the document by which the person agrees; only its hash is kept; demanded of a new person unless --own",
    )  # fmt: skip
    added.add_argument("--own", action="store_true", help="the footage is of yourself")
    added.add_argument(
        "--speaker", help="who it is, where a video shows several people: x,y@seconds, or a picture of the person"
    )


def part(parts: Any, name: str, what: str, run: Any, named: bool = True) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = parts.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.")
    if named:
        parser.add_argument("name", metavar="NAME")
    parser.set_defaults(run_person=run)
    return parser


def run_add(args: argparse.Namespace) -> int:
    from flows import preflight
    from tasks.core import paths
    from tasks.core.errors import UserError

    preflight.run([paths.PERSONS])
    from tasks.adapt import footage

    if args.speaker and "@" in args.speaker and len(args.videos) > 1:
        raise UserError("--speaker x,y@seconds is of one video; add them one by one, or give a picture of the person")
    try:
        return min(1, footage.add(args.name, args.videos, args.consent, args.own, args.speaker))
    except KeyboardInterrupt:
        raise Stopped("person: stopped by Ctrl-C; the same command goes on with the next video") from None


def run_adapt(args: argparse.Namespace) -> None:
    from tasks.adapt import motion
    from tasks.core.progress import say

    say(motion.adapt(args.name))


def run_list(args: argparse.Namespace) -> None:
    from tasks.core.progress import say
    from tasks.persons import store, summary

    persons = store.every()
    for person in persons:
        show(summary.line(person))
    if not persons:
        say("no person is kept here yet; `lipgan person add NAME VIDEO...` adds one")


def run_show(args: argparse.Namespace) -> None:
    from tasks.persons import sheet, store, summary

    person = store.find(args.name)
    show(summary.lines(person))
    if file := sheet.write(person):
        show(f"mouths, from closed to open: {file}")


def run_rename(args: argparse.Namespace) -> None:
    from tasks.core.progress import say
    from tasks.persons import store

    say(f"person {args.name} is now {store.rename(args.name, args.to).name}")


def run_remove(args: argparse.Namespace) -> None:
    from tasks.core.progress import say
    from tasks.persons import films, store

    with store.alone(args.name):
        person = store.find(args.name)
        if args.video:
            video = films.of_path(person, args.video)
            store.forget(person, video)
            say(f"person {person.name}: what was read of {video.name} is deleted; the video stays")
            return
        store.remove(person)
    say(f"person {person.name}: the library is deleted, with the adapted network; the videos stay")
