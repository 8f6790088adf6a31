"""Frame rates of the CMU motion capture database (cmu_rates.toml), which are missing in its AMC files.

cmu_rate("60_01")     # 60.0
cmu_rate("02_01")     # None: not in the table
"""

from __future__ import annotations

import functools
import re
import tomllib
from importlib import resources

# The rate of the laboratory's cameras, and of nearly all trials.
USUAL_RATE = 120.0
_TRIAL = re.compile(r"0*(\d+)_0*(\d+)")


def cmu_rate(name: str) -> float | None:
    """Frames per second of a trial named subject_trial; None if the table does not list it."""
    found = _TRIAL.fullmatch(name)
    if found is None:
        return None
    rate, subjects, trials = _table()
    subject, trial = int(found[1]), int(found[2])
    return rate if subject in subjects or (subject, trial) in trials else None


@functools.cache
def _table() -> tuple[float, frozenset[int], frozenset[tuple[int, int]]]:
    """The rate, whole subjects that have it, and (subject, trial) of others."""
    text = (resources.files("vitruve.formats.readers") / "cmu_rates.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)
    subjects = frozenset(subject for listed in table["subjects"].values() for subject in listed)
    trials = frozenset((int(subject), trial) for subject, listed in table["trials"].items() for trial in listed)
    return float(table["fps"]), subjects, trials
