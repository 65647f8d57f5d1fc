"""The weights that are released with the code; each has a JSON beside it with where it comes from."""

import hashlib
from pathlib import Path

from tasks.core.files import demand_file

FOLDER = Path(__file__).parents[2] / "released"
LIP_REFINER = FOLDER / "lips.safetensors"
MOTION = FOLDER / "motion.safetensors"


def sha256(*files: Path) -> str:
    """Of files, one after the other.  Errors: UserError where one is missing"""
    for path in files:
        demand_file(path, f"`git checkout {FOLDER.name}` restores it")
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
