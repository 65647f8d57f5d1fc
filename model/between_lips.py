"""What a filmed mouth shows between the lips, teeth, tongue or dark, as the brightness of six cells.

Two mouths of one shape may show teeth and dark. A video that changes from one to the other and back flickers, and the
lips' points do not tell.

Shape letters: N mouths, H = 48 and W = 64 pixels of the lip refiner's crop, S = 59 mouth points
"""

import numpy as np

from model.head_mesh import LOWER_INNER, UPPER_INNER

COLUMNS, ROWS = 3, 2  # cells, from corner to corner and from the upper lip down
CELLS = COLUMNS * ROWS
SAMPLES = 6  # between two facing points of the lips
SEEN = 0.06  # eye distances: a cell of lips that far apart counts in full, of closed lips for nothing
RGB = np.array([0.299, 0.587, 0.114], np.float32)


def levels(crops_NHW3: np.ndarray, lips_N402: np.ndarray) -> np.ndarray:
    """The mean level of each cell, relative to the crop's: most of a crop is skin, so the light hardly counts.

    lips_N402  outer and inner lips, px of the crop, pixel i covers [i, i + 1)
    Shape:     uint8 RGB, (N, 40, 2) -> (N, 6) float32
    """
    grey_NHW = crops_NHW3.astype(np.float32) @ RGB
    upper_N92, lower_N92 = lips_N402[:, list(UPPER_INNER)], lips_N402[:, list(LOWER_INNER)]
    shares_Q = (np.arange(SAMPLES) + 0.5) / SAMPLES
    at_NQ92 = upper_N92[:, None] + shares_Q[:, None, None] * (lower_N92 - upper_N92)[:, None] - 0.5
    height, width = grey_NHW.shape[1:]
    x, y = np.clip(at_NQ92[..., 0], 0, width - 1.001), np.clip(at_NQ92[..., 1], 0, height - 1.001)
    left, top = x.astype(int), y.astype(int)
    right, down = x - left, y - top
    n = np.arange(len(grey_NHW))[:, None, None]
    upper = grey_NHW[n, top, left] * (1 - right) + grey_NHW[n, top, left + 1] * right
    lower = grey_NHW[n, top + 1, left] * (1 - right) + grey_NHW[n, top + 1, left + 1] * right
    sampled_NQ9 = upper * (1 - down) + lower * down
    cells_N = sampled_NQ9.reshape(len(grey_NHW), ROWS, SAMPLES // ROWS, COLUMNS, -1).mean(axis=(2, 4))
    light_N = np.maximum(grey_NHW.mean(axis=(1, 2)), 1.0)
    return (cells_N.reshape(len(grey_NHW), -1) / light_N[:, None]).astype(np.float32)


def looks(levels_N6: np.ndarray, mouth_NS3: np.ndarray) -> np.ndarray:
    """How far each cell's level is from the person's usual one, as far as it is seen.

    Shape: (N, 6), canonical mouths -> (N, 6) float32, zeros for closed lips
    """
    gaps_N9 = np.maximum(mouth_NS3[:, LOWER_INNER, 1] - mouth_NS3[:, UPPER_INNER, 1], 0)
    seen_N3 = np.minimum(gaps_N9.reshape(len(gaps_N9), COLUMNS, -1).mean(axis=2) / SEEN, 1)
    seen_N6 = np.tile(seen_N3, ROWS)
    usual_6 = (seen_N6 * levels_N6).sum(axis=0) / np.maximum(seen_N6.sum(axis=0), 1e-6)
    return (seen_N6 * (levels_N6 - usual_6)).astype(np.float32)
