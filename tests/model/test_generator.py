import pytest
import torch

from model.generator import BatchNorm, Generator, scaled, up
from model.samples import generator_input


def build(size: int = 96, width: float = 0.125) -> Generator:
    torch.manual_seed(0)
    return Generator(width, size)


def example(num: int, size: int = 96) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(1)
    return torch.rand(num, 6, size, size, generator=rng), 10 * torch.randn(num, 12, 35, generator=rng)


@pytest.mark.parametrize("size", [32, 64, 96, 128, 192])
def test_the_picture_has_the_size_of_the_face_and_the_range_of_light(size):
    out = build(size)(*example(2, size))
    assert (tuple(out.shape), out.dtype) == ((2, 3, size, size), torch.float32)
    assert 0 <= out.min() <= out.max() <= 1


@pytest.mark.parametrize(
    ("width", "size", "millions"), [(1, 96, 71.33), (0.5, 96, 17.8), (0.125, 96, 1.12), (1, 192, 92.5)]
)
def test_the_number_of_parameters_is_the_documented_one(width, size, millions):
    with torch.device("meta"):
        network = Generator(width, size)
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(millions, rel=0.01)


def test_the_full_width_has_lipgans_channels_at_every_level():
    shapes = []
    with torch.device("meta"):
        network = Generator(1.0, 96)
        for level in network.encoder:
            level.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape[1:3])))
        network(torch.zeros(2, 6, 96, 96), torch.zeros(2, 12, 35))
    assert shapes == [(32, 96), (64, 48), (128, 24), (256, 12), (512, 6), (512, 3)]


def skips(network: Generator) -> list[torch.nn.Module]:
    """The six layers that read a map of the encoder joined to one of the decoder, from the lowest up."""
    return [*list(network.decoder)[1:], network.picture]


def test_a_new_network_grows_maps_by_interpolation_and_draws_no_grid():
    torch.manual_seed(0)
    grow = up(8, 8)[0]
    flat = grow(torch.rand(1, 8, 1, 1).expand(1, 8, 6, 6))[..., 1:-1, 1:-1]
    assert torch.allclose(flat, flat[..., :1, :1].expand_as(flat), atol=1e-6) and flat.abs().max() > 0.01
    ramp = grow(torch.arange(6.0).expand(1, 8, 6, 6))[..., 1:-1, 1:-1]
    steps = ramp.diff(dim=-1)
    assert torch.allclose(steps, steps[..., :1].expand_as(steps), atol=1e-5)


def test_six_maps_of_the_encoder_reach_the_decoder_at_their_own_size():
    network, encoded, joined = build().eval(), [], []
    for level in network.encoder:
        level.register_forward_hook(lambda _, __, out: encoded.append(out))
    for layer in skips(network):
        layer.register_forward_pre_hook(lambda _, given: joined.append(given[0]))
    network(*example(2))
    assert [x.shape[2] for x in joined] == [3, 6, 12, 24, 48, 96]
    for map_, both in zip(reversed(encoded), joined, strict=True):
        assert torch.equal(both[:, : map_.shape[1]], map_)


@pytest.mark.parametrize("number", range(6))
def test_each_skip_matters(number):
    network, given = build().train(), example(4)
    before = network(*given)

    def cut(_, joined):
        x = joined[0].clone()
        x[:, : x.shape[1] // 2] = 0
        return (x,)

    skips(network)[number].register_forward_pre_hook(cut)
    assert (network(*given) - before).abs().max() > 1e-3


def test_what_the_lower_half_of_the_target_shows_cannot_change_the_picture():
    network, rng = build().eval(), torch.Generator().manual_seed(2)
    identity, target = torch.rand(2, 2, 3, 96, 96, generator=rng)
    mfcc = example(2)[1]
    out = network(generator_input(identity, target), mfcc)
    for rows, hidden in ((slice(48, 96), True), (slice(47, 48), False)):
        other = target.clone()
        other[:, :, rows] = 1 - other[:, :, rows]
        assert torch.equal(network(generator_input(identity, other), mfcc), out) is hidden


def test_every_cell_of_the_sound_reaches_the_picture():
    network, (faces, mfcc) = build().train(), example(4)
    mfcc.requires_grad_()
    network(faces, mfcc).square().mean().backward()
    assert (mfcc.grad != 0).flatten(1).float().mean() > 0.99
    assert (mfcc.grad.abs().sum(dim=0) != 0).all()


def test_a_sample_does_not_see_its_batch_in_eval_mode():
    network, (faces, mfcc) = build().eval(), example(4)
    assert torch.allclose(network(faces, mfcc)[2:3], network(faces[2:3], mfcc[2:3]), atol=1e-5)


def test_a_batch_of_one_can_be_trained_on_and_hears_its_sound():
    network, (faces, mfcc) = build().train(), example(1)
    out = network(faces, mfcc)
    out.mean().backward()
    assert all(p.grad.isfinite().all() for p in network.parameters())
    assert (network(faces, -mfcc) - out).abs().max() > 1e-4


def test_one_value_a_channel_leaves_the_running_statistics_as_they_are():
    norm = BatchNorm(8).train()
    norm(torch.randn(1, 8, 1, 1))
    assert norm.running_mean.eq(0).all() and norm.running_var.eq(1).all()
    norm(torch.randn(2, 8, 1, 1))
    assert norm.running_mean.ne(0).all()


def test_batch_norm_has_kerass_constants():
    norm = BatchNorm(1).train()
    out = norm(torch.tensor([0.0, 0.2]).reshape(2, 1, 1, 1))
    assert norm.running_mean.item() == pytest.approx(0.2 * 0.1)  # momentum 0.8 of the old
    assert out.flatten()[1].item() == pytest.approx(0.1 / (0.01 + 1e-3) ** 0.5)


@pytest.mark.parametrize(("channels", "width", "expected"), [(512, 1, 512), (32, 0.125, 8), (64, 0.3, 16), (3, 1, 8)])
def test_channels_are_whole_eights(channels, width, expected):
    assert scaled(channels, width) == expected


def test_what_cannot_be_built_or_read_is_refused_by_name():
    with pytest.raises(ValueError, match="size must be a multiple of 32, got 100"):
        Generator(0.125, 100)
    with pytest.raises(ValueError, match="width must be above 0, got 0"):
        Generator(0, 96)
    network, (faces, mfcc) = build(32), example(2, 32)
    with pytest.raises(ValueError, match=r"faces must be \(B, 6, 32, 32\), got \(2, 3, 32, 32\)"):
        network(faces[:, :3], mfcc)
    with pytest.raises(ValueError, match=r"mfcc must be \(B, 12, 35\), got \(2, 35, 12\)"):
        network(faces, mfcc.mT)
