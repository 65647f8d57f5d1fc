"""The loop of the small trainings, of stages `motion` and `inside`: steps, figures, states from which it resumes, stop.

keeps   .cache/<stage>/<key>/state.pt, from which an interrupted training resumes, bit for bit
"""

from collections.abc import Callable
from typing import Any, Protocol

import torch

from model.params import InsideParams, MotionParams, Params
from tasks.core import paths
from tasks.core.errors import Stopped
from tasks.core.progress import bar, say
from tasks.core.stopping import stoppable
from tasks.inference import checkpoints
from tasks.tracking import runs as tracking

State = dict[str, Any]
Row = dict[str, float]


class Keeps(Protocol):
    """What has a state: a network, an optimiser, an average."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> Any: ...


class StepTrainer:
    """Subclasses name their parts and make a step, which depends only on the seed, the step number and the state: so a
    resumed training ends with the same bytes as an uninterrupted one."""

    def __init__(self, p: MotionParams | InsideParams, parts: dict[str, Keeps]) -> None:
        self.schedule, self.parts = p, parts
        self.step = 0
        self.curve: list[Row] = []

    def train_step(self) -> dict[str, torch.Tensor]:
        """One step of the training, number `step`; 0-dim figures."""
        raise NotImplementedError

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        raise NotImplementedError

    def state(self) -> State:
        kept = {name: part.state_dict() for name, part in self.parts.items()}
        return kept | {"step": self.step, "curve": self.curve}

    def restore(self, state: State) -> None:
        for name, part in self.parts.items():
            part.load_state_dict(state[name])
        self.step, self.curve = state["step"], list(state["curve"])

    def run(
        self,
        *,
        measure: Callable[[], Row],
        save: Callable[[State], None],
        log: Callable[[Row, int], None],
        after_step: Callable[[], None],
    ) -> None:
        """Train to the last step.

        measure: figures on held-out people; save: a state to resume from; log: a row of figures
        """
        p = self.schedule
        while self.step < p.num_steps:
            figures = self.train_step()
            self.step += 1
            last = self.step == p.num_steps
            if self.step % p.log_every == 0 or last:
                row = {name: float(value) for name, value in figures.items()} | {"lr": self.rate(self.step - 1)}
                row |= measure() if self.step % p.val_every == 0 or last else {}
                self.curve.append({"step": float(self.step)} | row)
                log(row, self.step)
            if self.step % p.checkpoint_every == 0 or last:
                save(self.state())
            after_step()


def run(stage: str, trainer: StepTrainer, measure: Callable[[], Row], p: Params, key: str) -> str:
    """Train to the last step, from the start or resuming the training `key` of this stage; curves go to the tracker.

    Returns the id of the run.

    Errors: Stopped on a request to stop
    """
    file, num_steps = paths.cache() / stage / key / "state.pt", trainer.schedule.num_steps
    state = checkpoints.load_state(file) or {"run_id": ""}
    if "step" in state:
        trainer.restore(state)
        say(f"{stage}: resuming at step {trainer.step} of {num_steps}")
    with (
        tracking.run(stage, p, state["run_id"] or None) as tracker,
        stoppable() as stop,
        bar(num_steps, "training", "step", initial=trainer.step) as progress,
    ):

        def save(state: State) -> None:
            checkpoints.save_state(file, state | {"run_id": tracker.run_id})

        def after_step() -> None:
            progress.update()
            if stop.why and trainer.step < num_steps:
                save(trainer.state())
                raise Stopped(f"{stage}: stopped by {stop.why} at step {trainer.step}: run again to resume")

        trainer.run(measure=measure, save=save, log=tracker.metrics, after_step=after_step)
    return tracker.run_id
