"""LSE-D and LSE-C by the published SyncNet, if the user has its weights: `evaluate.weights.syncnet`."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import scipy.fft
import torch

from model import timing
from model.metrics.sync_offsets import summary as sync_summary
from model.metrics.syncnet import COEFFICIENTS, COLUMNS, FRAMES, SIDE, SyncNet
from tasks.core.errors import UserError

AT_ONCE = 16
NUM_FFT, MEL_BANDS, LIFTER = 512, 26, 22
INT16 = 32768.0


class PublishedSyncNet:
    """The published SyncNet with its weights.

    Errors:  UserError if the weights are missing, or belong to another network
    Differs: The published pipeline cuts faces by S3FD's boxes, grown by 0.4; here it gets this project's crop,
             enlarged. Figures are therefore close to those of papers, not equal.
    """

    def __init__(self, weights: Path) -> None:
        if not weights.is_file():
            raise UserError(
                f"{weights}: no such file; set evaluate.weights.syncnet to SyncNet's weights, or leave it empty"
            )
        try:
            state = torch.load(weights, map_location="cpu", weights_only=True)
            self.network = SyncNet()
            self.network.load_state_dict(state)
        except (RuntimeError, AttributeError, TypeError, ValueError, EOFError) as error:
            raise UserError(f"{weights}: not the weights of SyncNet: {str(error).splitlines()[0]}") from error
        self.network.eval()

    @torch.inference_mode()
    def distances(self, faces_TSS3: np.ndarray, sound: np.ndarray, max_offset: int = 15) -> np.ndarray:
        """Distance of every run of 5 frames from the sound at each offset, as `SyncMeter.distances`.

        Shape: (T, S, S, 3) uint8 RGB, (samples,) float -> (T - 4, 2 max_offset + 1) float32, nan if there is no sound
        """
        num_frames = len(faces_TSS3)
        mfcc_FW = mfcc(sound, num_frames)
        starts = range(num_frames - FRAMES + 1)
        faces_ND, sounds_ND = [], []
        for at in range(0, len(starts), AT_ONCE):
            here = list(starts[at : at + AT_ONCE])
            runs = np.stack([enlarged(faces_TSS3[t : t + FRAMES]) for t in here])
            faces_ND.append(self.network.embed_faces(torch.from_numpy(runs)))
            columns = [timing.COLUMNS_PER_FRAME * t for t in here]
            windows = np.stack([mfcc_FW[None, :, c : c + COLUMNS] for c in columns])
            sounds_ND.append(self.network.embed_audio(torch.from_numpy(windows)))
        distance_NN = torch.cdist(torch.cat(faces_ND), torch.cat(sounds_ND)).numpy()
        at_NK = np.arange(len(starts))[:, None] + np.arange(-max_offset, max_offset + 1)
        exists_NK = (at_NK >= 0) & (at_NK < len(starts))
        distance_NK = np.take_along_axis(distance_NN, np.clip(at_NK, 0, len(starts) - 1), axis=1)
        return np.where(exists_NK, distance_NK, np.nan).astype(np.float32)

    def measure(self, faces_TSS3: np.ndarray, sound: np.ndarray) -> dict[str, float]:
        summary: dict[str, Any] = sync_summary(self.distances(faces_TSS3, sound))
        return {"lse_d": summary["distance"], "lse_c": summary["confidence"]}


def enlarged(faces_RSS3: np.ndarray) -> np.ndarray:
    """Five frames as network input.  Shape: (5, S, S, 3) uint8 RGB -> (3, 5, 224, 224) float32, BGR"""
    big = np.stack([cv2.resize(face, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for face in faces_RSS3])
    return np.ascontiguousarray(big[..., ::-1].transpose(3, 0, 1, 2), dtype=np.float32)


def mfcc(sound: np.ndarray, num_frames: int) -> np.ndarray:
    """SyncNet's MFCCs: 13 coefficients with the log energy first, 100 columns a second.  Shape: -> (13, 4 T) float32

    Source: python_speech_features' defaults, which SyncNet was trained with: 25 ms rectangular windows that are not
            centred, pre-emphasis 0.97, 26 mel filters from 0 to 8 kHz, lifter 22; sound as 16 bit integers
    """
    samples = np.zeros(timing.num_samples(num_frames) + timing.SAMPLE_RATE_HZ // 40)
    samples[: min(len(sound), len(samples))] = sound[: len(samples)] * INT16
    emphasised = np.append(samples[0], samples[1:] - 0.97 * samples[:-1])
    every_WN = np.lib.stride_tricks.sliding_window_view(emphasised, timing.SAMPLE_RATE_HZ // 40)[:: timing.HOP]
    frames_WN = every_WN[: num_frames * timing.COLUMNS_PER_FRAME]
    power_WN = np.abs(np.fft.rfft(frames_WN, NUM_FFT)) ** 2 / NUM_FFT
    tiny = np.finfo(float).eps
    mel_WM = np.log(np.maximum(power_WN @ _filters().T, tiny))
    cepstra_WF = scipy.fft.dct(mel_WM, type=2, axis=1, norm="ortho")[:, :COEFFICIENTS]
    cepstra_WF *= 1 + LIFTER / 2 * np.sin(np.pi * np.arange(COEFFICIENTS) / LIFTER)
    cepstra_WF[:, 0] = np.log(np.maximum(power_WN.sum(axis=1), tiny))
    return np.ascontiguousarray(cepstra_WF.T, dtype=np.float32)


def _filters() -> np.ndarray:
    """Triangular filters between bins of the FFT, evenly spaced in mel.  Shape: -> (26, 257)"""
    mel = np.linspace(0, 2595 * np.log10(1 + timing.SAMPLE_RATE_HZ / 2 / 700), MEL_BANDS + 2)
    bins = np.floor((NUM_FFT + 1) * 700 * (10 ** (mel / 2595) - 1) / timing.SAMPLE_RATE_HZ)
    at = np.arange(NUM_FFT // 2 + 1)
    rows = []
    for left, middle, right in zip(bins, bins[1:], bins[2:], strict=False):
        up, down = (at - left) / max(middle - left, 1), (right - at) / max(right - middle, 1)
        rows.append(np.clip(np.where(at < middle, up, down), 0, None) * ((at >= left) & (at < right)))
    return np.array(rows)
