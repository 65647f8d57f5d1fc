"""Distances of pictures from the true ones, and the mouth's sharpness, teeth and shape.

The distances reward a copy of the input, because most of a face does not move; each docstring says what it misses.
"""

from collections.abc import Iterator

import numpy as np

PSNR_CAP_DB = 100.0  # equal pictures; the least difference possible in a 96 x 96 frame gives 92
RATIO_CAP = 10.0
GREY = np.array([0.299, 0.587, 0.114], np.float32)
TEETH_BRIGHT, TEETH_COLOUR = 120, 0.33  # of 255; share of the brightest channel that colour may take
TEETH_STILL = 5e-4  # a smaller mean change of the area comes from the encoder


def l1(a_THW3: np.ndarray, b_THW3: np.ndarray) -> float:
    """Mean absolute difference of pictures; 0 is equal, 1 is black against white, lower is better.

    Misses: the sound: a copy of the input scores well, because most of a face does not move; blur is rewarded.
    Shape:  (T, H, W, 3) uint8, both of one shape
    """
    _same_pictures(a_THW3, b_THW3)
    return float(np.mean([_difference(a, b).mean() for a, b in zip(a_THW3, b_THW3, strict=True)])) / 255


def mouth_l1(a_THW3: np.ndarray, b_THW3: np.ndarray, mouth_T4: np.ndarray) -> float:
    """`l1` inside the mouth box of each frame, every frame with equal weight; 0 is equal, lower is better.

    Misses: a mouth that is right at another time scores as badly as a wrong one; blur is rewarded.
    Shape:  (T, H, W, 3) uint8, both of one shape; boxes (T, 4) int (left, top, right, bottom), the last two exclusive
    Errors: ValueError for a box that contains no pixel of the picture.
    """
    return float(np.mean([a.mean() for a, _ in _by_box(a_THW3, b_THW3, mouth_T4, 1)])) / 255


def outside_l1(a_THW3: np.ndarray, b_THW3: np.ndarray, mouth_T4: np.ndarray) -> float:
    """L1 outside the mouth box, which a lip-sync should not change.  Shape, Errors: as `mouth_l1`"""
    return float(np.mean([b.mean() for _, b in _by_box(a_THW3, b_THW3, mouth_T4, 1)])) / 255


def psnr(a_THW3: np.ndarray, b_THW3: np.ndarray) -> float:
    """Peak signal-to-noise ratio, dB, higher is better; 0 is black against white, 100 for equal pictures.

    Misses:  what `l1` misses.
    Differs: from the squared error of all frames together, not the mean of each frame's dB, in which one frame that is
             a copy of the truth would outweigh many others.
    Shape:   (T, H, W, 3) uint8, both of one shape
    """
    _same_pictures(a_THW3, b_THW3)
    squares = [np.square(_difference(a, b), dtype=np.float64).mean() for a, b in zip(a_THW3, b_THW3, strict=True)]
    return _db(np.mean(squares))


def mouth_psnr(a_THW3: np.ndarray, b_THW3: np.ndarray, mouth_T4: np.ndarray) -> float:
    """`psnr` inside the mouth box, every frame with equal weight.  Shape, Errors: as `mouth_l1`"""
    return _db(np.mean([a.mean() for a, _ in _by_box(a_THW3, b_THW3, mouth_T4, 2)]))


def outside_psnr(a_THW3: np.ndarray, b_THW3: np.ndarray, mouth_T4: np.ndarray) -> float:
    """`psnr` outside the mouth box.  Shape, Errors: as `mouth_l1`"""
    return _db(np.mean([b.mean() for _, b in _by_box(a_THW3, b_THW3, mouth_T4, 2)]))


def sharpness_ratio(output_THW3: np.ndarray, true_THW3: np.ndarray, mouth_T4: np.ndarray) -> float:
    """Fine detail in the mouth box over that of the true frames: 1 is best, blur is below, noise above; [0, 10].

    The median over spatial frequencies of the amplitude ratio, each weighted by its share of the true Laplacian.
    Stripes, grids and checkerboards have few frequencies: they hardly move a median and do not make up for blur.
    If neither has detail the ratio is 1.
    Misses: whether the detail is right: a sharp copy of another mouth scores 1; noise of all frequencies over a blur.
    Shape:  as `mouth_l1`
    """
    _same_pictures(output_THW3, true_THW3)
    size = tuple(int((mouth_T4[:, side + 2] - mouth_T4[:, side]).max()) for side in (1, 0))
    output_FF, true_FF = (_amplitude(frames, mouth_T4, size) for frames in (output_THW3, true_THW3))
    detail_FF = _laplacian(size) * true_FF
    if (true := float(detail_FF.sum())) < 1e-6:
        return ratio(float((_laplacian(size) * output_FF).sum()), true, still=1e-6)
    ratio_N = np.minimum(output_FF / np.maximum(true_FF, 1e-9), RATIO_CAP).ravel()
    order_N = np.argsort(ratio_N, kind="stable")
    below_N = np.cumsum(detail_FF.ravel()[order_N])
    return float(ratio_N[order_N[np.searchsorted(below_N, below_N[-1] / 2)]])


def teeth_area(faces_THW3: np.ndarray, mouth_T4: np.ndarray) -> np.ndarray:
    """Share of the mouth box that is bright and nearly colourless, like teeth.  Shape: -> (T,) in [0, 1]

    Misses: teeth in a dark picture; a white microphone counts as teeth.
    """
    shares = []
    for face_HW3, box in zip(faces_THW3, mouth_T4, strict=True):
        inside = _cut(face_HW3, box).astype(np.int16)
        brightest, least = inside.max(axis=-1), inside.min(axis=-1)
        shares.append(np.mean((brightest > TEETH_BRIGHT) & (brightest - least < TEETH_COLOUR * brightest)))
    return np.array(shares)


def teeth_error(output_T: np.ndarray, true_T: np.ndarray) -> float:
    """Mean difference of two `teeth_area`s; 0 is best. High for smeared, missing or superfluous teeth."""
    return float(np.abs(output_T - true_T).mean())


def teeth_flicker_ratio(output_T: np.ndarray, true_T: np.ndarray) -> float | None:
    """Change of the area of teeth from frame to frame over the real one; 1 is best. None: real teeth never show."""
    output, true = (float(np.abs(np.diff(area_T)).mean()) if len(area_T) > 1 else 0.0 for area_T in (output_T, true_T))
    return None if true < TEETH_STILL else ratio(output, true, still=TEETH_STILL)


def lmd(output_T682: np.ndarray, true_T682: np.ndarray) -> float:
    """Landmark distance: mean over the 20 lip points, in shares of the distance between the eyes; lower is better.

    Misses:  rewards mumbling: a mouth that hardly moves is nearer, on average, than a right one 80 ms late.
    Differs: Chen et al. measure in pixels of the frame, which depends on the camera.
    Shape:   (T, 68, 2), both of one shape
    Source:  Chen et al., Lip Movements Generation at a Glance, 2018
    """
    if output_T682.shape != true_T682.shape:
        raise ValueError(f"landmarks must have the same shape, got {output_T682.shape} and {true_T682.shape}")
    eyes_T = np.linalg.norm(true_T682[:, 36:42].mean(axis=1) - true_T682[:, 42:48].mean(axis=1), axis=-1)
    apart_T = np.linalg.norm(output_T682[:, 48:] - true_T682[:, 48:], axis=-1).mean(axis=1)
    return float(np.mean(apart_T / np.maximum(eyes_T, 1e-6)))


def frechet_distance(a_ND: np.ndarray, b_MD: np.ndarray) -> float:
    """Distance of two Gaussians with the means and covariances of two sets of features, as in FID; lower is better.

    |mean a - mean b|^2 + tr(A + B - 2 (A B)^(1/2)); the root's trace is the sum of the roots of the eigenvalues of
    A^(1/2) B A^(1/2), which is symmetric.
    Misses: time. With few frames it is biased upwards, so that only sets of one size can be compared.
    Source: Heusel et al., 2017
    """
    if min(len(a_ND), len(b_MD)) < 2 or a_ND.shape[1] != b_MD.shape[1]:
        raise ValueError(f"two rows of features or more are needed on each side, got {a_ND.shape} and {b_MD.shape}")
    a_ND, b_MD = a_ND.astype(np.float64), b_MD.astype(np.float64)
    a_DD, b_DD = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (a_ND, b_MD))
    root_DD = _root(a_DD)
    roots = np.sqrt(np.clip(np.linalg.eigvalsh(root_DD @ b_DD @ root_DD), 0, None)).sum()
    apart = float(np.square(a_ND.mean(axis=0) - b_MD.mean(axis=0)).sum())
    return max(0.0, apart + float(np.trace(a_DD) + np.trace(b_DD) - 2 * roots))


def ratio(output: float, true: float, *, still: float) -> float:
    """output / true, [0, 10]; 1 if neither is above `still`, 10 if only the output is."""
    if true < still:
        return 1.0 if output < still else RATIO_CAP
    return min(RATIO_CAP, output / true)


def _by_box(
    a_THW3: np.ndarray, b_THW3: np.ndarray, mouth_T4: np.ndarray, power: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Per frame, |a - b| ** power of the pixels inside the box, and of those outside."""
    _same_pictures(a_THW3, b_THW3)
    if mouth_T4.shape != (len(a_THW3), 4):
        raise ValueError(f"mouth_T4 must be ({len(a_THW3)}, 4), got {mouth_T4.shape}")
    for a, b, (left, top, right, bottom) in zip(a_THW3, b_THW3, np.maximum(mouth_T4, 0), strict=True):
        apart = _difference(a, b).astype(np.int32) ** power
        inside = apart[top:bottom, left:right]
        if inside.size == 0:
            box = tuple(int(side) for side in (left, top, right, bottom))
            raise ValueError(f"mouth box {box} holds no pixel of a {a.shape[1]} x {a.shape[0]} frame")
        within = np.zeros(a.shape[:2], bool)
        within[top:bottom, left:right] = True
        yield inside, apart[~within] if not within.all() else np.zeros(1)


def _db(error: float | np.floating) -> float:
    return PSNR_CAP_DB if error == 0 else min(PSNR_CAP_DB, 10 * float(np.log10(255**2 / error)))


def _cut(face_HW3: np.ndarray, box_4: np.ndarray) -> np.ndarray:
    left, top, right, bottom = np.maximum(box_4, 0)
    return face_HW3[top:bottom, left:right]


def _amplitude(frames_THW3: np.ndarray, mouth_T4: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Root mean square over frames of the grey mouth box's spectrum.  Shape: -> (rows, columns / 2 + 1)"""
    power = np.zeros(1)
    for face_HW3, box in zip(frames_THW3, mouth_T4, strict=True):
        grey = _cut(face_HW3, box).astype(np.float32) @ GREY
        window = np.hanning(grey.shape[0] + 2)[1:-1, None] * np.hanning(grey.shape[1] + 2)[1:-1]
        grey -= (grey * window).sum() / window.sum()  # a flat box has no detail, whatever its window
        power = power + np.square(np.abs(np.fft.rfft2(grey * window, size)))
    return np.asarray(np.sqrt(power / len(frames_THW3)))


def _laplacian(size: tuple[int, ...]) -> np.ndarray:
    """Response of the Laplacian to each frequency: finer detail counts more.  Shape: -> (rows, columns / 2 + 1)"""
    rows, columns = np.fft.fftfreq(size[0]), np.fft.rfftfreq(size[1])
    return np.asarray(4 - 2 * np.cos(2 * np.pi * rows)[:, None] - 2 * np.cos(2 * np.pi * columns))


def _root(symmetric_DD: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(symmetric_DD)
    return np.asarray((vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T)


def _same_pictures(a: np.ndarray, b: np.ndarray) -> None:
    if a.shape != b.shape or a.ndim != 4 or len(a) == 0:
        raise ValueError(f"pictures must both be (T, H, W, 3) of one shape, got {a.shape} and {b.shape}")
    if a.dtype != np.uint8 or b.dtype != np.uint8:
        raise ValueError(f"pictures must be uint8, got {a.dtype} and {b.dtype}")


def _difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """|a - b| of uint8 pictures, as int16: in uint8 a difference of -1 would be 255."""
    return np.abs(a.astype(np.int16) - b)
