"""How long the whole command `vitruve convert` takes on the bundled clip, beside `python -c "import torch"`.

    python bench/start.py [--rounds 5]

Both are started anew, in turns, so that a busy machine disturbs them alike; the ratios count. Compiled code, byte code
and surface maps are there already, as for every user from the second run on: the first run, which makes them, is not
counted, and PYTHONDONTWRITEBYTECODE, which would keep it from doing so, is not passed on. Seconds by the clock are
those of the whole process; processor seconds are of all its threads.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from vitruve.motion.clips import bundled_clip_path

# By the clock, the whole command against the import of torch alone.
_BAR = 2.0
_TORCH, _CONVERT, _BARE = "import torch", "vitruve convert", "vitruve convert --no-report"


def main() -> None:
    """Measure, print, and end with status 1 where the bar is not met."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    found: dict[str, list[tuple[float, float]]] = {_TORCH: [], _CONVERT: [], _BARE: []}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(rounds + 1):
            for name, times in found.items():
                spent = _spent(_command(name, Path(folder) / f"{len(times)}-{turn}-{list(found).index(name)}.npz"))
                if turn:
                    times.append(spent)
    print(f"{'':30}{'clock: least':>14}{'median':>9}{'processor: least':>19}{'median':>9}")
    for name, times in found.items():
        clock, processor = zip(*times)
        print(
            f"{name:30}{min(clock):12.2f} s{statistics.median(clock):7.2f} s"
            f"{min(processor):17.2f} s{statistics.median(processor):7.2f} s"
        )
    ratios = {name: _ratios(found[name], found[_TORCH]) for name in (_CONVERT, _BARE)}
    for name, (least, median, processor) in ratios.items():
        print(f"{name}: {least:.2f} x import torch by the clock (medians {median:.2f}), {processor:.2f} x by processor")
    passed = ratios[_CONVERT][0] < _BAR
    print(f"the bar, below {_BAR:g} x import torch by the clock: {'pass' if passed else 'FAIL'}")
    sys.exit(not passed)


def _command(name: str, out: Path) -> list[str]:
    if name == _TORCH:
        return [sys.executable, "-c", name]
    bare = ["--no-report"] if name == _BARE else []
    bodies = ["--from", "open-smplh", "--to", "open-smplx"]
    return [sys.executable, "-m", "vitruve", "convert", str(bundled_clip_path()), *bodies, "--out", str(out), *bare]


def _spent(command: Sequence[str]) -> tuple[float, float]:
    """Seconds by the clock and of the processor."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    clock, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _ratios(times: Sequence[tuple[float, float]], others: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    """Of the least and the median by the clock, and of the least of the processor."""
    (clock, processor), (other_clock, other_processor) = zip(*times), zip(*others)
    medians = statistics.median(clock) / statistics.median(other_clock)
    return min(clock) / min(other_clock), medians, min(processor) / min(other_processor)


if __name__ == "__main__":
    main()
