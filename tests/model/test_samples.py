import numpy as np
import pytest
import torch

from model.samples import Batch, frame_bytes, generator_input, mask_lower_half, pictures


@pytest.fixture
def frames_BSS3():
    return torch.randint(0, 256, (3, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_a_pixel_keeps_its_place_and_its_colour(frames_BSS3):
    red_green_blue = pictures(frames_BSS3)[1, :, 20, 7]
    assert torch.equal(red_green_blue, frames_BSS3[1, 20, 7].float() / 255)


def test_black_is_0_and_white_is_1():
    frames = np.stack([np.zeros((32, 32, 3), np.uint8), np.full((32, 32, 3), 255, np.uint8)])
    assert pictures(frames).flatten(1).unique(dim=1).tolist() == [[0.0], [1.0]]


def test_every_byte_comes_back(frames_BSS3):
    assert torch.equal(frame_bytes(pictures(frames_BSS3)), frames_BSS3)


def test_pictures_beyond_the_range_do_not_wrap_around():
    assert frame_bytes(torch.tensor([-0.1, 1.1, 0.5]).reshape(1, 3, 1, 1)).flatten().tolist() == [0, 255, 128]


def test_arrays_and_tensors_give_the_same_picture(frames_BSS3):
    assert torch.equal(pictures(frames_BSS3.numpy()), pictures(frames_BSS3))


def test_the_networks_get_channels_last_without_a_copy(frames_BSS3):
    faces_B6SS = generator_input(pictures(frames_BSS3), pictures(frames_BSS3))
    assert pictures(frames_BSS3).is_contiguous(memory_format=torch.channels_last)
    assert faces_B6SS.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("size", [32, 96, 192])
def test_rows_from_the_middle_on_are_masked_and_the_original_is_not(size):
    white = torch.ones(2, 3, size, size)
    masked = mask_lower_half(white)
    assert masked[:, :, : size // 2].min() == 1
    assert masked[:, :, size // 2 :].max() == 0
    assert white.min() == 1


def test_the_input_is_the_whole_identity_then_the_masked_target(frames_BSS3):
    identity, target = pictures(frames_BSS3), pictures(frames_BSS3.flip(0))
    faces_B6SS = generator_input(identity, target)
    assert torch.equal(faces_B6SS[:, :3], identity)
    assert torch.equal(faces_B6SS[:, 3:], mask_lower_half(target))


def test_arrays_that_are_not_colour_bytes_are_refused():
    with pytest.raises(ValueError, match=r"must be \(B, S, S, 3\) uint8, got \(2, 3, 32, 32\) torch.uint8"):
        pictures(torch.zeros(2, 3, 32, 32, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"got \(2, 32, 32, 3\) torch.float32"):
        pictures(torch.zeros(2, 32, 32, 3))


def test_a_batch_moves_as_a_whole(frames_BSS3):
    sound = torch.zeros(3, 12, 35)
    batch = Batch(frames_BSS3, frames_BSS3, sound, sound, torch.zeros(3, 4, dtype=torch.int16))
    assert [part.device.type for part in batch.to("meta")] == ["meta"] * 5
