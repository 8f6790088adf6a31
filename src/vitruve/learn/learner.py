"""One training step on one device: the network, its moving average and its optimiser."""

from __future__ import annotations

import contextlib
import copy
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from vitruve.errors import UsageError, nearest
from vitruve.learn.order import seed_of
from vitruve.learn.plan import Moment, Plan
from vitruve.learn.task import Batch, Task
from vitruve.learn.team import Team

# Devices for which torch updates all weights in one kernel.
_FUSED = ("cpu", "cuda", "mps")


class Learner:
    """A network with its optimiser.

    Attributes:
        network: that of the task, on the team's device, in train mode.
        mean: its moving average, or the network itself without averaging.
    """

    def __init__(self, task: Task, plan: Plan, team: Team) -> None:
        self._loss, self._plan, self._team = task.loss, plan, team
        self.network = task.network.to(team.device).train()
        self.mean = copy.deepcopy(self.network).eval() if plan.average else self.network
        kind = torch.optim.AdamW if plan.decoupled else torch.optim.Adam
        self._optimiser = kind(_parameter_groups(task, plan), plan.learning_rate, fused=team.device.type in _FUSED)
        if plan.compile:
            _compile(self.network)

    def step(self, batch: Batch, moment: Moment, rate: float) -> dict[str, Tensor]:
        """Take one step with a batch on the CPU and a learning rate.

        Returns:
            The loss as "total", its components, and the norm of the gradient before clipping; on the device.
        """
        plan, team = self._plan, self._team
        torch.manual_seed(seed_of("step", plan.seed, moment.step, team.number))
        for group in self._optimiser.param_groups:
            group["lr"] = rate * group["factor"]
        self._optimiser.zero_grad(set_to_none=True)
        losses = self._backward(batch, moment)
        parameters = [parameter for parameter in self.network.parameters() if parameter.grad is not None]
        team.average([parameter.grad for parameter in parameters if parameter.grad is not None])
        losses["gradient_norm"] = _clip(parameters, plan.clip)
        self._optimiser.step()
        if plan.average:
            self._average(moment.step + 1)
        return losses

    def _backward(self, batch: Batch, moment: Moment) -> dict[str, Tensor]:
        """Compute the gradients of the mean loss over the batch; returns the loss and its components."""
        parts, device = self._plan.accumulate, self._team.device
        size = len(next(iter(batch.values()))) // parts
        losses: dict[str, Tensor] = {}
        for start in range(0, size * parts, size):
            here = {key: value[start : start + size].to(device, non_blocking=True) for key, value in batch.items()}
            with torch.autocast(device.type, torch.bfloat16) if self._plan.bf16 else contextlib.nullcontext():
                loss, components = self._loss(self.network, here, moment)
            (loss / parts).backward()
            for key, value in {"total": loss, **components}.items():
                value = value.detach().double() / parts
                losses[key] = losses[key] + value if key in losses else value
        return losses

    @torch.no_grad()
    def _average(self, step: int) -> None:
        # Early steps use a short average, so that the initial weights are soon forgotten.
        decay = min(self._plan.average, (1 + step) / (10 + step))
        pairs = list(zip(_tensors(self.mean), _tensors(self.network)))
        floats = [pair for pair in pairs if pair[0].is_floating_point()]
        mean, network = ([pair[side] for pair in floats] for side in (0, 1))
        torch._foreach_lerp_(mean, network, 1 - decay)  # pyright: ignore[reportPrivateImportUsage]
        for mine, theirs in pairs:
            if not mine.is_floating_point():
                mine.copy_(theirs)

    # ---- to and from a checkpoint -----------------------------------------------------------------------------------

    def tensors(self) -> dict[str, Tensor]:
        """Weights and the optimiser's state, by name."""
        tensors = {f"network.{key}": value for key, value in self.network.state_dict().items()}
        if self._plan.average:
            tensors |= {f"average.{key}": value for key, value in self.mean.state_dict().items()}
        numbers = self._numbers()
        for place, state in self._optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{numbers[place]}.{key}": torch.as_tensor(value) for key, value in state.items()}
        return tensors

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Restore the state from the result of `tensors`."""
        self.network.load_state_dict(starting(tensors, "network."))
        if self._plan.average:
            self.mean.load_state_dict(starting(tensors, "average."))
        places = {number: place for place, number in enumerate(self._numbers())}
        states: dict[int, dict[str, Tensor]] = {}
        for key, value in starting(tensors, "optimiser.").items():
            number, _, name = key.partition(".")
            states.setdefault(places[int(number)], {})[name] = value
        self._optimiser.load_state_dict({**self._optimiser.state_dict(), "state": states})

    def _numbers(self) -> list[int]:
        """For each parameter of the optimiser, its index in the network."""
        number = {id(parameter): number for number, parameter in enumerate(self.network.parameters())}
        return [number[id(parameter)] for group in self._optimiser.param_groups for parameter in group["params"]]


def starting(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with a prefix; the prefix is removed."""
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _parameter_groups(task: Task, plan: Plan) -> list[dict[str, Any]]:
    """Parameter groups of the optimiser with equal factors of learning rate and weight decay."""
    named = list(task.network.named_parameters())
    for label, group in task.groups.items():
        for pattern in group.names:
            if not any(fnmatchcase(name, pattern) for name, _ in named):
                raise UsageError(
                    f"no parameter is named '{pattern}'",
                    where=f"group '{label}'",
                    fix=nearest(pattern, [name for name, _ in named]),
                )
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in named:
        matching = (group for group in task.groups.values() if any(fnmatchcase(name, each) for each in group.names))
        group = next(matching, None)
        decay = (group.weight_decay if group else 1.0) * (plan.decay_all or parameter.ndim > 1)
        groups.setdefault((group.learning_rate if group else 1.0, decay), []).append(parameter)
    return [
        {"params": parameters, "factor": factor, "weight_decay": decay * plan.weight_decay}
        for (factor, decay), parameters in groups.items()
    ]


def _clip(parameters: list[nn.Parameter], limit: float) -> Tensor:
    """Limit the norm of the gradients (no limit if 0); returns the norm before."""
    if limit:
        return nn.utils.clip_grad_norm_(parameters, limit)
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norms = torch._foreach_norm(gradients)  # pyright: ignore[reportPrivateImportUsage]
    return torch.stack(norms).norm()


def _compile(module: nn.Module) -> None:
    """Compile in place, so that weights keep their names; the children if a module has no forward pass."""
    if type(module).forward is not nn.Module.forward:
        # Not `module.compile()`: that leaves modules of torch itself, as Sequential, uncompiled.
        module.forward = torch.compile(module.forward)
    else:
        for child in module.children():
            _compile(child)


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]
