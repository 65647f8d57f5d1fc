"""Stage `landmarks`: rendered heads with known landmarks -> the predictor that finds lips and measures mouths.

reads   nothing: the heads are drawn by tasks/synthetic, and are people of no corpus
writes  models/landmarks.dat

    python -m flows landmarks
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model.params import Params
from tasks import landmarks, paths, units
from tasks.landmarks import Example
from tasks.stage import all_or_nothing
from tasks.synthetic import labelled
from tasks.synthetic.plan import CORPUS_VERSION
from tasks.units import Unit

HEADS_PER_UNIT = 25


def plan(p: Params) -> tuple[list[Unit], Unit]:
    """Units that render heads, and the one that trains on all of them."""
    versions = {
        "corpus_version": CORPUS_VERSION,
        "landmarks_version": landmarks.LANDMARKS_VERSION,
        "libraries": units.library_versions("opencv-python-headless", "dlib-bin", "numpy", "scipy"),
    }
    num = p.landmarks.num_identities
    rendering = [
        Unit(
            stage="landmarks",
            name=f"heads-{start:06d}.npz",
            inputs={"seed": p.seed, "start": start, "count": min(HEADS_PER_UNIT, num - start), **versions},
            hints={},
            size=min(HEADS_PER_UNIT, num - start),
        )
        for start in range(0, num, HEADS_PER_UNIT)
    ]
    training = Unit(
        stage="landmarks",
        name=paths.LANDMARKS.name,
        inputs={"seed": p.seed, "heads": [unit.key for unit in rendering], **versions},
        hints={"folders": [str(unit.folder) for unit in rendering]},
    )
    return rendering, training


def render(unit: Unit, folder: Path) -> None:
    examples = labelled.render_examples(unit.inputs["seed"], unit.inputs["start"], unit.inputs["count"])
    grey_NSS = np.stack([example.grey_SS for example in examples])
    points_N682 = np.stack([example.points_682 for example in examples])
    np.savez(folder / "examples.npz", grey=grey_NSS, points=points_N682)


def train(unit: Unit, folder: Path) -> None:
    examples = []
    for heads in unit.hints["folders"]:
        with np.load(Path(heads) / "examples.npz") as stored:
            examples += [Example(*pair) for pair in zip(stored["grey"], stored["points"], strict=True)]
    landmarks.train(examples, folder / "landmarks.dat", unit.inputs["seed"])


def collect(rendering: Sequence[Unit], training: Unit) -> str:
    with all_or_nothing(paths.LANDMARKS) as partial:
        shutil.copyfile(training.folder / "landmarks.dat", partial)
    size_mb = paths.LANDMARKS.stat().st_size / 1e6
    return f"{sum(unit.size for unit in rendering)} heads, {paths.LANDMARKS}, {size_mb:.1f} MB"


def run(p: Params) -> str:
    """The whole stage in this process."""
    rendering, training = plan(p)
    for unit in rendering:
        units.make(render, unit)
    units.make(train, training)
    return collect(rendering, training)
