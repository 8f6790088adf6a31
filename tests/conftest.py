"""Settings for all tests: one thread each, a cache of their own that is kept from run to run, no timed examples."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["XDG_CACHE_HOME"] = str(Path(__file__).parents[1] / ".pytest_cache" / "home")

# A change is judged by the same examples each time; on a developer's machine new ones are tried.
# How long drawing them takes says how busy the machine is.
settings.register_profile(
    "vitruve", deadline=None, derandomize="CI" in os.environ, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("vitruve")


@pytest.fixture(autouse=True)
def _same_numbers() -> None:
    """What a test draws without a seed does not depend on the tests before it."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(0)
