"""Rendered faces with their true landmarks, to train the landmark predictor (tasks/features/landmarks.py).

It connects the renderer with the detector and the crop, so that neither imports the other.
"""

import cv2
import numpy as np

from model import faces, seeds
from tasks.features import crop, face_track
from tasks.features.landmarks import Example
from tasks.synthetic import identity, picture, scene
from tasks.synthetic.head import Head
from tasks.synthetic.mouth import Mouth
from tasks.synthetic.picture import Actor, Pose

SIZE = 160  # px of the frame
CROP_PX = 96
FRAMES_OF_ONE = 2
TURNED_OF_ONE, FURTHEST_DEG = 3, 60.0
SHIFT, RESIZE = 0.03, 0.07  # deviation of the box, in shares of its width: dlib's boxes come in steps of 6/5 in size
BLURRED = 0.3  # share of the crops that are blurred, like generated faces
TURNED, MOST_YAW_DEG = 0.2, 45  # share of the heads that are turned further; beyond, the detector finds none


def render_examples(seed: int, start: int, count: int) -> list[Example]:
    """Detected faces of the people start .. start + count, FRAMES_OF_ONE frames each.

    None of the people is in the corpus. Examples depend only on the seed and the person's number, so that any division
    of a range gives the same ones.
    """
    return [example for number in range(start, start + count) for example in _person(seed, number)]


def render_turned(seed: int, start: int, count: int) -> list[tuple[Example, float, int]]:
    """Detected faces, turned by random angles: example, yaw in degrees, number of the person."""
    return [
        (example, yaw_deg, number)
        for number in range(start, start + count)
        for example, yaw_deg in _film(seed, number, TURNED_OF_ONE, furthest_deg=FURTHEST_DEG)
    ]


def _person(seed: int, number: int) -> list[Example]:
    return [example for example, _ in _film(seed, number, FRAMES_OF_ONE)]


def _film(seed: int, number: int, num_frames: int, furthest_deg: float | None = None) -> list[tuple[Example, float]]:
    rng = seeds.generator(seed, "labelled", number)
    head = Head(identity.draw(seeds.derive(seed, "labelled person", number)))
    examples = []
    for frame in range(num_frames):
        take = scene.draw(seeds.derive(seed, "labelled take", number, frame), SIZE)
        actor = Actor(head, take, 48.0 * rng.uniform(0.92, 1.15))
        mouth, pose = _mouth(rng), _pose(rng)
        if furthest_deg is not None:
            pose = pose._replace(yaw_deg=rng.uniform(-furthest_deg, furthest_deg))
        filmed = picture.render(take, [(actor, mouth, pose)], rng)
        boxes = face_track.detect(filmed.rgb_HW3, SIZE)
        if len(boxes):
            box_4 = faces.choose(boxes, None, "largest", filmed.rgb_HW3.shape[:2])
            examples.append((_example(filmed, box_4, rng), pose.yaw_deg))
    return examples


def _example(filmed: picture.RenderedFrame, box_4: np.ndarray, rng: np.random.Generator) -> Example:
    width = box_4[2] - box_4[0]
    grow = rng.normal(0, RESIZE) / 2 * np.array([-1, -1, 1, 1])
    moved_4 = box_4 + width * (grow + np.tile(rng.normal(0, SHIFT, 2), 2))
    crop_4 = faces.crop_boxes(moved_4[None])[0]
    grey_SS = cv2.cvtColor(crop.crop(filmed.rgb_HW3, crop_4, CROP_PX), cv2.COLOR_RGB2GRAY)
    if rng.random() < BLURRED:
        grey_SS = cv2.GaussianBlur(grey_SS, (0, 0), rng.uniform(0.4, 1.4))
    points_682 = (filmed.landmarks[0] - crop_4[:2]) * (CROP_PX / (crop_4[2:] - crop_4[:2]))
    return Example(np.asarray(grey_SS, np.uint8), points_682.astype(np.float32))


def _mouth(rng: np.random.Generator) -> Mouth:
    """Any mouth; a quarter of them closed."""
    opening = max(0.0, rng.normal(0.06, 0.08))
    return Mouth(
        opening=opening,
        width=rng.uniform(-0.4, 0.7),
        rounding=rng.uniform() if rng.random() < 0.5 else 0.0,
        press=rng.uniform() if opening == 0 else 0.0,
        tuck=float(rng.random() < 0.25),
        tongue=rng.uniform(),
        smile=max(0.0, rng.normal(0, 0.2)),
    )


def _pose(rng: np.random.Generator) -> Pose:
    yaw, pitch, roll = (rng.normal(0, deviation) for deviation in (8, 4, 3))
    if rng.random() < TURNED:
        yaw = rng.uniform(-MOST_YAW_DEG, MOST_YAW_DEG)
    return Pose(yaw, pitch, roll, rng.uniform(-6, 6), rng.uniform(-4, 4), blink=float(rng.random() < 0.08))
