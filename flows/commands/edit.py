"""`edit`: change what someone says in a video by changing the text."""

import argparse
from pathlib import Path
from typing import Any

from flows.commands import command, show
from tasks.core.errors import Stopped, UserError


def add(commands: Any) -> None:
    edit = command(
        commands,
        "edit",
        "edit a talking head by its transcript",
        run,
        what="Edit a video of someone speaking by the text of what they say: words that are gone from the new text are "
        "cut, new ones are said by a recording, the person's own footage or a voice, and the mouth follows. The rest "
        "stays as filmed. English; needs the extra `words`. The same command resumes a run that was interrupted.",
        example="lipgan edit --face talk.mp4 --transcript talk.txt --to new.txt --out out/edited.mp4\n"
        "lipgan edit --face talk.mp4 --transcript talk.json --to new.txt --dry-run\n"
        "lipgan edit --face talk.mp4 --transcript talk.txt --to new.txt --out out/edited.mp4 "
        "--recording 'on Friday=friday.wav'",
    )
    edit.add_argument("--face", type=Path, required=True, help="video of the person speaking")
    edit.add_argument(
        "--transcript", required=True,
        help="what is said in it: the text, a file, or - for standard input; or the JSON of `lipgan align`",
    )  # fmt: skip
    edit.add_argument("--to", required=True, help="what shall be said: the text, a file, or -")
    edit.add_argument("--out", help="mp4 to write (mkv with --lossless); needed without --dry-run")
    edit.add_argument("--dry-run", action="store_true", help="only print what would be cut, made, and from what")
    edit.add_argument(
        "--force", action="store_true", help="also cut at words that are probably not what is said in the video"
    )
    add_words(edit.add_argument_group("who says new words"))
    add_picture(edit.add_argument_group("picture"))


def add_words(group: Any) -> None:
    group.add_argument(
        "--recording", action="append", default=[], metavar="WORDS=FILE",
        help="a recording of words that the new text adds; may be repeated",
    )  # fmt: skip
    group.add_argument(
        "--library", nargs="+", action="extend", type=Path, metavar="VIDEO", default=[],
        help="more footage of the person to take words from; what is said in each lies beside it (.txt, .align, or "
        ".json of `lipgan align`)",
    )  # fmt: skip
    group.add_argument("--tts", help="command that speaks the text: 'program --say {text} --to {out}' writes a wav")
    group.add_argument("--voice", help="voice that speaks what no recording and no footage says")


def add_picture(group: Any) -> None:
    group.add_argument("--speaker", help="with several faces, which one: as `lipgan dub --speaker`")
    group.add_argument("--strength", type=float, help="how far the new mouth moves, 0 (closed) to 1.5; default: 1")
    group.add_argument("--checkpoint", help="a motion network; default: that of models/, if none the released")
    group.add_argument("--crf", type=int, default=17, help="of H.264: 0 (best) to 51; default: %(default)s")
    group.add_argument("--lossless", action="store_true", help="lossless H.264 in RGB, and FLAC")
    group.add_argument("--label", help="text to write into every frame, lower left")


def run(args: argparse.Namespace) -> None:
    from flows import preflight

    if not args.dry_run:
        if not args.out:
            raise UserError("give --out, or --dry-run")
        preflight.dub(Path(args.out), [str(args.face)], signs=not args.lossless)
    from tasks.dubbing import networks
    from tasks.dubbing.options import Options
    from tasks.edit import describe, edit

    words = {name: value for name, value in vars(args).items() if name in Options.__slots__ and name != "library"}
    order = edit.Order(
        face=args.face,
        transcript=edit.transcript(args.transcript),
        to=edit.text_of(args.to),
        recordings=dict(edit.recording(text) for text in args.recording),
        library=tuple(args.library),
        force=args.force,
        options=networks.settled(Options.from_mapping(words | {"generator": "mesh"}), None),
        checkpoint=args.checkpoint,
    )
    if args.dry_run:
        for line in describe.plan(edit.plan(order)):
            show(line)
        return
    try:
        edit.run(order, args.out)
    except KeyboardInterrupt:
        raise Stopped(f"edit: {args.out}: stopped by Ctrl-C; the same command resumes it") from None
