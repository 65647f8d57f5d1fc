"""The camera: heads in a scene -> one frame, with the true positions of the landmarks.

Source: cv2.triangleRasterize, which OpenCV has from version 5 on
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np

from tasks.synthetic import scene as scenes
from tasks.synthetic.curves import Array, step
from tasks.synthetic.head import Head
from tasks.synthetic.mouth import Mouth
from tasks.synthetic.scene import Scene

SUPERSAMPLE = 2
CAMERA_Z = 9.0  # head units from the head's middle
FAR = 40.0
PIVOT = np.array([0, -0.9, -0.15], np.float32)  # pivot of the head's rotation, in the neck
LOOK_UP = -0.12  # vertical offset of the head from the frame's centre, head units
NOISE_SIDE = 400


class Pose(NamedTuple):
    """One frame of a head's movement; `gaze` is right and up, about -1 .. 1."""

    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    shift_x_px: float = 0.0
    shift_y_px: float = 0.0
    blink: float = 0.0  # 0 open .. 1 closed
    gaze: tuple[float, float] = (0.0, 0.0)


class Actor:
    """A head at one distance from the camera in one scene; `px_per_unit` is its size."""

    def __init__(self, head: Head, scene: Scene, px_per_unit: float) -> None:
        self.head = head
        self.px_per_unit = px_per_unit
        self.shoulders_HW3, self.shoulders_HW = scenes.shoulders(head.person, scene, px_per_unit)


@dataclass(frozen=True, slots=True)
class RenderedFrame:
    """Shape: rgb_HW3 uint8, landmarks: for each actor (68, 2) float px (x, y)"""

    rgb_HW3: Array
    landmarks: list[Array]


def render(scene: Scene, cast: Sequence[tuple[Actor, Mouth, Pose]], noise: np.random.Generator | None) -> RenderedFrame:
    """Render the actors, the last one in front; with sensor noise if `noise` is given."""
    landmarks = []
    picture_HW3: Array = scene.background_HW3
    for actor, mouth, pose in cast:
        picture_HW3 = _with_shoulders(picture_HW3, actor, pose)
        front_HW3, alpha_HW, landmarks_682 = _render_head(scene, actor, mouth, pose)
        picture_HW3 = front_HW3 + picture_HW3 * (1 - alpha_HW[..., None])
        landmarks.append(landmarks_682)
    picture_HW3 = cv2.GaussianBlur(picture_HW3.astype(np.float32), (0, 0), scene.blur_px)
    if noise is not None:
        y, x = noise.integers(0, NOISE_SIDE - scene.size, 2)
        grain_HW3 = _sensor_noise()[y : y + scene.size, x : x + scene.size]
        picture_HW3 = picture_HW3 + grain_HW3 * np.float32(scene.noise)
    levels = np.clip(picture_HW3 * 1023, 0, 1023).astype(np.int16)
    return RenderedFrame(_tone_curve()[levels], landmarks)


def turn(pose: Pose) -> Array:
    """Rotation of a head.  Shape: -> (3, 3) float32"""
    angles = np.radians([pose.yaw_deg, pose.pitch_deg, pose.roll_deg])
    (cy, cp, cr), (sy, sp, sr) = np.cos(angles), np.sin(angles)
    yaw = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    pitch = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    roll = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return (roll @ pitch @ yaw).astype(np.float32)


@cache
def _tone_curve() -> Array:
    return (np.linspace(0, 1, 1024) ** (1 / 1.12) * 255 + 0.5).astype(np.uint8)


@cache
def _sensor_noise() -> Array:
    return np.random.default_rng(5).standard_normal((NOISE_SIDE, NOISE_SIDE, 3)).astype(np.float32)


def _with_shoulders(back_HW3: Array, actor: Actor, pose: Pose) -> Array:
    size = len(back_HW3)
    move = np.array([[1, 0, pose.shift_x_px - scenes.MARGIN], [0, 1, -pose.shift_y_px - scenes.MARGIN]], np.float32)
    layers = [
        cv2.warpAffine(layer, move, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for layer in (actor.shoulders_HW3, actor.shoulders_HW)
    ]
    return back_HW3 * (1 - layers[1][..., None]) + layers[0]


def _render_head(scene: Scene, actor: Actor, mouth: Mouth, pose: Pose) -> tuple[Array, Array, Array]:
    """Shape: -> (S, S, 3) float32 colours times alpha, (S, S) alpha, (68, 2) landmarks px"""
    head, turn_33 = actor.head, turn(pose)
    offset_3 = np.array([pose.shift_x_px, pose.shift_y_px, 0], np.float32) / np.float32(actor.px_per_unit)
    offset_3[1] += LOOK_UP
    focal_px = actor.px_per_unit * CAMERA_Z

    def place(points_N3: Array) -> Array:
        return (points_N3 - PIVOT) @ turn_33.T + (PIVOT + offset_3)

    def project(placed_N3: Array) -> Array:
        return scene.size / 2 + focal_px * placed_N3[:, :2] * np.array([1, -1]) / (CAMERA_Z - placed_N3[:, 2:])

    points_N3, colours_N3 = _lit_points(scene, head, mouth, pose, turn_33)
    placed_N3 = np.ascontiguousarray(place(points_N3))
    colour_HW3, depth_HW = _rasterise(head, placed_N3, colours_N3, scene.size, focal_px)
    alpha_HW = (depth_HW < FAR - 0.1).astype(np.float32)
    if head.person.cartoon:
        outline_HW = _outline(depth_HW)
        colour_HW3 *= (1 - 0.92 * outline_HW)[..., None]
        alpha_HW = np.maximum(alpha_HW, (outline_HW > 0.3).astype(np.float32))
    if head.person.glasses:
        for line_N3, thickness in _glasses(head, pose.yaw_deg):
            fixed = [np.round(project(place(line_N3)) * SUPERSAMPLE * 16).astype(np.int32)]  # 4 bits of fraction
            cv2.polylines(colour_HW3, fixed, False, head.person.glasses_3.tolist(), thickness, cv2.LINE_AA, 4)
            cv2.polylines(alpha_HW, fixed, False, 1.0, thickness, cv2.LINE_AA, 4)
    side = (scene.size, scene.size)
    small_HW3, small_HW = (cv2.resize(a, side, interpolation=cv2.INTER_AREA) for a in (colour_HW3, alpha_HW))
    return small_HW3, small_HW, project(placed_N3[head.landmarks_68])


def _lit_points(scene: Scene, head: Head, mouth: Mouth, pose: Pose, turn_33: Array) -> tuple[Array, Array]:
    """All points of a head, sheets first, then parts, then patches, and their lit colours."""
    flat = head.person.cartoon
    sheets_RC3 = head.positions(mouth)
    colours_RC3 = head.colours(pose.blink, pose.gaze)
    lit = [scene.shade(head.normals(sheets_RC3), colours_RC3, head.shine_RC, turn_33, flat=flat)]
    points = [sheets_RC3]
    for part in head.parts:
        points_N3, colours_N3 = part.at(head.person, mouth)
        points.append(points_N3)
        lit.append(colours_N3 * np.float32(scene.indoors))
    for patch, normals_RC3 in zip(head.patches, head.patch_normals, strict=True):
        points.append(patch.points_RC3)
        lit.append(scene.shade(normals_RC3, patch.colour_RC3, None, turn_33, flat=flat))
    points_N3, colours_N3 = (np.concatenate([a.reshape(-1, 3) for a in arrays]) for arrays in (points, lit))
    return points_N3, np.clip(colours_N3 * np.float32(scene.exposure), 0, 1)


def _rasterise(head: Head, placed_N3: Array, colours_N3: Array, size: int, focal_px: float) -> tuple[Array, Array]:
    """Shape: -> (S', S', 3) float32, (S', S') float32 depth, FAR where there is no surface; S' = size x SUPERSAMPLE"""
    side = size * SUPERSAMPLE
    colour_HW3, depth_HW = np.zeros((side, side, 3), np.float32), np.full((side, side), FAR, np.float32)
    camera_44 = np.eye(4, dtype=np.float32)
    camera_44[2, 3] = -CAMERA_Z
    view = float(2 * np.arctan(size / 2 / focal_px))
    settings = cv2.TriangleRasterizeSettings()
    settings.setShadingType(cv2.RASTERIZE_SHADING_SHADED)  # Python's default is plain white
    num_shell = head.rest_RC3.size // 3
    for triangles_N3, points, culling in (
        (
            head.shell_N3,
            slice(0, num_shell),
            cv2.RASTERIZE_CULLING_CW,
        ),  # culling back faces saves a quarter of the time
        (head.detail_N3, slice(num_shell, None), cv2.RASTERIZE_CULLING_NONE),
    ):
        settings.setCullingMode(culling)
        points_N3, shades_N3 = placed_N3[points], colours_N3[points]
        cv2.triangleRasterize(
            points_N3, triangles_N3, shades_N3, colour_HW3, depth_HW, camera_44, view, 1.0, FAR, settings
        )
    return colour_HW3, depth_HW


def _outline(depth_HW: Array) -> Array:
    """Outlines where the depth jumps.  Shape: -> (S', S') in [0, 1]"""
    near, kernel = np.minimum(depth_HW, 12.0), np.ones((3, 3))
    jump = cv2.dilate(near, kernel) - cv2.erode(near, kernel)
    return np.clip(cv2.GaussianBlur(step(0.10, 0.22, jump).astype(np.float32), (0, 0), 0.8), 0, 1)


def _glasses(head: Head, yaw_deg: float) -> list[tuple[Array, int]]:
    """Lines of the frame in head coordinates, (N, 3), and their thickness in supersampled px."""
    person, z = head.person, head.seam_z + 0.10
    x, y, (wide, high) = person.eye_x * 1.02, person.eye_y, person.glasses_radius
    bridge = np.array([(wide - x, y + 0.02, z), (0, y + 0.05, z + 0.05), (x - wide, y + 0.02, z)])
    lines = [(bridge, SUPERSAMPLE + 1)]
    around = np.linspace(0, 2 * np.pi, 41)
    for side in (-1, 1):
        rim = [side * x + wide * np.cos(around), y - 0.02 + high * np.sin(around), np.full(41, z)]
        lines.append((np.stack(rim, axis=-1), SUPERSAMPLE + 1))
        if side * yaw_deg < 25:  # the far temple hides behind the head
            ends = [(side * (x + wide), y + 0.03, z), (side * 0.76 * person.width, y + 0.05, 0.1)]
            lines.append((np.array(ends), SUPERSAMPLE))
    return [(line_N3.astype(np.float32), thickness) for line_N3, thickness in lines]
