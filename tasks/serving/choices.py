"""What the page offers: the checkpoints that are here, by names that tell nothing of where they lie, and voices."""

import json
import logging
from pathlib import Path

from tasks.core import paths
from tasks.core.errors import UserError
from tasks.inference import auto_backend, lip_sync
from tasks.tracking import registry
from tasks.tracking import runs as tracking

log = logging.getLogger(__name__)

VOICES = {
    "en": "English", "en-us": "English, American", "en-us+f3": "English, American, high",
    "en-gb-x-rp+m2": "English, RP", "de": "German", "fr": "French", "es": "Spanish", "it": "Italian",
    "pt-br": "Portuguese, Brazil", "hi": "Hindi",
}  # fmt: skip


def checkpoints() -> dict[str, tuple[str, str]]:
    """Name -> (what `--checkpoint` takes, what it is). The first one is what is taken if nothing is said."""
    found = {}
    for path in sorted(paths.GENERATOR.parent.glob("*.safetensors"), key=lambda path: (path != paths.GENERATOR, path)):
        if about := described(path.with_suffix(".json")):
            found[path.stem] = (str(path), about)
    try:
        if tracking.uses_mlflow() and tracking.has_store() and (best := registry.Registry().aliased(registry.CHAMPION)):
            address = f"{registry.SCHEME}{registry.NAME}@{registry.CHAMPION}"
            found[address] = (address, f"version {best.number} of the registry")
    except UserError as error:
        log.warning("no champion is offered: %s", error)
    return found


def backend(name: str | None) -> str | None:
    """`name`, once its gate has been asked for the first checkpoint: no visitor waits while it is measured.

    Errors: UserError for an unknown backend, and for one that is refused
    """
    if name and (offered := checkpoints()):
        auto_backend.lip_sync(Path(registry.path_of(next(iter(offered.values()))[0])), name)
    return name


def described(path: Path) -> str:
    """A generator in a line; "" for any other network, and for what cannot be read."""
    try:
        about = json.loads(path.read_text())
        return lip_sync.describe(about) if about.get("network") == "generator" else ""
    except (OSError, json.JSONDecodeError, KeyError, AttributeError):
        return ""
