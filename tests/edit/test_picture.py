"""The picture of an edit on a real person, by hand-made pieces; as in tests/dubbing/test_dub_mesh.py."""

import shutil

import numpy as np
import pytest
from conftest import REAL, ROOT, inside

from model import head_mesh
from tasks.dubbing import networks
from tasks.dubbing.options import Options
from tasks.edit import film, joints, picture
from tasks.edit.pieces import Piece, joined
from tasks.features import mesh_model
from tasks.media import native_rate

CLIPS = sorted(REAL.glob("*.mpg"))
pytestmark = [
    pytest.mark.skipif(not CLIPS, reason="the real clips in ../shared/real are not here"),
    pytest.mark.skipif(not mesh_model.path().is_file(), reason=f"no model: `{mesh_model.COMMAND}`"),
    pytest.mark.skipif(not networks.MOTION.is_file(), reason="the motion network's weights are not here"),
]
OPTIONS = Options(generator="mesh", lossless=True)
RATE_HZ = 16_000


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """A real clip, and what is known of it."""
    made = tmp_path_factory.mktemp("edit")
    shutil.copy(ROOT / "params.yaml", made)
    with inside(made):
        yield made, picture.watch(CLIPS[0], networks.mesh("released"), OPTIONS, made, True)


def edited(watched, *pieces):
    """The edit's frames as they are written, and its film."""
    folder, known = watched
    pieces = joined(pieces)
    sound_NC = np.random.default_rng(0).normal(0, 0.1, (round(pieces[-1].end_s * RATE_HZ), 1))
    output, filmed = picture.output(CLIPS[0], pieces, sound_NC, RATE_HZ, known, OPTIONS, folder)
    output.render()
    output.join(folder / "a.mkv", {})
    for path in output.segments():
        path.unlink()
        path.with_suffix(".json").unlink()
    frames = np.stack([one.rgb() for one, _ in native_rate.pictures(folder / "a.mkv")])
    assert len(frames) == len(filmed.near_N) == round(pieces[-1].end_s * 25)
    return frames, filmed, output.script.plan.weight_N


def source():
    return np.stack([one.rgb() for one, _ in native_rate.pictures(CLIPS[0])])


def test_a_cut_leaves_all_but_a_few_frames_as_filmed_and_moves_no_faster_than_uncut_footage(watched):
    frames, filmed, weight_N = edited(watched, Piece("kept", (), 0, 0.8, 0, 0.8), Piece("kept", (), 0.8, 1.8, 1.6, 2.6))
    [joint] = filmed.joints
    smoothed = np.arange(joint.n - joint.half, joint.n + joint.half)
    rest = np.setdiff1d(np.arange(len(frames)), smoothed)
    assert 2 <= len(smoothed) <= 2 * joints.MOST_S * 25 and (weight_N == 0).all()
    assert (frames[rest] == source()[filmed.near_N[rest]]).all()
    meshes = np.stack([filmed.mesh(n) for n in range(joint.n - 9, joint.n + 9)])
    speeds = np.linalg.norm(np.diff(meshes, axis=0)[..., :2], axis=2).mean(axis=1)
    usual = filmed.meshes.speeds(filmed.meshes.sampled())
    assert speeds.max() <= max(np.percentile(usual, 99), joint.jump_px / 2)


def test_a_new_piece_has_a_new_mouth_and_nothing_else_changes(watched):
    frames, filmed, weight_N = edited(
        watched, Piece("kept", (), 0, 0.8, 0, 0.8), Piece("voice", ("x",), 0.8, 2.0, 0.8, 1.2),
        Piece("kept", (), 2.0, 3.0, 1.2, 2.2),
    )  # fmt: skip
    new_N = filmed.frames.new_N
    assert (weight_N[new_N] == 1).all() and not filmed.joints
    outside = weight_N == 0
    assert (frames[outside] == source()[filmed.near_N[outside]]).all() and outside.sum() > 30
    steps = np.abs(np.diff(frames.astype(int), axis=0))[:, :80].mean(axis=(1, 2, 3))  # of hair and background
    assert steps[20:50].max() <= 1.5 * np.abs(np.diff(source().astype(int), axis=0))[:, :80].mean(axis=(1, 2, 3)).max()


def test_a_retimed_frame_lies_between_its_neighbours(watched):
    _, known = watched
    meshes = film.Meshes(known.footage)
    between = meshes.mesh(20.5)
    assert between == pytest.approx((meshes.mesh(20.0) + meshes.mesh(21.0)) / 2)
    assert head_mesh.place(between[None]).scale_T > 0


def test_pictures_come_in_any_order(watched):
    _, known = watched
    frames = source()
    reader = film.Reader(CLIPS[0], known.seen.times_s, known.seen.size_hw)
    reader.num_held = 12
    for t in (0, 3, 70, 69, 68, 40, 10, 11, 74, 0):
        assert (reader(t).rgb() == frames[t]).all(), t
    reader.close()
