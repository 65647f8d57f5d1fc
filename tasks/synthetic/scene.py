"""The scene of a clip: light, background, clothes, and the camera's imperfections."""

from dataclasses import dataclass

import cv2
import numpy as np

from model import seeds
from tasks.synthetic.curves import Array, smooth_noise
from tasks.synthetic.identity import Identity

MARGIN = 20  # px around the picture of the shoulders, so that they can move with the head
# right half of neck and shoulders, head units
SHOULDERS = ((0.40, -1.28), (0.62, -1.42), (1.1, -1.60), (1.75, -1.86), (2.6, -2.6), (2.6, -5.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One take. Directions (3,) have length 1 and point from the head to the light; colours RGB in [0, 1]."""

    size: int  # px, frames are square
    key_3: Array
    key: float
    key_colour_3: Array
    fill_3: Array
    fill: float
    ambient: float
    ambient_colour_3: Array
    exposure: float
    noise: float  # standard deviation of the sensor noise, share of full scale
    blur_px: float
    background_HW3: Array

    def shade(
        self, normals: Array, colours: Array, shine: Array | None, turn_33: Array, *, flat: bool = False
    ) -> Array:
        """Shade points: soft key light, fill light, ambient light brighter from above, and a highlight.

        turn_33  rotation of the head; the lights are rotated into its coordinates, which is cheaper than rotating
        normals flat     three tones instead of shading, as in a cartoon
        Shape: normals (..., 3), colours (..., 3), shine (...) -> (..., 3)
        """
        half_3 = self.key_3 + np.array([0, 0, 1], np.float32)
        half_3 = half_3 / np.linalg.norm(half_3)
        lights_34 = np.stack([self.key_3, self.fill_3, np.array([0, 1, 0]), half_3], axis=1)
        facing = normals @ (turn_33.T @ lights_34).astype(np.float32)
        key = np.clip(facing[..., 0] * 0.85 + 0.15, 0, None)
        fill = np.clip(facing[..., 1], 0, None)
        sky = 0.5 + 0.5 * facing[..., 2]
        if flat:
            key = np.float32(0.25) + 0.55 * (key > 0.25) + 0.25 * (key > 0.62)
            fill, sky, shine = np.full_like(fill, 0.4), np.full_like(sky, 0.6), None
        light = (self.key * key + self.fill * fill)[..., None] * self.key_colour_3
        light = light + (self.ambient * (0.6 + 0.55 * sky))[..., None] * self.ambient_colour_3
        out = colours * light
        if shine is not None:
            out += (np.clip(facing[..., 3], 0, 1) ** 18 * shine * self.key)[..., None]
        return out.astype(np.float32)

    @property
    def indoors(self) -> float:
        """Undirected light, for the inside of the mouth."""
        return self.key * 0.75 + self.ambient + self.fill * 0.5


def draw(seed: int, size: int) -> Scene:
    """A random take; the same for the same arguments."""
    rng = seeds.generator(seed, "scene")
    u = rng.uniform
    azimuth = u(-55, 55)
    return Scene(
        size=size,
        key_3=_direction(azimuth, u(10, 50)), key=u(0.55, 0.85),
        key_colour_3=np.array([1, u(0.93, 1.0), u(0.84, 1.0)], np.float32),
        fill_3=_direction(-azimuth * 0.8, u(-5, 25)), fill=u(0.12, 0.3),
        ambient=u(0.22, 0.36), ambient_colour_3=np.array([u(0.9, 1), u(0.92, 1), 1.0], np.float32),
        exposure=u(0.92, 1.12), noise=u(0.004, 0.014), blur_px=u(0.35, 0.6),
        background_HW3=_background(rng, size),
    )  # fmt: skip


def shoulders(person: Identity, scene: Scene, px_per_unit: float) -> tuple[Array, Array]:
    """Neck and clothes, MARGIN wider than the frame on all sides.

    Shape: -> (S', S', 3) float32 colours times mask, (S', S') float32 mask, S' = size + 2 MARGIN
    """
    side, oversample = scene.size + 2 * MARGIN, 3
    outline = np.array([(-x, y) for x, y in SHOULDERS[::-1]] + list(SHOULDERS))
    outline = outline * np.array([1, person.height]) + np.array([0, -0.12])
    outline_px = side / 2 + px_per_unit * 0.98 * outline * np.array([1, -1])
    mask = np.zeros((side * oversample, side * oversample), np.uint8)
    cv2.fillPoly(mask, [np.round(outline_px * oversample).astype(np.int32)], 255)
    small = cv2.resize(mask, (side, side), interpolation=cv2.INTER_AREA)
    mask_HW = cv2.GaussianBlur(small, (0, 0), 1.2).astype(np.float32) / 255
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    cloth = np.ones((side, side, 3), np.float32) * person.cloth_3
    if person.cloth_kind == 1:
        collar = np.abs(x - side / 2) < (y - outline_px[:, 1].min()) * 0.42
        cloth = np.where(collar[..., None], person.cloth2_3, cloth)
    elif person.cloth_kind == 2:
        cloth = cloth * (1 + 0.25 * np.sign(np.sin((y + 0.2 * x) * 0.44)))[..., None]
    off_light = np.abs(x / side - 0.5 - 0.15 * scene.key_3[0])
    light = (0.55 + 0.35 * np.clip(1 - off_light * 1.3, 0, 1)) * (scene.key * 0.7 + scene.ambient)
    return (cloth * (light * mask_HW)[..., None]).astype(np.float32), mask_HW


def _direction(azimuth_deg: float, elevation_deg: float) -> Array:
    a, e = np.radians(azimuth_deg), np.radians(elevation_deg)
    return np.array([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)], np.float32)


def _paint_box(rng: np.random.Generator) -> Array:
    return np.clip(rng.uniform(0.1, 0.85) + rng.uniform(-0.5, 0.5, 3) * 0.35, 0.03, 0.95)


def _background(rng: np.random.Generator, size: int) -> Array:
    """A blurred background.  Shape: -> (size, size, 3) float32 in [0, 1]"""
    kind = str(rng.choice(["gradient", "shelf", "lights", "panels", "wall"]))
    top, bottom = _paint_box(rng), _paint_box(rng)
    down = np.linspace(0, 1, size)[:, None, None]
    picture = np.ascontiguousarray(np.broadcast_to(top * (1 - down) + bottom * down, (size, size, 3)))
    paint = {"shelf": _shelf, "lights": _lights, "panels": _panels, "wall": _wall}
    if kind == "gradient":
        return picture.astype(np.float32)
    picture = np.clip(paint[kind](rng, picture, top), 0, 1).astype(np.float32)
    return cv2.GaussianBlur(picture, (0, 0), rng.uniform(1.5, 6))


def _shelf(rng: np.random.Generator, picture: Array, top: Array) -> Array:
    size, x = len(picture), 0
    picture[:] = rng.uniform(0.1, 0.4, 3)
    while x < size:
        width, book = int(rng.uniform(4, 12)), _paint_box(rng) * rng.uniform(0.4, 1)
        for k in range(3):
            book_top = int(k * size / 3) + int(rng.uniform(0, 8))
            picture[book_top : int((k + 1) * size / 3) - 3, x : x + width] = book * rng.uniform(0.7, 1.1)
        x += width + 1
    return picture


def _lights(rng: np.random.Generator, picture: Array, top: Array) -> Array:
    size = len(picture)
    picture = picture * 0.35
    for _ in range(26):
        disc = np.zeros((size, size), np.float32)
        centre = (int(rng.uniform(0, size)), int(rng.uniform(0, size)))
        cv2.circle(disc, centre, int(rng.uniform(5, 20)), 1.0, -1, cv2.LINE_AA)
        picture += disc[..., None] * rng.uniform(0.1, 0.5, 3) * rng.uniform(0.2, 0.8)
    return picture


def _panels(rng: np.random.Generator, picture: Array, top: Array) -> Array:
    picture[:] = top
    for _ in range(6):
        x, y = (int(rng.uniform(-20, len(picture))) for _ in range(2))
        corner = x + int(rng.uniform(20, 90)), y + int(rng.uniform(20, 120))
        cv2.rectangle(picture, (x, y), corner, _paint_box(rng).tolist(), -1)
    return picture


def _wall(rng: np.random.Generator, picture: Array, top: Array) -> Array:
    coarse, fine = (smooth_noise(rng, picture.shape[:2], sigma) for sigma in (18, 5))
    return top * (1 + 0.25 * coarse + 0.1 * fine)[..., None]
