"""The input of a training: network, data sets, loss, parameter groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from vitruve.learn.plan import Moment

Batch = dict[str, Tensor]
"""Tensors by name; the first axis is the rows."""

Loss = Callable[[nn.Module, Batch, Moment], tuple[Tensor, dict[str, Tensor]]]
"""Returns the loss and its components: scalars, means over the rows of the batch."""


@dataclass(frozen=True)
class DataSet:
    """Rows to learn from.

    Attributes:
        fetch: returns the data of some rows (sorted indices) on the CPU; called from reader threads, at the same time
            if there are several. All data sets return the same names, shapes (except the rows) and types.
        count: number of rows.
        weight: how often this set is used, relative to the other sets.
        name: for messages.
    """

    fetch: Callable[[Tensor], Batch]
    count: int
    weight: float = 1.0
    name: str = "data"


@dataclass(frozen=True)
class Group:
    """Parameters with other settings than the rest.

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
    """The input of a training.

    Attributes:
        network: with its initial weights.
        data: the data sets, mixed by their weights.
        loss: of a batch on the network's device.
        validate: returns results by name; gets the network in eval mode.
        groups: by name; a parameter is in the first group with a matching pattern. Others follow the plan.
        words: metadata for the checkpoints of the network.
        identity: settings that may not change when a run resumes.
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
        """Rows of all sets together, which make an epoch."""
        return sum(data.count for data in self.data)

    def setup(self) -> dict[str, Any]:
        """The data sets and groups as plain values, compared when a run resumes."""
        sets = {f"data {i}": [data.count, float(data.weight)] for i, data in enumerate(self.data)}
        groups = {
            f"group {name}": [list(group.names), float(group.learning_rate), float(group.weight_decay)]
            for name, group in self.groups.items()
        }
        return sets | groups
