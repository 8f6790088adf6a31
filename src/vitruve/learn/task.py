"""What a training is given: the network, the data sets, the loss, the groups of weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from vitruve.learn.plan import Moment

Batch = dict[str, Tensor]
"""Tensors by name; the first axis of each is the rows."""

Loss = Callable[[nn.Module, Batch, Moment], tuple[Tensor, dict[str, Tensor]]]
"""(what is minimised, its components): scalars, each a mean over the rows of the batch."""


@dataclass(frozen=True)
class DataSet:
    """Rows to learn from.

    Attributes:
        fetch: the data of some rows (sorted numbers 0 to count - 1), on the CPU; called from reader threads, from
            several at a time where there is more than one reader. All sets of a training give the same names, shapes
            (but for the rows) and types.
        count: rows there are.
        weight: how often this set is drawn from, relative to the other sets' weights.
        name: for messages.
    """

    fetch: Callable[[Tensor], Batch]
    count: int
    weight: float = 1.0
    name: str = "data"


@dataclass(frozen=True)
class Group:
    """Weights that are trained with other numbers than the rest.

    Attributes:
        names: patterns of parameter names, as "encoder.*".
        learning_rate: factor of the plan's learning rate.
        weight_decay: factor of the plan's weight decay.
    """

    names: tuple[str, ...]
    learning_rate: float = 1.0
    weight_decay: float = 1.0


@dataclass(frozen=True)
class Task:
    """What is to be learned.

    Attributes:
        network: with its first weights.
        data: the data sets, mixed by their weights.
        loss: of a batch on the network's device.
        validate: numbers by name; the network is in eval mode.
        groups: by name; a parameter is in the first group with a pattern that matches. The rest follow the plan.
        words: goes into every checkpoint of the network, to say what it is.
        identity: what must be the same when a run goes on.
    """

    network: nn.Module
    data: Sequence[DataSet]
    loss: Loss
    validate: Callable[[nn.Module], dict[str, float]]
    groups: Mapping[str, Group] = field(default_factory=dict)
    words: dict[str, Any] = field(default_factory=dict)
    identity: dict[str, Any] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Rows of all sets together: so many make an epoch."""
        return sum(data.count for data in self.data)

    def setup(self) -> dict[str, Any]:
        """The data sets and groups as plain values, to compare when a run goes on."""
        sets = {f"data {i}": [data.count, float(data.weight)] for i, data in enumerate(self.data)}
        groups = {
            f"group {name}": [list(group.names), float(group.learning_rate), float(group.weight_decay)]
            for name, group in self.groups.items()
        }
        return sets | groups
