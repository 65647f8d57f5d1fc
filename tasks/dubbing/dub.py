"""Dubbing: make the face in a video or picture say new words.

    python -m flows dub --face talk.mp4 --audio speech.wav --out out/dubbed.mp4

Every frame keeps its own time, whatever the frame rate; its mouth is generated from the audio around its middle.
Two passes: `look` finds shots and faces, `render` changes the mouths. Memory holds one batch of frames, whatever the
length, and a run that was killed resumes.

Faces and audio features come from the code that made the training shards.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tasks.core import memory, names
from tasks.core.errors import UserError
from tasks.core.files import demand_file, sha256_file
from tasks.core.progress import say
from tasks.dubbing import (
    cast,
    hear,
    likeness,
    networks,
    out_names,
    overlay,
    people,
    script,
    speaker,
    spoken,
    work_folder,
)  # fmt: skip
from tasks.dubbing.find_faces import find_faces
from tasks.dubbing.hear import Line
from tasks.dubbing.networks import Mesh, Network
from tasks.dubbing.options import DEFAULTS, Options
from tasks.dubbing.output import Output
from tasks.dubbing.render import Renderer
from tasks.dubbing.spans import Span
from tasks.lines import speech_filter
from tasks.lines.background import Background
from tasks.media import containers, decode
from tasks.persons import films
from tasks.provenance import c2pa_mark
from tasks.voices import speech

MADE_BY = "AI-generated lip movements, made with lipgan-pipeline"


def run(
    face: str,
    audio: str | None,
    out: str,
    checkpoint: str | None = None,
    spans: Sequence[tuple[float, str] | Span] = (),
    options: Options = DEFAULTS,
) -> Path:
    """Dub `face` with the audio file `audio`, or with `spans` of (start in s, audio file); returns `out`.

    checkpoint  of LipGAN; None leaves the generator to the options, and then to params.yaml
    spans       (start in s, audio file), or Span where a line has its own speaker
    A JSON beside the output says what was changed.
    Errors: UserError for input that cannot be read, has no face or no audio, for options that contradict each other,
            and for an output that cannot be written
    """
    options = networks.settled(options, checkpoint)
    asked = [Span(*span) for span in spans]
    given = [face, *([audio] if audio else []), *(span.path for span in asked)]
    further = [*filter(None, (options.subtitles, options.speakers)), *pictures(options, asked), *options.library]
    target = demand_output(out, options, [*given, *further])
    if sum((audio is not None, bool(asked), options.text is not None, options.subtitles is not None)) != 1:
        raise UserError("give one of --audio, --span, --text and --subtitles")
    demand_fitting(demand_file(Path(face)), options)
    if options.text is not None and not options.tts:  # the voice is named in the JSON, whoever chose it
        options = replace(options, voice=speech.voice_for(options.text, options.voice, options.language))
    network = networks.load(options.generator, checkpoint, options.backend, options.person)
    by_name = kept_people(options, asked) if isinstance(network, Mesh) else {}
    kept = [*([network.person] if isinstance(network, Mesh) and network.person else []), *by_name.values()]
    demand_output(out, options, [video.path for library in kept for video in library.videos])
    adapted = [library.network for library in by_name.values() if library.network and checkpoint is None]
    files = [*given, *map(str, (*network.files, *adapted)), *further]
    if network.expert:
        files.append(str(network.expert))
    if options.recognition:
        files.append(options.recognition)
    demand_label(Path(face), options.label)
    recogniser = likeness.recogniser(options.recognition)  # first, so that a bad file is refused before any work
    inputs = {
        "sha256": {f"{k} {Path(path).name}": sha256(Path(path)) for k, path in enumerate(files)},
        "starts_s": [span.start_s for span in asked],
        "speakers": [span.speaker for span in asked],
        "options": options.recorded(),
        "backend": network.backend,
    } | ({"person": [library.described() for library in kept]} if kept else {})
    key = work_folder.key_of(inputs)
    if work_folder.is_made(target, key) and not options.side_by_side:
        say(f"dub: {target}: up to date, made from the same inputs; kept")
        return target
    with work_folder.folder(target, key) as folder:
        lines = heard(Path(face), audio, asked, options, folder)
        own = isinstance(network, Mesh) and not options.library and network.person is None
        seen = find_faces(Path(face), network.p, network.points, options.box, folder, mouths=own)
        memory.give_back()
        sources = {"face": Path(face)} | sounds(lines, options)
        came_from = c2pa_mark.about(network.checkpoint, network.about, sources, (*network.further, *adapted))
        in_spans = bool(asked) or options.subtitles is not None
        roles = script.cast(Path(face), seen, lines, options, recogniser)
        parts, about_people = people.performed(
            Path(face), network, folder, options, recogniser, seen, roles, in_spans, by_name, checkpoint is None
        )
        regions = [(line.start_s, line.until_s) for line in lines] if in_spans else None
        under = Background(Path(face), regions) if options.background == "keep" else None
        output = Output(Renderer(parts), options, folder, under)
        output.render()
        whole = folder / target.name  # moved to the output's name only with its mark
        output.join(whole, c2pa_mark.tags(came_from))
        if whole.suffix == ".mp4":  # C2PA cannot sign mkv, which has the plain tag alone
            c2pa_mark.mark(whole, came_from, sources)
        about = names.valid({
            **output.describe(),
            "generator": options.generator,
            **about_people,
            "made_by": made_by(inputs, key, network, whole),
        })  # fmt: skip
        work_folder.put(whole, json.dumps(about, indent=2) + "\n", target)
        if options.side_by_side:
            output.side_by_side(target, Path(options.side_by_side), {"comment": MADE_BY})
    say(summary(target, about, network))
    return target


def heard(face: Path, audio: str | None, asked: Sequence[Span], options: Options, folder: Path) -> list[Line]:
    """What is said, in order.  Errors: UserError where it cannot be spoken or read, and where lines overlap"""
    way = options.driving_audio
    if options.subtitles is not None:
        spans: Sequence[Span] = spoken.spans(options, face, folder / "lines")
        way = "raw" if way == "auto" else way  # a voice alone; without its pauses it would seem to have a background
    elif options.text is not None:
        text = folder / "text.wav"
        speech.speak(options.text, text, options.tts, options.voice, options.language)
        spans = [Span(0.0, str(text))]
    else:
        spans = asked or [Span(0.0, str(audio))]
    return hear.in_order([hear.line(span, way) for span in spans])


def sounds(lines: Sequence[Line], options: Options) -> dict[str, Path]:
    """What was said, for the mark; of many cues it is the subtitles, and not each cue's sound."""
    if options.subtitles:
        return {"subtitles": Path(options.subtitles)}
    return {f"sound {k}" if k else "sound": line.path for k, line in enumerate(lines)}


def pictures(options: Options, asked: Sequence[Span]) -> list[str]:
    """The pictures by which speakers are named."""
    return [word for word in speakers(options, asked) if os.path.isfile(word)]


def speakers(options: Options, asked: Sequence[Span]) -> list[str]:
    """Every speaker that is named, once."""
    named = [options.speaker, *(span.speaker for span in asked)]
    named += [member.face for member in cast.of_options(options).values()]
    return list(dict.fromkeys(word for word in named if word))


def kept_people(options: Options, asked: Sequence[Span]) -> dict[str, films.Library]:
    """The libraries of the speakers that are named as person:NAME, by that."""
    named = {word: name for word in speakers(options, asked) if (name := speaker.person_named(word))}
    return {word: films.opened(name) for word, name in named.items()}


def demand_fitting(face: Path, options: Options) -> None:
    """Errors: UserError for options that do not fit the kind of file"""
    still = decode.is_image(face)
    if options.idle and not still:
        raise UserError(f"--idle is for pictures; {face} is a video, whose head moves already")
    if options.tracks and still:
        raise UserError(f"--tracks is for videos; {face} is a picture, which has none")
    if options.background == "keep":
        speech_filter.package()
        with containers.readable(face):
            if not decode.probe(face).has_sound:
                raise UserError(f"--background keep: {face} has no sound whose music and noise could be kept")


def sha256(path: Path) -> str:
    """Errors: UserError where the file is missing or cannot be read"""
    try:
        return sha256_file(demand_file(path))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error


def demand_output(out: str, options: Options, sources: Sequence[str]) -> Path:
    """Errors: UserError for a name that does not fit the options, or would overwrite an input or a foreign JSON"""
    wanted = ".mkv" if options.lossless else ".mp4"
    for path in filter(None, (out, options.side_by_side)):
        if Path(path).suffix.lower() != wanted:
            raise UserError(f"--out must end in {wanted}{' with --lossless' * options.lossless}, got {path}")
        out_names.demand_free(path, sources)
    if options.side_by_side and out_names.same(options.side_by_side, out):
        raise UserError(f"--side-by-side: {out} is the output itself; name another file")
    beside = Path(out).with_suffix(".json")
    names.demand_allowed(beside, "--out: the JSON beside it")
    if beside.exists() and not work_folder.is_sidecar(beside):
        raise UserError(f"--out: the JSON beside it, {beside}, exists and is not of a dub; name another file")
    return Path(out)


def demand_label(face: Path, label: str | None) -> None:
    """Errors: UserError for a label that cannot be written into the picture, however it is turned"""
    if label is None:
        return
    with containers.readable(face):
        info = decode.probe(face)
    if side := min(info.width, info.height):
        overlay.laid_out(label, side, side)


def made_by(inputs: dict[str, Any], key: str, network: Network, target: Path) -> dict[str, Any]:
    return {
        "key": key,
        "output_sha256": sha256_file(target),
        "comment": MADE_BY,
        "sha256": inputs["sha256"],
        "checkpoint": network.describe(),
        "backend": network.backend,
        "options": inputs["options"],
    }


def summary(target: Path, about: dict[str, Any], network: Network) -> str:
    passed = len(frames_of(about["passed_through"]) - frames_of(about["changed_spans"]))
    dubbed = [face["number"] for face in about["faces"] if face["dubbed"]]
    of_faces = f"; dubbed {len(dubbed)} of {len(about['faces'])} faces ({about['speaker_by']})"
    outside = about["frames"] - about["changed"] - passed  # of the spans
    passed_by = f"{passed} passed through" + (f", {outside} outside the spans" if outside else "")
    return (
        f"dub: {target}: {about['frames']} frames, {about['duration_s']:.2f} s; {about['changed']} changed, {passed_by}"
        f"{of_faces if len(about['faces']) > 1 else ''}; what and why: {target.with_suffix('.json')}; "
        f"checkpoint {network.describe()}"
    )


def frames_of(spans: Sequence[Mapping[str, Any]]) -> set[int]:
    return {frame for span in spans for frame in range(span["first"], span["last"] + 1)}
