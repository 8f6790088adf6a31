"""`vitruve convert` over several processes and on a Dask cluster: processes die, and the result is the same."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.convert_material import BODIES, PAUSED, lines, results_of, run, wait_for, write_clips

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    return write_clips(tmp_path_factory.mktemp("many"), 6, frames=20)


@pytest.fixture(scope="module")
def expected(many, tmp_path_factory):
    out = tmp_path_factory.mktemp("expected") / "out"
    assert run(many, *BODIES, "--out", out, "--quiet") == 0
    return results_of(out)


def started(many, out, *options):
    """The command with its first result written; it goes on when its standard input is closed."""
    words = ["convert", str(many), *BODIES, "--out", str(out), "--quiet", *options]
    process = subprocess.Popen([sys.executable, "-c", PAUSED, *words], stdin=subprocess.PIPE)
    wait_for(lambda: lines(out, "done"), process)
    return process


def ended(process):
    process.stdin.close()
    return process.wait(timeout=600)


def test_a_killed_process_costs_nothing_but_time(many, expected, tmp_path):
    out = tmp_path / "out"
    process = started(many, out, "--workers", "2")
    os.kill(workers_of(process.pid)[0], signal.SIGKILL)
    assert ended(process) == 0
    assert results_of(out) == expected
    assert sorted(lines(out, "done")) == sorted(expected)


def test_processes_end_with_a_killed_parent(many, tmp_path):
    out = tmp_path / "out"
    process = started(many, out, "--workers", "2")
    workers = workers_of(process.pid)
    process.kill()
    process.stdin.close()
    process.wait()
    assert workers
    wait_for(lambda: not any(map(runs, workers)))


def runs(pid):
    """Whether there is such a process; one that has ended may lie about until its parent has seen it."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def workers_of(pid):
    """Processes that were started by a process to convert."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and b"spawn_main" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except (OSError, ValueError, IndexError):
            continue
    return found


def test_on_a_local_cluster(many, expected, tmp_path):
    distributed = pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")
    options = {"n_workers": 1, "threads_per_worker": 2, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster:
        out = tmp_path / "out"
        assert run(many, *BODIES, "--out", out, "--quiet", "--cluster", cluster.scheduler_address) == 0
    assert results_of(out) == expected


def test_on_a_cluster_that_loses_a_worker(many, expected, tmp_path):
    pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")
    address, out, processes = tmp_path / "scheduler.json", tmp_path / "out", []

    def start(name, *options):
        command = [sys.executable, "-m", f"distributed.cli.{name}", "--scheduler-file", str(address), "--no-dashboard"]
        processes.append(subprocess.Popen([*command, *options], stderr=subprocess.DEVNULL, cwd=tmp_path))
        return processes[-1]

    try:
        scheduler = start("dask_scheduler", "--port", "0", "--host", "127.0.0.1")
        wait_for(address.exists, scheduler)
        workers = [start("dask_worker", "--nthreads", "1", "--no-nanny") for _ in range(2)]
        process = started(many, out, "--cluster", str(address))
        workers[0].kill()
        assert ended(process) == 0
    finally:
        for each in processes:
            each.kill()
            each.wait()
    assert results_of(out) == expected
    assert sorted(lines(out, "done")) == sorted(expected)


def test_a_cluster_that_is_not_there(many, tmp_path, capsys):
    pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")
    assert run(many, *BODIES, "--out", tmp_path / "o", "--quiet", "--cluster", "tcp://127.0.0.1:9") == 3
    assert "no Dask scheduler answers" in capsys.readouterr().err


def test_without_the_extra(many, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert run(many, *BODIES, "--out", tmp_path / "o", "--quiet", "--cluster", "tcp://127.0.0.1:9") == 3
    assert "pip install 'vitruve[cluster]'" in capsys.readouterr().err
