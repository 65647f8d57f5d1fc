import copy
import io
from dataclasses import replace

import pytest
import torch
from conftest import ROOT
from torch.utils._python_dispatch import TorchDispatchMode

from model.gan import Gan
from model.losses import contrastive
from model.params import TermParams, TermsParams
from model.samples import Batch, generator_input, pictures
from tasks.core import config

SIZE = 32


@pytest.fixture(autouse=True)
def one_thread():
    """Maps this small gain nothing from two, and lose everything when two wait for each other on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


METRICS = {
    "l1", "mouth_l1", "weighted_l1", "sync_loss", "g_loss", "d_loss", "zero_gradient_share",
    "d_loss_right", "d_loss_generated", "d_loss_wrong", "distance_right", "distance_generated", "distance_wrong",
}  # fmt: skip
TRAINING_METRICS = {"g_grad_norm", "d_grad_norm", "finite"}


OFF = TermParams(weight=0.0, begin=0.0, ramp=0.0, metric="none", below=0.0)
SETTINGS = {
    "margin": 2.0, "lip_alpha": 6.0, "lr": 1e-3, "lr_discriminator": 1e-4, "precision": "fp32", "num_runs": 0,
    "average": 0.0, "audio_from_expert": "never", "separate_fakes": False,
}  # fmt: skip


def build(size=SIZE, width=0.125, *, sync_weight=0.01, quality_weight=0.0, expert=None, compiled="", **changes) -> Gan:
    """A small GAN; `changes` of section train of params.yaml."""
    torch.manual_seed(0)
    sync, quality = (replace(OFF, weight=weight) for weight in (sync_weight, quality_weight))
    terms = TermsParams(sync=sync, expert=OFF, quality=quality, temporal=OFF, perceptual=OFF)
    p = replace(config.load(ROOT / "params.yaml").train, terms=terms, **SETTINGS | changes)
    return Gan(width, size, p, "cpu", expert=expert, compiled=compiled)


def example(num: int, seed: int = 0) -> Batch:
    """Noise: for what must hold whatever the pictures show."""
    rng = torch.Generator().manual_seed(seed)
    identity, target = torch.randint(0, 256, (2, num, SIZE, SIZE, 3), dtype=torch.uint8, generator=rng)
    right, wrong = 10 * torch.randn(2, num, 12, 35, generator=rng)
    return Batch(identity, target, right, wrong, torch.tensor([[8, 18, 24, 28]] * num, dtype=torch.int16))


def mouths() -> Batch:
    """Four faces, each with its mouth shut and open; one sound for shut, one for open. Face k is rows k and k + 4."""
    batch = example(8)
    rng = torch.Generator().manual_seed(3)
    shade = torch.rand(4, 3, 4, 4, generator=rng).repeat(2, 1, 1, 1) * 150 + 90
    face = (
        torch.nn.functional.interpolate(shade, size=(SIZE, SIZE), mode="bilinear").permute(0, 2, 3, 1).to(torch.uint8)
    )
    target = face.clone()
    target[4:, 20:26, 10:22] = 0
    sound = batch.mfcc_BFW[[0, 0, 0, 0, 1, 1, 1, 1]]
    return batch._replace(identity_BSS3=face, target_BSS3=target, mfcc_BFW=sound, negative_BFW=sound.flip(0))


def snapshot(state: object) -> list[torch.Tensor]:
    """Copies of all numbers in a state, dicts and lists opened."""
    if isinstance(state, dict):
        state = list(state.values())
    if isinstance(state, list | tuple):
        return [leaf for value in state for leaf in snapshot(value)]
    return [] if state is None else [torch.as_tensor(state).clone()]


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def through_a_file(state: dict) -> dict:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def parameters(gan: Gan) -> dict[str, torch.nn.Parameter]:
    networks = {"generator": gan.generator, "discriminator": gan.discriminator}
    return {f"{of}.{name}": p for of, network in networks.items() for name, p in network.named_parameters()}


def test_one_step_reaches_every_parameter_of_both_networks():
    gan = build(size=96)
    rng = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (2, 4, 96, 96, 3), dtype=torch.uint8, generator=rng)
    sounds = torch.randn(2, 4, 12, 35, generator=rng)
    before = snapshot(parameters(gan))
    gan.step(Batch(*pixels, *sounds, torch.tensor([[30, 60, 66, 80]] * 4, dtype=torch.int16)))
    moved = zip(parameters(gan).items(), before, strict=True)
    assert [name for (name, now), old in moved if torch.equal(now, old)] == []


@pytest.mark.parametrize("num", range(1, 13))
def test_a_negative_is_the_samples_own_at_every_batch_size(num):
    gan, batch = build(), example(num)
    with torch.no_grad():
        faces = pictures(batch.target_BSS3)
        right, wrong = (
            [gan.discriminator(faces[k : k + 1], sound[k : k + 1]).item() for k in range(num)]
            for sound in (batch.mfcc_BFW, batch.negative_BFW)
        )
    metrics = gan.step(batch)
    assert metrics["distance_right"].item() == pytest.approx(sum(right) / num, abs=1e-5)
    assert metrics["distance_wrong"].item() == pytest.approx(sum(wrong) / num, abs=1e-5)
    assert metrics["d_loss_wrong"].item() == pytest.approx(sum((2 - d) ** 2 for d in wrong) / num, abs=1e-5)
    assert metrics["finite"] == 1


def test_generated_faces_are_out_of_sync_to_the_discriminator_and_in_sync_to_the_generator():
    batch = example(3)._replace(negative_BFW=example(3, seed=1).mfcc_BFW)
    gan = build(lr_discriminator=0.0)
    metrics = gan.step(batch)
    with torch.no_grad():
        generated = copy.deepcopy(build().generator).train()(
            generator_input(pictures(batch.identity_BSS3), pictures(batch.target_BSS3)), batch.mfcc_BFW
        )
        distance = gan.discriminator(generated, batch.mfcc_BFW)
    assert metrics["d_loss_generated"].item() == pytest.approx(
        contrastive(distance, torch.zeros(3), 2.0).item(), rel=1e-4
    )
    assert metrics["sync_loss"].item() == pytest.approx(contrastive(distance, torch.ones(3), 2.0).item(), rel=1e-4)
    parts = metrics["d_loss_right"] / 2 + metrics["d_loss_generated"] / 4 + metrics["d_loss_wrong"] / 4
    assert metrics["d_loss"].item() == pytest.approx(parts.item())
    assert metrics["g_loss"].item() == pytest.approx((metrics["weighted_l1"] + 0.01 * metrics["sync_loss"]).item())


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_the_generator_is_judged_by_the_discriminator_after_its_step(precision):
    batch = example(4)
    gan = build(precision=precision, lr=0.0, lr_discriminator=0.01)
    metrics = gan.step(batch)
    again = gan.step(batch)  # the same generated faces, and the discriminator the first step left
    by_hand = contrastive(again["distance_generated"][None], torch.ones(1), 2.0)
    assert metrics["sync_loss"].item() == pytest.approx(by_hand.item(), abs=0.02)
    assert abs(metrics["sync_loss"] - metrics["distance_generated"] ** 2) > 0.1  # the step did move it


def test_neither_step_leaves_a_gradient_anywhere():
    gan = build()
    gan.step(example(2))
    assert [name for name, p in parameters(gan).items() if p.grad is not None] == []


def test_the_discriminators_step_gives_the_generator_no_gradient():
    gan = build(sync_weight=0.0)
    gan.l1_weight = 0.0
    metrics = gan.step(example(2))
    assert metrics["g_grad_norm"] == 0
    assert metrics["d_grad_norm"] > 0


def test_the_sync_term_alone_moves_the_generator():
    gan = build()
    gan.l1_weight = 0.0
    assert gan.step(example(2))["g_grad_norm"] > 0


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_three_steps_a_file_and_three_steps_are_six_steps_bit_for_bit(precision):
    batches = [example(3, seed) for seed in range(6)]

    def run(gan: Gan, numbers: range) -> list[dict]:
        seen = []
        for k in numbers:
            gan.set_learning_rate(1 - k / 10)
            seen.append(gan.step(batches[k]))
        return seen

    whole, first, second = build(precision=precision), build(precision=precision), build(precision=precision)
    expected = run(whole, range(6))
    run(first, range(3))
    run(second, range(1))  # where the second comes from must not matter
    second.load_state_dict(through_a_file(first.state_dict()))
    assert run(second, range(3, 6)) == expected[3:]
    assert same(snapshot(second.state_dict()), snapshot(whole.state_dict()))


def test_the_layout_of_a_file_does_not_matter():
    whole, rest = build(), build()
    whole.step(example(3))
    state = through_a_file(whole.state_dict())
    for name in ("generator_optimizer", "discriminator_optimizer"):
        for moments in state[name]["state"].values():
            moments |= {key: value.contiguous() for key, value in moments.items()}
    rest.load_state_dict(state)
    for gan in (whole, rest):
        gan.step(example(3, seed=1))
    assert same(snapshot(parameters(whole)), snapshot(parameters(rest)))


def test_a_step_never_waits_for_the_device():
    class NoWaiting(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            assert func not in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default), func
            return func(*args, **(kwargs or {}))

    gan = build(precision="bf16")
    gan.step(example(2))  # the optimisers make their state in their first step
    with NoWaiting():
        metrics = gan.step(example(2))
        with pytest.raises(AssertionError, match="_local_scalar_dense"):
            metrics["l1"].item()


def test_metrics_are_detached_single_numbers_and_all_of_the_names():
    gan = build()
    metrics = gan.step(example(2))
    assert metrics.keys() == METRICS | TRAINING_METRICS
    assert gan.measure(example(2)).keys() == METRICS
    assert all((v.ndim, v.dtype, v.requires_grad) == (0, torch.float32, False) for v in metrics.values())


def test_a_step_that_is_not_finite_says_so_and_changes_no_weight():
    gan = build()
    gan.step(example(2))
    optimizers = gan.generator_optimizer, gan.discriminator_optimizer
    before = snapshot([parameters(gan), [optimizer.state_dict() for optimizer in optimizers]])
    bad = example(2)
    bad.mfcc_BFW[0, 3, 3] = float("nan")
    assert gan.step(bad)["finite"] == 0
    assert same(snapshot([parameters(gan), [optimizer.state_dict() for optimizer in optimizers]]), before)


def test_factors_of_the_learning_rate_do_not_pile_up():
    gan = build(lr=1e-3, lr_discriminator=1e-4)
    for factor in (0.5, 0.5, 0.2):
        gan.set_learning_rate(factor)
    rates = [o.param_groups[0]["lr"] for o in (gan.generator_optimizer, gan.discriminator_optimizer)]
    assert rates == pytest.approx([2e-4, 2e-5])


def test_measuring_and_generating_change_nothing():
    gan, batch = build(), example(3)
    gan.step(batch)
    before = snapshot(gan.state_dict())
    faces = generator_input(pictures(batch.identity_BSS3), pictures(batch.target_BSS3))
    out = gan.generate(faces, batch.mfcc_BFW)
    metrics = gan.measure(batch)
    assert (out - pictures(batch.target_BSS3)).abs().mean().item() == pytest.approx(metrics["l1"].item(), rel=1e-5)
    assert same(snapshot(gan.state_dict()), before)


def test_a_generated_face_does_not_depend_on_its_batch():
    gan, batch = build(), example(5)
    gan.step(batch)
    faces = generator_input(pictures(batch.identity_BSS3), pictures(batch.target_BSS3))
    alone = gan.generate(faces[3:4], batch.mfcc_BFW[3:4])
    assert torch.allclose(gan.generate(faces, batch.mfcc_BFW)[3:4], alone, atol=1e-5)


def test_bf16_trains_like_fp32():
    low, full = (build(precision=precision) for precision in ("bf16", "fp32"))
    for k in range(3):
        one, other = low.step(example(4, k)), full.step(example(4, k))
    assert one["g_loss"].item() == pytest.approx(other["g_loss"].item(), rel=0.03)
    assert one["d_loss"].item() == pytest.approx(other["d_loss"].item(), rel=0.1)


def test_it_learns_a_few_samples_and_to_open_the_mouth_by_the_sound():
    gan, batch = build(lr=0.01, lr_discriminator=1e-3), mouths()
    first = gan.step(batch)
    for k in range(80):
        gan.set_learning_rate(1.0 if k < 60 else 0.1)
        last = gan.step(batch)
    assert last["l1"] < first["l1"] / 4
    assert last["distance_right"] < last["distance_wrong"] - 0.5
    assert gan.measure(batch)["l1"] < 1.5 * last["l1"]
    shut, opened = pictures(batch.target_BSS3).chunk(2)
    faces = generator_input(pictures(batch.identity_BSS3), pictures(batch.target_BSS3))[:4]
    for sound, nearer, farther in ((0, shut, opened), (4, opened, shut)):
        out = gan.generate(faces, batch.mfcc_BFW[sound].expand(4, -1, -1))
        near, far = ((out - target).abs().mean(dim=(1, 2, 3)) for target in (nearer, farther))
        assert (near < far).all()


def test_an_unknown_precision_is_refused_by_name():
    with pytest.raises(ValueError, match="precision must be one of bf16, fp32, got 'fp16'"):
        build(precision="fp16")


def test_separate_fakes_are_what_the_generator_would_give_at_inference():
    batch = example(3)
    gan = build(separate_fakes=True, lr_discriminator=0.0)
    with torch.no_grad():
        faces = generator_input(pictures(batch.identity_BSS3), pictures(batch.target_BSS3))
        at_inference = gan.discriminator(gan.generate(faces, batch.mfcc_BFW), batch.mfcc_BFW)
    metrics = gan.step(batch)
    assert metrics["distance_generated"].item() == pytest.approx(at_inference.mean().item(), rel=1e-5)
    assert metrics["distance_generated"].item() != build().step(batch)["distance_generated"].item()
    assert gan.generator.training, "the pass that trains has the batch's statistics"


def test_the_same_weights_come_of_both_orders_where_the_discriminator_does_not_count():
    one, other = (build(separate_fakes=separate, sync_weight=0.0) for separate in (False, True))
    for gan in (one, other):
        gan.step(example(3))
    assert same(snapshot(one.generator.state_dict()), snapshot(other.generator.state_dict()))


@pytest.mark.slow
def test_a_traced_step_is_the_step():
    """The whole of both networks goes through torch.compile, without the minutes that code generation takes."""
    eager, traced = build(), build(compiled="aot_eager")
    assert list(eager.state_dict()["generator"]) == list(traced.state_dict()["generator"])
    for seed in range(2):
        one, other = (gan.step(example(3, seed)) for gan in (eager, traced))
        for name in ("g_loss", "d_loss", "l1"):
            assert other[name].item() == pytest.approx(one[name].item(), rel=1e-4), name
