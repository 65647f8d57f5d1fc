"""The GAN: both networks, their optimisers and the joint training step.

Shape letters: B batch, S side of the face crop, F MFCC coefficients, W MFCC columns, D embedding size
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from model import distributed
from model.discriminator import SyncDiscriminator, distance
from model.ema import Average
from model.expert import SyncExpert
from model.generator import Generator
from model.loss_terms import NAMES, terms
from model.losses import contrastive, lip_weighted_l1, mouth_l1, zero_gradient_share
from model.optim import adam, match_layout, update
from model.params import TrainParams
from model.samples import Batch, generator_input, pictures
from model.visual_quality import QualityDiscriminator, accuracy, quality_loss

PRECISIONS = ("bf16", "fp32")
PAIRS = ("right", "generated", "wrong")  # the discriminator's inputs; only the first is in sync


class Gan:
    """Generator and sync discriminator, trained together.

    The discriminator sees three pairs of face and sound: real + right, generated + right, real + wrong. Only the first
    is in sync. The wrong sound is the sample's own `negative_BFW`, never that of another sample of the batch. Its loss
    is contrastive, the mean of the synced and the unsynced side. The generator minimises
    lip-weighted L1 + weight `sync` x contrastive(generated + right, called in sync) + the terms of
    model.loss_terms, each with its weight in `weights`, which a trainer may change from step to step.

    width, size     see model.generator
    p               section train of params.yaml: learning rates, margin, precision, which terms have a weight
    expert          frozen here, for the terms `expert` and `perceptual`; None if neither is used
    channels_last   memory layout of the weights; the pictures have it in any case
    compiled        "" or a mode of torch.compile for both networks, "default", "reduce-overhead" (CUDA graphs) or
                    "max-autotune"; or "aot_eager", a backend that only traces
    Errors:  ValueError for an unknown precision, or a width or size that cannot be built
    Source:  Rudrabha/LipGAN @ 7489174, train.py. There each batch trains on one of the two unsynced pairs, drawn at
             random: the weights here are its expectation.
    Differs: Without `train.separate_fakes` one forward pass of the generator serves both networks: the discriminator's
             generated faces are made with the batch's statistics and not the running ones. The discriminator takes
             one step on three pairs and not two.
             Several processes (model.distributed) each take a part of the batch and average to the same result.
    """

    l1_weight = 1.0  # the weights of the other terms are relative to it

    def __init__(
        self,
        width: float,
        size: int,
        p: TrainParams,
        device: torch.device | str,
        *,
        expert: SyncExpert | None = None,
        channels_last: bool = True,
        compiled: str = "",
    ) -> None:
        if p.precision not in PRECISIONS:
            raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got {p.precision!r}")
        self.p = p
        self.frozen_audio = p.audio_from_expert == "frozen"
        self.weights = {"sync": p.terms.sync.weight} | dict.fromkeys(NAMES, 0.0)
        self.device = torch.device(device)
        self.generator = Generator(width, size).to(self.device)
        self.discriminator = SyncDiscriminator(width, size).to(self.device)
        self.generator.audio_code.requires_grad_(not self.frozen_audio)
        self.quality = QualityDiscriminator(width).to(self.device) if p.terms.quality.weight else None
        self.expert = expert.to(self.device).eval().requires_grad_(False) if expert else None
        if channels_last:
            for network in (self.generator, self.discriminator, *filter(None, (self.quality, self.expert))):
                network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
        self.compiled = compiled
        if compiled:
            options = {"backend": compiled} if compiled == "aot_eager" else {"mode": compiled}
            for part in (self.generator, self.discriminator.face, self.discriminator.audio):
                part.compile(dynamic=False, **options)  # in place: the names of the weights stay
        self.generator_optimizer = adam(self.generator, p.lr)
        self.discriminator_optimizer = adam(self.discriminator, p.lr_discriminator)
        self.quality_optimizer = adam(self.quality, p.lr_discriminator) if self.quality else None
        self.average = Average(self.generator, p.average) if p.average else None

    @property
    def shown(self) -> Generator:
        """The generator that is measured and saved: the moving average, if there is one."""
        return self.average.network if self.average else self.generator

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """Train both networks on one batch that is on the device.

        Returns 0-dim float32 tensors on the device, detached. Nothing here waits for the device: read them rarely.
            l1, mouth_l1          of the generated faces: whole, inside the lip box; [0, 1]
            weighted_l1           the lip-weighted L1 in the generator's loss
            sync_loss             contrastive loss of the generated faces, called in sync
            g_loss, d_loss        the loss of each network
            d_loss_right, d_loss_generated, d_loss_wrong         the loss of each kind of pair
            distance_right, distance_generated, distance_wrong   the mean distance of each kind; [0, 2]
            expert, quality, temporal, perceptual   the terms of model.loss_terms whose weight is above 0
            quality_loss, quality_accuracy          of the visual-quality discriminator, while its term has a weight
            zero_gradient_share   of the unsynced pairs: those already a margin apart; [0, 1]
            g_grad_norm, d_grad_norm
            finite                1, or 0 if a gradient was not finite. That network's weights were then not changed;
                                  its batch-norm statistics may be invalid, so return to a checkpoint
        """
        if self.compiled:
            torch.compiler.cudagraph_mark_step_begin()  # the last step's graphs may be overwritten
        real_B3SS = pictures(batch.target_BSS3)
        fakes_B3SS = self._inferred(batch, real_B3SS) if self.p.separate_fakes else None
        self.generator.train()
        if self.frozen_audio:
            self.generator.audio_code.eval()
        generated_B3SS = self._generated(batch, real_B3SS)
        fakes_B3SS = generated_B3SS.detach() if fakes_B3SS is None else fakes_B3SS
        d_loss, d_metrics = self._discriminator_loss(fakes_B3SS, real_B3SS, batch)
        d_norm = update(self.discriminator, self.discriminator_optimizer, d_loss)
        g_loss, g_metrics = self._generator_loss(generated_B3SS, real_B3SS, batch)
        q_metrics = self._quality_step(generated_B3SS.detach(), real_B3SS) if self.weights["quality"] else {}
        g_norm = update(self.generator, self.generator_optimizer, g_loss)
        if self.average:
            self.average.update()
        finite = (d_norm.isfinite() & g_norm.isfinite()).float()
        return d_metrics | g_metrics | q_metrics | {"d_grad_norm": d_norm, "g_grad_norm": g_norm, "finite": finite}

    @torch.no_grad()
    def measure(self, batch: Batch) -> dict[str, Tensor]:
        """The losses and distances of `step` in eval mode, for validation."""
        real_B3SS = pictures(batch.target_BSS3)
        faces_B6SS = generator_input(pictures(batch.identity_BSS3), real_B3SS)
        generated_B3SS = self.generate(faces_B6SS, batch.mfcc_BFW)
        _, d_metrics = self._discriminator_loss(generated_B3SS, real_B3SS, batch)
        _, g_metrics = self._generator_loss(generated_B3SS, real_B3SS, batch)
        return d_metrics | g_metrics

    @torch.no_grad()
    def generate(self, faces_B6SS: Tensor, mfcc_BFW: Tensor) -> Tensor:
        """Faces in eval mode.  Shape: (B, 6, S, S) in [0, 1], (B, 12, 35) -> (B, 3, S, S) float32 in [0, 1]"""
        self.shown.eval()
        with self._autocast():
            return self._kept(self.shown(faces_B6SS.to(self.device), mfcc_BFW.to(self.device)))

    def set_learning_rate(self, factor: float) -> None:
        """Set every learning rate to `factor` times its initial value."""
        for optimizer in filter(None, (self.generator_optimizer, self.discriminator_optimizer, self.quality_optimizer)):
            for group in optimizer.param_groups:
                group["lr"] = factor * optimizer.defaults["lr"]

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to resume bit for bit. `torch.load(weights_only=True)` reads it."""
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        match_layout(self.generator_optimizer)
        match_layout(self.discriminator_optimizer)
        if self.quality_optimizer:
            match_layout(self.quality_optimizer)

    def _parts(self) -> dict[str, Any]:
        optional = {"quality": self.quality, "quality_optimizer": self.quality_optimizer, "average": self.average}
        return {name: part for name, part in optional.items() if part is not None} | {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "generator_optimizer": self.generator_optimizer,
            "discriminator_optimizer": self.discriminator_optimizer,
        }

    def _autocast(self) -> torch.autocast:
        """One block per pass: within a block autocast keeps using its bf16 copies of the weights, even after an
        optimiser has changed the weights."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.p.precision == "bf16")

    def _generated(self, batch: Batch, real_B3SS: Tensor) -> Tensor:
        faces_B6SS = generator_input(pictures(batch.identity_BSS3), real_B3SS)
        with self._autocast():
            return self._kept(self.generator(faces_B6SS, batch.mfcc_BFW))

    def _kept(self, result: Tensor) -> Tensor:
        """A copy if needed: without gradients, a CUDA graph overwrites its last result."""
        return result.clone() if self.compiled and not torch.is_grad_enabled() else result

    @torch.no_grad()
    def _inferred(self, batch: Batch, real_B3SS: Tensor) -> Tensor:
        """LipGAN's fakes: by the network in training, not its average, with the running statistics."""
        self.generator.eval()
        return self._generated(batch, real_B3SS)

    def _num_runs_here(self) -> int:
        """In training each rank has its share of a batch's runs; validation runs on one rank."""
        return self.p.num_runs // distributed.num_ranks() if torch.is_grad_enabled() else self.p.num_runs

    def _discriminator_loss(
        self, generated_B3SS: Tensor, real_B3SS: Tensor, batch: Batch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        # every face and every sound is embedded once; no layer mixes samples, so they can share a pass
        with self._autocast():
            faces_2BD = self.discriminator.embed_faces(torch.cat([generated_B3SS, real_B3SS]))
            sounds_2BD = self.discriminator.embed_audio(torch.cat([batch.mfcc_BFW, batch.negative_BFW]))
        generated_BD, real_BD = faces_2BD.chunk(2)
        right_BD, wrong_BD = sounds_2BD.chunk(2)
        pairs = ((real_BD, right_BD), (generated_BD, right_BD), (real_BD, wrong_BD))
        distances = {kind: distance(face_BD, sound_BD) for kind, (face_BD, sound_BD) in zip(PAIRS, pairs, strict=True)}
        losses = {
            kind: contrastive(distance_B, torch.full_like(distance_B, kind == "right"), self.p.margin)
            for kind, distance_B in distances.items()
        }
        d_loss = losses["right"] / 2 + (losses["generated"] + losses["wrong"]) / 4
        negative_2B = torch.cat([distances["generated"], distances["wrong"]]).detach()
        metrics = {"d_loss": d_loss.detach(), "zero_gradient_share": zero_gradient_share(negative_2B, self.p.margin)}
        metrics |= {f"d_loss_{kind}": loss.detach() for kind, loss in losses.items()}
        metrics |= {f"distance_{kind}": distance_B.detach().mean() for kind, distance_B in distances.items()}
        return d_loss, metrics

    def _generator_loss(
        self, generated_B3SS: Tensor, real_B3SS: Tensor, batch: Batch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        with self._autocast():
            distance_B = self.discriminator(generated_B3SS, batch.mfcc_BFW)
        sync_loss = contrastive(distance_B, torch.ones_like(distance_B), self.p.margin)
        weighted_l1 = lip_weighted_l1(generated_B3SS, real_B3SS, batch.mouth_B4, self.p.lip_alpha)
        g_loss = self.l1_weight * weighted_l1 + self.weights["sync"] * sync_loss
        active = [name for name in NAMES if self.weights[name]]
        with self._autocast():
            runs = self._num_runs_here()
            values = terms(active, generated_B3SS, real_B3SS, batch, runs, expert=self.expert, quality=self.quality)
        for name, value in values.items():
            g_loss = g_loss + self.weights[name] * value
        detached_B3SS = generated_B3SS.detach()
        return g_loss, {
            "l1": F.l1_loss(detached_B3SS, real_B3SS),
            "mouth_l1": mouth_l1(detached_B3SS, real_B3SS, batch.mouth_B4),
            "weighted_l1": weighted_l1.detach(),
            "sync_loss": sync_loss.detach(),
            "g_loss": g_loss.detach(),
            **{name: value.detach() for name, value in values.items()},
        }

    def _quality_step(self, generated_B3SS: Tensor, real_B3SS: Tensor) -> dict[str, Tensor]:
        assert self.quality is not None and self.quality_optimizer is not None
        with self._autocast():
            real, generated = self.quality(torch.cat([real_B3SS, generated_B3SS])).chunk(2)
        loss = quality_loss(real, generated)
        update(self.quality, self.quality_optimizer, loss)
        return {"quality_loss": loss.detach(), "quality_accuracy": accuracy(real.detach(), generated.detach())}
