"""When each term of the generator's loss counts, and how much: from a share of the steps on, rising in a line, or once
a figure of the validation has come down to a level. What has begun is part of the checkpoint.
"""

from collections.abc import Mapping

from model.params import TermParams

NO_METRIC = "none"


class Schedules:
    """Weights of some terms over a training.

    Source: Wav2Lip keeps its expert's weight at 0 until the expert's loss on generated faces is below 0.75; a resumed
            run of its code forgets that it had begun. Here `state_dict` holds it.
    """

    def __init__(self, terms: Mapping[str, TermParams], num_steps: int) -> None:
        self.terms, self.num_steps = dict(terms), num_steps
        self._began = {name: -1 for name in terms}  # step; -1 is not yet

    def weights(self, step: int) -> dict[str, float]:
        """Every term's weight in this step.  Steps must be asked for in their order: a term without a metric begins
        when its share of the steps is reached.
        """
        found = {}
        for name, term in self.terms.items():
            if self._began[name] < 0 and term.metric == NO_METRIC and step >= term.begin * self.num_steps:
                self._began[name] = step
            found[name] = self._weight(term, self._began[name], step)
        return found

    def see(self, figures: Mapping[str, float], step: int) -> list[str]:
        """Look at a validation's figures; returns the terms that begin by them in the step after `step`."""
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
