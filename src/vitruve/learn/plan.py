"""Settings and progress of a training, and the learning rate that follows from them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vitruve.errors import UsageError, nearest

SCHEDULES = ("constant", "plateau", "decay", "cosine")


@dataclass(frozen=True)
class Plan:
    """The settings of a training.

    Attributes:
        batch: rows per step, over all processes.
        weight_decay: added to the gradient, or subtracted from the weights if `decoupled`.
        decoupled: use AdamW instead of Adam.
        decay_all: weight decay also for parameters with less than two axes: biases and normalisation layers.
        schedule: of the learning rate: "constant"; "plateau" (divided by ten after `plateau_patience` validations
            without progress); "decay" (linear to zero over the last `decay` fraction of the training); "cosine" (over
            the entire training, down to `floor` times the learning rate).
        warmup_steps: steps over which the learning rate grows from zero, with any schedule.
        clip: largest norm of the gradient; 0 for no limit.
        average: decay of the moving average of the weights, which is validated and saved; 0 for none.
        accumulate: number of parts of a batch that are computed in sequence to save memory; gradients and losses are
            those of the batch, but batch normalisation sees the parts.
        bf16: use torch's autocast to bfloat16; weights and optimiser stay in float32.
        compile: use torch.compile for the network's forward pass, or for its children if it has none.
        epochs, steps: limits of the training; 0 for no limit.
        minutes: limit of the time in the loop, including validations and earlier parts of the run; 0 for no limit.
        validate_steps: steps between validations; 0 for an epoch.
        patience: stop after this many validations without progress; 0 for never.
        watch: the result of a validation that selects the best weights (lower is better).
        seed: of the order of the data and all random numbers.
    """

    batch: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    decoupled: bool = False
    decay_all: bool = True
    schedule: str = "constant"
    plateau_patience: int = 5
    decay: float = 0.0
    floor: float = 0.0
    warmup_steps: int = 0
    clip: float = 0.0
    average: float = 0.0
    accumulate: int = 1
    bf16: bool = False
    compile: bool = False
    epochs: int = 0
    steps: int = 0
    minutes: float = 0.0
    validate_steps: int = 0
    patience: int = 0
    watch: str = "score"
    seed: int = 0

    def check(self, processes: int = 1) -> None:
        """Raise UsageError if the settings contradict each other or the number of processes."""
        if self.schedule not in SCHEDULES:
            raise UsageError(f"there is no schedule '{self.schedule}'", fix=nearest(self.schedule, SCHEDULES))
        if self.schedule == "cosine" and not (self.steps or self.epochs or self.minutes):
            raise UsageError("the schedule cosine needs a length", fix="give steps, epochs or minutes")
        if self.accumulate < 1 or self.batch < 1 or self.batch % (processes * self.accumulate):
            raise UsageError(
                f"a batch of {self.batch} cannot be divided among {processes} processes",
                where=f"each computes it in {self.accumulate} parts (accumulate)",
                fix=f"give a batch that is a multiple of {processes * max(1, self.accumulate)}",
            )


@dataclass(frozen=True)
class Moment:
    """The position of a step in the training.

    Attributes:
        step: number of earlier steps.
        epoch: passes over the data so far, with fraction.
        fraction: of the training so far, 0 to 1; 0 if it has no limit.
    """

    step: int
    epoch: float
    fraction: float


@dataclass
class Progress:
    """The state of the loop besides the weights; it is saved with them.

    Attributes:
        step: finished steps.
        seconds: time in the loop.
        best, best_step: the best validation; None before the first.
        since_best: validations since the best.
        plateau_best: the best validation for the "plateau" schedule.
        since_plateau: validations since then or since the last reduction.
        rate_factor: of the learning rate, by the "plateau" schedule.
        finished: why the training ended; empty before.
    """

    step: int = 0
    seconds: float = 0.0
    best: float | None = None
    best_step: int = 0
    since_best: int = 0
    plateau_best: float | None = None
    since_plateau: int = 0
    rate_factor: float = 1.0
    finished: str = ""

    def moment(self, plan: Plan, count: int) -> Moment:
        """The position of the next step, for data with `count` rows."""
        epoch = self.step * plan.batch / count
        parts = [0.0]
        if plan.steps:
            parts.append(self.step / plan.steps)
        if plan.epochs:
            parts.append(epoch / plan.epochs)
        if plan.minutes:
            parts.append(self.seconds / (60 * plan.minutes))
        return Moment(self.step, epoch, min(1.0, max(parts)))

    def validated(self, plan: Plan, score: float) -> bool:
        """Record a validation; returns whether it was the best so far."""
        better = self.best is None or score < self.best
        if better:
            self.best, self.best_step, self.since_best = score, self.step, 0
        else:
            self.since_best += 1
        # A plateau ends with an improvement of at least 0.01 %, as in torch's ReduceLROnPlateau.
        if self.plateau_best is None or score < self.plateau_best * (1 - 1e-4):
            self.plateau_best, self.since_plateau = score, 0
        else:
            self.since_plateau += 1
        if plan.schedule == "plateau" and self.since_plateau > plan.plateau_patience:
            self.rate_factor, self.since_plateau = 0.1 * self.rate_factor, 0
        return better

    def over(self, plan: Plan, count: int) -> str:
        """Why the training ends; empty if it continues."""
        if plan.steps and self.step >= plan.steps:
            return f"{plan.steps} steps are done"
        if plan.epochs and self.step * plan.batch >= plan.epochs * count:
            return f"{plan.epochs} epochs are done"
        if plan.minutes and self.seconds >= 60 * plan.minutes:
            return f"{plan.minutes:g} minutes are over"
        if plan.patience and self.since_best >= plan.patience:
            return f"no progress in {plan.patience} validations"
        return ""


def learning_rate(plan: Plan, progress: Progress, moment: Moment) -> float:
    """The learning rate of the next step."""
    rate = plan.learning_rate * progress.rate_factor
    if plan.schedule == "decay" and plan.decay:
        rate *= min(1.0, max(0.0, 1.0 - moment.fraction) / plan.decay)
    if plan.schedule == "cosine":
        rate *= plan.floor + (1 - plan.floor) * 0.5 * (1 + math.cos(math.pi * moment.fraction))
    if plan.warmup_steps:
        rate *= min(1.0, (moment.step + 1) / plan.warmup_steps)
    return rate
