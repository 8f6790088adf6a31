"""What the tests of `vitruve convert` share: small clips, a call of the command, and what it leaves."""

import functools
import json
import time

import vitruve
from tests.command import run_command
from tests.material import small_motion

# The two open bodies have different topologies; few points keep the fits short.
BODIES = ("--from", "open-smplh", "--to", "open-smplx", "--points", "60")
RECORDS = {"ledger.jsonl", "report.html", "results.json", "run.toml"}


run = functools.partial(run_command, "convert")


def write_clips(folder, count, frames=8):
    for seed in range(count):
        motion = small_motion("smplh", frames, seed=seed).replace(gender="neutral")
        path = folder / ("" if seed % 2 else "walk") / f"clip{seed}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        vitruve.save_motion(motion, path)
    return folder


def results_of(folder):
    """Relative path to content of all results."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.npz")}


def times_of(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.npz")}


def lines(folder, event):
    found = [json.loads(line) for path in folder.glob("ledger*.jsonl") for line in path.read_text().splitlines()]
    return [entry["output"] for entry in found if entry["event"] == event]


def wait_for(condition, process, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        assert process.poll() is None, "it ended too soon"
        time.sleep(0.02)
    raise AssertionError("it took too long")
