"""Movement besides the mouth: sway of the head, blinks and gaze."""

import numpy as np

from model.timing import FPS
from tasks.synthetic.picture import Pose

BLINK = (0.5, 1.0, 0.9, 0.4)  # lid, frame by frame
GAZE_FRAMES = 20  # duration of each gaze direction
TURNED_DEG, PROFILE_DEG, AWAY_DEG = 38.0, 70.0, 75.0


def poses(rng: np.random.Generator, num_frames: int, case: str) -> list[Pose]:
    """A small, natural movement around the direction of the case."""
    side = 1.0 if rng.random() < 0.5 else -1.0
    yaw = side * _direction(case, num_frames) + rng.uniform(-8, 8) + _sway(rng, num_frames, 4)
    pitch = rng.uniform(-4, 4) + _sway(rng, num_frames, 2.5)
    roll = rng.uniform(-3, 3) + _sway(rng, num_frames, 2)
    shift_x = rng.uniform(-5, 5) + _sway(rng, num_frames, 2)
    shift_y = rng.uniform(-3, 3) + _sway(rng, num_frames, 1.2)
    blink = _blinks(rng, num_frames)
    gaze = np.repeat(rng.normal(0, 0.25, (num_frames // GAZE_FRAMES + 1, 2)), GAZE_FRAMES, axis=0)[:num_frames]
    looks = [(float(x), float(y)) for x, y in gaze]
    columns = (c.tolist() for c in (yaw, pitch, roll, shift_x, shift_y, blink))
    return [Pose(*frame) for frame in zip(*columns, looks, strict=True)]


def _direction(case: str, num_frames: int) -> np.ndarray | float:
    if case == "turning_away":
        return AWAY_DEG * np.sin(np.pi * np.arange(num_frames) / max(num_frames - 1, 1)) ** 2
    return {"turned": TURNED_DEG, "profile": PROFILE_DEG}.get(case, 0.0)


def _sway(rng: np.random.Generator, num_frames: int, amplitude: float) -> np.ndarray:
    """A sum of slow waves, about 0.35, 0.7 and 1 Hz."""
    times_s, total = np.arange(num_frames) / FPS, np.zeros(num_frames)
    for k in (1, 2, 3):
        frequency_hz, phase = 0.35 * k * rng.uniform(0.7, 1.3), rng.uniform(0, 2 * np.pi)
        total += rng.uniform(0.3, 1) / k * np.sin(2 * np.pi * frequency_hz * times_s + phase)
    return amplitude / 1.2 * total


def _blinks(rng: np.random.Generator, num_frames: int) -> np.ndarray:
    lids = np.zeros(num_frames + len(BLINK))
    frame = int(rng.uniform(5, 60))
    while frame < num_frames:
        lids[frame : frame + len(BLINK)] = BLINK
        frame += int(rng.uniform(40, 130))
    return lids[:num_frames]
