"""The optimiser and its step, shared by the GAN and the expert."""

import torch
from torch import Tensor, nn

from model import distributed


def adam(network: nn.Module, learning_rate: float, weight_decay: float = 0.0) -> torch.optim.Adam:
    """Fused Adam: one call for all weights, no wait for the device, and a step can be skipped on the device.

    weight_decay  decoupled (Loshchilov and Hutter 2019): a share of the learning rate per step
    """
    return torch.optim.Adam(
        network.parameters(), lr=learning_rate, weight_decay=weight_decay, decoupled_weight_decay=True, fused=True
    )


def update(network: nn.Module, optimizer: torch.optim.Adam, loss: Tensor) -> Tensor:
    """One step of one network; returns the norm of its gradient, 0-dim, and frees the gradients.

    Only `network` gets a gradient, though the generator's loss runs through the discriminator. If the norm is not
    finite, weights and moments do not change.
    """
    parameters = [weight for weight in network.parameters() if weight.requires_grad]
    loss.backward(inputs=parameters)
    gradients = [p.grad for p in parameters if p.grad is not None]
    distributed.average(gradients)
    norm = nn.utils.get_total_norm(gradients)
    # as torch.amp.GradScaler does: the fused kernel then skips the step on the device, without asking the host
    optimizer.found_inf = (~norm.isfinite()).float()  # type: ignore[attr-defined]
    optimizer.step()
    optimizer.zero_grad()
    return norm


def match_layout(optimizer: torch.optim.Optimizer) -> None:
    """Lay out Adam's moments in memory as their weights are.

    Loaded moments keep the strides of their file. The fused CPU kernel reads weights and moments in memory order and
    ignores strides: with different strides it would silently mix up their elements.
    """
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if value.shape == parameter.shape:
                state[name] = torch.empty_like(parameter).copy_(value)
