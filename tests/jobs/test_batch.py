"""The engine for many files, with a toy feature: what is done is not done again, and a failure stops nothing."""

import json
import os
from dataclasses import dataclass

import pytest

from tests.jobs.toy import UNREADABLE, planned, results, toy, write
from vitruve.errors import BadData, UsageError
from vitruve.jobs.batch import run_batch
from vitruve.jobs.workers import task_workers


@pytest.fixture
def texts(tmp_path):
    return write(tmp_path / "in", a="aa", b="b", c="ccc", _x="no text of ours")


def names(plan):
    return sorted(task.name for task in plan.tasks)


def test_all_are_done_and_recorded(texts, tmp_path):
    batch = planned(texts, tmp_path / "out")
    assert [path.name for path in batch.passed] == ["_x.md"] and batch.plan.size == 6
    counts = []
    outcome = run_batch(batch, progress=lambda done, total: counts.append((done, total)))
    assert results(tmp_path / "out") == {"a": "AA!", "b": "B!", "c": "CCC!"}
    assert outcome.now == 3 and not outcome.failed and counts[-1] == (6, 6)
    assert {"ledger.jsonl", "results.json", "run.toml"} <= set(os.listdir(tmp_path / "out"))
    figures = json.loads((tmp_path / "out" / "results.json").read_text())
    assert figures["files"] == 3 and figures["this_run"]["letters"] == 6


def test_only_what_is_new_changed_or_damaged_is_done_again(texts, tmp_path):
    out = tmp_path / "out"
    run_batch(planned(texts, out))
    assert not planned(texts, out).plan.tasks and len(planned(texts, out).plan.done) == 3
    write(texts, b="bbb", d="d")
    assert names(planned(texts, out).plan) == ["b.txt", "d.txt"]
    assert len(planned(texts, out, toy("?")).plan.tasks) == 4  # another option, other results
    (out / "c.txt").write_text("CC")  # cut short
    assert names(planned(texts, out).plan) == ["b.txt", "c.txt", "d.txt"]
    assert "damaged" in planned(texts, out).plan.notes[0]
    (out / "c.txt").write_text("changed by hand!")
    assert planned(texts, out).plan.failed[0]["output"] == "c.txt"
    assert run_batch(planned(texts, out, overwrite=True)).now == 3
    assert results(out)["c"] == "CCC!"


def test_what_is_known_is_not_looked_at_again(texts, tmp_path):
    run_batch(planned(texts, tmp_path / "out"))
    blind = toy(look=lambda path: pytest.fail("looked at again"))
    assert not planned(texts, tmp_path / "out", blind).plan.tasks


def test_failures_stop_nothing_and_are_tried_again(texts, tmp_path):
    write(texts, bad="fail", worse="odd", **{UNREADABLE: "x"})
    outcome = run_batch(planned(texts, tmp_path / "out"))
    assert sorted(results(tmp_path / "out")) == ["a", "b", "c"]
    assert sorted(entry["output"] for entry in outcome.failed) == ["bad.txt", "unreadable.txt", "worse.txt"]
    assert any("ZeroDivisionError" in entry["what"] and "toy.py" in entry["where"] for entry in outcome.failed)
    table = (tmp_path / "out" / "failures.csv").read_text().splitlines()
    assert table[0] == "input,output,what,where,do" and len(table) == 4
    write(texts, bad="good", worse="good")
    (texts / f"{UNREADABLE}.md").unlink()
    assert run_batch(planned(texts, tmp_path / "out")).now == 2
    assert not (tmp_path / "out" / "failures.csv").exists()


def test_the_only_reason_is_raised_before_any_work(tmp_path):
    write(tmp_path / "in", **{UNREADABLE: "x"})
    with pytest.raises(BadData, match="looked at"):
        planned(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_parts_do_all_of_it_once(texts, tmp_path):
    parts = [planned(texts, tmp_path / "out", shard=(part, 2)) for part in (1, 2)]
    assert sorted(names(parts[0].plan) + names(parts[1].plan)) == ["a.txt", "b.txt", "c.txt"]
    for batch in parts:
        run_batch(batch)
    assert len(results(tmp_path / "out")) == 3 and not planned(texts, tmp_path / "out").plan.tasks


def test_an_estimate_takes_what_was_measured(texts, tmp_path):
    estimate = planned(texts, tmp_path / "out").estimate(workers=2, assumed_rate=3.0)
    assert (estimate.seconds, estimate.rate, estimate.measured) == (1.0, 3.0, False)
    run_batch(planned(texts, tmp_path / "out"))  # 6 letters in 1.5 seconds
    write(texts, d="dddddddd")
    estimate = planned(texts, tmp_path / "out").estimate(workers=1, assumed_rate=3.0)
    assert (estimate.seconds, estimate.rate, estimate.measured) == (2.0, 4.0, True)


def test_a_folder_of_something_else_is_refused(texts, tmp_path):
    write(tmp_path / "out", a="")
    (tmp_path / "out" / "results.json").write_text("{}")
    with pytest.raises(UsageError, match="record of another command"):
        planned(texts, tmp_path / "out")


@pytest.mark.slow
def test_a_task_that_kills_its_worker_is_found_and_the_others_are_done(texts, tmp_path):
    write(texts, deadly="die", d="d", e="e")
    outcome = run_batch(planned(texts, tmp_path / "out"), workers=2)
    assert sorted(results(tmp_path / "out")) == ["a", "b", "c", "d", "e"]
    assert [entry["output"] for entry in outcome.failed] == ["deadly.txt"] and "died" in outcome.failed[0]["what"]
    again = run_batch(planned(texts, tmp_path / "out"), workers=2)  # alone, it does not take the command with it
    assert again.now == 0 and [entry["output"] for entry in again.failed] == ["deadly.txt"]


def test_on_a_local_cluster(texts, tmp_path):
    distributed = pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")
    write(texts, bad="fail")
    options = {"n_workers": 1, "threads_per_worker": 2, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster:
        outcome = run_batch(planned(texts, tmp_path / "out"), cluster=cluster.scheduler_address)
    assert sorted(results(tmp_path / "out")) == ["a", "b", "c"] and len(outcome.failed) == 1


@dataclass(frozen=True)
class Number:
    value: int


def halved(number, progress):
    if number.value % 2:
        raise BadData("it is odd")
    return number.value // 2


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_workers_take_any_task_and_give_errors_as_results(workers):
    with task_workers(workers) as run:
        first = {task.value: result for task, result in run(halved, [Number(2), Number(3), Number(4)])}
        again = [result for _, result in run(halved, [Number(8)])]
    assert first[2] == 1 and first[4] == 2 and isinstance(first[3], BadData) and again == [4]
