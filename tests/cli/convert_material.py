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
    """The outputs of such lines; one that is being written does not count yet."""
    written = [path.read_text().rpartition("\n")[0] for path in folder.glob("ledger*.jsonl")]
    found = [json.loads(line) for text in written for line in text.splitlines()]
    return [entry["output"] for entry in found if entry["event"] == event]


# The command, which ends as by a power cut when it has written so many results.
KILLED = """
import os, signal, sys
from vitruve.cli import main
from vitruve.jobs.ledger import LedgerWriter
append, left = LedgerWriter.append, int(sys.argv[1])
def killing(ledger, entry):
    global left
    append(ledger, entry)
    left -= entry["event"] == "done"
    if not left: os.kill(os.getpid(), signal.SIGKILL)
LedgerWriter.append = killing
main(sys.argv[2:])
"""

# The command, which waits with the first result written until its standard input ends.
PAUSED = """
import sys
from vitruve.cli import main
from vitruve.jobs.ledger import LedgerWriter
append = LedgerWriter.append
def pausing(ledger, entry):
    append(ledger, entry)
    if entry["event"] == "done": sys.stdin.read()
LedgerWriter.append = pausing
main(sys.argv[1:])
"""


def wait_for(condition, process=None, seconds=300):
    """Wait until something is so; an error where the process that brings it about has ended."""
    end = time.monotonic() + seconds
    while not condition():
        assert process is None or process.poll() is None, "it ended too soon"
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)
