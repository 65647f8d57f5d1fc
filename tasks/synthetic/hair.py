"""Hair, scarf, the curtain of long hair, and ears."""

from dataclasses import dataclass

import numpy as np

from tasks.synthetic.curves import Array, bump, smooth_noise, step
from tasks.synthetic.grid import Grid
from tasks.synthetic.identity import CURTAINED, Identity

# style -> lower end at the sides and back (y); thickness: a constant, and a factor of the person's hair volume
STYLES = {
    "bald": (9.0, 0.0, 0.0),
    "crop": (0.02, 0.02, 0.0),
    "short": (-0.10, 0.0, 0.7),
    "side": (-0.15, 0.0, 1.0),
    "medium": (-0.5, 0.0, 1.2),
    "long": (-0.9, 0.0, 1.2),
    "scarf": (-1.2, 0.05, 0.0),
    "bun": (-0.1, 0.04, 0.0),
}
CURTAIN_END = {"long": -1.75, "medium": -0.95, "scarf": -1.7}  # y where the curtain ends


@dataclass(frozen=True, slots=True)
class Patch:
    """A sheet in addition to the head's two.  Shape: (R, C, 3) both, colours RGB in [0, 1]"""

    points_RC3: Array
    colour_RC3: Array


@dataclass(frozen=True, slots=True)
class Hair:
    cover_RC: Array  # 1 where hair or a scarf covers the skin, otherwise 0
    offset_RC3: Array  # its offset from the skull, to add to the rest positions


def grow(person: Identity, grid: Grid, rng: np.random.Generator) -> Hair:
    if person.hair == "bald":
        return Hair(np.zeros_like(grid.x_RC), np.zeros((*grid.x_RC.shape, 3), np.float32))
    y, cos_RC = grid.y_RC, np.cos(grid.angle_RC)
    reach, fixed, share = STYLES[person.hair]
    line = _hairline(person, grid, rng)
    behind = step(0.35, 0.05, cos_RC)  # sides and back have hair down to the style's reach
    low = step(reach - 0.1, reach + 0.1, y + 0.03 * smooth_noise(rng, y.shape, 2))
    cover = np.maximum(step(line - 0.04, line + 0.05, y), behind * low)
    thick = np.maximum(step(line - 0.02, line + 0.22, y), 1 - step(0.0, 0.35, cos_RC))
    if person.hair == "scarf":
        oval = np.sqrt((grid.x_RC / (0.60 * person.width)) ** 2 + (y + 0.10) ** 2)
        around = np.maximum(step(0.98, 1.04, oval) * (y < 0.95), step(0.72, 0.8, y))
        cover = np.maximum(cover, np.maximum(around, 1 - step(-0.1, 0.35, cos_RC))) * (y > -1.6)
        thick = np.ones_like(cover)
    uneven = 1 + 0.25 * smooth_noise(rng, y.shape, (3, 8))
    height = cover * thick * uneven * (fixed + share * person.hair_volume)
    return Hair(cover.astype(np.float32), (_outward(grid) * height[..., None]).astype(np.float32))


def colour(person: Identity, shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """Strands of hair, or the folds of a scarf.  Shape: -> (R, C, 3) RGB in [0, 1]"""
    if person.hair == "scarf":
        return person.scarf_3 * (1 + 0.05 * smooth_noise(rng, shape, 4)[..., None])
    strand_RC = 1 + 0.22 * smooth_noise(rng, shape, (9, 0.7)) + 0.12 * smooth_noise(rng, shape, (4, 2.5))
    return np.clip(person.hair_3 * strand_RC[..., None], 0, 1)


def patches(person: Identity, rng: np.random.Generator) -> list[Patch]:
    """The curtain of hair on both sides, or the two ears."""
    if person.hair in CURTAINED:
        return [_curtain(person, side, rng) for side in (-1, 1)]
    return [_ear(person, side) for side in (-1, 1)]


def _hairline(person: Identity, grid: Grid, rng: np.random.Generator) -> Array:
    ax = np.abs(grid.x_RC)
    line = person.hairline + 0.03 - 0.50 * (ax / 0.66) ** 3.2 + 0.025 * smooth_noise(rng, ax.shape, 2.2)
    if not person.female:
        line = line + 0.06 * bump(ax - 0.42, 0.12)  # receding temples
    if person.hair == "side":
        line = line - 0.16 * bump(grid.x_RC - person.parting * 0.8, 0.25)
    return line


def _outward(grid: Grid) -> Array:
    """Unit directions away from the skull's middle; level below the temples.  Shape: -> (R, C, 3)"""
    outward = np.stack([grid.x_RC, grid.y_RC - 0.35, grid.z_RC + 0.05], axis=-1)
    outward[..., 1] *= grid.y_RC > 0.35
    return outward / (np.linalg.norm(outward, axis=-1, keepdims=True) + 1e-6)


def _curtain(person: Identity, side: int, rng: np.random.Generator) -> Patch:
    angle, down = np.meshgrid(side * np.linspace(1.16, 2.9, 26), np.linspace(0, 1, 30))
    ragged = 0.05 * smooth_noise(rng, (1, 26), 1)
    y = 0.55 + (CURTAIN_END[person.hair] + ragged - 0.55) * down
    wavy = 1 + 0.05 * np.sin(3 * y + angle * 5) + 0.05 * step(0.4, -0.8, y)
    turned_in = 1 - 0.14 * step(0.15, 0.55, y) - 0.06 * step(0.7, 1.0, down)  # joins the hair above; the ends
    radius = (0.80 * person.width + person.hair_volume * 0.8) * wavy * turned_in
    strand = smooth_noise(rng, angle.shape, (6, 0.8))
    radius *= 1 + 0.025 * strand
    points = np.stack([radius * np.sin(angle), y, radius * np.cos(angle) - 0.02], axis=-1)
    base = person.scarf_3 if person.hair == "scarf" else person.hair_3
    shade = (1 + 0.25 * strand) * (0.75 + 0.25 * step(-1.6, 0.3, y))
    return Patch(points.astype(np.float32), np.clip(base * shade[..., None], 0, 1).astype(np.float32))


def _ear(person: Identity, side: int) -> Patch:
    around, along = np.meshgrid(np.linspace(0, 2 * np.pi, 15), np.linspace(-1, 1, 11))
    ring = np.sqrt(1 - along**2)
    x = side * (0.725 * person.width + 0.055 * np.cos(around) * ring + 0.02)
    y = (0.06 + 0.21 * along) * person.height
    z = 0.02 + 0.105 * np.sin(around) * ring + 0.03 * along
    shade = 1 - 0.25 * np.exp(-((along / 0.5) ** 2)) * (np.sin(around) > 0.3)
    return Patch(np.stack([x, y, z], axis=-1).astype(np.float32), (person.skin_3 * shade[..., None]).astype(np.float32))
