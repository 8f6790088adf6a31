"""The training loop, with all files that are needed to resume in one folder.

    outcome = train(task, Plan(steps=1000), folder)

`state.safetensors` holds weights, optimiser and counters; `best.safetensors` and `last.safetensors` only the network;
`curves.csv` a line per validation. The order of the data and all noise depend only on seed and step. So a run that was
killed and resumed has bit-identical results (on the same CPU with the same number of threads, if the length is given in
steps or epochs).
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
# Time between saves.
_SAVE_SECONDS = 60.0
_GPU_READERS = 4

OnValidation = Callable[[list[dict[str, float]]], None]


@dataclass(frozen=True)
class Outcome:
    """The result of a training.

    Attributes:
        finished: why it ended; empty if it was interrupted.
        steps, seconds: of the run, including earlier parts.
        rows_per_second: in this part, without validations.
        waiting: fraction of this part's step time spent waiting for data.
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
    on_validation: OnValidation | None = None,
    on_step: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Outcome:
    """Train a network, or resume its training.

    Args:
        task: network, data and loss.
        plan: the settings.
        folder: an existing folder for the files named above.
        resume: continue from the state in the folder.
        device: by default CUDA if available.
        readers: threads that fetch data; 0 for one, or four with a GPU. The number does not change the results.
        on_validation: called with the rows of curves.csv after each validation, in the first process.
        on_step: called after each step, in the first process.
        stop: called after each step; True saves and ends. With several processes, the first one decides.
    """
    run = _Run(task, plan, Path(folder), find_team(device), readers, on_validation)
    devices = [run.team.device] if run.team.device.type == "cuda" else []
    with torch.random.fork_rng(devices):  # each step sets the seed
        if resume:
            run.restore()
        return run.go(on_step, stop or (lambda: False))


class _Run:
    def __init__(
        self, task: Task, plan: Plan, folder: Path, team: Team, readers: int, on_validation: OnValidation | None = None
    ) -> None:
        plan.check(team.size)
        _check_data(task)
        self.task, self.plan, self.folder, self.team, self.on_validation = task, plan, folder, team, on_validation
        self.gpu = team.device.type == "cuda"
        self.readers = readers or (_GPU_READERS if self.gpu else 1)
        self.learner = Learner(task, plan, team)
        self.progress, self.curves = Progress(), Curves(folder / "curves.csv")
        self.sums: dict[str, Tensor] = {}
        self.summed = 0

    # ---- files ------------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write the state and the last network."""
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
            fix = "leave out --resume to start; if a first attempt left a folder, give --overwrite"
            raise MissingAsset("there is no training to resume", where=str(path), fix=fix)
        tensors, words = load_checkpoint(path)
        if words.get("format") != FORMAT:
            raise BadData("not the state of a training", where=f"{path}: {words.get('format')}", fix="train again")
        self._check_same(words)
        counters = dict(words["progress"])
        self.summed = counters.pop("summed")
        self.progress = Progress(**counters)
        self.progress.finished = ""  # the plan may be longer now
        self.learner.restore(tensors)
        self.sums = {key: value.to(self.team.device) for key, value in starting(tensors, "sums.").items()}
        self.curves.read(self.progress.step)

    def _check_same(self, words: dict[str, Any]) -> None:
        """Raise if settings differ that may not change when a run resumes."""
        free = {"steps", "minutes", "epochs", "patience"}
        setup = self.task.setup()
        now = asdict(self.plan) | setup | self.task.identity
        # States of earlier versions lack newer settings, and have one data set.
        then = asdict(Plan()) | words["plan"] | words.get("setup", {"data 0": setup["data 0"]}) | words["identity"]
        keys = [key for key in {**now, **then} if key not in free]
        changed = [f"{key} was {then.get(key)!r}, is {now.get(key)!r}" for key in keys if now.get(key) != then.get(key)]
        if changed:
            raise UsageError(
                "the training cannot resume with other settings",
                where=f"{self.folder}: {'; '.join(changed[:4])}",
                fix="give the original settings, or train in another folder",
            )

    def _check_numbers(self) -> None:
        for key, value in self.learner.network.state_dict().items():
            if not bool(value.isfinite().all()):
                raise BadData(
                    "the training has diverged: a weight is not finite",
                    where=f"{key} after step {self.progress.step}; the files have an earlier state",
                    fix="lower the learning rate, or check the data",
                )

    # ---- steps ------------------------------------------------------------------------------------------------------

    def go(self, on_step: Callable[[Progress], None] | None, stop: Callable[[], bool]) -> Outcome:
        plan, team, progress = self.plan, self.team, self.progress
        feed = self._feed()
        interval = plan.validate_steps or max(1, self.task.count // plan.batch)
        started, first, stepping, saved = time.perf_counter() - progress.seconds, progress.step, 0.0, time.monotonic()
        try:
            if self.curves.last_step() < 0:
                self._validate()
            while not (reason := progress.over(plan, self.task.count)):
                clock = time.perf_counter()
                self._step(feed.next())
                stepping += time.perf_counter() - clock
                progress.seconds = team.agree(time.perf_counter() - started)
                if progress.step % interval == 0:
                    self._validate()
                    progress.seconds = team.agree(time.perf_counter() - started)
                if time.monotonic() - saved > _SAVE_SECONDS or progress.step == 1:
                    self.save()
                    saved = time.monotonic()
                if on_step and team.number == 0:
                    on_step(progress)
                if team.agree(stop()):  # all processes must end after the same step
                    reason = ""
                    break
            if reason and self.curves.last_step() != progress.step:
                self._validate()
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

    def _validate(self) -> None:
        plan, progress = self.plan, self.progress
        moment = progress.moment(plan, self.task.count)
        self._check_numbers()
        self.team.average([buffer for buffer in self.learner.network.buffers() if buffer.is_floating_point()])
        row = {"step": progress.step, "epoch": moment.epoch, "seconds": progress.seconds}
        row["learning_rate"] = learning_rate(plan, progress, moment)
        row |= {f"train_{key}": float(self.sums[key]) / self.summed for key in sorted(self.sums)}
        score = math.inf
        if self.team.number == 0:
            results = self.task.validate(self.learner.mean.eval())
            if plan.watch not in results:
                fix = nearest(plan.watch, results)
                raise UsageError(f"the validation has no result '{plan.watch}'", where="watch", fix=fix)
            row |= {f"valid_{key}": value for key, value in results.items()}
            score = results[plan.watch]
        self.learner.network.train()
        score = self.team.agree(score)
        self.sums, self.summed = {}, 0
        better = progress.validated(plan, score)
        if self.team.number == 0:
            if better:
                self.save_network(BEST)
            self.curves.add(row)
            self.save()
            if self.on_validation:
                self.on_validation(self.curves.rows)


def _check_data(task: Task) -> None:
    for data in task.data:
        if data.count < 1:
            raise BadData("there is nothing to learn from", where=f"{data.name}: 0 rows", fix="check the split")
        if not (data.weight > 0 and math.isfinite(data.weight)):
            raise UsageError(f"the weight {data.weight} is not positive", where=data.name, fix="give a positive number")
    if not task.data:
        raise UsageError("there is nothing to learn from: no data set", fix="give the task a DataSet")
