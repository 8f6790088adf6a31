"""Settings for all tests: two threads at most, and no surprise in floating point."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
