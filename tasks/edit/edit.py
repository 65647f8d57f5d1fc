"""Edit a talking head by its transcript.

    lipgan edit --face talk.mp4 --transcript talk.txt --to new.txt --out edited.mp4

`sound.py` decides what is cut and said, `picture.py` shows it; here they are put together, and the video gets its mark
and its JSON. A run that was killed resumes.
"""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tasks.core import json_files, memory, names
from tasks.core.errors import UserError
from tasks.core.files import demand_file, write_atomic
from tasks.core.progress import say
from tasks.dubbing import dub, likeness, networks, work_folder
from tasks.dubbing.options import Options
from tasks.edit import changes, describe, footage, picture, sound
from tasks.edit.pieces import Piece
from tasks.edit.sound import Edited
from tasks.media import containers, decode
from tasks.provenance import c2pa_mark
from tasks.voices import speech
from tasks.words.align import LOW, Aligner, Word

EDIT_VERSION = 2  # raise it when the same inputs give another sound or other frames
PLAN, SOUND = "plan.json", "sound.npy"

Transcript = str | Sequence[Word]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked for.

    transcript  what is said in `face`, or its words with times
    recordings  words of the new text -> the file that says them
    library     more videos of the person, to take words from
    options     of the dub that the new pieces are
    """

    face: Path
    transcript: Transcript
    to: str
    recordings: Mapping[str, Path] = field(default_factory=dict)
    library: tuple[Path, ...] = ()
    force: bool = False
    options: Options = field(default_factory=lambda: Options(generator="mesh"))
    checkpoint: str | None = None


def run(order: Order, out: str) -> Path:
    """Edit the video; returns `out`.  A JSON beside it lists each edit.

    Errors: UserError for input that cannot be read, a text that cannot be aligned or said, an edit that leaves too
            little, and an output that cannot be written
    """
    sources = [str(path) for path in files_of(order)]
    target = dub.demand_output(out, order.options, sources)
    demand_video(order.face)
    network = networks.mesh(order.checkpoint)
    recogniser = [order.options.recognition] if order.options.recognition else []
    likeness.recogniser(order.options.recognition)
    hashed = [*sources, *map(str, network.files), *recogniser]
    inputs = {
        "edit": EDIT_VERSION,
        "sha256": {f"{k} {Path(path).name}": dub.sha256(Path(path)) for k, path in enumerate(hashed)},
        "transcript": order.transcript if isinstance(order.transcript, str) else as_words(order.transcript),
        "to": order.to,
        "recordings": {words: path.name for words, path in order.recordings.items()},
        "force": order.force,
        "options": order.options.recorded(),
    }
    key = work_folder.key_of(inputs)
    if work_folder.is_made(target, key):
        say(f"edit: {target}: up to date, made from the same inputs; kept")
        return target
    with work_folder.folder(target, key) as folder:
        edited = sounded(order, folder)
        for line in edited.notes:
            say(f"edit: {line}")
        new = any(not piece.kept for piece in edited.pieces)
        watched = picture.watch(order.face, network, order.options, folder, new)
        memory.give_back()
        output, film = picture.output(
            order.face, edited.pieces, edited.sound_NC, edited.rate_hz, watched, order.options, folder
        )
        output.render()
        whole = folder / target.name
        used = {"face": order.face} | {f"recording {k}": path for k, path in enumerate(order.recordings.values())}
        edits = describe.edits(edited)
        came_from = c2pa_mark.about(network.checkpoint, network.about, used, network.further) | {"edits": edits}
        output.join(whole, c2pa_mark.tags(came_from))
        if whole.suffix == ".mp4":  # C2PA cannot sign mkv, which has the plain tag alone
            c2pa_mark.mark(whole, came_from, used, describe.actions(edits))
        about = names.valid({
            **{name: value for name, value in output.describe().items() if name != "lines"},
            "generator": order.options.generator,
            **(watched.person.about if watched.person else {}),
            "edits": edits,
            "pieces": [describe.piece(piece) for piece in edited.pieces],
            "joints": [describe.joint(joint, film) for joint in film.joints],
            "made_by": dub.made_by(inputs, key, network, whole),
        })  # fmt: skip
        work_folder.put(whole, json.dumps(about, indent=2) + "\n", target)
    say(describe.summary(target, about))
    return target


def plan(order: Order) -> Edited:
    """The sound and the pieces alone; nothing is written.  Errors: UserError as `run`"""
    demand_video(order.face)
    return sound.made(
        order.face, order.transcript, order.to, recordings=order.recordings, library=order.library,
        tts=order.options.tts, voice=order.options.voice, force=order.force,
    )  # fmt: skip


def sounded(order: Order, folder: Path) -> Edited:
    """`plan`, or what an interrupted run of the same order left of it."""
    if (folder / PLAN).is_file():
        kept = json_files.read(folder / PLAN)
        return Edited(
            tuple(Piece(**{**one, "words": tuple(one["words"])}) for one in kept["pieces"]),
            np.load(folder / SOUND),
            kept["rate_hz"],
            tuple(as_change(one) for one in kept["changes"]),
            tuple(kept["notes"]),
        )
    edited = plan(order)
    np.save(folder / SOUND, edited.sound_NC)
    about = {
        "pieces": [dataclasses.asdict(piece) for piece in edited.pieces],
        "changes": [dataclasses.asdict(one) for one in edited.changes],
        "rate_hz": edited.rate_hz,
        "notes": edited.notes,
    }
    write_atomic(folder / PLAN, json.dumps(about))
    return edited


def as_change(kept: Mapping[str, Any]) -> sound.Made:
    """The inverse of `dataclasses.asdict`, through JSON."""
    values: Any = {name: tuple(value) if isinstance(value, list) else value for name, value in kept.items()}
    return sound.Made(**values)


def write_words(face: Path, text: str, out: Path) -> None:
    """Align a transcript; the JSON has each word as it is said, with its times, and as the text spells it.

    Errors: UserError
    """
    demand_video(face)
    words = changes.words_of(text)
    found = Aligner()(decode.decode_sound(face), " ".join(word.said for word in words))
    spelled = [{"spelled": word.spelled, "low": one.confidence < LOW} for word, one in zip(words, found, strict=True)]
    write_atomic(out, json.dumps({"words": [a | b for a, b in zip(as_words(found), spelled, strict=True)]}))


def demand_video(face: Path) -> None:
    """Errors: UserError for what is no video with sound"""
    if decode.is_image(demand_file(face)):
        raise UserError(f"{face} is a picture; a video of someone speaking is wanted")
    with containers.readable(face):
        info = decode.probe(face)
    if not (info.has_video and info.has_sound):
        raise UserError(
            f"{face} has no {'sound' if info.has_video else 'picture'}; a video of someone speaking is wanted"
        )


def files_of(order: Order) -> list[Path]:
    return [order.face, *order.recordings.values(), *order.library]


def recording(text: str) -> tuple[str, Path]:
    """ "good evening=evening.wav" -> ("good evening", evening.wav).  Errors: UserError"""
    words, equals, path = text.partition("=")
    if not (equals and words.strip() and path):
        raise UserError(f"--recording {text}: wanted 'WORDS=FILE', as 'good evening=evening.wav'")
    return words.strip(), Path(path)


def text_of(word: str) -> str:
    """A text, or one in a file: @FILE, the name of a file that exists, or - (tasks/voices/speech.py).

    Errors: UserError
    """
    return speech.text_of(f"@{word}" if os.path.isfile(word) else word)


def transcript(word: str) -> Transcript:
    """`text_of`; the JSON of `lipgan align` gives words with their times.  Errors: UserError"""
    content = text_of(word)
    return read_words(content) if content.lstrip().startswith("{") else content


def read_words(content: str) -> list[Word]:
    """Errors: UserError for what is not the JSON of `lipgan align`"""
    try:
        words = footage.of_json(json.loads(content))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError("--transcript: a JSON that is not of `lipgan align`; give the text itself, or @FILE") from error
    if not words:
        raise UserError("--transcript: the JSON has no words")
    return words


def as_words(words: Sequence[Word]) -> list[dict[str, Any]]:
    return [dataclasses.asdict(word) for word in words]
