import pytest
import torch

from model.discriminator import SyncDiscriminator, distance


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return SyncDiscriminator(0.125, 96).train()


@pytest.fixture(scope="module")
def pairs():
    rng = torch.Generator().manual_seed(1)
    return torch.rand(4, 3, 96, 96, generator=rng), 10 * torch.randn(4, 12, 35, generator=rng)


def test_embeddings_lie_on_the_unit_sphere(network, pairs):
    for embedded in (network.embed_faces(pairs[0]), network.embed_audio(pairs[1])):
        assert embedded.shape == (4, 512)
        assert torch.allclose(embedded.norm(dim=1), torch.ones(4), atol=1e-5)


def test_it_gives_one_distance_a_pair(network, pairs):
    distance_B = network(*pairs)
    assert distance_B.shape == (4,)
    assert 0 <= distance_B.min() <= distance_B.max() <= 2


@pytest.mark.parametrize("size", [32, 64, 192])
def test_other_sizes_work(size):
    assert SyncDiscriminator(0.125, size, dim=16)(torch.rand(2, 3, size, size), torch.zeros(2, 12, 35)).shape == (2,)


def test_a_sample_does_not_see_its_batch_in_training(network, pairs):
    faces, mfcc = pairs
    assert torch.allclose(network(faces, mfcc)[2:3], network(faces[2:3], mfcc[2:3]), atol=1e-5)


def test_every_part_of_face_and_sound_reaches_the_distance(network, pairs):
    faces, mfcc = (part.clone().requires_grad_() for part in pairs)
    network(faces, mfcc).sum().backward()
    assert (faces.grad.abs().sum(dim=(0, 1)) > 0).all()
    assert (mfcc.grad != 0).all()


def test_the_norm_takes_the_mean_over_channels_too(network):
    mixed = network.face[0][1](torch.randn(1, 8, 4, 4) * torch.arange(1, 9).reshape(1, 8, 1, 1))
    assert mixed.mean().abs() < 1e-5
    assert mixed.mean(dim=(2, 3)).abs().max() > 1e-3  # each channel alone, as InstanceNorm2d does it, would be 0


def test_digital_silence_has_a_finite_embedding_and_gradient(network):
    silence = torch.zeros(2, 12, 35, requires_grad=True)
    embedded = network.embed_audio(silence)
    embedded[:, 0].sum().backward()
    assert embedded.isfinite().all() and silence.grad.isfinite().all()


def test_distance_is_euclidean():
    assert distance(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])).item() == pytest.approx(2**0.5)
    assert distance(torch.tensor([[1.0, 0.0]]), torch.tensor([[-1.0, 0.0]])).item() == pytest.approx(2)


@pytest.mark.parametrize("apart", [0.0, 1e-12, 1e-7, 1e-6, 1e-3])
def test_the_gradient_of_a_small_distance_is_finite(apart):
    one = torch.tensor([[1.0, 0.0]], requires_grad=True)
    distance(one, torch.tensor([[1.0, apart]])).sum().backward()
    assert one.grad.norm() <= 1.001


def test_the_number_of_parameters_is_the_documented_one():
    with torch.device("meta"):
        network = SyncDiscriminator()
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(14.4, rel=0.01)


def test_wrong_shapes_are_refused_by_name(network, pairs):
    with pytest.raises(ValueError, match=r"face must be \(B, 3, 96, 96\), got \(4, 3, 48, 96\)"):
        network(pairs[0][:, :, 48:], pairs[1])
    with pytest.raises(ValueError, match=r"mfcc must be \(B, 12, 35\), got \(4, 12, 34\)"):
        network(pairs[0], pairs[1][..., 1:])
