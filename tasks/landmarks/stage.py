"""Stage `landmarks`: rendered heads with known landmarks -> the landmark predictor and the yaw estimator.

reads   nothing: the heads are rendered by tasks/synthetic, and are not in the corpus
writes  models/landmarks.dat, models/yaw.json

    python -m flows landmarks
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model.params import Params
from tasks.core import paths
from tasks.core.files import all_or_nothing
from tasks.features import landmarks, yaw
from tasks.features.landmarks import Example
from tasks.landmarks import rendered_heads
from tasks.storage import unit_cache
from tasks.storage.unit_cache import Unit
from tasks.synthetic.plan import CORPUS_VERSION

HEADS_PER_UNIT = 25
TURNED_SHARE = 4  # one more, turned head for every so many, to learn the yaw from people unknown to the predictor


def plan(p: Params) -> tuple[list[Unit], Unit]:
    """Units that render heads, and the unit that trains on all of them."""
    versions = {
        "corpus_version": CORPUS_VERSION,
        "landmarks_version": landmarks.LANDMARKS_VERSION,
        "libraries": unit_cache.library_versions("opencv-python-headless", "dlib-bin", "numpy", "scipy"),
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
    num_turned = num // TURNED_SHARE
    turned = Unit(
        stage="landmarks",
        name="turned.npz",
        inputs={"seed": p.seed, "start": num, "count": num_turned, "turned": True, **versions},
        hints={},
        size=num_turned,
    )
    rendering.append(turned)
    training = Unit(
        stage="landmarks",
        name=paths.LANDMARKS.name,
        inputs={"seed": p.seed, "heads": [unit.key for unit in rendering], **versions},
        hints={"folders": [str(unit.folder) for unit in rendering]},
    )
    return rendering, training


def render(unit: Unit, folder: Path) -> None:
    if unit.inputs.get("turned"):
        heads = rendered_heads.render_turned(unit.inputs["seed"], unit.inputs["start"], unit.inputs["count"])
        np.savez(
            folder / "turned.npz",
            grey=np.stack([example.grey_SS for example, _, _ in heads]),
            yaw=np.array([yaw_deg for _, yaw_deg, _ in heads]),
            person=np.array([number for _, _, number in heads]),
        )
        return
    examples = rendered_heads.render_examples(unit.inputs["seed"], unit.inputs["start"], unit.inputs["count"])
    grey_NSS = np.stack([example.grey_SS for example in examples])
    points_N682 = np.stack([example.points_682 for example in examples])
    np.savez(folder / "examples.npz", grey=grey_NSS, points=points_N682)


def train(unit: Unit, folder: Path) -> None:
    examples = []
    *folders, turned = unit.hints["folders"]
    for heads in folders:
        with np.load(Path(heads) / "examples.npz") as stored:
            examples += [Example(*pair) for pair in zip(stored["grey"], stored["points"], strict=True)]
    landmarks.train(examples, folder / "landmarks.dat", unit.inputs["seed"])
    predictor = landmarks.Predictor(folder / "landmarks.dat")
    with np.load(Path(turned) / "turned.npz") as stored:
        landmarks_N682 = predictor(np.repeat(stored["grey"][..., None], 3, axis=-1))
        yaw.train(landmarks_N682, stored["yaw"], stored["person"], folder / "yaw.json")


def collect(rendering: Sequence[Unit], training: Unit) -> str:
    for out in (paths.LANDMARKS, paths.YAW):
        with all_or_nothing(out) as partial:
            shutil.copyfile(training.folder / out.name, partial)
    size_mb = paths.LANDMARKS.stat().st_size / 1e6
    return f"{sum(unit.size for unit in rendering)} heads, {paths.LANDMARKS}, {size_mb:.1f} MB"


def run(p: Params) -> str:
    """The whole stage in this process."""
    rendering, training = plan(p)
    for unit in rendering:
        unit_cache.make(render, unit)
    unit_cache.make(train, training)
    return collect(rendering, training)
