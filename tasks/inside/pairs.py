"""Training pairs: a frame of a clip, warped by the compositor to the wider open mouth of another frame, and that frame.

A pair is made only where the compositor would paint: the first frame's mouth lacks what the second one's shows.

Shape letters: T frames of a clip, N pairs, H and W of a crop (model.inside)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model import head_mesh, inside
from model.head_track import Heads
from model.inside import HEIGHT, WIDTH
from tasks.compositor import inside as compositor_inside
from tasks.compositor import library, warp
from tasks.compositor.geometry import Geometry
from tasks.compositor.inside import ENOUGH, LACK_FROM


@dataclass(frozen=True, slots=True)
class Film:
    """A clip of one person: pictures, and the heads in their pixels.  folder: number of its data folder"""

    name: str
    person: str
    pictures_T: Sequence[np.ndarray]
    heads: Heads
    folder: int = 0


@dataclass(frozen=True, slots=True)
class Pool:
    """Pairs of one or more clips, all uint8.

    warped_NHW3, true_NHW3    crops
    masks_N3HW                inner lips, outer lips, painted area
    """

    warped_NHW3: np.ndarray
    true_NHW3: np.ndarray
    masks_N3HW: np.ndarray

    def __len__(self) -> int:
        return len(self.true_NHW3)


def pool(parts: Sequence[Pool]) -> Pool:
    return Pool(*(np.concatenate([getattr(part, name) for part in parts]) for name in Pool.__slots__))


def of_film(film: Film, num: int, rng: np.random.Generator) -> Pool | None:
    """At most `num` different pairs; None where no frame shows what another lacks."""
    heads = library.apart(film.heads)
    numbers_N2 = drawn(head_mesh.mouth_opening(heads.canonical_TP3[:, library.MOUTH]), num, rng)
    if not len(numbers_N2):
        return None
    opening_T = head_mesh.mouth_opening(heads.canonical_TP3[:, library.MOUTH])
    resting_T = opening_T <= np.quantile(opening_T, head_mesh.RESTING)
    geometry = Geometry(library.closed_head(heads.canonical_TP3[resting_T]))
    vertices_TV2 = library.vertices(geometry, heads)
    made = [_pair(film, heads, geometry, vertices_TV2, *numbers) for numbers in numbers_N2.tolist()]
    whole = [pair for pair in made if pair is not None]
    return Pool(*(np.stack(part) for part in zip(*whole, strict=True))) if whole else None


def drawn(opening_T: np.ndarray, num: int, rng: np.random.Generator) -> np.ndarray:
    """Different pairs of frame numbers, the second lacking in the first; wide mouths are drawn more often.

    Shape: -> (at most num, 2) int
    """
    order_T = np.argsort(opening_T, kind="stable")
    count_T = np.searchsorted(opening_T[order_T], (opening_T - LACK_FROM) / ENOUGH)
    wide = np.flatnonzero(count_T > 0)
    if not len(wide):
        return np.zeros((0, 2), int)
    second_N = rng.choice(wide, num, p=opening_T[wide] / opening_T[wide].sum())
    first_N = order_T[(rng.random(num) * count_T[second_N]).astype(int)]
    return np.unique(np.stack([first_N, second_N], axis=1), axis=0)


def _pair(
    film: Film, heads: Heads, geometry: Geometry, vertices_TV2: np.ndarray, first: int, second: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Frame `first` with the mouth of `second`, and `second`; None where the mouth is not in the picture."""
    true_HW3 = film.pictures_T[second]
    maps = warp.maps(
        geometry, vertices_TV2[second], vertices_TV2[second], vertices_TV2[first], true_HW3.shape[:2]
    )  # fmt: skip
    if maps is None:
        return None
    new_HW3 = warp.moved(film.pictures_T[first], maps.library_2HW, (maps.left, maps.top))
    mesh_P2, corner_2 = heads.mesh(second)[:, :2], np.array([maps.left, maps.top])
    inner_202, outer_202 = mesh_P2[list(head_mesh.INNER)], mesh_P2[list(head_mesh.OUTER)]
    matrix_23 = inside.alignment(inner_202, heads.turn_T33[second])
    warped_23 = inside.alignment(inner_202 - corner_2, heads.turn_T33[second])
    inner_HW, outer_HW = (
        compositor_inside.filled((HEIGHT, WIDTH), compositor_inside.placed(lips, matrix_23))
        for lips in (inner_202, outer_202)
    )
    masks_3HW = np.stack([inner_HW, outer_HW, compositor_inside.soft(inner_HW)])
    return (
        compositor_inside.crop(new_HW3, warped_23),
        compositor_inside.crop(true_HW3, matrix_23),
        np.rint(masks_3HW * 255).astype(np.uint8),
    )
