"""`align`: the times of the words of a recording."""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

from flows.commands import command, show
from tasks.core.files import write_atomic


def add(commands: Any) -> None:
    align = command(
        commands,
        "align",
        "find when each word of an English text is said",
        run,
        what="Align an English text to its recording: start, end and confidence of every word, and its phones. "
        "A word with a low confidence is probably not what is said. Needs the extra `words`.",
        example="lipgan align talk.mp4 --text 'Good evening and welcome.'\n"
        "lipgan align talk.mp4 --text @talk.txt --out talk.json",
    )
    align.add_argument("recording", type=Path, help="a video or a sound")
    align.add_argument("--text", required=True, help="what is said: the text, @FILE, or - for standard input")
    align.add_argument("--out", type=Path, metavar="FILE.json", help="also write words and phones there")


def run(args: argparse.Namespace) -> None:
    from tasks.core.errors import UserError
    from tasks.core.files import demand_file
    from tasks.media import decode
    from tasks.media.containers import MediaError
    from tasks.voices import speech
    from tasks.words.align import LOW, Aligner

    aligner, text = Aligner(), speech.text_of(args.text)
    try:
        sound = decode.decode_sound(demand_file(args.recording))
    except MediaError as error:
        raise UserError(f"{args.recording}: {error}") from error
    words = aligner(sound, text)
    for word in words:
        doubt = "  probably not said" if word.confidence < LOW else ""
        show(f"{word.start_s:8.2f} {word.end_s:8.2f}  {word.word:<16} {word.confidence:.2f}{doubt}")
    if args.out:
        content = {"recording": args.recording.name, "words": [dataclasses.asdict(word) for word in words]}
        write_atomic(args.out, json.dumps(content, indent=2) + "\n")
