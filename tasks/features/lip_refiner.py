"""Refines the lips of a face mesh: the network of model/lips.py with the weights released in this repository.

    mesh_T4683 = LipRefiner()(crops_THW3, mesh_T4683)      # crops: `crop` of each frame with its mesh

`tasks.features.face_mesh.track` does both.  The weights and their training data: released/lips.json
"""

from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from model import lips
from model.lips import LIPS, LipNet
from tasks.core.errors import UserError
from tasks.core.released import LIP_REFINER
from tasks.core.torch_threads import one_thread
from tasks.features.affine import Frame, cut

RELEASED = LIP_REFINER
BATCH = 64  # frames


class LipRefiner:
    """Errors: UserError where the weights are missing, truncated or from another network"""

    def __init__(self, weights: Path = RELEASED) -> None:
        self._net = load(weights).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def crop(self, frame_HW3: Frame, points_4683: np.ndarray) -> np.ndarray:
        """The network's input from a frame.  Shape: -> (HEIGHT_PX, WIDTH_PX, 3) uint8 RGB"""
        return cut(frame_HW3, lips.placements(points_4683[None])[0], (lips.HEIGHT_PX, lips.WIDTH_PX))

    def __call__(self, crops_THW3: np.ndarray, mesh_T4683: np.ndarray) -> np.ndarray:
        """The meshes with refined x and y of their 40 lip points; the rest is unchanged.

        Shape: (T, HEIGHT_PX, WIDTH_PX, 3) uint8 RGB, (T, 468, 3) finite -> (T, 468, 3) float32
        """
        to_crop_T23 = lips.placements(mesh_T4683)
        units_T402 = lips.to_units(mesh_T4683[:, LIPS, :2], to_crop_T23)
        refined = [
            self._batch(crops_THW3[start : start + BATCH], units_T402[start : start + BATCH])
            for start in range(0, len(crops_THW3), BATCH)
        ]
        out_T4683 = mesh_T4683.astype(np.float32)
        if refined:
            out_T4683[:, LIPS, :2] = lips.to_frame(np.concatenate(refined), to_crop_T23)
        return out_T4683

    @torch.inference_mode()
    def _batch(self, crops_BHW3: np.ndarray, units_B402: np.ndarray) -> np.ndarray:
        crops = torch.from_numpy(crops_BHW3).permute(0, 3, 1, 2).float() / 255  # a view: memory stays channels last
        with one_thread():  # shards must be the same bytes on any number of cores
            return self._net(crops, torch.from_numpy(units_B402).float()).double().numpy()


@cache
def released() -> LipRefiner:
    """This process's refiner, loaded on first use."""
    return LipRefiner()


def load(weights: Path) -> LipNet:
    """Load float16 weights.  Errors: UserError where the file is missing, truncated or another network's"""
    net = LipNet()
    restore = f"`git checkout {weights.parent.name}` restores it"
    try:
        stored = load_file(weights)
        net.load_state_dict({name: t.float() if t.is_floating_point() else t for name, t in stored.items()})
    except FileNotFoundError:
        raise UserError(f"{weights}: the lip refiner's weights are missing; {restore}") from None
    except (SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise UserError(f"{weights}: not the lip refiner's weights ({reason}); {restore}") from error
    return net
