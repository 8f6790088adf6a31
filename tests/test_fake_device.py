"""The stand-in for a GPU finds the mistakes that a GPU would, and lets through what a GPU does."""

import pytest
import torch

from tests.fake_device import GPU, fake_gpu


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
        lambda there, here: torch.randn(3, device=GPU, generator=torch.Generator()),
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
        mistake(here.to(GPU), here)


def test_what_a_gpu_does_is_done():
    here = torch.randn(4, 4)
    with fake_gpu():
        there = here.to(GPU, non_blocking=True)
        for made in (there + torch.tensor(2.0), 2 * there, there[torch.tensor([0, 2])]):
            assert made.device == torch.device(GPU)
        there[torch.tensor([1])] = 0.0
        here[1] = 0.0
        assert bool(there.isfinite().all()) and there[0, 0].item() == float(here[0, 0])
        assert there.tolist() == here.tolist() and f"{there[0, 0]:.2f}" == f"{here[0, 0]:.2f}"
        assert (there.cpu().numpy() == here.numpy()).all() and there.cpu() is not there
        twice = there.clone()
        twice[:, 1:].mul_(2.0)
        twice[:, 0].copy_(2 * here[:, 0])
        assert twice.device == torch.device(GPU) and here.copy_(twice) is here and torch.equal(here, 2 * there.cpu())
        assert (here + here).device.type == "cpu" and torch.zeros(2, device=GPU).tolist() == [0.0, 0.0]


def test_gradients_are_those_of_the_cpu():
    here = torch.randn(4, 4, requires_grad=True)
    network = torch.nn.Linear(4, 2)
    network(here).square().sum().backward()
    expected = network.weight.grad.clone()
    with fake_gpu():
        network.zero_grad()
        network.to(GPU)(here.detach().to(GPU)).square().sum().backward()
        assert network.weight.device == torch.device(GPU) and torch.equal(network.weight.grad.cpu(), expected)
