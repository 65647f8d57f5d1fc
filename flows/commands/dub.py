"""`dub`: a face and new words -> a lip-synced video."""

import argparse
from typing import Any

from flows.commands import BACKEND, command
from tasks.core import paths
from tasks.core.errors import Stopped


def add(commands: Any) -> None:
    dub = command(
        commands,
        "dub",
        "a face and new words -> a lip-synced mp4, and a JSON that tells what was changed",
        run,
        what="Make the face of a video or picture say new words. A run that was stopped goes on where it was.",
        example="python -m flows dub --face talk.mp4 --audio speech.wav --out out/dubbed.mp4\n"
        "python -m flows dub --face film.mkv --span 00:01:02.5=line1.wav --span 00:01:09=line2.wav --out out/film.mp4\n"
        'python -m flows dub --face portrait.png --text "Good morning." --out out/morning.mp4',
    )
    dub.add_argument("--face", required=True, help="video or picture with the face to be dubbed")
    dub.add_argument("--out", required=True, help="mp4 to write (mkv with --lossless)")
    said = dub.add_argument_group("what is said: one of")
    said.add_argument("--audio", help="sound, or a video whose sound is taken, from the first frame on")
    said.add_argument(
        "--span", action="append", default=[], metavar="[HH:MM:]SS=SOUND",
        help="a sound and when it begins, as often as needed; the rest keeps its picture and its sound",
    )  # fmt: skip
    said.add_argument("--text", help="words, spoken by espeak-ng or --tts")
    said.add_argument("--tts", help="command that speaks: 'program --say {text} --to {out}', out a wav")
    said.add_argument("--voice", help="voice of espeak-ng, as en-us+f3")
    said.add_argument(
        "--driving-audio", "--ear", default="auto",
        help="what the network hears of it: raw; separated, the words without music or noise; or auto (default), "
        "separated where something sounds in the pauses too; the output keeps the sound as it is",
    )  # fmt: skip
    dub.add_argument(
        "--length", default="longest",
        help="of the output: longest (default: no word and no picture is lost; a video that must last longer goes back "
        "and forth), video, or sound; a picture lasts as long as the sound, a film with --span as long as it is",
    )  # fmt: skip
    dub.add_argument(
        "--speaker",
        help="of several faces: its number in the JSON, x,y@seconds, or a picture of the person; default: the one "
        "whose mouth moves with the video's own sound, for each shot",
    )
    dub.add_argument(
        "--recognition", metavar="FILE",
        help="dlib_face_recognition_resnet_model_v1.dat, which tells persons apart better than our own measure; not "
        "part of this project",
    )  # fmt: skip
    dub.add_argument("--box", help="left,top,right,bottom of the face in a picture, where it is not found (a drawing)")
    dub.add_argument("--idle", action="store_true", help="the head of a picture sways a little while it speaks")
    dub.add_argument("--crf", type=int, default=17, help="of H.264, 0 to 51, less is better; default: %(default)s")
    dub.add_argument("--lossless", action="store_true", help="H.264 in RGB without loss, and FLAC")
    dub.add_argument("--label", help="words to be shown in every frame, lower left")
    dub.add_argument("--side-by-side", help="a second video: the source left, the result right")
    dub.add_argument("--backend", help=BACKEND)
    dub.add_argument(
        "--checkpoint", default=str(paths.GENERATOR), help="or models:/lipgan@champion; default: %(default)s"
    )


def run(args: argparse.Namespace) -> None:
    from tasks.dubbing import batch, dub
    from tasks.dubbing.options import Options
    from tasks.tracking import registry

    options = Options.from_mapping({name: value for name, value in vars(args).items() if name in Options.__slots__})
    checkpoint = registry.path_of(args.checkpoint)
    try:
        dub.run(args.face, args.audio, args.out, checkpoint, [batch.span(text) for text in args.span], options)
    except KeyboardInterrupt:
        raise Stopped(f"dub: {args.out}: stopped by Ctrl-C; the same command goes on where it was") from None
