"""What the page offers: checkpoints, by names that do not reveal their folders, and voices."""

import logging
from pathlib import Path

from tasks.core import json_files, paths
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
    return offered


def backend(name: str | None) -> str | None:
    """Returns `name`, after running its quality gate for the first checkpoint, so that no visitor waits for that.

    Errors: UserError for an unknown backend, and for one that fails the gate
    """
    if name and (offered := checkpoints()):
        auto_backend.lip_sync(Path(registry.path_of(next(iter(offered.values()))[0])), name)
    return name


def described(path: Path) -> str:
    """A generator in one line; "" for other networks, and for a file that cannot be read."""
    try:
        about = json_files.read(path)
        return lip_sync.describe(about) if about.get("network") == "generator" else ""
    except (OSError, UserError):
        return ""
