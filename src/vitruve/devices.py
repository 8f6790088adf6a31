"""Devices to compute on, by name."""

from __future__ import annotations

import torch

from vitruve.errors import UsageError


def device_of(name: str) -> torch.device:
    """The device that a user names: cpu, cuda, cuda:1.

    Raises:
        UsageError: there is no such device.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"'{name}' is no device", where="--device", fix="give cpu, cuda or cuda:1") from None
    count = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= count:
        built = f"torch sees {count}" if torch.version.cuda else "torch is built for the CPU"
        raise UsageError(
            f"there is no CUDA device '{name}'",
            where=f"--device: {built}",
            fix="leave out --device, or look at what is there: vitruve doctor",
        )
    return device
