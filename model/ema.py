"""Moving average of a network's weights: the network that is measured, shown and saved.

Source: Polyak and Juditsky 1992; in GANs Yazici et al. 2019. Single steps of a GAN oscillate around the average.
"""

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


class Average(Generic[Network]):
    """`network` holds the averaged weights of `followed`, batch-norm statistics included, and is in eval mode.

    decay   share of the old average kept in a step; the first steps keep less, so the initial weights fade quickly
    """

    def __init__(self, followed: Network, decay: float) -> None:
        self.decay = decay
        self.network = copy.deepcopy(followed).eval().requires_grad_(False)
        self._pairs = list(zip(self.network.state_dict().values(), followed.state_dict().values(), strict=True))
        self._steps = 0

    @torch.no_grad()
    def update(self) -> None:
        """Call after each step of the followed network; never waits for the device."""
        self._steps += 1
        kept = min(self.decay, self._steps / (self._steps + 10))
        floats = [pair for pair in self._pairs if pair[0].is_floating_point()]
        torch._foreach_lerp_([average for average, _ in floats], [followed for _, followed in floats], 1 - kept)
        for average, followed in self._pairs:
            if not average.is_floating_point():
                average.copy_(followed)

    def state_dict(self) -> dict[str, object]:
        return {"network": self.network.state_dict(), "steps": self._steps}

    def load_state_dict(self, state: dict[str, object]) -> None:
        self.network.load_state_dict(state["network"])  # type: ignore[arg-type]
        self._steps = int(state["steps"])  # type: ignore[call-overload]
