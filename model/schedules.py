"""What changes over the steps of a training: the learning rates, and the weights of the generator's loss terms.

A term begins at a share of the steps, or once a validation figure has come down to a level, and rises linearly. Which
terms have begun is part of the checkpoint.
"""

from collections.abc import Mapping

from model.params import ExpertParams, TermParams, TrainParams

NO_METRIC = "none"
FINAL_RATE = 0.05  # of the learning rate, at the end of a training


def gan_rate(step: int, p: TrainParams) -> float:
    """Share of the learning rate at a step: a linear warm-up, a plateau, a linear decay from `decay_from` on."""
    decay_start = p.decay_from * p.num_steps
    if step <= decay_start:
        return _warm_up(step, p.warmup_steps)
    decay = 1 - (step - decay_start) / max(1.0, p.num_steps - decay_start)
    return _warm_up(step, p.warmup_steps) * max(FINAL_RATE, decay)


def expert_rate(step: int, p: ExpertParams) -> float:
    """As `gan_rate` with the decay from half of the steps on; rounded otherwise, and the weights depend on it."""
    return _warm_up(step, p.warmup_steps) * max(FINAL_RATE, min(1.0, 2 * (1 - step / p.num_steps)))


def _warm_up(step: int, warmup_steps: int) -> float:
    return min(1.0, (step + 1) / (warmup_steps + 1))


class Schedules:
    """Weights of some terms over a training.

    Source: Wav2Lip keeps its expert's weight at 0 until the expert's loss on generated faces is below 0.75; a resumed
            run of its code forgets that it had begun. Here `state_dict` holds it.
    """

    def __init__(self, terms: Mapping[str, TermParams], num_steps: int) -> None:
        self.terms, self.num_steps = dict(terms), num_steps
        self._began = {name: -1 for name in terms}  # step; -1 is not yet

    def weights(self, step: int) -> dict[str, float]:
        """Every term's weight in this step.  Call it for every step in order: a term without a metric begins when its
        share of the steps is reached.
        """
        weights = {}
        for name, term in self.terms.items():
            if self._began[name] < 0 and term.metric == NO_METRIC and step >= term.begin * self.num_steps:
                self._began[name] = step
            weights[name] = self._weight(term, self._began[name], step)
        return weights

    def see(self, figures: Mapping[str, float], step: int) -> list[str]:
        """Update by a validation's figures; returns the terms that begin in the step after `step`."""
        begun = []
        for name, term in self.terms.items():
            waiting = self._began[name] < 0 and term.metric != NO_METRIC and step + 1 >= term.begin * self.num_steps
            if waiting and figures.get(term.metric, float("inf")) <= term.below:
                self._began[name] = step + 1
                begun.append(name)
        return begun

    def _weight(self, term: TermParams, began: int, step: int) -> float:
        if began < 0 or step < began:
            return 0.0
        ramp_steps = term.ramp * self.num_steps
        return term.weight * (1.0 if ramp_steps <= 0 else min(1.0, (step - began + 1) / ramp_steps))

    def state_dict(self) -> dict[str, int]:
        return dict(self._began)

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Errors: ValueError for the state of other terms."""
        if state.keys() != self._began.keys():
            raise ValueError(f"schedules of {sorted(state)} do not fit the terms {sorted(self._began)}")
        self._began = dict(state)
