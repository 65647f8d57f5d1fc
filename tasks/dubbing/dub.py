"""Dubbing: the face of a video or picture is made to say new words.

    python -m flows dub --face talk.mp4 --audio speech.wav --out out/dubbed.mp4

Every frame of the video is shown at its own time, whatever the rate; the mouth of each is generated for the sound
around the middle of that very frame. Two passes: `look` finds shots and faces, `render` changes the mouths. Memory
holds a batch of frames, whatever the length, and a killed run goes on where it was.

Faces and sound come from the code that made the training shards.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks.core import memory, paths
from tasks.core.errors import UserError
from tasks.core.files import sha256_file
from tasks.core.progress import say
from tasks.dubbing import hear, likeness, mesh_mouth, networks, script, tts, work_folder
from tasks.dubbing.find_faces import looked
from tasks.dubbing.judge import Judge
from tasks.dubbing.networks import Mesh, Network
from tasks.dubbing.options import DEFAULTS, Options
from tasks.dubbing.output import Output
from tasks.dubbing.render import Renderer
from tasks.inference.sync_meter import SyncMeter
from tasks.media import decode
from tasks.provenance import c2pa_mark

MADE_BY = "AI-generated lip movements, made with lipgan-pipeline"


def run(
    face: str,
    audio: str | None,
    out: str,
    checkpoint: str = str(paths.GENERATOR),
    spans: Sequence[tuple[float, str]] = (),
    options: Options = DEFAULTS,
) -> Path:
    """Dub `face` with the sound of `audio`, or from given seconds on with the sounds of `spans`; returns `out`.

    A JSON beside the output tells what was changed.
    Errors: UserError for what cannot be read or written, has no face or no sound, or cannot be meant.
    """
    target = demand_output(out, options, [face, *([audio] if audio else []), *(path for _, path in spans)])
    if sum((audio is not None, bool(spans), options.text is not None)) != 1:
        raise UserError("give one of --audio, --span and --text: what is to be said")
    if not Path(face).exists():
        raise UserError(f"{face}: no such file")
    if options.idle and not decode.is_image(face):
        raise UserError(f"--idle moves the head of a picture; in {face} it moves by itself")
    network = networks.load(options.generator, Path(checkpoint), options.backend)
    files = [face, *([audio] if audio else []), *(path for _, path in spans), *map(str, network.files)]
    files += options.library
    if paths.EXPERT.is_file():
        files.append(str(paths.EXPERT))
    if options.recognition:
        files.append(options.recognition)
    recogniser = likeness.recogniser(options.recognition)  # refused before any work
    inputs = {
        "sha256": {f"{k} {Path(path).name}": sha256(Path(path)) for k, path in enumerate(files)},
        "starts_s": [start_s for start_s, _ in spans],
        "options": options.recorded(),
        "backend": network.backend,
    }
    key = work_folder.key_of(inputs)
    if work_folder.is_made(target, key) and not options.side_by_side:
        say(f"dub: {target}: made of these very inputs before, kept")
        return target
    with work_folder.folder(target, key) as folder:
        if options.text is not None:
            audio = str(folder / "text.wav")
            tts.speak(options.text, Path(audio), options.tts, options.voice)
        starts = list(spans) or [(0.0, str(audio))]
        lines = hear.in_order([hear.line(Path(path), start_s, options.driving_audio) for start_s, path in starts])
        seen = looked(Path(face), network.p, network.points, options.box, folder)
        memory.give_back()
        sources = {"face": Path(face)} | {f"sound {k}" if k else "sound": line.path for k, line in enumerate(lines)}
        came_from = c2pa_mark.about(network.checkpoint, network.about, sources)
        person = (
            mesh_mouth.Person(Path(face), network, folder, options, recogniser) if isinstance(network, Mesh) else None
        )
        hidden = person.learn if person else script.nothing_hidden
        written = script.write(Path(face), seen, lines, bool(spans), options, recogniser, hidden)
        judge = Judge(SyncMeter(paths.EXPERT), written.plan, written.mfcc_FW) if paths.EXPERT.is_file() else None
        mouths = (
            person.mouths(written, judged=judge is not None) if person else networks.lipgan_mouths(network, written)
        )
        output = Output(written, options, folder, Renderer(written, mouths), judge)
        output.render()
        whole = folder / target.name  # no file without its mark is ever seen under the output's own name
        output.join(whole, c2pa_mark.tags(came_from))
        if whole.suffix == ".mp4":  # C2PA has no form for mkv: there the tag alone tells
            c2pa_mark.mark(whole, came_from, sources)
        about = {
            **output.describe(),
            "generator": options.generator,
            **(person.about if person else {}),
            "made_by": made_by(inputs, key, network, whole),
        }
        work_folder.put(whole, json.dumps(about, indent=2) + "\n", target)
        if options.side_by_side:
            output.side_by_side(target, Path(options.side_by_side), {"comment": MADE_BY})
    say(summary(target, about, network))
    return target


def sha256(path: Path) -> str:
    if not path.is_file():
        raise UserError(f"{path}: {'a folder, not a file' if path.is_dir() else 'no such file'}")
    try:
        return sha256_file(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error


def demand_output(out: str, options: Options, sources: Sequence[str]) -> Path:
    """Errors: UserError for an output that cannot be meant, or would take the place of what is no dub."""
    wanted = ".mkv" if options.lossless else ".mp4"
    for path in filter(None, (out, options.side_by_side)):
        if Path(path).suffix.lower() != wanted:
            raise UserError(f"--out must end in {wanted}{' with --lossless' * options.lossless}, got {path}")
        if Path(path).is_dir():
            raise UserError(f"--out: {path} is a folder; name a file in it")
        if taken := next((one for one in sources if Path(one).resolve() == Path(path).resolve()), None):
            raise UserError(f"--out: {path} would take the place of {taken}, which is read; name another file")
    if options.side_by_side and Path(options.side_by_side).resolve() == Path(out).resolve():
        raise UserError(f"--side-by-side: {out} is the output itself; name another file")
    told = Path(out).with_suffix(".json")
    if told.exists() and not work_folder.is_sidecar(told):
        raise UserError(f"--out: {told}, where it is told what was done, is something else already; name another file")
    options.check()
    return Path(out)


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
    several = f"; dubbed {len(dubbed)} of {len(about['faces'])} faces ({about['speaker_by']})"
    return (
        f"dub: {target}: {about['frames']} frames, {about['duration_s']:.2f} s; {about['changed']} changed, {passed} "
        f"passed through{several if len(about['faces']) > 1 else ''}; what and why: {target.with_suffix('.json')}; "
        f"checkpoint {network.describe()}"
    )
