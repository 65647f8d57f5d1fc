"""The device that networks run on: LIPGAN_DEVICE is read only here."""

import os

import torch

from tasks.core.errors import UserError


def choose_device() -> torch.device:
    """LIPGAN_DEVICE: cpu, cuda or cuda:N; by default CUDA if there is a GPU.

    Errors: UserError for another name, or if there is no GPU.
    """
    name = os.environ.get("LIPGAN_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
    wrong = f"LIPGAN_DEVICE must be cpu or cuda, got {name!r}"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(wrong) from error
    if device.type not in ("cpu", "cuda"):
        raise UserError(wrong)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError(f"LIPGAN_DEVICE is {name}, but torch {torch.__version__} finds no GPU")
    return device
