"""The training loop: a folder that always holds all that is needed to go on.

    outcome = train(task, Plan(steps=1000), folder)

`state.safetensors` holds weights, optimiser and counters; `best.safetensors` and `last.safetensors` the network alone;
`curves.csv` a line for each validation. The order of the data and all noise are functions of seed and step, so a run
that was killed and goes on ends at the same bits as one that was not (on one machine's processor, with the same number
of threads, where the length is given in steps or epochs).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vitruve.errors import BadData, MissingAsset, UsageError, nearest
from vitruve.learn.checkpoint import load_checkpoint, save_checkpoint
from vitruve.learn.curves import Curves
from vitruve.learn.feed import Feed
from vitruve.learn.learner import Learner, starting
from vitruve.learn.order import Mixture
from vitruve.learn.plan import Plan, Progress, learning_rate
from vitruve.learn.task import Batch, Task
from vitruve.learn.team import Team, find_team

STATE, BEST, LAST = "state.safetensors", "best.safetensors", "last.safetensors"
FORMAT = "vitruve-training-1"
# A kill loses at most this much work.
_SAVE_SECONDS = 60.0
_GPU_READERS = 4
_BEGIN = "begin: leave out --resume; where a first attempt left a folder, give --overwrite"


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
    readers: int = 0,
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
        readers: threads that fetch data ahead; 0 for one, or for four where a GPU computes. The results are the same
            for any number.
        on_validation: called with the rows of curves.csv after each validation, in the first process.
        on_step: called after each step, in the first process.
        stop: asked after each step; True saves and ends. Of several processes the first one decides.
    """
    run = _Run(task, plan, Path(folder), find_team(device), readers)
    devices = [run.team.device] if run.team.device.type == "cuda" else []
    with torch.random.fork_rng(devices):  # each step sets the seed: nothing of it is left outside
        if resume:
            run.restore()
        return run.go(on_validation, on_step, stop or (lambda: False))


class _Run:
    def __init__(self, task: Task, plan: Plan, folder: Path, team: Team, readers: int) -> None:
        plan.check(team.size)
        _check_data(task)
        self.task, self.plan, self.folder, self.team = task, plan, folder, team
        self.gpu = team.device.type == "cuda"
        self.readers = readers or (_GPU_READERS if self.gpu else 1)
        self.learner = Learner(task, plan, team)
        self.progress, self.curves = Progress(), Curves(folder / "curves.csv")
        self.sums: dict[str, Tensor] = {}
        self.summed = 0

    # ---- files ------------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write the state, and the network alone as the last."""
        if self.team.number:
            return
        tensors = self.learner.tensors() | {f"sums.{key}": value for key, value in self.sums.items()}
        counters = asdict(self.progress) | {"summed": self.summed}
        self._check_numbers()
        self.save_network(LAST)
        words = {"plan": asdict(self.plan), "setup": self.task.setup(), "identity": self.task.identity}
        save_checkpoint(self.folder / STATE, tensors, {"format": FORMAT, "progress": counters, **words})

    def save_network(self, name: str) -> None:
        words = self.task.words | {"training": {"step": self.progress.step, "average": self.plan.average}}
        save_checkpoint(self.folder / name, self.learner.mean.state_dict(), words)

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
        self.learner.restore(tensors)
        self.sums = {key: value.to(self.team.device) for key, value in starting(tensors, "sums.").items()}
        self.curves.read(self.progress.step)

    def _same(self, words: dict[str, Any]) -> None:
        """What cannot change when a run goes on."""
        free = {"steps", "minutes", "epochs", "patience"}
        setup = self.task.setup()
        now = asdict(self.plan) | setup | self.task.identity
        # States of earlier versions lack the numbers that came later, and had one data set.
        then = asdict(Plan()) | words["plan"] | words.get("setup", {"data 0": setup["data 0"]}) | words["identity"]
        keys = [key for key in {**now, **then} if key not in free]
        other = [f"{key} was {then.get(key)!r}, is {now.get(key)!r}" for key in keys if now.get(key) != then.get(key)]
        if other:
            raise UsageError(
                "the training cannot go on with other settings",
                where=f"{self.folder}: {'; '.join(other[:4])}",
                fix="give the settings it was begun with, or train into another folder",
            )

    def _check_numbers(self) -> None:
        for key, value in self.learner.network.state_dict().items():
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
        feed = self._feed()
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

    def _feed(self) -> Feed:
        data, share = self.task.data, (self.team.number, self.team.size)
        mixture = Mixture([each.count for each in data], [each.weight for each in data], self.plan.seed)
        return Feed(data, mixture, self.plan.batch, self.progress.step, share, self.readers, pin=self.gpu)

    def _step(self, batch: Batch) -> None:
        moment = self.progress.moment(self.plan, self.task.count)
        losses = self.learner.step(batch, moment, learning_rate(self.plan, self.progress, moment))
        self.progress.step += 1
        for key, value in losses.items():
            self.sums[key] = self.sums[key] + value.double() if key in self.sums else value.double()
        self.summed += 1

    def _validate(self, on_validation: Callable[[list[dict[str, float]]], None] | None) -> None:
        plan, progress = self.plan, self.progress
        moment = progress.moment(plan, self.task.count)
        self._check_numbers()
        self.team.average([buffer for buffer in self.learner.network.buffers() if buffer.is_floating_point()])
        row = {"step": progress.step, "epoch": moment.epoch, "seconds": progress.seconds}
        row["learning_rate"] = learning_rate(plan, progress, moment)
        row |= {f"train_{key}": float(self.sums[key]) / self.summed for key in sorted(self.sums)}
        score = math.inf
        if self.team.number == 0:
            found = self.task.validate(self.learner.mean.eval())
            row |= {f"valid_{key}": value for key, value in found.items()}
            score = _watched(found, plan.watch)
        self.learner.network.train()
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


def _watched(found: dict[str, float], name: str) -> float:
    if name not in found:
        raise UsageError(f"no number of the validation is named '{name}'", where="watch", fix=nearest(name, found))
    return found[name]


def _check_data(task: Task) -> None:
    for data in task.data:
        if data.count < 1:
            raise BadData("there is nothing to learn from", where=f"{data.name}: 0 rows", fix="check the split")
        if not (data.weight > 0 and math.isfinite(data.weight)):
            raise UsageError(f"a weight of {data.weight} cannot be", where=data.name, fix="give a positive number")
    if not task.data:
        raise UsageError("there is nothing to learn from: no data set", fix="give the task a DataSet")
