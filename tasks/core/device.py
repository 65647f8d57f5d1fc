"""The device that networks run on: LIPGAN_DEVICE, read here alone."""

import os

import torch

from tasks.core.errors import UserError


def choose_device() -> torch.device:
    """LIPGAN_DEVICE: cpu, cuda or cuda:N; without it CUDA where there is one.

    Errors: UserError for another name, or a GPU that is not here.
    """
    given = os.environ.get("LIPGAN_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
    wrong = f"LIPGAN_DEVICE must be cpu or cuda, got {given!r}"
    try:
        device = torch.device(given)
    except RuntimeError as error:
        raise UserError(wrong) from error
    if device.type not in ("cpu", "cuda"):
        raise UserError(wrong)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError(f"LIPGAN_DEVICE is {given}, but torch {torch.__version__} sees no GPU here")
    return device
