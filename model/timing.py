"""Time arithmetic: features, sampling, evaluation and inference call this module; no other module converts time.

Conventions
    video frame t shows the time [t / FPS, (t + 1) / FPS) s; its middle is (t + 0.5) / FPS s
    sound sample 0 is the start of frame 0; exactly SAMPLES_PER_FRAME samples belong to a frame
    MFCC column j is centred at j * HOP / SAMPLE_RATE_HZ s         (librosa, center=True)
    the MFCC window of frame t is the WINDOW columns whose centre lies nearest the middle of frame t
"""

import math

import numpy as np

FPS = 25  # frames per second of all stored, training and generated video
SAMPLE_RATE_HZ = 16_000  # mono
HOP = 160  # sound samples between MFCC columns: 100 columns a second
WINDOW = 35  # MFCC columns that a frame is generated from: 350 ms
SAMPLES_PER_FRAME = SAMPLE_RATE_HZ // FPS  # 640
COLUMNS_PER_FRAME = SAMPLES_PER_FRAME // HOP  # 4
COLUMN_S = HOP / SAMPLE_RATE_HZ


def first_column(frame: int, fps: float = FPS) -> int:
    """First MFCC column of the window of `frame`; negative near the start of a clip.

    Source: LipGAN's aligned variant starts at 4t - 16 because its framing does not centre its columns;
            librosa's does, which gives 4t - 15 at 25 frames/s, centred on the middle of the frame exactly.
    """
    middle_s = (frame + 0.5) / fps
    return math.floor(middle_s / COLUMN_S - (WINDOW - 1) / 2 + 0.5)


def window_columns(frames: np.ndarray, num_columns: int | np.ndarray) -> np.ndarray:
    """Columns of the windows of `frames`; edges are repeated, so that every frame has a window.

    Shape: frames (N,) int, num_columns of their clip or (N,) of the clip of each  ->  (N, WINDOW) int, at most the last
    Errors: ValueError if there is no column to repeat.
    """
    if np.min(num_columns) < 1:
        raise ValueError("num_columns must be at least 1: there is no sound to take a window of")
    starts_N = np.array([first_column(int(t)) for t in np.atleast_1d(frames)], dtype=np.int64)
    last_N = np.asarray(num_columns) - 1
    return np.clip(starts_N[:, None] + np.arange(WINDOW), 0, last_N[..., None])


def columns_at(middles_s: np.ndarray, num_columns: int) -> np.ndarray:
    """Columns of the windows around any times, for videos of other rates; edges as in `window_columns`.

    Shape: middles_s (N,) float, s  ->  (N, WINDOW) int in [0, num_columns)
    """
    starts_N = np.floor(np.asarray(middles_s) / COLUMN_S - (WINDOW - 1) / 2 + 0.5 + 1e-6).astype(np.int64)
    return np.clip(starts_N[:, None] + np.arange(WINDOW), 0, num_columns - 1)


def num_samples(num_frames: int) -> int:
    """Sound samples that belong to `num_frames` frames."""
    return num_frames * SAMPLES_PER_FRAME


def num_frames_of_sound(samples: int) -> int:
    """Frames needed for `samples` samples of sound, rounded up."""
    return -(-samples // SAMPLES_PER_FRAME)


def frames_of_span(start_s: float, end_s: float, num_frames: int) -> tuple[int, int]:
    """First frame and last frame + 1 that overlap a span of time, inside the clip; equal if none does."""
    first = min(max(math.floor(start_s * FPS + 1e-6), 0), num_frames)
    return first, max(first, min(math.ceil(end_s * FPS - 1e-6), num_frames))


def source_frames(times_s: np.ndarray) -> np.ndarray:
    """Index of the decoded frame that each 25 frames/s frame shows: the one on screen at its middle.

    Shape: times_s (N,) float, start of each decoded frame in s, ascending, first one 0  ->  (T,) int
           T covers the last decoded frame's own start plus its usual duration.
    """
    if len(times_s) == 0:
        return np.zeros(0, np.int64)
    usual_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 1 / FPS
    num_frames = max(1, round((float(times_s[-1]) + usual_s) * FPS))
    middles_s = (np.arange(num_frames) + 0.5) / FPS
    return np.clip(np.searchsorted(times_s, middles_s + 1e-9, side="right") - 1, 0, len(times_s) - 1)
