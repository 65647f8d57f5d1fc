"""The sync expert: whether a sound belongs to five frames of a mouth. Trained before the generator, then frozen.

Shape letters: B batch, N runs, R = RUN frames, S side of the face crop, F MFCC coefficients, W MFCC columns,
D embedding size
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.generator import audio_code, check_mfcc, conv, residuals, scaled
from model.params import RUN_FRAMES, ExpertParams
from model.samples import pictures

RUN = RUN_FRAMES  # consecutive frames seen at once, 200 ms
MIDDLE = RUN // 2  # the frame of a run whose sound window is the run's
DIM = 128
PLATEAU = math.log(2)  # loss at chance: every pair has probability 1/2
FIRST_SCALE, FIRST_BIAS = 5.0, 0.0  # of the logit; with cosines near 0 training starts at the plateau


class SyncExpert(nn.Module):
    """Embeds runs of mouths and sounds on the unit sphere; pairs in sync are near.

    Shape:   faces (B, 15, S/2, S) in [0, 1], from `lower_halves`; mfcc (B, 12, 35) or (B, 1, 12, 35) float, the window
             of the run's middle frame  ->  unit vectors (B, 128), float32
    width    multiplies the channels, see model.generator.scaled
    size     S, a multiple of 32
    Errors:  ValueError for another input shape or size
    Source:  the idea of Wav2Lip (Prajwal et al. 2020): five lower halves against their sound, frozen in the GAN; five
             frames from Chung and Zisserman 2016, "Out of time".
    Differs: The sound is LipGAN's window of 350 ms around the run's middle, not 200 ms of mel, and goes through the
             same layers as the generator's. A logit with learnt scale and bias replaces their bare cosine, so that
             the probability is calibrated.
    """

    def __init__(self, width: float = 1.0, size: int = 96) -> None:
        super().__init__()
        if size % 32:
            raise ValueError(f"size must be a multiple of 32, got {size}")
        c128, c256, c512 = (scaled(c, width) for c in (128, 256, 512))
        self.size = size
        self.face = nn.Sequential(
            conv(3 * RUN, c128, kernel=7, stride=2),  # (B, C, S/4, S/2)
            conv(c128, c256, kernel=5, stride=2),
            *residuals(c256, 1),
            conv(c256, c512, stride=2),
            *residuals(c512, 1),
            conv(c512, c512, stride=2),  # (B, C, S/32, S/16)
            *residuals(c512, 1),
            nn.Flatten(),
            nn.Linear(c512 * (size // 32) * (size // 16), DIM),
        )
        self.audio_code = audio_code(width)
        self.audio_head = nn.Linear(c512, DIM)
        self.scale = nn.Parameter(torch.tensor(FIRST_SCALE))
        self.bias = nn.Parameter(torch.tensor(FIRST_BIAS))

    def embed_faces(self, faces_BCHW: Tensor) -> Tensor:
        expected = (3 * RUN, self.size // 2, self.size)
        if faces_BCHW.shape[1:] != expected:
            raise ValueError(f"faces must be (B, {', '.join(map(str, expected))}), got {tuple(faces_BCHW.shape)}")
        return F.normalize(self.face(faces_BCHW).float())

    def embed_audio(self, mfcc_BFW: Tensor) -> Tensor:
        if mfcc_BFW.ndim == 4:
            mfcc_BFW = mfcc_BFW.squeeze(1)
        check_mfcc(mfcc_BFW)
        return F.normalize(self.audio_head(self.audio_code(mfcc_BFW.unsqueeze(1)).flatten(1)).float())

    def logit(self, cosine: Tensor) -> Tensor:
        """Logit of the probability that a pair with this cosine is in sync, if half of all pairs are."""
        return self.scale * cosine + self.bias

    def generator_loss(self, faces_BCHW: Tensor, mfcc_BFW: Tensor) -> Tensor:
        """-log probability of "in sync", mean over the batch, 0-dim; ln 2 is chance."""
        cosine_B = (self.embed_faces(faces_BCHW) * self.embed_audio(mfcc_BFW)).sum(dim=1)
        return F.softplus(-self.logit(cosine_B)).mean()


def lower_halves(pictures_N3SS: Tensor) -> Tensor:
    """The expert's input: the runs' lower halves, channels in time order.  Shape: (N R, 3, S, S) -> (N, 15, S/2, S)"""
    size = pictures_N3SS.shape[-1]
    lower = pictures_N3SS[:, :, size // 2 :]
    return lower.reshape(-1, RUN * 3, size // 2, size)


class Pairs(NamedTuple):
    """Masks over the pairs (run i, sound j) of a batch; pairs too near in time are in none.  Shape: (B, B) bool"""

    own: Tensor  # positives
    same_clip: Tensor  # negatives: another time of the same clip
    other_clip: Tensor  # negatives: another clip


def pairs(clip_B: Tensor, frame_B: Tensor, min_frames: int) -> Pairs:
    """Negatives of the same clip are at least `min_frames` apart; a repeated frame is not one.  Shape: (B,) int"""
    same = clip_B[:, None] == clip_B[None]
    apart = (frame_B[:, None] - frame_B[None]).abs()
    return Pairs(same & (apart == 0), same & (apart >= max(1, min_frames)), ~same)


def pair_loss(logit_BB: Tensor, which: Pairs, other_clip_share: float) -> Tensor:
    """Binary cross entropy over pairs, positives and negatives with half of the weight each; ln 2 at chance.

    other_clip_share  of the weight of the negatives. With a large share the expert learns which voice goes with which
                      face, leaves the plateau by that alone, and is at chance on unseen speakers (measured: 50 %).
    Source: sigmoid loss over all pairs, Zhai et al. 2023, with the halves of Wav2Lip's expert, whose plateau it keeps.
    """
    right = _mean(F.softplus(-logit_BB), which.own)
    near = _mean(F.softplus(logit_BB), which.same_clip)
    far = _mean(F.softplus(logit_BB), which.other_clip)
    return (right + (1 - other_clip_share) * near + other_clip_share * far) / 2


def ranking_loss(logit_BB: Tensor, which: Pairs) -> Tensor:
    """Cross entropy of picking each run's sound, and each sound's run, among those of the same clip.

    Source: van den Oord et al. 2018. The hardest negatives get most of the gradient, so training leaves the plateau
            early.
    """
    at_B = torch.arange(len(logit_BB), device=logit_BB.device)
    allowed = which.same_clip.clone()
    allowed[at_B, at_B] = True
    logit_BB = logit_BB.masked_fill(~allowed, float("-inf"))
    return (F.cross_entropy(logit_BB, at_B) + F.cross_entropy(logit_BB.T, at_B)) / 2


def _mean(values: Tensor, where: Tensor) -> Tensor:
    """Mean where True, 0 for an empty mask; the host never reads the mask."""
    return (values * where).sum() / where.sum().clamp_min(1)


class RunBatch(NamedTuple):
    """B runs of frames, each with the sound of its middle frame and its origin.

    Shape: faces_BRSS3 (B, 5, S, S, 3) uint8; mfcc_BFW (B, 12, 35) float32; clip_B, frame_B (B,) int
    """

    faces_BRSS3: Tensor
    mfcc_BFW: Tensor
    clip_B: Tensor
    frame_B: Tensor


def step_loss(network: SyncExpert, batch: RunBatch, p: ExpertParams) -> tuple[Tensor, Tensor]:
    """(the loss to minimise, its pair loss, which is ln 2 at chance), 0-dim."""
    device = network.scale.device
    batch = RunBatch(*(part.to(device, non_blocking=True) for part in batch))
    faces_BCHW = lower_halves(pictures(batch.faces_BRSS3.flatten(0, 1)))
    with torch.autocast(device.type, torch.bfloat16, enabled=p.precision == "bf16"):
        faces_BD, sounds_BD = network.embed_faces(faces_BCHW), network.embed_audio(batch.mfcc_BFW)
    logit_BB = network.logit(faces_BD @ sounds_BD.T)
    which = pairs(batch.clip_B, batch.frame_B, p.negative_min_frames)
    pair = pair_loss(logit_BB, which, p.other_clip_share)
    return pair + p.ranking_weight * ranking_loss(logit_BB, which), pair.detach()
