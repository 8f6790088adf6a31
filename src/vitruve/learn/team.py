"""One or several processes that train together: each computes a part of every batch; gradients are averaged."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vitruve.devices import device_of
from vitruve.errors import MissingAsset


@dataclass(frozen=True)
class Team:
    """The processes of a training.

    Attributes:
        number: index of this process.
        size: number of processes.
        device: of this process.
    """

    number: int
    size: int
    device: torch.device
    _accelerator: Any = None

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their mean over all processes."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
        flat = self._accelerator.reduce(flat, reduction="mean")
        for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors])):
            tensor.detach().copy_(part.view_as(tensor))

    def agree(self, value: float) -> float:
        """The value of the first process, in all processes."""
        if self.size == 1:
            return value
        mine = torch.tensor([value if self.number == 0 else 0.0], dtype=torch.float64, device=self.device)
        return float(self._accelerator.reduce(mine, reduction="sum"))


def find_team(device: str | None = None) -> Team:
    """The processes of `accelerate launch` or `torchrun`, or a single one; the default device is CUDA if available."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        try:
            from accelerate import Accelerator
        except ImportError:
            raise MissingAsset(
                "training in several processes needs accelerate",
                where=f"WORLD_SIZE is {os.environ['WORLD_SIZE']}",
                fix="pip install 'vitruve[multi-gpu]'",
            ) from None
        accelerator = Accelerator(cpu=device == "cpu")
        return Team(accelerator.process_index, accelerator.num_processes, accelerator.device, accelerator)
    return Team(0, 1, device_of(device or ("cuda" if torch.cuda.is_available() else "cpu")))
