"""Audio to mouth motion: the input features, the network, mouth shapes as principal components, the loss.

The network takes log-mel columns (100 per second) and predicts components 50 times per second, each from about 0.6 s of
audio on either side; a frame takes the components at its middle, at any frame rate. Components are shifts of the MOUTH
points (model.head_mesh) from the speaker's closed mouth, on the canonical head.

Shape letters: B clips, T frames, C columns of 10 ms, M mel bands, H = C / 2 steps of 20 ms, K components, S = 59 points
"""

from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model import head_mesh
from model.mfcc import mel_power
from model.params import MotionParams
from model.timing import FPS, HOP, SAMPLE_RATE_HZ

COLUMNS_PER_STEP = 2
STEP_S = COLUMNS_PER_STEP * HOP / SAMPLE_RATE_HZ
KERNEL, DILATIONS = 5, (1, 2, 4, 1, 2, 4)  # of the convolutions over steps
LOUD, LOUD_SPAN = 0.95, 10**-2.5  # quantile of column power; columns less than 25 dB below it count as voice
FLOOR = 1e-5  # relative to that power: 50 dB below the voice is silence
LEAST_POWER = 0.03  # per column, about noise at -47 dBFS: audio without a voice is not amplified to voice level
SPREAD = 3.0  # approximate standard deviation of log mel power in speech


class Shapes(NamedTuple):
    """Principal components of mouth shape: shift from the closed mouth = code * scale @ basis."""

    basis_KD: np.ndarray  # (K, 59 * 3), orthonormal rows
    scale_K: np.ndarray  # standard deviation of each, canonical units

    def codes(self, shift_TS3: np.ndarray) -> np.ndarray:
        """Shape: (T, 59, 3) -> (T, K) float32"""
        flat_TD = shift_TS3.reshape(len(shift_TS3), -1)
        return (flat_TD @ self.basis_KD.T / self.scale_K).astype(np.float32)

    def shifts(self, code_TK: np.ndarray) -> np.ndarray:
        """Shape: (T, K) -> (T, 59, 3)"""
        return ((code_TK * self.scale_K) @ self.basis_KD).reshape(len(code_TK), -1, 3)

    def opening_K(self) -> np.ndarray:
        """Lip opening per standard deviation of each component.  Shape: -> (K,) float32"""
        return head_mesh.mouth_opening(self.shifts(np.eye(len(self.scale_K)))).astype(np.float32)


def principal_shapes(shift_NS3: np.ndarray, num_components: int) -> Shapes:
    """Components of shifts from closed mouths. The mean is not subtracted, so that a zero code is a closed mouth."""
    flat_ND = shift_NS3.reshape(len(shift_NS3), -1)
    _, vectors_DD = np.linalg.eigh(flat_ND.T @ flat_ND)
    basis_KD = vectors_DD[:, ::-1][:, :num_components].T
    basis_KD = basis_KD * np.where(basis_KD.sum(axis=1, keepdims=True) < 0, -1, 1)  # an eigenvector's sign is arbitrary
    return Shapes(basis_KD, (flat_ND @ basis_KD.T).std(axis=0))


def listen(sound: np.ndarray, p: MotionParams) -> np.ndarray:
    """Mel power, column j centred at j x 10 ms; the last step is padded with silence.

    Shape: (samples,) 16 kHz -> (C, M) float32, C even and at least 2
    """
    num_steps = max(-(-len(sound) // (COLUMNS_PER_STEP * HOP)), 1)
    whole = np.zeros(num_steps * COLUMNS_PER_STEP * HOP, np.float32)
    whole[: len(sound)] = sound
    return mel_power(whole, p.num_bands, p.low_hz, p.high_hz)


def heard(power_CM: np.ndarray) -> np.ndarray:
    """The network's input: log mel power minus the voice's level and mean spectrum.

    Shape: (C, M) -> the same shape, float32
    """
    power_C = power_CM.mean(axis=1)
    loud = max(float(np.quantile(power_C, LOUD)), LEAST_POWER)
    log_CM = np.log(power_CM + np.float32(FLOOR * loud))
    voice_C = power_C > LOUD_SPAN * loud
    mean_M = log_CM[voice_C].mean(axis=0) if voice_C.any() else np.float32(np.log(loud))
    return ((log_CM - mean_M) / np.float32(SPREAD)).astype(np.float32)


class MotionNet(nn.Module):
    """Residual dilated convolutions over time, with one last layer for each kind of training data.

    Rendered heads move their lips differently from filmed people, but the audio is alike. So the kinds share all layers
    except the last, and only the first kind's last layer is kept for inference.
    """

    def __init__(self, p: MotionParams, num_kinds: int = 1) -> None:
        super().__init__()
        width = p.width
        self.first = nn.Conv1d(p.num_bands, width, 5, padding=2)
        self.columns = nn.Conv1d(width, width, 3, padding=1)
        self.halve = nn.Conv1d(width, width, 5, stride=COLUMNS_PER_STEP, padding=2)  # step h is centred at column 2 h
        self.steps = nn.ModuleList(
            nn.Conv1d(width, width, KERNEL, padding=(KERNEL - 1) // 2 * d, dilation=d) for d in DILATIONS
        )
        self.last = nn.ModuleList(nn.Conv1d(width, p.num_components, 1) for _ in range(num_kinds))
        self.dropout = nn.Dropout(p.dropout)

    def forward(self, features_BMC: Tensor, kind_B: Tensor | None = None) -> Tensor:
        """Shape: (B, M, C), C even, (B,) int, all 0 by default -> (B, K, C / 2)"""
        x = F.gelu(self.first(features_BMC))
        x = x + F.gelu(self.columns(self.dropout(x)))
        x = F.gelu(self.halve(x))
        for conv in self.steps:
            x = x + F.gelu(conv(self.dropout(x)))
        if kind_B is None:
            return cast(Tensor, self.last[0](x))
        of_kind_NBKH = torch.stack([last(x) for last in self.last])
        return of_kind_NBKH[kind_B, torch.arange(len(x), device=x.device)]

    def of_first_kind(self, p: MotionParams) -> "MotionNet":
        """A copy with only the first kind's last layer."""
        alone = MotionNet(p)
        alone.load_state_dict({name: of for name, of in self.state_dict().items() if name in alone.state_dict()})
        return alone.eval()


def at_frames(code_BKH: Tensor) -> Tensor:
    """The steps at the middles of frames at 25 fps: every second step.  Shape: (B, K, H) -> (B, H / 2, K)"""
    return code_BKH[:, :, 1::2].transpose(1, 2)


def at_times(code_HK: np.ndarray, middles_s: np.ndarray) -> np.ndarray:
    """Components at any times, interpolated linearly between steps.  Shape: (H, K), (T,) s -> (T, K)"""
    steps_H, position_T = np.arange(len(code_HK)), np.asarray(middles_s) / STEP_S
    return np.stack([np.interp(position_T, steps_H, of_K) for of_K in code_HK.T], axis=1)


def frame_middles_s(num_frames: int, fps: float = FPS) -> np.ndarray:
    return (np.arange(num_frames) + 0.5) / fps


def loss(
    predicted_BTK: Tensor, true_BTK: Tensor, scale_K: Tensor, opening_K: Tensor, p: MotionParams
) -> dict[str, Tensor]:
    """Squared errors of the shape, of its frame-to-frame change and of the lip opening, and their weighted sum.

    scale_K    standard deviation of each component, relative to the largest
    opening_K  lip opening per unit of each component, relative to the standard deviation of the opening
    """
    error_BTK = predicted_BTK - true_BTK
    shape = (error_BTK.square() * scale_K).mean()
    velocity = (error_BTK.diff(dim=1).square() * scale_K).mean()
    opening = (error_BTK @ opening_K).square().mean()
    total = shape + p.velocity_weight * velocity + p.opening_weight * opening
    return {"loss": total, "shape": shape, "velocity": velocity, "opening": opening}


class Voice(NamedTuple):
    """Post-processing of the network's components so that the mouth moves as far as real mouths do.

    A network trained on squared error predicts the mean of the plausible motions: too small, and seldom fully closed.
    Scaling it up and mapping its openings to the distribution of real ones keeps its correlation with the truth;
    sampling a plausible motion would not.

    gain_K        factor for each component
    said_Q        quantiles of the predicted opening after scaling, ascending, relative to the closed mouth, canonical
    real_Q        the same quantiles for real people, scaled to the average person
    """

    gain_K: np.ndarray
    said_Q: np.ndarray
    real_Q: np.ndarray


PLAIN_Q = np.array([0.0, 1.0])  # for `said_Q` and `real_Q`: leaves openings unchanged


class Motion:
    """A trained network with its shapes: predicts mouth motion from audio."""

    def __init__(self, net: MotionNet, shapes: Shapes, p: MotionParams, voice: Voice | None = None) -> None:
        self.net, self.shapes, self.p = net.of_first_kind(p), shapes, p
        self.voice = voice or Voice(np.ones(p.num_components), PLAIN_Q, PLAIN_Q)

    def bare_codes(self, sound: np.ndarray, middles_s: np.ndarray) -> np.ndarray:
        """The network's raw output.  Shape: (samples,) float 16 kHz from time 0, (T,) s -> (T, K)"""
        return self.codes_of(listen(sound, self.p), middles_s)

    @torch.no_grad()
    def codes_of(self, power_CM: np.ndarray, middles_s: np.ndarray) -> np.ndarray:
        """`bare_codes`, for the mel power of `listen`.  Shape: (C, M), (T,) s -> (T, K)"""
        features_1MC = torch.from_numpy(heard(power_CM).T.copy())[None]
        return at_times(self.net(features_1MC)[0].T.numpy(), middles_s)

    def codes(self, sound: np.ndarray, middles_s: np.ndarray, strength: float = 1.0) -> np.ndarray:
        """Scaled to the range of real mouths.  Shape: (samples,) float 16 kHz from time 0, (T,) s -> (T, K)"""
        return self.as_real(self.bare_codes(sound, middles_s)) * strength

    def as_real(self, bare_TK: np.ndarray) -> np.ndarray:
        """The network's raw output, scaled to the range of real mouths.  Shape: (T, K) -> (T, K)"""
        code_TK = bare_TK * self.voice.gain_K
        opening_K = self.shapes.opening_K().astype(np.float64)
        opening_T = code_TK @ opening_K
        change_T = mapped(opening_T, self.voice.said_Q, self.voice.real_Q) - opening_T
        return code_TK + change_T[:, None] * opening_K / (opening_K @ opening_K)

    def mouths(
        self, sound: np.ndarray, middles_s: np.ndarray, closed_S3: np.ndarray, strength: float = 1.0
    ) -> np.ndarray:
        """The MOUTH points on the canonical head at each time, for a person whose closed mouth is `closed_S3`.

        strength  of the motion; 1 is the average person's
        Shape: (samples,), (T,), (59, 3) -> (T, 59, 3)
        """
        return self.shaped(self.codes(sound, middles_s, strength), closed_S3)

    def shaped(self, code_TK: np.ndarray, closed_S3: np.ndarray) -> np.ndarray:
        """The MOUTH points on the canonical head.  Shape: (T, K), (59, 3) -> (T, 59, 3)"""
        return head_mesh.without_overlap(self.shapes.shifts(code_TK) + closed_S3)


def mapped(values_T: np.ndarray, from_Q: np.ndarray, to_Q: np.ndarray) -> np.ndarray:
    """Quantile mapping; values outside the range shift as the nearest end does.  Shape: (T,), (Q,), (Q,) -> (T,)"""
    outside_T = values_T - np.clip(values_T, from_Q[0], from_Q[-1])
    return np.interp(values_T, from_Q, to_Q) + outside_T
