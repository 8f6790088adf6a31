"""How long and how fast a network learns: the numbers of the loop, and what they mean for the learning rate."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vitruve.errors import UsageError, nearest

SCHEDULES = ("constant", "plateau", "decay", "cosine")


@dataclass(frozen=True)
class Plan:
    """The numbers of a training.

    Attributes:
        batch: rows a step, over all processes.
        learning_rate: of Adam.
        weight_decay: added to the gradient, or, where `decoupled`, taken from the weights.
        decoupled: AdamW rather than Adam.
        decay_all: weight decay also for parameters of less than two axes: biases, and what normalisation layers learn.
        schedule: of the learning rate: "constant"; "plateau" (a tenth after `plateau_patience` validations without
            progress); "decay" (a straight line to zero over the last `decay` part of the training); "cosine" (half a
            wave over the whole training, down to `floor` of the learning rate).
        plateau_patience: see `schedule`.
        decay: see `schedule`.
        floor: see `schedule`.
        warmup_steps: steps over which the learning rate grows from zero, whatever the schedule.
        clip: largest norm of the gradient; 0 for no limit.
        average: decay of the moving average of the weights, which is what is validated and saved; 0 for none.
        accumulate: parts that a batch is computed in, one after another, to save memory; gradients and losses are
            those of the whole batch, but batch normalisation sees the parts.
        bf16: compute in bfloat16 where torch's autocast does; weights and optimiser stay in float32.
        compile: compile the network's forward pass, or that of its children where it has none, with torch.compile.
        epochs: at most so many passes over the data; 0 for no limit.
        steps: at most so many steps; 0 for no limit.
        minutes: at most so much time in the loop, validations included, over all resumes; 0 for no limit.
        validate_steps: least steps between validations; 0 for one an epoch.
        patience: validations without progress after which training stops; 0 for never.
        watch: the number of a validation, the less the better, that says which weights are best.
        seed: of the order of the data and all noise.
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
        """Raise UsageError where the numbers do not go together, for so many processes."""
        if self.schedule not in SCHEDULES:
            raise UsageError(f"there is no schedule '{self.schedule}'", fix=nearest(self.schedule, SCHEDULES))
        if self.schedule == "cosine" and not (self.steps or self.epochs or self.minutes):
            raise UsageError("the schedule cosine needs a length", fix="give steps, epochs or minutes")
        if self.accumulate < 1 or self.batch < 1 or self.batch % (processes * self.accumulate):
            raise UsageError(
                f"a batch of {self.batch} does not divide among {processes} processes",
                where=f"each computes it in {self.accumulate} parts (accumulate)",
                fix=f"give a batch that is a multiple of {processes * max(1, self.accumulate)}",
            )


@dataclass(frozen=True)
class Moment:
    """Where in the training a step stands.

    Attributes:
        step: steps done before it.
        epoch: passes over the data done before it, with the part of the current one.
        fraction: part of the training that is over, 0 to 1; 0 where it has no end.
    """

    step: int
    epoch: float
    fraction: float


@dataclass
class Progress:
    """What the loop remembers beside weights; it is saved with them.

    Attributes:
        step: steps done.
        seconds: time in the loop.
        best: the best number of a validation, None before the first.
        best_step: when it was reached.
        since_best: validations since.
        plateau_best: as `best`, as the learning rate's plateau sees it.
        since_plateau: validations since then or since the last cut.
        rate_factor: what the plateaus have left of the learning rate.
        finished: why the training is over; empty while it is not.
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
        """Where the next step stands, of data with `count` rows."""
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
        """Take note of a validation; whether it was the best so far."""
        better = self.best is None or score < self.best
        if better:
            self.best, self.best_step, self.since_best = score, self.step, 0
        else:
            self.since_best += 1
        # A plateau ends with a step down of at least a ten-thousandth, as in the schedule of that name in torch.
        if self.plateau_best is None or score < self.plateau_best * (1 - 1e-4):
            self.plateau_best, self.since_plateau = score, 0
        else:
            self.since_plateau += 1
        if plan.schedule == "plateau" and self.since_plateau > plan.plateau_patience:
            self.rate_factor, self.since_plateau = 0.1 * self.rate_factor, 0
        return better

    def over(self, plan: Plan, count: int) -> str:
        """Why no further step is to be done; empty while one is."""
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
