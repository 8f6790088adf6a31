"""When a training ends and how fast it learns."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vitruve.errors import UsageError
from vitruve.learn.plan import Plan, Progress, learning_rate


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0.1, 10.0), min_size=1, max_size=40), st.integers(0, 4))
def test_the_plateau_is_that_of_torch(scores: list[float], patience: int):
    plan, progress = Plan(schedule="plateau", plateau_patience=patience, learning_rate=1.0), Progress()
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=0.1, patience=patience, min_lr=0, eps=0)
    for score in scores:
        progress.validated(plan, score)
        theirs.step(score)
        rate = learning_rate(plan, progress, progress.moment(plan, 10))
        assert rate == pytest.approx(optimiser.param_groups[0]["lr"], rel=1e-9)


def test_the_decay_begins_late_and_ends_at_zero():
    plan = Plan(schedule="decay", decay=0.5, steps=100, learning_rate=2.0)
    rates = [learning_rate(plan, p, p.moment(plan, 10)) for p in (Progress(step=step) for step in (0, 50, 75, 100))]
    assert rates == pytest.approx([2.0, 2.0, 1.0, 0.0])


def test_the_warm_up_reaches_the_full_rate():
    plan = Plan(warmup_steps=4, learning_rate=1.0)
    rates = [learning_rate(plan, p, p.moment(plan, 10)) for p in (Progress(step=step) for step in range(6))]
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1])


def test_the_cosine_is_that_of_torch():
    plan = Plan(schedule="cosine", steps=40, learning_rate=2.0, floor=0.1)
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 40, eta_min=0.2)
    for step in range(41):
        progress = Progress(step=step)
        rate = learning_rate(plan, progress, progress.moment(plan, 10))
        assert rate == pytest.approx(optimiser.param_groups[0]["lr"], rel=1e-6)
        optimiser.step()
        theirs.step()


def test_the_cosine_has_a_warm_up():
    plan = Plan(schedule="cosine", steps=1000, learning_rate=1.0, warmup_steps=4)
    rates = [learning_rate(plan, p, p.moment(plan, 10)) for p in (Progress(step=step) for step in range(6))]
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1], abs=1e-3)


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (Plan(schedule="cosinus"), "no schedule"),
        (Plan(schedule="cosine"), "needs a length"),
        (Plan(batch=8, accumulate=3), "cannot be divided"),
        (Plan(batch=8, accumulate=0), "cannot be divided"),
    ],
)
def test_numbers_that_do_not_go_together(plan: Plan, said: str):
    with pytest.raises(UsageError, match=said):
        plan.check()
    Plan(batch=12, accumulate=3).check(processes=2)


def test_reasons_to_end():
    assert not Progress(step=9).over(Plan(steps=10), 5)
    assert "10 steps" in Progress(step=10).over(Plan(steps=10), 5)
    assert "2 epochs" in Progress(step=4).over(Plan(epochs=2, batch=5), 10)
    assert not Progress(step=3).over(Plan(epochs=2, batch=5), 10)
    assert "minutes" in Progress(seconds=60.0).over(Plan(minutes=1.0), 10)
    progress, plan = Progress(), Plan(patience=2)
    assert [progress.validated(plan, score) for score in (3.0, 2.0, 2.0, 5.0)] == [True, True, False, False]
    assert "2 validations" in progress.over(plan, 1)


def test_the_fraction_follows_what_ends_first():
    plan = Plan(steps=100, minutes=1.0, epochs=10, batch=1)
    assert Progress(step=50, seconds=6.0).moment(plan, 10).fraction == pytest.approx(0.5)
    assert Progress(step=10, seconds=54.0).moment(plan, 10).fraction == pytest.approx(0.9)
