"""Yaw of the head, from its landmarks."""

import numpy as np

RIDGE = 10.0  # of the yaw regression: 136 coordinates of one scale, a few hundred heads


def head_shape(landmarks_T682: np.ndarray) -> np.ndarray:
    """Landmarks without position and size.  Shape: (T, 68, 2) -> (T, 136)"""
    points = landmarks_T682.astype(np.float64)
    points = points - points.mean(axis=1, keepdims=True)
    size_T = np.sqrt((points**2).sum(axis=(1, 2)) / points.shape[1])
    return (points / np.maximum(size_T, 1e-9)[:, None, None]).reshape(len(points), -1)


def fit_yaw(landmarks_N682: np.ndarray, yaw_N: np.ndarray) -> np.ndarray:
    """Ridge regression of the yaw in degrees on `head_shape`.  Shape: (N, 68, 2), (N,) -> (137,), the bias last"""
    shapes = head_shape(landmarks_N682)
    middle, mean_deg = shapes.mean(axis=0), yaw_N.mean()
    centred = shapes - middle
    squares = centred.T @ centred + RIDGE * np.eye(shapes.shape[1])
    weights = np.linalg.solve(squares, centred.T @ (yaw_N - mean_deg))
    return np.append(weights, mean_deg - middle @ weights)


def yaw_deg(landmarks_T682: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Yaw by the weights of `fit_yaw`.  Shape: (T, 68, 2), (137,) -> (T,) degrees"""
    return head_shape(landmarks_T682) @ weights[:-1] + weights[-1]
