"""The file of the network that paints the mouth's inside: safetensors, and the parameters in the JSON beside it."""

from pathlib import Path
from typing import Any

import torch

from model.inside import InsideNet
from model.params import InsideParams
from tasks.core import config
from tasks.core.errors import UserError
from tasks.inference import checkpoints

RELEASED = Path(__file__).parents[2] / "released/inside.safetensors"
FORMAT = 1


def save(path: Path, net: InsideNet, p: InsideParams, about: dict[str, Any]) -> None:
    """Half precision: the painted levels differ by less than one of 255."""
    tensors = {name: tensor.half() for name, tensor in net.state_dict().items()}
    checkpoints.save(path, tensors, about | {"format": FORMAT, "inside": config.as_dict(p)})


def load(path: Path) -> InsideNet:
    """Errors: UserError if the file is missing, damaged or of another format."""
    tensors, about = checkpoints.load(path)
    if about.get("format") != FORMAT or "inside" not in about:
        raise UserError(f"{path}: format {about.get('format')}, this version reads {FORMAT}; train again")
    try:
        p: InsideParams = config.build(InsideParams, about["inside"])
    except ValueError as error:
        raise UserError(f"{path}: not a network of this version ({str(error).splitlines()[0]})") from error
    net = InsideNet(p.width)
    checkpoints.load_weights(net, {name: tensor.float() for name, tensor in tensors.items()}, path)
    return net.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
