"""Settings for all tests: one thread each, a cache of their own that is kept from run to run, no timed examples."""

import os
from pathlib import Path

from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["XDG_CACHE_HOME"] = str(Path(__file__).parents[1] / ".pytest_cache" / "home")

# A change is judged by the same examples each time; on a developer's machine new ones are tried.
settings.register_profile("vitruve", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("vitruve")
