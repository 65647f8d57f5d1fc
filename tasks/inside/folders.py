"""Trains the network that paints the mouth's inside on folders of clips.

reads   videos, as FOLDER/PERSON/*.mpg, at their own resolution, and the lip refiner's weights
writes  --out (safetensors) and the JSON beside it: data, people, figures of held-out people, parameters, hashes

    python -m tasks.inside --data ../grid/video data/rendered --val s31 p03 --test s27 'p0[4-8]' \\
        --licence "CC BY 4.0" --attribution "GRID (Cooke et al. 2006)" --out released/inside.safetensors

People of --val and --test are never trained on; curves are measured on --val, the final figures on both.
"""

import itertools
from dataclasses import replace

import numpy as np

from model.head_track import steady
from model.params import Params
from tasks.core.errors import Refusal
from tasks.core.progress import say
from tasks.features import mesh_model
from tasks.inference import inside_weights
from tasks.inside import training
from tasks.inside.pairs import Film
from tasks.media import decode
from tasks.media.containers import MediaError
from tasks.motion import clips
from tasks.motion.batches import at_most
from tasks.motion.clips import Source
from tasks.motion.folders import Order, splits

MAX_FRAMES = 250  # of a clip: more of one clip shows little else


def run(p: Params, order: Order) -> str:
    """Train to `inside.num_steps`, from the start or resuming the same training; returns a one-line summary.

    Errors: UserError if a split has no usable clip; Stopped on a request to stop
    """
    split = splits(at_most(clips.sources(order.data), p.inside.clips_per_person), order)
    data_hash = clips.source_hash(itertools.chain(*split.values()))
    net, about, _ = training.run(split, film, p, data_hash)
    about |= {
        "licence": order.licence,
        "attribution": order.attribution,
        "command": order.command,
        "mouths_read_by": {"face_mesh": mesh_model.SHA256, "lip_refiner": clips.refiner_hash()},
    }
    about["data"] |= {"videos_sha256": data_hash, "train_videos_sha256": clips.source_hash(split["train"])}
    inside_weights.save(order.out, net, p.inside, about)
    return training.summary(p, about)


def film(source: Source) -> Film | None:
    """None, and a line, where the video cannot be read or shows no face."""
    try:
        frames_THW3 = np.stack(list(itertools.islice(decode.frames(source.video), MAX_FRAMES)))
        mesh_T4683 = clips.meshes(frames_THW3)
    except (MediaError, Refusal) as error:
        say(f"inside: skipped {source.person}/{source.video.name}: {error.reason}, {error.detail}")
        return None
    return Film(source.video.stem, source.person, list(frames_THW3), steady(mesh_T4683), source.folder)


def with_lengths(p: Params, num_pairs: int | None, num_steps: int | None) -> Params:
    """The parameters of a training that is longer than that of the stage."""
    inside = replace(p.inside, num_pairs=num_pairs or p.inside.num_pairs, num_steps=num_steps or p.inside.num_steps)
    return replace(p, inside=inside)
