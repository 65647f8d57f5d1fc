"""The contact sheet of a person's mouths: from closed to the widest open, over all videos, cut from these again."""

import tempfile
from pathlib import Path

import cv2
import numpy as np

from tasks.compositor import library
from tasks.core import files
from tasks.persons import films, store
from tasks.persons.films import Library
from tasks.persons.store import Person
from tasks.provenance import withdrawals

COLUMNS, ROWS = 6, 4
TILE_WH = (240, 200)
BAND_PX = 22  # for the opening, under each mouth


def write(person: Person) -> Path | None:
    """In the person's folder; None where no video is left to cut from."""
    rows = withdrawals.read()
    usable = Library(person, tuple(video for video in person.videos if not films.state(person, video, rows)), ())
    built = library.build(usable.films()) if usable.videos else None
    if built is None:
        return None
    chosen = spread(built.opening_N, COLUMNS * ROWS)
    wanted = [set(built.frame_N[chosen[built.film_N[chosen] == k]].tolist()) for k in range(len(usable.videos))]
    with tempfile.TemporaryDirectory() as folder:
        built.footage = films.fetched(usable, built.footage, wanted, Path(folder))
        tiles = [tile(built.picture(int(n))[0], float(built.opening_N[n])) for n in chosen]
    blank = np.full_like(tiles[0], 255)
    tiles += [blank] * (-len(tiles) % COLUMNS)
    picture = np.concatenate([np.concatenate(tiles[k : k + COLUMNS], axis=1) for k in range(0, len(tiles), COLUMNS)])
    with files.all_or_nothing(person.folder / store.SHEET) as partial:
        cv2.imwrite(str(partial), picture[..., ::-1])
    return person.folder / store.SHEET


def spread(opening_N: np.ndarray, num: int) -> np.ndarray:
    """Mouths whose openings are evenly spread, from the least open to the widest.  Shape: (N,) -> (at most num,)"""
    left, chosen = np.ones(len(opening_N), bool), []
    for wanted in np.linspace(opening_N.min(), opening_N.max(), min(num, len(opening_N))):
        chosen.append(int(np.where(left, np.abs(opening_N - wanted), np.inf).argmin()))
        left[chosen[-1]] = False
    return np.array(sorted(chosen, key=lambda n: opening_N[n]))


def tile(mouth_HW3: np.ndarray, opening: float) -> np.ndarray:
    """A mouth, as large as it fits, above its opening in eye distances.  Shape: -> (TILE + BAND, TILE, 3) uint8"""
    (width, height), (h, w) = TILE_WH, mouth_HW3.shape[:2]
    scale = min(width / w, height / h)
    size = (max(1, round(w * scale)), max(1, round(h * scale)))
    scaled = cv2.resize(mouth_HW3, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    whole = np.full((height + BAND_PX, width, 3), 255, np.uint8)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    whole[top : top + size[1], left : left + size[0]] = scaled
    cv2.putText(whole, f"{opening:.3f}", (6, height + 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (40, 40, 40), 1, cv2.LINE_AA)
    return whole
