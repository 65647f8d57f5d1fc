"""Stage `inside`: trains the network that paints the mouth's inside, on the shards.

reads   data/index.parquet, data/shards/*.tar (face crops and face meshes of splits train and val)
writes  models/inside.safetensors, models/inside.json: people, figures of the unseen people of val, parameters, lineage
keeps   .cache/inside/<key>/, from which an interrupted training resumes, bit for bit

    python -m flows inside

The mesh generator paints with it what the person's own frames lack. `python -m tasks.inside` trains the released one in
the same way, on videos.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from model import head_mesh
from model.head_track import steady
from model.params import Params
from tasks.core import files, paths
from tasks.inference import inside_weights
from tasks.inside import training
from tasks.inside.pairs import Film
from tasks.loading.clips import Clips
from tasks.motion.batches import at_most
from tasks.tracking import naming, runs

SPLITS = ("train", "val")
LEAST_FRAMES = 2


@dataclass(frozen=True, slots=True)
class StoredOf:
    """A clip of a split, by its number."""

    person: str
    split: str
    number: int
    folder: int = 0


def run(p: Params) -> str:
    """Train to `inside.num_steps`, from the start or resuming the same training; returns a one-line summary.

    Errors: UserError if a split has no usable clip; Stopped on a request to stop
    """
    clips = {split: Clips(paths.INDEX, paths.SHARDS, split) for split in SPLITS}
    sources = {split: of_split(split, of, p.inside.clips_per_person) for split, of in clips.items()}
    net, about, run_id = training.run(sources, partial(film, clips), p, files.md5_file(paths.INDEX))
    about |= {"lineage": {"index_md5": files.md5_file(paths.INDEX)}}
    inside_weights.save(paths.INSIDE, net, p.inside, about)
    runs.tag_run(run_id, {naming.CHECKPOINT: files.md5_file(paths.INSIDE)})
    return training.summary(p, about)


def inside_keys(p: Params) -> tuple[str, str]:
    """The folders of this training and of its pairs; other parameters, data or code version give others."""
    index_md5 = files.md5_file(paths.INDEX) if paths.INDEX.is_file() else ""
    return training.training_key(p, index_md5), training.pairs_key(p, index_md5)


def of_split(split: str, clips: Clips, most: int) -> list[StoredOf]:
    """At most `most` clips of each person."""
    return at_most((StoredOf(row.get("person") or row["video"], split, n) for n, row in enumerate(clips.rows)), most)


def film(clips: dict[str, Clips], source: StoredOf) -> Film | None:
    """The frames of a stored clip that have a mesh; None where there are too few."""
    of_split = clips[source.split]
    stored = of_split.stored(source.number)
    mesh_T4683 = stored.mesh_T4683
    found = np.flatnonzero(np.isfinite(mesh_T4683[:, head_mesh.MOUTH[0], 0]))
    if len(found) < LEAST_FRAMES:
        return None
    pictures = list(stored.faces.all()[found])
    of_split.forget()
    # crops move with the face by themselves: nothing is smoothed over frames
    heads = steady(mesh_T4683[found], pose_sigma=0, shape_sigma=0)
    return Film(of_split.keys[source.number], source.person, pictures, heads)
