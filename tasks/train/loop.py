"""The loop of stage `train`: batches -> steps, figures, alarms, states. Everything it changes is in its state.

A training that is interrupted anywhere and resumed from its last state ends with the same bytes as one that was not.
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


class RollbackNeeded(Exception):
    """The training has to return to an earlier state."""

    def __init__(self, alarm: Alarm) -> None:
        super().__init__(alarm.name)
        self.alarm = alarm


class Trainer:
    """One training, from the start or, after `restore`, from a state.

    make_gan         the initial networks
    batches_from     batches from a step on, for this rank
    fixed            the validation samples; only the first rank needs them
    states           the states on disk
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
        self.sessions: list[Session] = []  # one per start or resume, see tasks.provenance.training_record
        self.alarms: list[dict[str, Any]] = []  # reported so far, including those of steps that were rolled back
        self.rollbacks = 0
        self._begin()

    def _begin(self) -> None:
        self.gan = self._make_gan()
        self.schedules = make_schedules(self.p.train)
        self.step = 0
        self.curve: list[dict[str, Any]] = []
        self.sums: dict[str, torch.Tensor] = {}  # figures since the last row of the curve
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
        """Train to the last step.  Errors: Stopped on request; UserError if rollbacks did not help"""
        with self._bar() as progress:
            while self.step < self.p.train.num_steps:
                batches = self._batches_from(self.step)
                try:
                    self._steps(batches, progress)
                except RollbackNeeded as rollback:
                    self._roll_back(rollback.alarm)
                    progress.n = self.step
                finally:
                    batches.close()

    def _steps(self, batches: Batches, progress: Any) -> None:
        t = self.p.train
        self._restart_clock()
        for step in range(self.step, t.num_steps):
            batch = self._next(batches)
            self.gan.set_learning_rate(self._rate_factor(step))
            self.gan.weights = self.schedules.weights(step)
            for name, value in self.gan.step(batch).items():
                self.sums[name] = self.sums[name] + value if name in self.sums else value
            self.step = step + 1
            progress.update()
            last = self.step == t.num_steps
            if self.step % t.log_every == 0 or last:
                self._log(progress, last)
            why = "" if last else ranks.any_of(self.stop.why)
            if why or self.step % t.checkpoint_every == 0 or last:
                self._save()
            if why:
                raise Stopped(f"train: stopped by {why} at step {self.step} of {t.num_steps}: run again to resume")

    def _next(self, batches: Batches) -> Batch:
        began_s = time.monotonic()
        batch = next(batches).to(self.gan.device)
        self._waited_s += time.monotonic() - began_s
        return batch

    def _rate_factor(self, step: int) -> float:
        t = self.p.train
        return schedules.gan_rate(step, t) * t.alarms.lr_factor**self.rollbacks

    def _log(self, progress: Any, last: bool) -> None:
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
                        say(f"train: term {name} is active from step {self.step + 1} on")
        self.curve.append(row)
        # speed goes to the tracker only: files that DVC hashes contain no times
        figures = {name: value for name, value in (row | speed).items() if name != "step"}
        self.tracker.metrics(figures | {"rollbacks": self.rollbacks}, self.step)
        progress.set_postfix_str(
            f"mouth L1 {row['mouth_l1']:.4f}, {speed['samples_per_s']:.0f} samples/s, "
            f"data wait {speed['data_wait_share']:.0%}",
            refresh=False,
        )
        self.sums, self.since_step = {}, self.step
        self._restart_clock()
        for alarm in alarms.check(self.curve, t.alarms):
            self._handle(alarm)

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

    def _handle(self, alarm: Alarm) -> None:
        if alarm.goes_back:
            raise RollbackNeeded(alarm)
        if all(reported["name"] != alarm.name for reported in self.alarms):
            self._report(alarm, "training continues")

    def _report(self, alarm: Alarm, what_next: str) -> None:
        self.alarms = [*self.alarms, {"name": alarm.name, "step": self.step, "cause": alarm.cause, "then": what_next}]
        self.tracker.metrics({f"alarm_{alarm.name}": 1.0}, self.step)
        if ranks.first():
            say(f"train: step {self.step}: {alarm.cause}: {what_next}. To fix it: {alarm.fix}")

    def _roll_back(self, alarm: Alarm) -> None:
        """Return to the last good state or the start, with lower rates."""
        if self.rollbacks >= self.p.train.alarms.max_rollbacks:
            raise UserError(
                f"train: {alarm.cause} before step {self.step}, after {self.rollbacks} rollbacks "
                f"(train.alarms.max_rollbacks); {alarm.fix}. The last checkpoint is kept"
            )
        good = self.states.load_good()
        rollbacks, run_id, sessions = self.rollbacks + 1, self.run_id, self.sessions
        factor = self.p.train.alarms.lr_factor**rollbacks
        self._report(alarm, f"back to step {good['step'] if good else 0}, learning rates times {factor:g}")
        reported = self.alarms
        if good:
            self.restore(good)
        else:
            self._begin()
        self.alarms, self.rollbacks, self.run_id, self.sessions = reported, rollbacks, run_id, sessions
        self._write(good=True)  # an interruption now resumes here, with the count of rollbacks

    def _save(self) -> None:
        """Only finite states are saved: in others the batch norms' statistics are invalid."""
        if self.sums and not alarms.is_finite(self._row()):
            raise RollbackNeeded(alarms.NOT_FINITE)
        self._write(good=not self.curve or alarms.good(self.curve, self.p.train.alarms))

    def _write(self, *, good: bool) -> None:
        if self.states.kept:
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
