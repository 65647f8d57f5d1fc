"""Terms of the generator's loss beside L1, and the networks they need."""

import copy
import math

import pytest
import torch
from test_gan import SIZE, build, example, same, snapshot, through_a_file

from model import loss_terms
from model.ema import Average
from model.expert import RUN, SyncExpert, lower_halves
from model.samples import Batch
from model.visual_quality import QualityDiscriminator, quality_loss, realism_loss


@pytest.fixture
def expert():
    torch.manual_seed(0)
    return SyncExpert(0.125, SIZE).eval().requires_grad_(False)


def with_terms(frozen, **weights):
    gan = build(num_runs=1, expert=copy.deepcopy(frozen), quality_weight=1.0, average=0.9)
    gan.weights |= weights
    return gan


def test_the_temporal_term_depends_on_changes_not_on_the_pictures():
    real = torch.rand(2 * RUN, 3, SIZE, SIZE)
    assert loss_terms.temporal_loss(real * 0.5 + 0.3, real * 0.5).item() == pytest.approx(0, abs=1e-6)
    still = real[::RUN].repeat_interleave(RUN, dim=0)
    moved = (real.unflatten(0, (2, RUN))[:, 1:] - real.unflatten(0, (2, RUN))[:, :-1]).abs().mean()
    assert loss_terms.temporal_loss(still, real).item() == pytest.approx(moved.item(), rel=1e-5)


def test_the_expert_term_uses_the_sound_of_each_runs_middle_frame(expert):
    batch = example(2 * RUN + 3)
    made = torch.rand(2 * RUN, 3, SIZE, SIZE)
    faces, sound = expert.embed_faces(lower_halves(made)), expert.embed_audio(batch.mfcc_BFW[[2, 7]])
    expected = -torch.log(torch.sigmoid(expert.logit((faces * sound).sum(dim=1)))).mean()
    assert loss_terms.expert_loss(expert, made, batch).item() == pytest.approx(expected.item(), rel=1e-4)


def test_the_perceptual_term_is_zero_for_equal_runs_and_larger_for_other_mouths(expert):
    real = torch.rand(RUN, 3, SIZE, SIZE)
    assert loss_terms.perceptual_loss(expert, real, real).item() == pytest.approx(0, abs=1e-5)
    upper = real.clone()
    upper[:, :, : SIZE // 2] = 0
    assert loss_terms.perceptual_loss(expert, upper, real).item() == pytest.approx(0, abs=1e-5)
    assert loss_terms.perceptual_loss(expert, 1 - real, real).item() > 0.1


def test_a_term_without_weight_changes_nothing_and_one_with_weight_moves_the_generator(expert):
    batch = example(RUN + 2)
    plain, weightless = build(num_runs=1), with_terms(expert)
    plain.step(batch)
    assert loss_terms.NAMES[0] not in weightless.step(batch)
    assert same(snapshot(plain.generator.state_dict()), snapshot(weightless.generator.state_dict()))
    for name in loss_terms.NAMES:
        moved = with_terms(expert, **{name: 1.0})
        assert math.isfinite(moved.step(batch)[name].item())
        assert not same(snapshot(plain.generator.state_dict()), snapshot(moved.generator.state_dict())), name


def test_the_expert_stays_frozen(expert):
    gan = with_terms(expert, expert=1.0, perceptual=1.0)
    before = snapshot(gan.expert.state_dict())
    gan.step(example(RUN + 2))
    assert same(before, snapshot(gan.expert.state_dict()))
    assert all(weight.grad is None for weight in gan.expert.parameters())


def test_a_gan_with_every_term_resumes_bit_for_bit_from_a_file(expert):
    weights = {"expert": 0.1, "quality": 0.1, "temporal": 0.1, "perceptual": 0.1}
    whole = with_terms(expert, **weights)
    for seed in range(4):
        whole.step(example(RUN + 3, seed))
        if seed == 1:
            half = through_a_file(whole.state_dict())
    resumed = with_terms(expert, **weights)
    resumed.load_state_dict(half)
    for seed in (2, 3):
        resumed.step(example(RUN + 3, seed))
    assert same(snapshot(whole.state_dict()), snapshot(resumed.state_dict()))


def test_the_quality_discriminator_learns_real_from_grey_by_the_lower_half_alone():
    torch.manual_seed(0)
    network = QualityDiscriminator(0.125)
    real, grey = torch.rand(8, 3, SIZE, SIZE), torch.full((8, 3, SIZE, SIZE), 0.5)
    assert quality_loss(network(real), network(grey)).item() == pytest.approx(1, abs=0.3)
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(60):
        loss = quality_loss(network(real), network(grey))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.3
    assert realism_loss(network(grey)).item() > realism_loss(network(real)).item()
    other = real.clone()
    other[:, :, : SIZE // 2] = 0
    network.eval()
    assert torch.equal(network(other), network(real))


def test_the_average_of_constant_weights_is_those_weights_and_it_follows_slowly():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    average = Average(network, 0.9)
    with torch.no_grad():
        network[0].weight.fill_(1.0)
    for _ in range(400):
        average.update()
    assert torch.allclose(average.network[0].weight, torch.ones(2, 2), atol=1e-4)
    with torch.no_grad():
        network[0].weight.fill_(2.0)
    average.update()
    assert torch.allclose(average.network[0].weight, torch.full((2, 2), 1.1), atol=1e-4)
    assert not average.network.training


def test_faces_are_generated_by_the_average(expert):
    gan = with_terms(expert)
    for seed in range(3):
        gan.step(example(RUN + 2, seed))
    faces, sound = torch.rand(2, 6, SIZE, SIZE), torch.randn(2, 12, 35)
    assert torch.equal(gan.generate(faces, sound), gan.average.network(faces, sound))
    assert not torch.equal(gan.generate(faces, sound), gan.generator.eval()(faces, sound))


@pytest.mark.parametrize(
    ("width", "size", "millions"),
    [(0.125, 192, 1.5), pytest.param(1.0, 96, 71.3, marks=pytest.mark.slow)],
)
def test_other_sizes_and_the_full_width_train_with_every_term(width, size, millions):
    torch.manual_seed(0)
    gan = build(width=width, size=size, num_runs=1, expert=SyncExpert(width, size), quality_weight=1.0)
    gan.weights = dict.fromkeys(gan.weights, 0.01)
    assert sum(w.numel() for w in gan.generator.parameters()) / 1e6 == pytest.approx(millions, rel=0.05)
    rng = torch.Generator().manual_seed(1)
    identity, target = torch.randint(0, 256, (2, RUN, size, size, 3), dtype=torch.uint8, generator=rng)
    right, wrong = 10 * torch.randn(2, RUN, 12, 35, generator=rng)
    mouth = torch.tensor([[size // 4, size // 2, 3 * size // 4, size]] * RUN, dtype=torch.int16)
    before = snapshot(gan.generator.state_dict())
    figures = gan.step(Batch(identity, target, right, wrong, mouth))
    assert figures["finite"] == 1 and all(value.isfinite() for value in figures.values())
    assert not same(before, snapshot(gan.generator.state_dict()))
