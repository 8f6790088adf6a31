"""A small thing to learn, with noise, dropout and normalisation.

Run as a program it trains in a folder, and kills itself after the step that is named.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vitruve.learn.loop import train
from vitruve.learn.plan import Moment, Plan, Progress
from vitruve.learn.task import Batch, DataSet, Task

PLAN = Plan(
    batch=8, steps=60, average=0.9, clip=1.0, schedule="decay", decay=0.5, validate_steps=7, watch="error", seed=5
)


def small_task(network: nn.Module | None = None, **changes: Any) -> Task:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(50, 6, generator=generator)
    y = x @ torch.randn(6, 2, generator=generator)
    if network is None:
        with torch.random.fork_rng([]):
            torch.manual_seed(1)
            network = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.Dropout(0.2), nn.ReLU(), nn.Linear(16, 2))

    def loss(net: nn.Module, batch: Batch, moment: Moment) -> tuple[Tensor, dict[str, Tensor]]:
        noisy = batch["x"] + 0.01 * torch.randn_like(batch["x"])
        error = (net(noisy) - batch["y"]).square().mean()
        return error, {"error": error}

    def validate(net: nn.Module) -> dict[str, float]:
        with torch.no_grad():
            return {"error": float((net(x) - y).square().mean())}

    data = [DataSet(lambda rows: {"x": x[rows], "y": y[rows]}, 50)]
    return Task(**{"network": network, "data": data, "loss": loss, "validate": validate} | changes)


if __name__ == "__main__":
    folder, last = Path(sys.argv[1]), int(sys.argv[2])

    def on_step(now: Progress) -> None:
        if now.step == last:
            os.kill(os.getpid(), signal.SIGKILL)

    train(small_task(), PLAN, folder, resume=(folder / "state.safetensors").exists(), device="cpu", on_step=on_step)
