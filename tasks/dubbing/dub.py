"""Dubbing: make the face in a video or picture say new words.

    python -m flows dub --face talk.mp4 --audio speech.wav --out out/dubbed.mp4

Every frame keeps its own time, whatever the frame rate; its mouth is generated from the audio around its middle.
Two passes: `look` finds shots and faces, `render` changes the mouths. Memory holds one batch of frames, whatever the
length, and a run that was killed resumes.

Faces and audio features come from the code that made the training shards.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tasks.core import memory, names
from tasks.core.errors import UserError
from tasks.core.files import demand_file, sha256_file
from tasks.core.progress import say
from tasks.dubbing import hear, likeness, mesh_mouth, networks, out_names, overlay, script, work_folder
from tasks.dubbing.find_faces import find_faces
from tasks.dubbing.judge import Judge
from tasks.dubbing.networks import Mesh, Network
from tasks.dubbing.options import DEFAULTS, Options
from tasks.dubbing.output import Output
from tasks.dubbing.render import Renderer
from tasks.inference.sync_meter import SyncMeter
from tasks.media import containers, decode
from tasks.provenance import c2pa_mark
from tasks.voices import speech

MADE_BY = "AI-generated lip movements, made with lipgan-pipeline"


def run(
    face: str,
    audio: str | None,
    out: str,
    checkpoint: str | None = None,
    spans: Sequence[tuple[float, str]] = (),
    options: Options = DEFAULTS,
) -> Path:
    """Dub `face` with the audio file `audio`, or with `spans` of (start in s, audio file); returns `out`.

    checkpoint  of LipGAN; None leaves the generator to the options, and then to params.yaml
    A JSON beside the output says what was changed.
    Errors: UserError for input that cannot be read, has no face or no audio, for options that contradict each other,
            and for an output that cannot be written
    """
    options = networks.settled(options, checkpoint)
    given = [face, *([audio] if audio else []), *(path for _, path in spans)]
    target = demand_output(out, options, [*given, *options.library])
    if sum((audio is not None, bool(spans), options.text is not None)) != 1:
        raise UserError("give one of --audio, --span and --text")
    demand_file(Path(face))
    if options.text is not None and not options.tts:  # the voice is named in the JSON, whoever chose it
        options = replace(options, voice=speech.voice_for(options.text, options.voice, options.language))
    if options.idle and not decode.is_image(face):
        raise UserError(f"--idle is for pictures; {face} is a video, whose head moves already")
    network = networks.load(options.generator, checkpoint, options.backend, options.person)
    kept = network.person if isinstance(network, Mesh) else None
    if kept:
        demand_output(out, options, [video.path for video in kept.videos])
    files = [*given, *map(str, network.files), *options.library]
    if network.expert:
        files.append(str(network.expert))
    if options.recognition:
        files.append(options.recognition)
    demand_label(Path(face), options.label)
    recogniser = likeness.recogniser(options.recognition)  # first, so that a bad file is refused before any work
    inputs = {
        "sha256": {f"{k} {Path(path).name}": sha256(Path(path)) for k, path in enumerate(files)},
        "starts_s": [start_s for start_s, _ in spans],
        "options": options.recorded(),
        "backend": network.backend,
    } | ({"person": kept.described()} if kept else {})
    key = work_folder.key_of(inputs)
    if work_folder.is_made(target, key) and not options.side_by_side:
        say(f"dub: {target}: up to date, made from the same inputs; kept")
        return target
    with work_folder.folder(target, key) as folder:
        if options.text is not None:
            audio = str(folder / "text.wav")
            speech.speak(options.text, Path(audio), options.tts, options.voice, options.language)
        starts = list(spans) or [(0.0, str(audio))]
        lines = hear.in_order([hear.line(Path(path), start_s, options.driving_audio) for start_s, path in starts])
        seen = find_faces(Path(face), network.p, network.points, options.box, folder)
        memory.give_back()
        sources = {"face": Path(face)} | {f"sound {k}" if k else "sound": line.path for k, line in enumerate(lines)}
        came_from = c2pa_mark.about(network.checkpoint, network.about, sources, network.further)
        person = (
            mesh_mouth.Person(Path(face), network, folder, options, recogniser) if isinstance(network, Mesh) else None
        )
        hidden = person.learn if person else script.nothing_hidden
        written = script.write(Path(face), seen, lines, bool(spans), options, recogniser, hidden)
        judge = Judge(SyncMeter(network.expert), written.plan, written.mfcc_FW) if network.expert else None
        mouths = (
            person.mouths(written, judged=judge is not None) if person else networks.lipgan_mouths(network, written)
        )
        output = Output(written, options, folder, Renderer(written, mouths), judge)
        output.render()
        whole = folder / target.name  # moved to the output's name only with its mark
        output.join(whole, c2pa_mark.tags(came_from))
        if whole.suffix == ".mp4":  # C2PA cannot sign mkv, which has the plain tag alone
            c2pa_mark.mark(whole, came_from, sources)
        about = names.valid({
            **output.describe(),
            "generator": options.generator,
            **(person.about if person else {}),
            "made_by": made_by(inputs, key, network, whole),
        })  # fmt: skip
        work_folder.put(whole, json.dumps(about, indent=2) + "\n", target)
        if options.side_by_side:
            output.side_by_side(target, Path(options.side_by_side), {"comment": MADE_BY})
    say(summary(target, about, network))
    return target


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
    passed = sum(span["last"] - span["first"] + 1 for span in about["passed_through"])
    dubbed = [face["number"] for face in about["faces"] if face["dubbed"]]
    of_faces = f"; dubbed {len(dubbed)} of {len(about['faces'])} faces ({about['speaker_by']})"
    outside = about["frames"] - about["changed"] - passed  # of the spans
    passed_by = f"{passed} passed through" + (f", {outside} outside the spans" if outside else "")
    return (
        f"dub: {target}: {about['frames']} frames, {about['duration_s']:.2f} s; {about['changed']} changed, {passed_by}"
        f"{of_faces if len(about['faces']) > 1 else ''}; what and why: {target.with_suffix('.json')}; "
        f"checkpoint {network.describe()}"
    )
