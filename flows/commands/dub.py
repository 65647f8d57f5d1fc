"""`dub`: make a face say new words."""

import argparse
from pathlib import Path
from typing import Any

from flows.commands import BACKEND, CHECKPOINT, LIBRARY, PERSON, add_generator, command
from tasks.core.errors import Stopped


def add(commands: Any) -> None:
    dub = command(
        commands,
        "dub",
        "make the face in a video or picture say new words",
        run,
        what="Make the face in a video or picture say new words. The same command resumes a run that was interrupted.",
        example="lipgan dub --face talk.mp4 --audio speech.wav --out out/dubbed.mp4\n"
        "lipgan dub --face film.mkv --span 00:01:02.5=line1.wav --span 00:01:09=line2.wav --out out/film.mp4\n"
        "lipgan dub --face film.mkv --subtitles film.srt --speakers cast.csv --out out/film.mp4\n"
        'lipgan dub --face portrait.png --text "Good morning." --out out/morning.mp4',
    )
    dub.add_argument("--face", required=True, help="video or picture of the face to dub")
    dub.add_argument("--out", required=True, help="mp4 to write (mkv with --lossless)")
    dub.add_argument("--checkpoint", help=CHECKPOINT)
    add_words(dub.add_argument_group("what is said: one of --audio, --span, --text, --subtitles"))
    add_faces(dub.add_argument_group("which face, in which frames"))
    add_mouth(dub.add_argument_group("how mouths are made"))
    add_output(dub.add_argument_group("output"))


def add_words(group: Any) -> None:
    group.add_argument("--audio", help="sound file, or a video for its sound; it begins at the first frame")
    group.add_argument(
        "--span", action="append", default=[], metavar="[HH:MM:]SS=SOUND[@SPEAKER]",
        help="a sound file, when it begins and, as for --speaker, whose face says it; may be repeated; the rest of the "
        "video keeps its picture and sound",
    )  # fmt: skip
    group.add_argument(
        "--subtitles", metavar="FILE",
        help="srt or vtt: each cue is spoken in its time, by the speaker that `Name:` or `<v Name>` names",
    )  # fmt: skip
    group.add_argument(
        "--speakers", metavar="FILE", help="table of the speakers in --subtitles, with the columns name,face,voice,tts"
    )
    group.add_argument(
        "--speed", default="0.8-1.35", metavar="SLOWEST-FASTEST",
        help="how much slower and faster a cue may be spoken to fit into its time; default: %(default)s",
    )  # fmt: skip
    group.add_argument(
        "--text", help="text, spoken by --voice or --tts; @FILE: the text in a file; -: from standard input"
    )
    group.add_argument("--tts", help="command that speaks the text: 'program --say {text} --to {out}' writes a wav")
    group.add_argument(
        "--voice",
        help="a natural voice of English (heart, fenrir, kore, emma, fable: extra `voices`) or one of espeak-ng, for "
        "example en-us+f3 or de; default: heart if it is installed, for another language espeak-ng's voice of it",
    )
    group.add_argument("--language", metavar="CODE", help="of the text, as de or pt-br; default: what the text shows")
    group.add_argument(
        "--driving-audio", default="auto", metavar="{auto,raw,separated}",
        help="what drives the network: raw, the audio as given; separated, its speech without music and noise; auto "
        "(default): separated if there is background audio; the output always gets the audio as given",
    )  # fmt: skip
    group.add_argument(
        "--background", default="drop", metavar="{drop,keep}",
        help="keep: the video's music and noise, without its speech, lie under the new words (extra `background`)",
    )  # fmt: skip
    group.add_argument("--ear", dest="driving_audio", default=argparse.SUPPRESS, help=argparse.SUPPRESS)  # until 0.3


def add_faces(group: Any) -> None:
    group.add_argument(
        "--speaker",
        help="with several faces, which one: its number in the JSON, x,y@seconds, a picture of the person, or "
        "person:NAME (`lipgan person`); default: in each shot the one whose mouth best matches the original audio",
    )
    group.add_argument(
        "--recognition", metavar="FILE",
        help="dlib_face_recognition_resnet_model_v1.dat, which tells persons apart better than the built-in measure; "
        "not part of this project",
    )  # fmt: skip
    group.add_argument("--box", help="left,top,right,bottom of the face in a picture, if it is not found (a drawing)")
    group.add_argument("--idle", action="store_true", help="let the head of a picture sway a little while it speaks")
    group.add_argument(
        "--length", default="longest", metavar="{longest,video,sound}",
        help="length of the output: longest (default) loses no word and no frame, a video shorter than the audio is "
        "played forwards and backwards (ping-pong); video; sound. A picture lasts as long as the audio, a video with "
        "--span keeps its length",
    )  # fmt: skip


def add_mouth(group: Any) -> None:
    add_generator(group)
    group.add_argument("--library", nargs="+", action="extend", metavar="VIDEO", help=LIBRARY)
    group.add_argument("--person", metavar="NAME", help=PERSON)


def add_output(group: Any) -> None:
    group.add_argument("--crf", type=int, default=17, help="of H.264: 0 (best) to 51; default: %(default)s")
    group.add_argument("--lossless", action="store_true", help="lossless H.264 in RGB, and FLAC")
    group.add_argument(
        "--tracks", action="store_true", help="keep the video's other sound tracks, its subtitles and its chapters"
    )
    group.add_argument("--label", help="text to write into every frame, lower left")
    group.add_argument("--side-by-side", metavar="FILE", help="also write a video with source and result side by side")
    group.add_argument("--backend", help=BACKEND)


def run(args: argparse.Namespace) -> None:
    from flows import preflight

    preflight.dub(Path(args.out), [args.face, args.audio], signs=not args.lossless)
    from tasks.dubbing import dub, spans
    from tasks.dubbing.options import Options
    from tasks.tracking import registry
    from tasks.voices import speech

    words = {name: value for name, value in vars(args).items() if name in Options.__slots__}
    words["text"] = None if args.text is None else speech.text_of(args.text)
    words["library"] = tuple(args.library or ())
    options = Options.from_mapping(words)
    checkpoint = args.checkpoint and registry.path_of(args.checkpoint)
    try:
        dub.run(args.face, args.audio, args.out, checkpoint, [spans.one(text) for text in args.span], options)
    except KeyboardInterrupt:
        raise Stopped(f"dub: {args.out}: stopped by Ctrl-C; the same command resumes it") from None
