"""What tells persons apart: our own description, and dlib's network, of which only the place is here."""

import cv2
import numpy as np
import pytest
from test_dub import speech

from tasks.core import paths
from tasks.core.errors import UserError
from tasks.dubbing import dub, likeness, look, speaker
from tasks.dubbing.options import Options
from tasks.features.mesh_points import MeshPoints
from tasks.loading.clips import Clips

BY = likeness.Patterns()


def clips():
    found = Clips(paths.INDEX, paths.SHARDS, "train")
    return [(found.keys[k].split("/")[1], found[k].faces_TSS3) for k in range(len(found))]


def test_a_face_is_more_like_its_later_self_than_like_another_person(trained):
    described = [(who, BY.describe(faces[0]), BY.describe(faces[-1])) for who, faces in clips()]
    assert len({who for who, _, _ in described}) > 1
    for who, first, last in described:
        others = [BY.alike(first, other) for person, _, other in described if person != who]
        assert BY.alike(first, last) > max(others)


@pytest.mark.parametrize("change", [
    lambda face: np.clip(face * 0.7, 0, 255), lambda face: 255 * (face / 255) ** 1.3,
    lambda face: np.clip(face * np.array([1.1, 1.0, 0.85]), 0, 255),
], ids=["darker", "flatter", "yellower"])  # fmt: skip
def test_brightness_and_tint_do_not_change_the_person(trained, change):
    for _, faces in clips():
        changed = np.round(change(faces[0].astype(float))).astype(np.uint8)
        assert BY.alike(BY.describe(faces[0]), BY.describe(changed)) > BY.same


def test_a_missing_or_foreign_network_file_is_one_line(trained):
    paths.EXPERT.with_name("text.dat").write_text("no network")
    for name, why in (("none.dat", "no such file"), ("models/text.dat", "not dlib's face recognition network"),
                      (str(paths.EXPERT), "not dlib's face recognition network")):  # fmt: skip
        with pytest.raises(UserError, match=f"--recognition {name}: {why}") as caught:
            dub.run("face.mp4", speech(6400), "out/a.mp4", options=Options(recognition=name))
        assert "\n" not in str(caught.value)


def test_a_network_gets_the_face_upright(trained):
    """dlib's network expects level eyes at its own size, for a tilted head too."""
    predictor = MeshPoints()
    face = clips()[0][1][0]
    points = predictor(face[None])[0]
    turn = cv2.getRotationMatrix2D((48, 48), 20, 1)
    tilted = cv2.warpAffine(face, turn, (96, 96), borderMode=cv2.BORDER_REPLICATE)
    turned = (points @ turn[:, :2].T + turn[:, 2]).astype(np.float32)
    straight, back = likeness.upright(face, points), likeness.upright(tilted, turned)
    assert straight.shape == back.shape == (150, 150, 3)
    middle = slice(35, 115)
    apart = np.abs(straight[middle, middle].astype(int) - back[middle, middle]).mean()
    assert (
        apart
        < 0.5 * np.abs(straight[middle, middle].astype(int) - cv2.resize(tilted, (150, 150))[middle, middle]).mean()
    )


def test_the_choice_follows_the_recogniser(trained):
    """The same faces with another measure, here one that compares brightness only."""

    class Light:
        same = 0.0

        def describe(self, portrait_SS3):
            return portrait_SS3.mean(keepdims=True).ravel()

        def alike(self, a, b):
            return 1 - abs(float(a[0] - b[0])) / 10

    seen = look.Seen(np.arange(4) / 25, (200, 200), [0], [of_light(40, 10.0), of_light(200, 100.0)])
    assert speaker.choose(seen, "0", None, Light()).likeness == [1.0, 1 - 16.0]
    assert set(speaker.choose(seen, "1", None, Light()).who_T.tolist()) == {1}


def of_light(level, left):
    """A face in four frames, all of one grey."""
    boxes = np.tile([left, 10.0, left + 50, 60.0], (4, 1))
    grey = np.full((96, 96, 3), level, np.uint8)
    return look.Face(
        0, boxes, np.ones(4, bool), np.zeros((4, 68, 2), np.float32), np.zeros((4, 96), np.uint8), {0: grey}
    )
