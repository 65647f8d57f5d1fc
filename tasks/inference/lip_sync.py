"""Inference of a trained generator: face crops and sound in, lip-synced face crops out.

Evaluation and dubbing both call it, with crops and sound from the code that made the training shards.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model.generator import Generator
from model.params import FaceParams
from model.samples import frame_bytes, generator_input, pictures
from tasks.core import config, json_files, paths
from tasks.core.device import choose_device
from tasks.core.errors import UserError
from tasks.inference import backends, checkpoints
from tasks.inference.checkpoints import load_weights

RELEASED = Path(__file__).parents[2] / "released/generator.safetensors"
BATCH = 32  # frames generated at a time


class LipSync:
    """The generator of a checkpoint on a backend of tasks.inference.backends, by default that of LIPGAN_BACKEND."""

    def __init__(self, checkpoint: Path, backend: str | None = None, quantised: Path | None = None) -> None:
        weights, self.about = checkpoints.load(checkpoint)
        width, self.size = checkpoints.sizes(self.about, checkpoint)
        self.device = choose_device()
        self.generator = Generator(width, self.size)
        load_weights(self.generator, weights, checkpoint)
        for weight in self.generator.parameters():  # channels_last, the faces' memory order: 1.7 times faster
            if weight.ndim == 4:
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        self.generator.to(self.device).eval()
        self.backend = backend or backends.from_environment()
        self.run = backends.compiled(self.generator, self.backend, self.device, quantised)

    @torch.inference_mode()
    def generate(self, identity_SS3: np.ndarray, faces_TSS3: np.ndarray, windows_TFW: np.ndarray) -> np.ndarray:
        """Lip-synced faces: pose from `faces`, person from `identity`, mouth from the sound.

        The lower half of `faces` is masked.
        Shape: (S, S, 3), (T, S, S, 3) uint8 RGB; windows_TFW (T, 12, 35)  ->  (T, S, S, 3) uint8
        """
        assert len(faces_TSS3) == len(windows_TFW)
        parts = []
        for start in range(0, len(faces_TSS3), BATCH):
            part = slice(start, start + BATCH)
            parts.append(frame_bytes(self.run(*self.inputs(identity_SS3, faces_TSS3[part], windows_TFW[part]))).numpy())
        return np.concatenate(parts)

    def inputs(
        self, identity_SS3: np.ndarray, faces_BSS3: np.ndarray, windows_BFW: np.ndarray
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The network's inputs.  Shape: as `generate` -> (B, 6, S, S), (B, 12, 35)"""
        target_B3SS = pictures(faces_BSS3)
        faces_B6SS = generator_input(pictures(identity_SS3[None]).expand_as(target_B3SS), target_B3SS)
        return (
            faces_B6SS.contiguous(memory_format=torch.channels_last),
            torch.from_numpy(np.ascontiguousarray(windows_BFW)),
        )


def face_params(about: dict[str, Any], checkpoint: Path) -> FaceParams:
    """The checkpoint's section faces.  Errors: UserError if it was trained by another version of the project"""
    faces = json_files.value(about, "params.faces", dict, checkpoint.with_suffix(".json"))
    section = {"storage": "jpeg", "mesh": False} | faces  # as older versions preprocessed
    known = {field.name for field in dataclasses.fields(FaceParams)}
    if different := sorted(map(str, known ^ section.keys())):
        raise UserError(
            f"{checkpoint}: trained by another version of this project (faces.{different[0]}); train again, or dub "
            "with the version that trained it"
        )
    try:
        params: FaceParams = config.build(FaceParams, section)
    except ValueError as error:
        raise UserError(f"{checkpoint.with_suffix('.json')}: {error}; it is damaged") from None
    return params


def describe(about: dict[str, Any], checkpoint: Path = paths.GENERATOR) -> str:
    """In a line.  Errors: UserError if the description is of another shape"""
    where = checkpoint.with_suffix(".json")
    step, corpora = (
        json_files.value(about, "loop.step", int, where),
        json_files.value(about, "lineage.corpora", list, where),
    )
    width, _ = checkpoints.sizes(about, checkpoint)
    return f"step {step}, width {width:g}, corpora {', '.join(map(str, corpora))}"
