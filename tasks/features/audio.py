"""The network's sound features: MFCC and log-mel, computed by librosa."""

import librosa
import numpy as np

from model import timing
from model.mfcc import (
    LIFTER,
    LOG_FLOOR,
    MEL_BANDS,
    MEL_HIGH_HZ,
    MEL_LOW_HZ,
    NUM_FFT,
    NUM_MFCC,
    PRE_EMPHASIS,
    WINDOW_SAMPLES,
)
from tasks.media import decode

MFCC_VERSION = 1  # raise it when the sound features change


def mfcc(sound: np.ndarray, num_frames: int) -> np.ndarray:
    """12 cepstral coefficients, 100 columns per second; column j is centred at j x 10 ms.

    Shape:   sound (samples,) float in [-1, 1], cut or padded to num_frames x 640  ->  (12, 4 num_frames) float32
    Source:  LipGAN, You Said That: 25 ms Hamming windows every 10 ms, pre-emphasis 0.97, 40 HTK mel filters from 300
             to 3700 Hz, 13 coefficients, lifter 22, C0 dropped (which removes loudness).
    Differs: librosa centres its columns, and its lifter counts coefficients from 1.
    """
    return cepstra(log_mel(sound, num_frames))


def cepstra(log_mel_MC: np.ndarray) -> np.ndarray:
    """Shape: (40, columns) -> (12, columns) float32"""
    mfcc_NC = librosa.feature.mfcc(S=log_mel_MC, n_mfcc=NUM_MFCC + 1, dct_type=2, norm="ortho", lifter=LIFTER)
    return mfcc_NC[1:].astype(np.float32)


def log_mel(sound: np.ndarray, num_frames: int) -> np.ndarray:
    """Natural logarithm of the mel power.  Shape: as for `mfcc` -> (40, 4 num_frames)"""
    sound = librosa.effects.preemphasis(decode.fit(sound, num_frames), coef=PRE_EMPHASIS)
    power = librosa.feature.melspectrogram(
        y=sound, sr=timing.SAMPLE_RATE_HZ, n_fft=NUM_FFT, win_length=WINDOW_SAMPLES, hop_length=timing.HOP,
        window="hamming", center=True, pad_mode="constant", power=2.0,
        n_mels=MEL_BANDS, fmin=MEL_LOW_HZ, fmax=MEL_HIGH_HZ, htk=True, norm=None,
    )  # fmt: skip
    columns = num_frames * timing.COLUMNS_PER_FRAME  # librosa adds one more, centred on the end of the clip
    return np.log(np.maximum(power[:, :columns], LOG_FLOOR))
