"""The state of a mouth, and its inside: palate, teeth, tongue, as patches behind the lips.

They are geometry, so the visible part of teeth and tongue follows from the lips.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tasks.synthetic.curves import Array
from tasks.synthetic.identity import Identity

JAW_SHARE = 0.78  # share of the opening that is the jaw's drop; the rest is the lips'


class Mouth(NamedTuple):
    """Lips, jaw and tongue in one frame. All 0: closed and relaxed."""

    opening: float = 0.0  # gap of the inner lips at the middle, head units, 0 .. 0.34
    width: float = 0.0  # -1 narrow .. 1 spread
    rounding: float = 0.0  # 0 .. 1, pushed forward
    press: float = 0.0  # 0 .. 1, lips rolled in (m b p)
    tuck: float = 0.0  # 0 .. 1, lower lip under the upper teeth (f v)
    tongue: float = 0.0  # 0 .. 1, tip up (l t d n th)
    smile: float = 0.0  # 0 .. 1

    @property
    def jaw(self) -> float:
        """How far the jaw has dropped, head units."""
        return JAW_SHARE * max(0.0, self.opening)


@dataclass(frozen=True, slots=True)
class Part:
    """One patch of N = rows x columns points, and how it moves."""

    rows: int
    columns: int
    points_N3: Array
    colour_N3: Array
    jaw_N3: Array  # movement per unit of the jaw's drop
    tongue_3: Array  # movement per unit of the tongue
    lit: tuple[float, float]  # share of the light that reaches it, with the mouth closed and wide open

    def at(self, person: Identity, mouth: Mouth) -> tuple[Array, Array]:
        """Points and colours in one frame.  Shape: -> (N, 3), (N, 3)"""
        points_N3 = self.points_N3 + self.jaw_N3 * np.float32(mouth.jaw) + self.tongue_3 * np.float32(mouth.tongue)
        points_N3[:, 0] *= 1 + 0.03 * mouth.width - 0.10 * mouth.rounding
        points_N3[:, 1] *= person.height
        closed, wide = self.lit
        return points_N3, self.colour_N3 * np.float32(closed + (wide - closed) * min(max(mouth.opening / 0.16, 0), 1))


def parts(person: Identity, seam_z: float, rng: np.random.Generator) -> list[Part]:
    """`seam_z`: depth of the seam between the lips at the middle of the face."""
    return [_palate(person, seam_z), *_teeth(person, seam_z, rng), _tongue(person, seam_z)]


def _part(
    points: Array,
    colour: Array,
    lit: tuple[float, float],
    jaw: Array | tuple[float, float, float] = (0, 0, 0),
    tongue: tuple[float, float, float] = (0, 0, 0),
) -> Part:
    points_N3, colour_N3 = (np.ascontiguousarray(a.reshape(-1, 3), dtype=np.float32) for a in (points, colour))
    jaw_N3 = np.broadcast_to(np.asarray(jaw, np.float32).reshape(-1, 3), points_N3.shape)
    rows, columns = points.shape[:2]
    return Part(rows, columns, points_N3, colour_N3, jaw_N3, np.array(tongue, np.float32), lit)


def _palate(person: Identity, seam_z: float) -> Part:
    x, y = np.meshgrid(np.linspace(-0.36, 0.36, 13), np.linspace(0.16, -0.36, 13))
    points = np.stack([x, y + person.mouth_y, seam_z - 0.30 - 0.9 * x**2 + 0.12 * np.minimum(y + 0.1, 0)], axis=-1)
    colour = np.array([0.16, 0.04, 0.045]) * (1 - 0.35 * np.abs(y[..., None] / 0.6))
    floor = np.where(y < -0.1, -0.75, 0.0)[..., None] * np.array([0, 1, 0])
    return _part(points, colour, (0.8, 0.8), jaw=floor)


def _teeth(person: Identity, seam_z: float, rng: np.random.Generator) -> list[Part]:
    half, num_teeth = person.mouth_width * 0.84, 10
    x, down = np.meshgrid(np.linspace(-half, half, 81), np.linspace(0, 1, 9))
    across = x / (2 * half) * num_teeth  # counts teeth from the middle
    within = np.mod(across, 1)
    gaps = 1 - 0.30 * np.exp(-((within / 0.07) ** 2)) - 0.30 * np.exp(-(((within - 1) / 0.07) ** 2))
    white = np.array([0.93, 0.90, 0.83]) * rng.uniform(0.88, 1.03)
    tooth = white * (gaps * (1 - 0.22 * (x / half) ** 2))[..., None]
    gum = np.array([0.62, 0.30, 0.30])
    length = 0.12 + 0.052 + rng.uniform(-0.008, 0.012) + 0.006 * np.abs(np.sin(np.pi * across))
    upper = np.stack([x, person.mouth_y + 0.12 - down * length, seam_z - 0.085 - 1.6 * x**2], axis=-1)
    lower = np.stack([x * 0.92, person.mouth_y - 0.035 - down * 0.11, seam_z - 0.150 - 1.7 * x**2], axis=-1)
    upper_colour = np.where((down < 0.35)[..., None], gum, tooth)
    lower_colour = np.where((down > 0.75)[..., None], gum, tooth * 0.92)
    return [
        _part(upper, upper_colour, (0.62, 0.95)),
        _part(lower, lower_colour, (0.50, 0.80), jaw=(0, -0.93, -0.12)),
    ]


def _tongue(person: Identity, seam_z: float) -> Part:
    u, v = np.meshgrid(np.linspace(-1, 1, 17), np.linspace(-1, 1, 11))
    dome = np.sqrt(np.clip(1 - 0.98 * u**2, 0, 1) * np.clip(1 - 0.98 * v**2, 0, 1))
    x, y, z = u * person.mouth_width * 0.72, person.mouth_y - 0.16 - v * 0.085, seam_z - 0.26 + 0.10 * dome
    points = np.stack([x, y, z], axis=-1)
    furrow = 1 - 0.12 * np.exp(-((u / 0.08) ** 2))
    colour = np.array([0.66, 0.30, 0.31]) * ((0.55 + 0.45 * dome) * furrow)[..., None]
    return _part(points, colour, (0.45, 0.85), jaw=(0, -0.62, 0), tongue=(0, 0.13, 0.045))
