"""The training loop: a folder that always holds all that is needed to go on.

    outcome = train(task, Plan(steps=1000), folder)

`state.safetensors` holds weights, optimiser and counters; `best.safetensors` and `last.safetensors` the network alone;
`curves.csv` a line for each validation. The order of the data and all noise are functions of seed and step, so a run
that was killed and goes on ends at the same bits as one that was not (on one machine's processor, with the same number
of threads, where the length is given in steps or epochs).
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vitruve.errors import BadData, MissingAsset, UsageError
from vitruve.learn.checkpoint import load_checkpoint, save_checkpoint
from vitruve.learn.curves import Curves
from vitruve.learn.order import Feed, Order, seed_of
from vitruve.learn.plan import Moment, Plan, Progress, learning_rate
from vitruve.learn.team import Team, find_team

STATE, BEST, LAST = "state.safetensors", "best.safetensors", "last.safetensors"
FORMAT = "vitruve-training-1"
# A kill loses at most this much work.
_SAVE_SECONDS = 60.0
_BEGIN = "begin: leave out --resume; where a first attempt left a folder, give --overwrite"

Loss = Callable[[nn.Module, Tensor, Moment], tuple[Tensor, dict[str, Tensor]]]


@dataclass(frozen=True)
class Task:
    """What is to be learned.

    Attributes:
        network: with its first weights.
        fetch: the data of some rows, on the processor; called from another thread.
        count: rows there are.
        loss: (what is made small, its components) of a batch.
        validate: numbers by name; the network is in eval mode.
        words: goes into every checkpoint of the network, to say what it is.
        identity: what must be the same when a run goes on.
    """

    network: nn.Module
    fetch: Callable[[Tensor], Tensor]
    count: int
    loss: Loss
    validate: Callable[[nn.Module], dict[str, float]]
    words: dict[str, Any] = field(default_factory=dict)
    identity: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How a training went.

    Attributes:
        finished: why it ended; empty where it was interrupted.
        steps, seconds: of all its parts together.
        rows_per_second: while stepping, validations not counted, in this part.
        waiting: part of the stepping time that was spent waiting for data, in this part.
        best, best_step: the best validation.
        curves: the rows of curves.csv.
    """

    finished: str
    steps: int
    seconds: float
    rows_per_second: float
    waiting: float
    best: float | None
    best_step: int
    curves: list[dict[str, float]]


def train(
    task: Task,
    plan: Plan,
    folder: str | Path,
    *,
    resume: bool = False,
    device: str | None = None,
    on_validation: Callable[[list[dict[str, float]]], None] | None = None,
    on_step: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Outcome:
    """Train a network, or go on with it.

    Args:
        task: what is to be learned.
        plan: how.
        folder: exists; gets the files named above.
        resume: go on with the state in the folder.
        device: where to compute; a CUDA device where there is one if left out.
        on_validation: called with the rows of curves.csv after each validation, in the first process.
        on_step: called after each step, in the first process.
        stop: asked after each step; True saves and ends. Of several processes the first one decides.
    """
    run = _Run(task, plan, Path(folder), find_team(device))
    devices = [run.team.device] if run.team.device.type == "cuda" else []
    with torch.random.fork_rng(devices):  # each step sets the seed: nothing of it is left outside
        if resume:
            run.restore()
        return run.go(on_validation, on_step, stop or (lambda: False))


class _Run:
    def __init__(self, task: Task, plan: Plan, folder: Path, team: Team) -> None:
        if task.count < 1:
            raise BadData("there is nothing to learn from", where="0 rows", fix="check the split")
        if plan.batch % team.size:
            raise UsageError(f"a batch of {plan.batch} does not divide among {team.size} processes", fix="change it")
        self.task, self.plan, self.folder, self.team = task, plan, folder, team
        self.network = task.network.to(team.device).train()
        self.mean = copy.deepcopy(self.network).eval() if plan.average else self.network
        self.optimiser = _optimiser(plan, self.network)
        self.progress, self.curves = Progress(), Curves(folder / "curves.csv")
        self.sums, self.summed = {}, 0

    # ---- files ------------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write the state, and the network alone as the last."""
        if self.team.number:
            return
        tensors = {f"network.{key}": value for key, value in self.network.state_dict().items()}
        if self.plan.average:
            tensors |= {f"average.{key}": value for key, value in self.mean.state_dict().items()}
        for number, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{number}.{key}": torch.as_tensor(value) for key, value in state.items()}
        tensors |= {f"sums.{key}": value for key, value in self.sums.items()}
        counters = asdict(self.progress) | {"summed": self.summed}
        self._check_numbers()
        self.save_network(LAST)
        save_checkpoint(
            self.folder / STATE,
            tensors,
            {"format": FORMAT, "progress": counters, "plan": asdict(self.plan), "identity": self.task.identity},
        )

    def save_network(self, name: str) -> None:
        words = self.task.words | {"training": {"step": self.progress.step, "average": self.plan.average}}
        save_checkpoint(self.folder / name, self.mean.state_dict(), words)

    def restore(self) -> None:
        path = self.folder / STATE
        if not path.is_file():
            raise MissingAsset("there is no training to go on with", where=str(path), fix=_BEGIN)
        tensors, words = load_checkpoint(path)
        if words.get("format") != FORMAT:
            raise BadData("this is no state of a training", where=f"{path}: {words.get('format')}", fix="train anew")
        self._same(words)
        counters = dict(words["progress"])
        self.summed = counters.pop("summed")
        self.progress = Progress(**counters)
        if self.progress.finished:  # a longer plan goes on
            self.progress.finished = ""
        self.network.load_state_dict(_part(tensors, "network."))
        if self.plan.average:
            self.mean.load_state_dict(_part(tensors, "average."))
        states: dict[int, dict[str, Tensor]] = {}
        for key, value in _part(tensors, "optimiser.").items():
            number, _, name = key.partition(".")
            states.setdefault(int(number), {})[name] = value
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": states})
        self.sums = {key: value.to(self.team.device) for key, value in _part(tensors, "sums.").items()}
        self.curves.read(self.progress.step)

    def _same(self, words: dict[str, Any]) -> None:
        """What cannot change when a run goes on."""
        free = {"steps", "minutes", "epochs", "patience"}
        now = {key: value for key, value in asdict(self.plan).items() if key not in free} | self.task.identity
        then = {key: value for key, value in words["plan"].items() if key not in free} | words["identity"]
        other = [f"{key} was {then.get(key)!r}, is {now.get(key)!r}" for key in now if now[key] != then.get(key)]
        if other:
            raise UsageError(
                "the training cannot go on with other settings",
                where=f"{self.folder}: {'; '.join(other[:4])}",
                fix="give the settings it was begun with, or train into another folder",
            )

    def _check_numbers(self) -> None:
        for key, value in self.network.state_dict().items():
            if not bool(value.isfinite().all()):
                raise BadData(
                    "the training has diverged: a weight is no number",
                    where=f"{key} after step {self.progress.step}; the files hold the state before",
                    fix="lower the learning rate, or check the data",
                )

    # ---- steps ------------------------------------------------------------------------------------------------------

    def go(
        self,
        on_validation: Callable[[list[dict[str, float]]], None] | None,
        on_step: Callable[[Progress], None] | None,
        stop: Callable[[], bool],
    ) -> Outcome:
        plan, team, progress = self.plan, self.team, self.progress
        share = (team.number, team.size)
        feed = Feed(self.task.fetch, Order(self.task.count, plan.seed), plan.batch, progress.step, share)
        begun, first, stepping, saved = time.perf_counter() - progress.seconds, progress.step, 0.0, time.monotonic()
        try:
            if self.curves.last_step() < 0:
                self._validate(on_validation)
            while not (reason := self._over()):
                clock = time.perf_counter()
                self._step(feed.next())
                stepping += time.perf_counter() - clock
                progress.seconds = team.agree(time.perf_counter() - begun)
                if progress.step % self._interval() == 0:
                    self._validate(on_validation)
                    progress.seconds = team.agree(time.perf_counter() - begun)
                if time.monotonic() - saved > _SAVE_SECONDS or progress.step == 1:
                    self.save()
                    saved = time.monotonic()
                if on_step and team.number == 0:
                    on_step(progress)
                if team.agree(stop()):  # all end after the same step, or one would wait for the others for ever
                    reason = ""
                    break
            if reason and self.curves.last_step() != progress.step:
                self._validate(on_validation)
            progress.finished = reason
            self.save()
        finally:
            feed.close()
        done = progress.step - first
        return Outcome(
            finished=progress.finished,
            steps=progress.step,
            seconds=progress.seconds,
            rows_per_second=done * plan.batch / stepping if stepping else 0.0,
            waiting=feed.waited / stepping if stepping else 0.0,
            best=progress.best,
            best_step=progress.best_step,
            curves=self.curves.rows,
        )

    def _over(self) -> str:
        return self.progress.over(self.plan, self.task.count)

    def _interval(self) -> int:
        epoch = max(1, self.task.count // self.plan.batch)
        return self.plan.validate_steps or epoch

    def _step(self, batch: Tensor) -> None:
        plan, progress = self.plan, self.progress
        moment = progress.moment(plan, self.task.count)
        torch.manual_seed(seed_of("step", plan.seed, progress.step, self.team.number))
        rate = learning_rate(plan, progress, moment)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        loss, parts = self.task.loss(self.network, batch.to(self.team.device, non_blocking=True), moment)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        parameters = [p for p in self.network.parameters() if p.grad is not None]
        self.team.average([p.grad for p in parameters if p.grad is not None])
        if plan.clip:
            nn.utils.clip_grad_norm_(parameters, plan.clip)
        self.optimiser.step()
        progress.step += 1
        if plan.average:
            self._average()
        for key, value in {"total": loss, **parts}.items():
            self.sums[key] = self.sums.get(key, 0.0) + value.detach().double()
        self.summed += 1

    @torch.no_grad()
    def _average(self) -> None:
        # Few steps are averaged over little, so that the first weights are soon forgotten.
        decay = min(self.plan.average, (1 + self.progress.step) / (10 + self.progress.step))
        mine, theirs = self.mean.state_dict(), self.network.state_dict()
        floats = [key for key, value in mine.items() if value.is_floating_point()]
        for key in floats:
            mine[key].lerp_(theirs[key], 1 - decay)
        for key in mine.keys() - set(floats):
            mine[key].copy_(theirs[key])

    def _validate(self, on_validation: Callable[[list[dict[str, float]]], None] | None) -> None:
        plan, progress = self.plan, self.progress
        moment = progress.moment(plan, self.task.count)
        self._check_numbers()
        self.team.average([buffer for buffer in self.network.buffers() if buffer.is_floating_point()])
        row = {"step": progress.step, "epoch": moment.epoch, "seconds": progress.seconds}
        row["learning_rate"] = learning_rate(plan, progress, moment)
        row |= {f"train_{key}": float(self.sums[key]) / self.summed for key in sorted(self.sums)}
        score = math.inf
        if self.team.number == 0:
            self.mean.eval()
            found = self.task.validate(self.mean)
            row |= {f"valid_{key}": value for key, value in found.items()}
            score = found[plan.watch]
        self.network.train()
        score = self.team.agree(score)
        self.sums, self.summed = {}, 0
        better = progress.validated(plan, score)
        if self.team.number == 0:
            if better:
                self.save_network(BEST)
            self.curves.add(row)
            self.save()
            if on_validation:
                on_validation(self.curves.rows)


def _optimiser(plan: Plan, network: nn.Module) -> torch.optim.Optimizer:
    kind = torch.optim.AdamW if plan.decoupled else torch.optim.Adam
    return kind(network.parameters(), plan.learning_rate, weight_decay=plan.weight_decay, fused=True)


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
