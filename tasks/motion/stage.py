"""Stage `motion`: trains the network from audio to mouth motion on the shards.

reads   data/index.parquet, data/shards/*.tar (face meshes and mel power of splits train and val)
writes  models/motion.safetensors, models/motion.json: people, figures of the unseen people of val, parameters, lineage
keeps   .cache/motion/<key>/state.pt, from which an interrupted training resumes, bit for bit

    python -m flows motion

The mesh generator moves mouths by it. `python -m tasks.motion` trains the released one in the same way, on videos.
"""

from dataclasses import dataclass, replace

import numpy as np

from model import head_mesh, mfcc
from model.params import MotionParams, Params
from tasks.core import files, paths
from tasks.core.errors import UserError
from tasks.core.progress import progress
from tasks.inference import motion_weights
from tasks.loading.clips import Clips
from tasks.motion import training
from tasks.motion.batches import MIN_FOUND, MotionClip, at_most, filled
from tasks.tracking import naming, runs

SPLITS = ("train", "val")
SPEECH_MEAN_SQUARE = 10**-2.5  # shards hold sound at mean square 1; speech as recorded is about -25 dB of full scale


@dataclass(frozen=True, slots=True)
class StoredOf:
    """A clip of a split, by its number."""

    person: str
    number: int


def run(p: Params) -> str:
    """Train to `motion.num_steps`, from the start or resuming the same training; returns a one-line summary.

    Errors: UserError if a split has no clip whose mesh holds; Stopped on a request to stop
    """
    p = replace(p, motion=of_shards(p.motion))
    loaded = {split: load(Clips(paths.INDEX, paths.SHARDS, split), p.motion) for split in SPLITS}
    data_hash = files.md5_file(paths.INDEX)
    network, usual, run_id = training.run(loaded["train"], loaded["val"], p, data_hash)
    figures = {"val": training.figures(network, loaded["val"], usual)}
    about = training.made_by(p) | {
        "data": {split: training.people(of) for split, of in loaded.items()},
        "figures": figures,
        "usual_spread": usual,
        "lineage": {"index_md5": data_hash},
    }
    motion_weights.save(paths.MOTION, network, about)
    runs.tag_run(run_id, {naming.CHECKPOINT: files.md5_file(paths.MOTION)})
    return f"{p.motion.num_steps} steps on {len(loaded['train'])} clips; unseen people: {training.summary(figures)}"


def motion_key(p: Params) -> str:
    """The folder of this training's state; other parameters, data or code version give another one."""
    index_md5 = files.md5_file(paths.INDEX) if paths.INDEX.is_file() else ""
    return training.training_key(replace(p, motion=of_shards(p.motion)), index_md5)


def of_shards(p: MotionParams) -> MotionParams:
    """The parameters with the mel bands of the shards."""
    return replace(p, num_bands=mfcc.MEL_BANDS, low_hz=mfcc.MEL_LOW_HZ, high_hz=mfcc.MEL_HIGH_HZ)


def load(split: Clips, p: MotionParams) -> list[MotionClip]:
    """At most `clips_per_person` clips of each person; without those whose mesh is missing too often.

    Errors: UserError if none is left
    """
    stored_clips = [StoredOf(row.get("person") or row["video"], n) for n, row in enumerate(split.rows)]
    wanted = at_most(stored_clips, p.clips_per_person)
    loaded = []
    for one in progress(wanted, "reading mouths", "clip"):
        stored = split.stored(one.number)
        mesh_T4683 = stored.mesh_T4683
        found_T = np.isfinite(mesh_T4683[:, head_mesh.MOUTH[0], 0])
        if found_T.mean() >= MIN_FOUND:
            mouth_TS3 = head_mesh.mouths(filled(mesh_T4683, found_T)).astype(np.float32)
            power_CM = SPEECH_MEAN_SQUARE * np.exp(stored.mel_CM.astype(np.float32) / mfcc.STEPS)
            loaded.append(MotionClip(split.keys[one.number], one.person, power_CM.astype(np.float32), mouth_TS3))
    if not loaded:
        raise UserError(
            f"motion: the face mesh holds in too few frames of each of {len(wanted)} clips; add other videos"
        )
    return loaded
