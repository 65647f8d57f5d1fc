"""What the page offers: generators, checkpoints, by names that do not reveal their folders, and voices."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.core import json_files, paths
from tasks.core.errors import UserError
from tasks.dubbing import networks
from tasks.dubbing.options import Options
from tasks.inference import auto_backend, backends, lip_sync
from tasks.persons import store
from tasks.tracking import registry
from tasks.tracking import runs as tracking
from tasks.voices import natural

log = logging.getLogger(__name__)

GENERATORS = {
    "mesh": "the person's own mouth, taken from the video and moved to the sound; needs no training",
    "lipgan": "a mouth drawn by LipGAN's network, on 96 x 96 pixels",
}
OF_ESPEAK = {
    "en": "English", "en-us": "English, American", "en-us+f3": "English, American, high",
    "en-gb-x-rp+m2": "English, RP", "de": "German", "fr": "French", "es": "Spanish", "it": "Italian",
    "pt-br": "Portuguese, Brazil", "hi": "Hindi",
}  # fmt: skip


def voices() -> dict[str, str]:
    """Name -> what the page says about it; "" leaves the voice to the text's language."""
    natural_ones = {name: f"English, {natural.VOICES[name]}, natural" for name in natural.here()}
    return {"": "of the text's language"} | natural_ones | OF_ESPEAK


def checkpoints() -> dict[str, tuple[str, str]]:
    """Name -> (value for `--checkpoint`, description). The first one is the default."""
    offered = {}
    for path in sorted(paths.GENERATOR.parent.glob("*.safetensors"), key=lambda path: (path != paths.GENERATOR, path)):
        if about := described(path.with_suffix(".json")):
            offered[path.stem] = (str(path), about)
    try:
        if tracking.uses_mlflow() and tracking.has_store() and (best := registry.Registry().aliased(registry.CHAMPION)):
            address = f"{registry.SCHEME}{registry.NAME}@{registry.CHAMPION}"
            offered[address] = (address, f"version {best.number} of the registry")
    except UserError as error:
        log.warning("the champion is not offered: %s", error)
    if about := described(lip_sync.RELEASED.with_suffix(".json")):
        offered[networks.RELEASED] = (networks.RELEASED, f"released with the code, {about}")
    return offered


def persons() -> list[str]:
    """The names of persons with a kept library; a damaged library is not offered."""
    try:
        return [person.name for person in store.every() if person.videos]
    except UserError as error:
        log.warning("no person is offered: %s", error)
        return []


def defaults(generator: str | None, strength: float | None, backend: str | None) -> Options:
    """The options that jobs begin with. The backend's quality gate runs here, so that no visitor waits for it.

    Errors: UserError for options that contradict each other, an unknown backend, and one that fails the gate
    """
    words = {"generator": generator, "strength": strength, "backend": backend}
    options = networks.settled(Options.from_mapping(words), None)
    if backend:
        backends.checked(backend, (auto_backend.AUTO, *backends.BACKENDS), "--backend")
    if backend and (offered := checkpoints()):
        auto_backend.lip_sync(Path(registry.path_of(next(iter(offered.values()))[0])), backend)
    return options


def generators(options: Options) -> dict[str, str]:
    """Name -> what the page says about it, the one that jobs begin with first. LipGAN needs a checkpoint."""
    offered = [name for name in GENERATORS if name == "mesh" or checkpoints()]
    first = networks.settled(options, None).generator
    return {name: GENERATORS[name] for name in sorted(offered, key=lambda name: name != first)}


def generator_of(fields: Mapping[str, Any], options: Options) -> tuple[str, str | None]:
    """The generator that a job asks for and, for LipGAN, the file or registry address behind the checkpoint's name.

    options  those that jobs begin with
    Errors:  UserError where there is no such generator or checkpoint
    """
    generator = fields.get("generator") or ("lipgan" if fields.get("checkpoint") else options.generator)
    generator = networks.settled(Options(generator=generator, backend=options.backend), None).generator
    if generator == "mesh":
        return "mesh", None
    offered = checkpoints()
    if not offered:
        raise UserError("there is no checkpoint here yet; make one with `dvc repro`")
    name = fields.get("checkpoint") or next(iter(offered))
    if name not in offered:
        raise UserError("there is no such checkpoint here; load the page again")
    return "lipgan", offered[name][0]


def described(path: Path) -> str:
    """A generator in one line; "" for other networks, and for a file that cannot be read."""
    try:
        about = json_files.read(path)
        return lip_sync.describe(about) if about.get("network") == "generator" else ""
    except (OSError, UserError):
        return ""
