"""How well the network paints unseen people's mouths, beside the dark that is drawn without it; inside alone."""

from collections.abc import Mapping

import numpy as np

from model import inside
from model.inside import InsideNet
from tasks.compositor.inside import DARK
from tasks.inside.pairs import Pool

MOST_PAIRS = 64  # of a person


def figures(net: InsideNet, people: Mapping[str, Pool]) -> dict[str, dict[str, float]]:
    """person -> num_pairs, PSNR in dB painted, dark and as warped; sharpness relative to the true inside."""
    return {person: _of(net, pairs) for person, pairs in people.items()}


def mean_of_people(by_person: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    names = [name for name in next(iter(by_person.values())) if name != "num_pairs"]
    return {name: float(np.mean([row[name] for row in by_person.values()])) for name in names}


def summary(by_split: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    means = {name: mean_of_people(of) for name, of in by_split.items()}
    return "; ".join(
        f"{name}: PSNR {of['psnr_db']:.1f} dB painted, {of['dark_psnr_db']:.1f} dark, sharpness {of['sharpness']:.2f}"
        for name, of in means.items()
    )


def _of(net: InsideNet, pairs: Pool) -> dict[str, float]:
    rows = []
    for n in np.unique(np.linspace(0, len(pairs) - 1, min(MOST_PAIRS, len(pairs))).round().astype(int)):
        warped, true = pairs.warped_NHW3[n].astype(np.float32), pairs.true_NHW3[n].astype(np.float32)
        inner_HW, outer_HW, area_HW = pairs.masks_N3HW[n].astype(np.float32) / 255
        made = inside.painted(net, pairs.warped_NHW3[n], inner_HW, outer_HW)
        dark = warped * (1 - DARK * inner_HW[..., None])
        shown = warped + (made - warped) * area_HW[..., None]
        sharpness = _detail(shown, area_HW) / _detail(true, area_HW)
        rows.append([*(_psnr_db(one, true, area_HW) for one in (shown, dark, warped)), sharpness])
    names = ("psnr_db", "dark_psnr_db", "warped_psnr_db", "sharpness")
    return {"num_pairs": float(len(rows))} | dict(zip(names, np.mean(rows, axis=0).tolist(), strict=True))


def _psnr_db(one: np.ndarray, other: np.ndarray, area_HW: np.ndarray) -> float:
    error = (np.square(one - other).mean(axis=2) * area_HW).sum() / max(float(area_HW.sum()), 1e-6)
    return float(10 * np.log10(255**2 / max(error, 1e-3)))


def _detail(picture_HW3: np.ndarray, area_HW: np.ndarray) -> float:
    """Mean size of the second differences, which a blur makes smaller."""
    grey_HW = picture_HW3.mean(axis=2)
    second = 4 * grey_HW[1:-1, 1:-1] - grey_HW[:-2, 1:-1] - grey_HW[2:, 1:-1] - grey_HW[1:-1, :-2] - grey_HW[1:-1, 2:]
    weight = area_HW[1:-1, 1:-1]
    return max(float((np.abs(second) * weight).sum() / max(float(weight.sum()), 1e-6)), 1e-3)
