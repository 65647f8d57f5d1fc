import io

import cv2
import numpy as np
import pytest

from tasks.core.errors import UserError
from tasks.storage import face_codec
from tasks.storage.face_codec import Faces


def ramps(num_frames, size=96):
    ramp = np.linspace(0, 1, size)[:, None] * np.linspace(0, 1, size)
    colours = np.random.default_rng(0).integers(40, 215, (num_frames, 1, 1, 3))
    return (colours * (0.5 + 0.5 * ramp[None, :, :, None])).astype(np.uint8)


@pytest.mark.parametrize(("num_frames", "size"), [(1, 96), (9, 96), (700, 96), (5, 192)])
def test_a_jpeg_gives_back_every_face_in_order(num_frames, size):
    faces = ramps(num_frames, size)
    back = Faces(face_codec.encode(faces, "jpeg", 95), num_frames).all()
    assert back.shape == faces.shape
    assert np.abs(back.astype(int) - faces).max() <= 6


def test_any_face_alone_has_the_pixels_it_has_in_the_whole_jpeg():
    noise = np.random.default_rng(1).integers(0, 255, (700, 96, 96, 3), np.uint8)  # 700: more than a JPEG has rows for
    noise[::2] = ramps(350)
    stored = face_codec.encode(noise, "jpeg", 95)
    jpeg = np.frombuffer(stored["faces.jpg"], np.uint8)
    first = cv2.imdecode(jpeg, cv2.IMREAD_COLOR_RGB).reshape(-1, 96, 96, 3)  # OpenCV reads only the first JPEG
    whole = Faces(stored, 700).all()
    assert len(first) == 682 and np.array_equal(whole[:682], first)
    for frame in (0, 8, 9, 681, 682, 699):
        assert np.array_equal(Faces(stored, 700)[frame], whole[frame])
    some = [690, 3, 3, 17]
    assert np.array_equal(Faces(stored, 700).at(some), whole[some])


def test_only_requested_faces_are_decoded_and_only_once():
    took = []
    faces = Faces(face_codec.encode(ramps(30), "jpeg", 95), 30, took.append)
    faces[3], faces[3], faces.at([3, 4, 5])
    assert took == [27_648, 2 * 27_648] and faces.num_bytes == 3 * 27_648


def test_a_face_does_not_bleed_into_its_neighbour():
    faces = np.zeros((2, 96, 96, 3), np.uint8)
    faces[1] = 255
    back = Faces(face_codec.encode(faces, "jpeg", 95), 2).all()
    assert back[0].max() <= 1 and back[1].min() >= 254


def test_raw_faces_are_the_faces_and_a_plain_npy():
    noise = np.random.default_rng(1).integers(0, 255, (7, 96, 96, 3), np.uint8)
    stored = face_codec.encode(noise, "raw", 95)
    assert np.array_equal(np.load(io.BytesIO(stored["faces.npy"])), noise)
    back = Faces({"faces.npy": memoryview(stored["faces.npy"])}, 7)
    assert np.array_equal(back.all(), noise) and np.array_equal(back.at([6, 0]), noise[[6, 0]])
    assert not back.all().flags.writeable  # nothing was copied


@pytest.mark.parametrize("storage", ["jpeg", "raw"])
def test_damaged_faces_are_an_error(storage):
    [(name, stored)] = face_codec.encode(ramps(5), storage, 95).items()
    for damaged in (stored[: len(stored) // 2], stored[:40], b""):
        with pytest.raises(UserError, match="run `dvc"):
            Faces({name: damaged}, 5).all()


def test_another_number_of_faces_than_in_the_index_is_an_error():
    with pytest.raises(UserError, match="5 faces are stored, the index says 6"):
        Faces(face_codec.encode(ramps(5), "jpeg", 95), 6)
