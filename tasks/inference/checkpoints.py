"""Checkpoints, i.e. weights as safetensors with a readable JSON, and the saved states of trainings.

`<name>.safetensors` and `<name>.json` contain no date and no path: same training, same bytes.
"""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as as_bytes

from tasks.core import json_files
from tasks.core.errors import UserError
from tasks.core.files import all_or_nothing, write_atomic

MOST_WIDTH, MOST_SIZE_PX = 16, 1024  # a larger network would fill the memory before its weights are seen not to fit


def save(path: Path, tensors: dict[str, torch.Tensor], about: dict[str, Any]) -> None:
    """Writes the JSON first, so that weights never exist without their description."""
    write_atomic(path.with_suffix(".json"), json.dumps(about, indent=2, sort_keys=True) + "\n")
    with all_or_nothing(path) as partial:
        partial.write_bytes(as_bytes({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}))


def load(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Weights and their description.  Errors: UserError if either is missing or damaged

    Released weights are stored in half precision and read as float32: tasks/train/release.py.
    """
    try:
        weights, about = load_file(str(path)), json_files.read(path.with_suffix(".json"))
        return {name: w.float() if w.dtype == torch.float16 else w for name, w in weights.items()}, about
    except FileNotFoundError as error:
        missing = path if not path.is_file() else path.with_suffix(".json")
        raise UserError(f"{missing}: no such file; train with `dvc repro`, or name another checkpoint") from error
    except SafetensorError as error:
        raise UserError(f"{path}: damaged ({error}); run `dvc checkout`") from error


def sizes(about: dict[str, Any], path: Path) -> tuple[float, int]:
    """(width, face size) of the network that a checkpoint's description names.  Errors: UserError if it names none"""
    where = path.with_suffix(".json")
    width = json_files.value(about, "params.model.width", (float, int), where)
    size = json_files.value(about, "params.faces.size", int, where)
    if not 0 < width <= MOST_WIDTH or not 0 < size <= MOST_SIZE_PX:
        raise UserError(f"{where}: width {width:g} and size {size} are of no network of this project")
    return float(width), size


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Returns when the state is on disk, so that a machine that is lost afterwards loses nothing."""
    with all_or_nothing(path) as partial, partial.open("wb") as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # torch hides the system's own error
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise
        file.flush()
        os.fsync(file.fileno())


def load_state(path: Path) -> dict[str, Any] | None:
    """The state of an interrupted run, None if there is none. Nothing in it is executed.

    Errors: UserError for a file that is not a state, or a damaged one.
    """
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path}: damaged, or not a training state ({line}); delete it to start over") from error
    return state


def load_weights(network: torch.nn.Module, weights: dict[str, torch.Tensor], checkpoint: Path) -> None:
    """Errors: UserError if the weights belong to another network"""
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        line = str(error).splitlines()[1].strip() if len(str(error).splitlines()) > 1 else str(error)
        raise UserError(f"{checkpoint}: weights do not fit the network its .json describes: {line}") from error
