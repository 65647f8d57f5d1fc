"""The face of a live stream, by either generator."""

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tasks.dubbing import networks, overlay
from tasks.dubbing.networks import Mesh, Network
from tasks.dubbing.options import Options
from tasks.live.mesh_speaker import MeshSpeaker, fitting
from tasks.live.stream import Portrait, Speaker
from tasks.media import containers, decode


@contextlib.contextmanager
def opened(
    face: Path, checkpoint: str | None, options: Options, most_pixels: int = sys.maxsize
) -> Iterator[tuple[Speaker, Network]]:
    """Load the network and prepare the face.

    options  generator (None: as in networks.settled), strength, library, person, backend, speaker, box, label
    Errors:  UserError where the face or the checkpoint cannot be used
    """
    options = networks.settled(options, checkpoint)
    network = networks.load(options.generator, checkpoint, options.backend, options.person)
    with containers.readable(face.name), tempfile.TemporaryDirectory(prefix="lipgan-live-") as folder:
        if isinstance(network, Mesh):
            yield MeshSpeaker(face, network, options, Path(folder), most_pixels), network
            return
        picture_HW3 = fitting(decode.read_image(face), most_pixels)
        box_4 = None if options.box is None else np.array(options.box, np.float64)
        portrait = Portrait(picture_HW3, network.sync, network.p, network.points, box_4)
        if options.label:
            portrait.picture_HW3 = overlay.labelled(portrait.picture_HW3, options.label)
        yield portrait, network


def demand_usable(face: Path) -> None:
    """Errors: UserError that says why no picture of it can be read"""
    with containers.readable(face):
        decode.read_image(face)
