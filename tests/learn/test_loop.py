"""The training loop: it goes on where it was stopped, to the bit, and its files are whole at any moment."""

import csv
import math
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.fake_device import GPU, fake_gpu
from tests.learn import small_task as program
from tests.learn.small_task import PLAN, small_task
from vitruve.errors import BadData, MissingAsset, UsageError
from vitruve.learn import loop
from vitruve.learn.checkpoint import load_checkpoint, save_checkpoint
from vitruve.learn.loop import BEST, LAST, STATE, train
from vitruve.learn.plan import Plan
from vitruve.learn.task import DataSet, Group
from vitruve.learn.team import Team, find_team

FILES = (STATE, BEST, LAST)
# Numbers that plans of the first version did not have.
LATER = ("decay_all", "floor", "accumulate", "bf16", "compile")


def run(folder: Path, plan: Plan = PLAN, **options):
    folder.mkdir(exist_ok=True)
    return train(small_task(), plan, folder, device="cpu", **options)


def same(a: Path, b: Path) -> None:
    """All tensors of two runs agree to the bit, and so do their counters but for the time."""
    for name in FILES:
        (mine, words), (theirs, others) = load_checkpoint(a / name), load_checkpoint(b / name)
        assert mine.keys() == theirs.keys()
        for key in mine:
            assert torch.equal(mine[key], theirs[key]), f"{name}: {key}"
        if name == STATE:
            counters = [{**found["progress"], "seconds": 0} for found in (words, others)]
            assert counters[0] == counters[1]
    rows = [list(csv.DictReader((folder / "curves.csv").open())) for folder in (a, b)]
    assert [{**row, "seconds": 0} for row in rows[0]] == [{**row, "seconds": 0} for row in rows[1]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    outcome = run(folder)
    assert outcome.finished == "60 steps are done" and outcome.steps == 60
    return folder


@pytest.mark.parametrize("stops", [(1,), (6, 7, 8), (20, 41), (59,)])
def test_a_run_that_was_stopped_ends_at_the_same_bits(whole: Path, tmp_path: Path, stops: tuple[int, ...]):
    for number, stop in enumerate([*stops, math.inf]):
        seen = []
        run(tmp_path, resume=number > 0, on_step=seen.append, stop=lambda: seen[-1].step >= stop)  # noqa: B023
    same(whole, tmp_path)


def two_sets() -> Sequence[DataSet]:
    (first,) = small_task().data
    return [replace(first, weight=3.0), DataSet(lambda rows: first.fetch(rows + 30), 20)]


@pytest.mark.parametrize(
    ("plan", "changes", "readers"),
    [
        (replace(PLAN, accumulate=2), {}, 1),
        (replace(PLAN, schedule="cosine", warmup_steps=10), {"data": two_sets()}, 2),
        (
            replace(PLAN, accumulate=4, weight_decay=0.1, decoupled=True, decay_all=False, bf16=True),
            {"data": two_sets(), "groups": {"slow": Group(("4.*",), learning_rate=0.1)}},
            3,
        ),
    ],
    ids=["accumulated", "mixed", "everything"],
)
def test_other_ways_of_training_end_at_the_same_bits_too(tmp_path: Path, plan: Plan, changes: dict, readers: int):
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
    train(small_task(**changes), plan, tmp_path / "whole", device="cpu")
    for number, stop in enumerate([5, 33, math.inf]):
        seen = []
        train(
            small_task(**changes),
            plan,
            tmp_path / "stopped",
            device="cpu",
            readers=readers,
            resume=number > 0,
            on_step=seen.append,
            stop=lambda: seen[-1].step >= stop,  # noqa: B023
        )
    same(tmp_path / "whole", tmp_path / "stopped")


def test_a_run_of_an_earlier_version_goes_on(whole: Path, tmp_path: Path):
    """Its state says nothing of data sets, groups, and the numbers that plans got later."""
    seen = []
    run(tmp_path, on_step=seen.append, stop=lambda: seen[-1].step >= 20)
    tensors, words = load_checkpoint(tmp_path / STATE)
    del words["setup"]
    words["plan"] = {key: value for key, value in words["plan"].items() if key not in LATER}
    save_checkpoint(tmp_path / STATE, tensors, words)
    with pytest.raises(UsageError, match="other settings") as error:
        train(small_task(data=two_sets()), PLAN, tmp_path, device="cpu", resume=True)
    assert "data 1 was None" in str(error.value)
    with pytest.raises(UsageError, match="bf16 was False, is True"):
        run(tmp_path, replace(PLAN, bf16=True), resume=True)
    run(tmp_path, resume=True)
    same(whole, tmp_path)


def test_other_data_and_groups_cannot_go_on(tmp_path: Path):
    (tmp_path / "a").mkdir()
    train(small_task(data=two_sets()), replace(PLAN, steps=2), tmp_path / "a", device="cpu")
    for changes in ({}, {"data": two_sets()[::-1]}, {"data": two_sets(), "groups": {"slow": Group(("4.*",), 0.1)}}):
        with pytest.raises(UsageError, match="other settings"):
            train(small_task(**changes), PLAN, tmp_path / "a", device="cpu", resume=True)


def test_the_curves_tell_the_gradient_and_the_learning_rate(whole: Path):
    rows = list(csv.DictReader((whole / "curves.csv").open()))
    assert all(float(row["train_gradient_norm"]) > 0 for row in rows[1:])
    assert [float(rows[i]["learning_rate"]) for i in (0, -1)] == [1e-3, 0.0]


def test_a_run_on_a_gpu_keeps_its_tensors_there(tmp_path: Path):
    """Each step, validation and file of a run whose network is not where its data are; also when it goes on."""

    def validate(network: nn.Module) -> dict[str, float]:
        with torch.no_grad():
            return {"error": float(network(torch.ones(5, 6, device=GPU)).square().mean())}

    task = small_task(validate=validate, groups={"slow": Group(("4.*",), 0.1)}, data=two_sets())
    plan = replace(PLAN, steps=9, accumulate=2)
    with fake_gpu():
        train(task, plan, tmp_path, device=GPU, readers=2)
        train(task, replace(plan, steps=12), tmp_path, device=GPU, resume=True)
        with pytest.raises(RuntimeError, match="on the CPU"):  # this validation forgets to bring its data over
            train(small_task(), plan, tmp_path, device=GPU)
    assert load_checkpoint(tmp_path / STATE)[1]["progress"]["step"] == 12


def test_data_are_pinned_for_a_gpu_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for device, expected in (("cuda", (4, True)), ("cpu", (1, False))):
        seen = []
        monkeypatch.setattr(loop, "Feed", lambda *args, seen=seen, **options: seen.append((args[5], options["pin"])))
        team = Team(0, 1, torch.device(device))
        monkeypatch.setattr(loop, "Learner", lambda *args: None)
        loop._Run(small_task(), PLAN, tmp_path, team, 0)._feed()
        assert seen == [expected]


def test_a_run_that_was_killed_ends_at_the_same_bits(whole: Path, tmp_path: Path):
    for last, status in ((31, -signal.SIGKILL), (-1, 0)):
        command = [sys.executable, "-m", program.__name__, str(tmp_path), str(last)]
        assert subprocess.run(command, cwd=Path(__file__).parents[2], check=False).returncode == status
    same(whole, tmp_path)


def test_a_kill_while_a_file_is_written(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Whichever of its files a training writes last, going on from there gives the same."""
    original = loop.save_checkpoint
    for count in (3, 8, 13, 14, 15):
        folder, left = tmp_path / str(count), [count]

        def dying(path, tensors, words, left=left):
            left[0] -= 1
            if left[0] < 0:
                path.with_name(f".{path.name}.partial").write_bytes(b"half")
                raise KeyboardInterrupt
            original(path, tensors, words)

        monkeypatch.setattr(loop, "save_checkpoint", dying)
        with pytest.raises(KeyboardInterrupt):
            run(folder)
        monkeypatch.setattr(loop, "save_checkpoint", original)
        run(folder, resume=True)
        same(whole, folder)


def test_what_is_saved_is_the_average(whole: Path):
    state, _ = load_checkpoint(whole / STATE)
    last, _ = load_checkpoint(whole / LAST)
    for key, value in last.items():
        assert torch.equal(value, state[f"average.{key}"])
    assert not torch.equal(state["average.0.weight"], state["network.0.weight"])


def test_the_average_is_that_of_all_steps(tmp_path: Path):
    seen, net = [], small_task().network
    train(
        small_task(net),
        replace(PLAN, steps=5),
        tmp_path,
        device="cpu",
        on_step=lambda now: seen.append(net[0].weight.detach().clone()),
    )
    with torch.random.fork_rng([]):
        expected = small_task().network[0].weight.detach()
    for step, weight in enumerate(seen, start=1):
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weight
    torch.testing.assert_close(load_checkpoint(tmp_path / LAST)[0]["0.weight"], expected)


def test_the_best_is_the_best_of_the_curve(whole: Path):
    rows = list(csv.DictReader((whole / "curves.csv").open()))
    best = min(rows, key=lambda row: float(row["valid_error"]))
    assert load_checkpoint(whole / BEST)[1]["training"]["step"] == int(float(best["step"]))
    assert [int(float(row["step"])) for row in rows] == [0, *range(7, 60, 7), 60]


def test_it_leaves_the_random_state_of_others_alone(tmp_path: Path):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    run(tmp_path, replace(PLAN, steps=2))
    assert torch.equal(torch.rand(1), expected)


def test_early_stopping_and_time(tmp_path: Path):
    (tmp_path / "a").mkdir()
    task = small_task(validate=lambda network: {"error": 1.0})
    outcome = train(task, replace(PLAN, patience=2, steps=1000), tmp_path / "a", device="cpu")
    assert outcome.finished == "no progress in 2 validations" and outcome.steps == 14
    outcome = run(tmp_path / "b", replace(PLAN, steps=0, minutes=0.001))
    assert outcome.finished == "0.001 minutes are over" and outcome.steps > 0
    assert 0 <= outcome.waiting < 1 and outcome.rows_per_second > 0


def test_other_settings_cannot_go_on(tmp_path: Path):
    with pytest.raises(MissingAsset, match="no training to resume"):
        run(tmp_path, resume=True)
    run(tmp_path, replace(PLAN, steps=2))
    with pytest.raises(UsageError, match="other settings") as error:
        run(tmp_path, replace(PLAN, batch=4), resume=True)
    assert "batch was 8, is 4" in str(error.value)
    assert run(tmp_path, replace(PLAN, steps=9), resume=True).steps == 9


def test_divergence_is_said_and_the_files_stay_good(tmp_path: Path):
    with pytest.raises(BadData, match="diverged"):
        run(tmp_path, replace(PLAN, learning_rate=1e38, clip=0.0, schedule="constant"))
    tensors, _ = load_checkpoint(tmp_path / BEST)
    assert all(value.isfinite().all() for value in tensors.values())


def test_nothing_to_learn_from(tmp_path: Path):
    with pytest.raises(BadData, match="nothing to learn"):
        train(small_task(data=[DataSet(lambda rows: {}, 0)]), PLAN, tmp_path)


def test_a_number_that_the_validation_does_not_give(tmp_path: Path):
    with pytest.raises(UsageError, match="'eror'") as error:
        run(tmp_path, replace(PLAN, watch="eror"))
    assert "'error'" in error.value.fix


@pytest.mark.parametrize("weight", [0.0, -1.0, math.nan, math.inf])
def test_a_weight_that_cannot_be(weight: float, tmp_path: Path):
    with pytest.raises(UsageError, match="weight"):
        train(small_task(data=[replace(two_sets()[0], weight=weight)]), PLAN, tmp_path)


def _member(folder: str, network: nn.Module) -> None:
    torch.set_num_threads(1)
    train(small_task(network), replace(PLAN, steps=4, average=0.0), folder, device="cpu")


def _stopped_member(folder: str) -> None:
    torch.set_num_threads(1)
    stop = find_team("cpu").number == 0
    outcome = train(small_task(), PLAN, folder, device="cpu", stop=lambda: stop)
    assert not outcome.finished and outcome.steps == 1


@pytest.mark.slow
def test_two_processes_stop_after_the_same_step(tmp_path: Path):
    """A signal reaches one before the other; neither waits for one that has gone."""
    accelerate = pytest.importorskip("accelerate")
    accelerate.debug_launcher(_stopped_member, (str(tmp_path),), num_processes=2)
    assert load_checkpoint(tmp_path / STATE)[1]["progress"]["step"] == 1


@pytest.mark.slow
def test_two_processes_learn_what_one_does(tmp_path: Path):
    """Without noise that differs, averaged gradients are those of the whole batch."""
    accelerate = pytest.importorskip("accelerate")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        network = nn.Linear(6, 2)
    begun = network.weight.detach().clone()
    accelerate.debug_launcher(_member, (str(tmp_path / "two"), network), num_processes=2)
    _member(str(tmp_path / "one"), network)
    one, two = (load_checkpoint(tmp_path / name / LAST)[0]["weight"] for name in ("one", "two"))
    # The noise of the input differs by process: 1 percent of its size, over four steps of a thousandth.
    torch.testing.assert_close(one, two, atol=2e-4, rtol=0)
    assert float((one - begun).abs().max()) > 1e-3
