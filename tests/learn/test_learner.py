"""One step of training: accumulation, groups of weights, the moving average, bfloat16, compiling."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from tests.learn.small_task import small_task
from vitruve.errors import UsageError
from vitruve.learn.learner import Learner
from vitruve.learn.plan import Moment, Plan
from vitruve.learn.task import Batch, Group, Task
from vitruve.learn.team import Team

ALONE = Team(0, 1, torch.device("cpu"))
PLAN = Plan(batch=8, learning_rate=0.01)


@pytest.fixture(autouse=True)
def _random_state() -> Iterator[None]:
    with torch.random.fork_rng([]):
        yield


def quiet_task(**changes) -> Task:
    """Without noise, and without what looks at a batch as a whole."""

    def loss(network: nn.Module, batch: Batch, moment: Moment) -> tuple[Tensor, dict[str, Tensor]]:
        error = (network(batch["x"]) - batch["y"]).square().mean()
        return 2 * error, {"error": error}

    torch.manual_seed(1)
    network = nn.Sequential(nn.Linear(6, 16), nn.LayerNorm(16), nn.ReLU(), nn.Linear(16, 2))
    return replace(small_task(network), loss=loss, **changes)


def taught(plan: Plan, task: Task | None = None, steps: int = 6) -> tuple[Learner, list[dict[str, Tensor]]]:
    task = task or quiet_task()
    learner = Learner(task, plan, ALONE)
    rows = [torch.arange(8 * step, 8 * step + plan.batch) % 50 for step in range(steps)]
    losses = [
        learner.step(task.data[0].fetch(some), Moment(step, 0.0, 0.0), plan.learning_rate)
        for step, some in enumerate(rows)
    ]
    return learner, losses


def assert_close(mine: Learner, theirs: Learner, **options) -> None:
    for a, b in zip(mine.network.parameters(), theirs.network.parameters()):
        torch.testing.assert_close(a, b, **options)


@pytest.mark.parametrize("parts", [2, 4, 8])
@pytest.mark.parametrize("clip", [0.0, 0.1])
def test_a_batch_in_parts_teaches_what_the_whole_does(parts: int, clip: float):
    whole, losses = taught(replace(PLAN, clip=clip))
    learner, found = taught(replace(PLAN, clip=clip, accumulate=parts))
    assert_close(learner, whole, atol=2e-5, rtol=1e-4)
    for mine, theirs in zip(found, losses):
        assert mine.keys() == theirs.keys() == {"total", "error", "gradient_norm"}
        for key in mine:
            torch.testing.assert_close(mine[key], theirs[key], atol=1e-6, rtol=1e-3, check_dtype=False)


def test_the_norm_of_the_gradient_is_that_before_clipping():
    (_, free), (_, clipped) = taught(PLAN, steps=1), taught(replace(PLAN, clip=1e-3), steps=1)
    torch.testing.assert_close(free[0]["gradient_norm"], clipped[0]["gradient_norm"])
    assert float(free[0]["gradient_norm"]) > 1e-2


def test_groups_learn_at_their_own_rate():
    groups = {"still": Group(("0.*", "1.bias"), learning_rate=0.0), "slow": Group(("3.weight",), learning_rate=0.5)}
    task = quiet_task(groups=groups)
    before = {key: value.clone() for key, value in task.network.state_dict().items()}
    after = taught(PLAN, task, steps=1)[0].network.state_dict()
    moved = {key: float((after[key] - before[key]).abs().max()) for key in before}
    assert moved["0.weight"] == moved["0.bias"] == moved["1.bias"] == 0
    # The first step of Adam is as long as the learning rate.
    assert moved["3.weight"] == pytest.approx(0.005, rel=1e-2)
    assert moved["3.bias"] == pytest.approx(0.01, rel=1e-2) and moved["1.weight"] == pytest.approx(0.01, rel=1e-2)


def test_weight_decay_of_groups_norms_and_biases():
    def loss(network: nn.Module, batch: Batch, moment: Moment) -> tuple[Tensor, dict[str, Tensor]]:
        return sum(0.0 * parameter.sum() for parameter in network.parameters()), {}

    plan = replace(PLAN, weight_decay=0.5, decoupled=True, learning_rate=0.1, decay_all=False)
    task = replace(quiet_task(groups={"light": Group(("3.*",), weight_decay=0.1)}), loss=loss)
    before = {key: value.clone() for key, value in task.network.state_dict().items()}
    after = taught(plan, task, steps=1)[0].network.state_dict()
    left = {"0.weight": 0.95, "3.weight": 0.995, "0.bias": 1, "1.weight": 1, "1.bias": 1, "3.bias": 1}
    for key, factor in left.items():
        torch.testing.assert_close(after[key], factor * before[key])
    everything = taught(replace(plan, decay_all=True), replace(task, network=quiet_task().network), steps=1)[0]
    torch.testing.assert_close(everything.network[1].weight, 0.95 * torch.ones(16))


def test_a_group_of_nothing_is_an_error():
    with pytest.raises(UsageError, match="no parameter") as error:
        Learner(quiet_task(groups={"head": Group(("3.weihgt",))}), PLAN, ALONE)
    assert "3.weight" in error.value.fix and "head" in error.value.where


def test_the_state_of_the_optimiser_keeps_its_places_in_any_groups():
    """Names in a checkpoint follow the network, so that they mean the same with groups and without."""
    plain, _ = taught(PLAN)
    grouped, _ = taught(PLAN, quiet_task(groups={"all": Group(("3.*",), weight_decay=2.0)}))
    mine, theirs = grouped.tensors(), plain.tensors()
    assert mine.keys() == theirs.keys()
    for key in mine:
        assert torch.equal(mine[key], theirs[key]), key
    again = Learner(quiet_task(groups={"all": Group(("3.*",), weight_decay=2.0)}), PLAN, ALONE)
    again.restore(mine)
    found = again.tensors()
    assert all(torch.equal(found[key], mine[key]) for key in mine)


def test_the_average_counts_shared_weights_once():
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(6, 6)
            self.second = nn.Linear(6, 6)
            self.second.weight = self.first.weight
            self.out = nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(self.second(self.first(x)))

    task = quiet_task(network=Tied())
    begun = task.network.first.weight.detach().clone()
    learner, _ = taught(replace(PLAN, average=0.9), task, steps=1)
    expected = begun.lerp(learner.network.first.weight.detach(), 1 - 2 / 11)
    torch.testing.assert_close(learner.mean.first.weight.detach(), expected)


def test_bfloat16_computes_in_bfloat16_and_keeps_float32():
    seen = []
    task = quiet_task()
    task.network[0].register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    learner, losses = taught(replace(PLAN, bf16=True), task)
    assert set(seen) == {torch.bfloat16}
    assert {value.dtype for value in learner.tensors().values() if value.ndim} == {torch.float32}
    for mine, theirs in zip(losses, taught(PLAN)[1]):
        torch.testing.assert_close(mine["total"], theirs["total"], rtol=0.1, atol=0.02)


def test_compiling_keeps_the_names(monkeypatch: pytest.MonkeyPatch):
    called = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]):
        called.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    learner, _ = taught(replace(PLAN, compile=True, average=0.9))
    assert called
    assert learner.tensors().keys() == taught(replace(PLAN, average=0.9))[0].tensors().keys()
    assert_close(learner, taught(PLAN)[0])


def test_a_network_without_a_forward_pass_has_its_children_compiled(monkeypatch: pytest.MonkeyPatch):
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(6, 2)

    compiled = []
    monkeypatch.setattr(torch, "compile", lambda forward: compiled.append(type(forward.__self__)) or forward)
    Learner(quiet_task(network=Two()), replace(PLAN, compile=True), ALONE)
    assert compiled == [nn.Linear]
