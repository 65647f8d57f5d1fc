"""The loop of stage `train`: batches -> steps, figures, alarms, states. What it changes is in its state, all of it.

A training that was stopped anywhere and goes on from its last state ends with the same bytes as one that was not.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch

from model import alarms, loss_terms, schedules
from model.alarms import Alarm
from model.distributed import average
from model.gan import Gan
from model.params import Params, TermParams, TrainParams
from model.samples import Batch
from model.schedules import Schedules
from tasks.core import distributed as ranks
from tasks.core.errors import Stopped, UserError
from tasks.core.progress import bar, say
from tasks.core.stopping import Stop
from tasks.loading.batches import Batches
from tasks.provenance.training_record import Session
from tasks.tracking.runs import Tracker
from tasks.train import validation
from tasks.train.state import State, States
from tasks.train.validation import Fixed


class Ill(Exception):
    """A training that has to go back."""

    def __init__(self, alarm: Alarm) -> None:
        super().__init__(alarm.name)
        self.alarm = alarm


class Trainer:
    """One training, from where `state` is, or from the start.

    make_gan         the networks as a training begins
    batches_from     batches from a step on, for this rank
    validation       what is measured on; only the first rank needs it
    states           where the states are written
    """

    def __init__(
        self,
        p: Params,
        *,
        make_gan: Callable[[], Gan],
        batches_from: Callable[[int], Batches],
        fixed: Fixed | None,
        states: States,
        tracker: Tracker,
        stop: Stop,
    ) -> None:
        self.p, self.states, self.tracker, self.stop = p, states, tracker, stop
        self.fixed = fixed
        self._make_gan, self._batches_from = make_gan, batches_from
        self.run_id = ""
        self.sessions: list[Session] = []  # pieces of a training that was stopped: see tasks.provenance.training_record
        self.alarms: list[dict[str, Any]] = []  # told so far, also those of steps that it went back over
        self.rollbacks = 0
        self._begin()

    def _begin(self) -> None:
        self.gan = self._make_gan()
        self.schedules = make_schedules(self.p.train)
        self.step = 0
        self.curve: list[dict[str, Any]] = []
        self.sums: dict[str, torch.Tensor] = {}  # of the figures since the last row of the curve
        self.since_step = 0

    def restore(self, state: State) -> None:
        self.gan.load_state_dict(state["gan"])
        self.schedules.load_state_dict(state["schedules"])
        self.step, self.curve, self.since_step = state["step"], list(state["curve"]), state["since_step"]
        self.sums = {name: value.to(self.gan.device) for name, value in state["sums"].items()}
        self.alarms, self.rollbacks = list(state["alarms"]), state["rollbacks"]
        self.run_id, self.sessions = state["run_id"], list(state["sessions"])
        torch.set_rng_state(state["rng"]["cpu"])
        if self.gan.device.type == "cuda":
            torch.cuda.set_rng_state(state["rng"]["cuda"], self.gan.device)

    def state(self) -> State:
        on_cuda = self.gan.device.type == "cuda"
        rng = {"cpu": torch.get_rng_state()}
        rng |= {"cuda": torch.cuda.get_rng_state(self.gan.device)} if on_cuda else {}
        return {
            "gan": self.gan.state_dict(),
            "schedules": self.schedules.state_dict(),
            "step": self.step,
            "curve": self.curve,
            "since_step": self.since_step,
            "sums": {name: value.cpu() for name, value in self.sums.items()},
            "alarms": self.alarms,
            "rollbacks": self.rollbacks,
            "run_id": self.run_id,
            "sessions": self.sessions,
            "rng": rng,
        }

    def run(self) -> None:
        """Train to the last step.  Errors: Stopped where that was asked for; UserError where going back did not help"""
        with self._bar() as shown:
            while self.step < self.p.train.num_steps:
                batches = self._batches_from(self.step)
                try:
                    self._steps(batches, shown)
                except Ill as ill:
                    self._go_back(ill.alarm)
                    shown.n = self.step
                finally:
                    batches.close()

    def _steps(self, batches: Batches, shown: Any) -> None:
        t = self.p.train
        self._restart_clock()
        for step in range(self.step, t.num_steps):
            batch = self._next(batches)
            self.gan.set_learning_rate(self._rate_factor(step))
            self.gan.weights = self.schedules.weights(step)
            for name, value in self.gan.step(batch).items():
                self.sums[name] = self.sums[name] + value if name in self.sums else value
            self.step = step + 1
            shown.update()
            last = self.step == t.num_steps
            if self.step % t.log_every == 0 or last:
                self._log(shown, last)
            why = "" if last else ranks.any_of(self.stop.why)
            if why or self.step % t.checkpoint_every == 0 or last:
                self._save()
            if why:
                raise Stopped(f"train: stopped by {why} at step {self.step} of {t.num_steps}: run again to go on")

    def _next(self, batches: Batches) -> Batch:
        began_s = time.monotonic()
        batch = next(batches).to(self.gan.device)
        self._waited_s += time.monotonic() - began_s
        return batch

    def _rate_factor(self, step: int) -> float:
        t = self.p.train
        return schedules.gan_rate(step, t) * t.alarms.lr_factor**self.rollbacks

    def _log(self, shown: Any, last: bool) -> None:
        t = self.p.train
        row = self._row()
        speed = self._speed()
        if alarms.is_finite(row):
            row["lr"] = t.lr * self._rate_factor(self.step - 1)
            row |= {f"weight_{name}": value for name, value in self.gan.weights.items() if term_of(t, name).weight}
            if self.step % t.val_every == 0 or last:
                row |= ranks.from_first(self._validate)
                for name in self.schedules.see(row, self.step - 1):
                    if ranks.first():
                        say(f"train: the term {name} counts from step {self.step + 1} on")
        self.curve.append(row)
        # speed is for the watcher only: what DVC hashes holds no time
        figures = {name: value for name, value in (row | speed).items() if name != "step"}
        self.tracker.metrics(figures | {"rollbacks": self.rollbacks}, self.step)
        shown.set_postfix_str(
            f"mouth L1 {row['mouth_l1']:.4f}, {speed['samples_per_s']:.0f} samples/s, "
            f"data wait {speed['data_wait_share']:.0%}",
            refresh=False,
        )
        self.sums, self.since_step = {}, self.step
        self._restart_clock()
        for alarm in alarms.check(self.curve, t.alarms):
            self._heed(alarm)

    def _row(self) -> dict[str, Any]:
        """The means since the last row, over all ranks."""
        self._average_sums()
        num_steps = self.step - self.since_step
        return {"step": self.step} | {name: (value / num_steps).item() for name, value in self.sums.items()}

    def _average_sums(self) -> None:
        average(list(self.sums.values()))

    def _validate(self) -> dict[str, float]:
        assert self.fixed is not None
        self.tracker.picture("val", validation.strip(self.gan, self.fixed.batches[0]), self.step)
        return validation.measure(self.gan, self.fixed)

    def _heed(self, alarm: Alarm) -> None:
        if alarm.goes_back:
            raise Ill(alarm)
        if all(told["name"] != alarm.name for told in self.alarms):
            self._tell(alarm, "training goes on")

    def _tell(self, alarm: Alarm, what_next: str) -> None:
        self.alarms = [*self.alarms, {"name": alarm.name, "step": self.step, "cause": alarm.cause, "then": what_next}]
        self.tracker.metrics({f"alarm_{alarm.name}": 1.0}, self.step)
        if ranks.first():
            say(f"train: step {self.step}: {alarm.cause}: {what_next}. To mend it: {alarm.fix}")

    def _go_back(self, alarm: Alarm) -> None:
        """To the last good state or the start, with lower rates."""
        most = self.p.train.alarms.max_rollbacks
        if self.rollbacks >= most:
            raise UserError(
                f"train: {alarm.cause} before step {self.step}, after going back {self.rollbacks} times "
                f"(train.alarms.max_rollbacks); {alarm.fix}. The last checkpoint is kept"
            )
        good = ranks.from_first(self.states.load_good)
        rollbacks, run_id, sessions = self.rollbacks + 1, self.run_id, self.sessions
        factor = self.p.train.alarms.lr_factor**rollbacks
        self._tell(alarm, f"back to step {good['step'] if good else 0}, learning rates times {factor:g}")
        told = self.alarms
        if good:
            self.restore(good)
        else:
            self._begin()
        self.alarms, self.rollbacks, self.run_id, self.sessions = told, rollbacks, run_id, sessions
        self._write(good=True)  # whoever is stopped now goes on from here, and as often has gone back

    def _save(self) -> None:
        """Only finite states are worth going on from: of others the batch norms' statistics are spoilt."""
        if self.sums and not alarms.is_finite(self._row()):
            raise Ill(alarms.NOT_FINITE)
        self._write(good=not self.curve or alarms.good(self.curve, self.p.train.alarms))

    def _write(self, *, good: bool) -> None:
        if ranks.first():
            self.states.save(self.state(), good=good)

    def _restart_clock(self) -> None:
        self._waited_s, self._since_s, self._clock_step = 0.0, time.monotonic(), self.step

    def _speed(self) -> dict[str, float]:
        spent_s = max(time.monotonic() - self._since_s, 1e-9)
        return {
            "samples_per_s": (self.step - self._clock_step) * self.p.train.batch_size / spent_s,
            "data_wait_share": self._waited_s / spent_s,
        }

    def _bar(self) -> AbstractContextManager[Any]:
        return bar(self.p.train.num_steps, "training", "step", initial=self.step, hidden=not ranks.first())


def make_schedules(t: TrainParams) -> Schedules:
    return Schedules({name: term_of(t, name) for name in ("sync", *loss_terms.NAMES)}, t.num_steps)


def term_of(t: TrainParams, name: str) -> TermParams:
    term: TermParams = getattr(t.terms, name)
    return term
