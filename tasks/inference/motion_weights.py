"""The file of a trained motion network: weights, shapes and gains as safetensors, the parameters in the JSON beside it.

net.*           the network's weights
shapes.basis    (K, 177) components of the mouth's shape, shapes.scale (K,)
voice.gain      (K,) factor for each component; voice.said, voice.real (Q,): model.motion.Voice
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model.motion import Motion, MotionNet, Shapes, Voice
from model.params import MotionParams
from tasks.core import config, json_files
from tasks.core.errors import UserError
from tasks.core.files import demand_file
from tasks.inference import checkpoints

RELEASED = Path(__file__).parents[2] / "released/motion.safetensors"
FORMAT = 1


def sha256() -> str:
    """Of the released network, weights and JSON.  Errors: UserError where one is missing"""
    released = (RELEASED, RELEASED.with_suffix(".json"))
    for path in released:
        demand_file(path, f"`git checkout {path.parent.name}` restores it")
    return hashlib.sha256(b"".join(path.read_bytes() for path in released)).hexdigest()


def is_one(path: Path) -> bool:
    """Whether the JSON beside it describes a motion network."""
    about = path.with_suffix(".json")
    return path.is_file() and about.is_file() and "motion" in json_files.read(about)


def save(path: Path, motion: Motion, about: dict[str, Any]) -> None:
    tensors = {f"net.{name}": tensor for name, tensor in motion.net.state_dict().items()}
    arrays = {"shapes.basis": motion.shapes.basis_KD, "shapes.scale": motion.shapes.scale_K}
    arrays |= {"voice.gain": motion.voice.gain_K, "voice.said": motion.voice.said_Q, "voice.real": motion.voice.real_Q}
    tensors |= {name: torch.from_numpy(np.ascontiguousarray(of, np.float32)) for name, of in arrays.items()}
    checkpoints.save(path, tensors, about | {"format": FORMAT, "motion": config.as_dict(motion.p)})


def load(path: Path) -> Motion:
    """Errors: UserError if the file is missing, damaged or of another format."""
    tensors, about = checkpoints.load(path)
    if about.get("format") != FORMAT or "motion" not in about:
        raise UserError(f"{path}: format {about.get('format')}, this version reads {FORMAT}; train again")
    try:
        p: MotionParams = config.build(MotionParams, about["motion"])
        net = MotionNet(p)
        net.load_state_dict({name[4:]: of for name, of in tensors.items() if name.startswith("net.")})
        shapes = Shapes(tensors["shapes.basis"].numpy(), tensors["shapes.scale"].numpy())
        voice = Voice(*(tensors[f"voice.{name}"].numpy() for name in ("gain", "said", "real")))
        return Motion(net, shapes, p, voice)
    except (ValueError, KeyError, RuntimeError) as error:
        raise UserError(f"{path}: not a motion network of this version ({str(error).splitlines()[0]})") from error
