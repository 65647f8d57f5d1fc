"""Half-clip reconstruction: each half of a clip is made from the other half and its sound, by both generators.

LipGAN's identity frame and the mesh generator's mouths are of the other half. LipGAN's face is blended into the real
one as `dub` does, so that both change the mouth's surroundings alone.
"""

from collections.abc import Iterator

import numpy as np

from model import samples
from model.metrics import picture
from tasks.evaluate import conditions
from tasks.evaluate.measure import Record, ssim
from tasks.evaluate.mesh_generator import MeshGenerator
from tasks.features import paste
from tasks.inference.lip_sync import LipSync
from tasks.loading.clips import Clips


def measured(sync: LipSync, mesh: MeshGenerator, clips: Clips, number: int) -> Iterator[Record]:
    """PSNR and SSIM of the lower half of the crops, one record per generator."""
    faces_TSS3 = clips[number].faces_TSS3
    num_frames, size = faces_TSS3.shape[:2]
    sound = conditions.sound("mesh_right_audio", mesh, number)
    lower_T4 = np.tile([0, size // 2, size, size], (num_frames, 1))
    [by_mesh_TSS3] = mesh.faces(number, {"mesh": sound}, halves=True).values()
    for generator, output_TSS3 in (("lipgan", by_lipgan(sync, clips, number)), ("mesh", by_mesh_TSS3)):
        yield {
            "generator": generator,
            "clip": clips.keys[number],
            "psnr": picture.mouth_psnr(output_TSS3, faces_TSS3, lower_T4),
            "ssim": ssim(output_TSS3, faces_TSS3, lower_T4)["mouth_ssim"],
        }


def by_lipgan(sync: LipSync, clips: Clips, number: int) -> np.ndarray:
    """Shape: -> (T, S, S, 3) uint8"""
    clip = clips[number]
    num_frames = len(clip.faces_TSS3)
    windows_TFW = samples.windows(clip.mfcc_FW, np.arange(num_frames))
    first_T = np.arange(num_frames) < num_frames // 2
    output_TSS3 = np.empty_like(clip.faces_TSS3)
    for mine_T in (first_T, ~first_T):
        found_T = clip.found_T & ~mine_T
        identity_SS3 = clip.faces_TSS3[samples.identity_frame(found_T if found_T.any() else ~mine_T)]
        output_TSS3[mine_T] = sync.generate(identity_SS3, clip.faces_TSS3[mine_T], windows_TFW[mine_T])
    return np.stack([
        _blended(made_SS3, real_SS3, paste.mask(points_682, len(real_SS3)))
        for made_SS3, real_SS3, points_682 in zip(output_TSS3, clip.faces_TSS3, clip.landmarks_T682, strict=True)
    ])  # fmt: skip


def _blended(made_SS3: np.ndarray, real_SS3: np.ndarray, mask_SS: np.ndarray) -> np.ndarray:
    blended = real_SS3 + (paste.recoloured(made_SS3, real_SS3, mask_SS) - real_SS3) * mask_SS[..., None]
    return np.clip(np.rint(blended), 0, 255).astype(np.uint8)
