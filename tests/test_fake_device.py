"""The stand-in for a GPU finds the mistakes that a GPU would, and lets through what a GPU does."""

import pytest
import torch

from tests.fake_device import fake_gpu


@pytest.mark.parametrize(
    "mistake",
    [
        lambda there, here: there + here,
        lambda there, here: there @ here.T,
        lambda there, here: torch.cat([there, here]),
        lambda there, here: here[there.argmax(1)],
        lambda there, here: here.index_select(0, there.argmax(1)),
        lambda there, here: there.index_put_((torch.tensor([0]),), here[:1]),
        lambda there, here: torch.equal(there, here),
        lambda there, here: there.normal_(generator=torch.Generator()),
        lambda there, here: torch.randn(3, device="meta", generator=torch.Generator()),
        lambda there, here: there.numpy(),
    ],
    ids=[
        "sum",
        "product",
        "joined",
        "index",
        "index_select",
        "values",
        "equal",
        "generator",
        "new with generator",
        "numpy",
    ],
)
def test_mistakes_with_devices_are_errors(mistake):
    here = torch.randn(4, 4)
    with fake_gpu(), pytest.raises((RuntimeError, TypeError)):
        mistake(here.to("meta"), here)


def test_what_a_gpu_does_is_done():
    here = torch.randn(4, 4)
    with fake_gpu():
        there = here.to("meta", non_blocking=True)
        assert (there + torch.tensor(2.0)).is_meta and (2 * there).is_meta and there[torch.tensor([0, 2])].is_meta
        there[torch.tensor([1])] = 0.0
        assert there.cpu().numpy().shape == (4, 4) and there.sum().item() == 1.0
        assert bool(there.isfinite().all()) and float(there[0, 0]) == 1.0 and there.tolist() == here.fill_(1).tolist()
        here.copy_(there)
        there.copy_(here)
        assert (here + here).device.type == "cpu"
