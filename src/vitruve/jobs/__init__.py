"""Work on many files: found, planned by content, spread over processes or machines, recorded, resumed.

A feature describes itself in a `Work` (work.py); `plan_batch` and `run_batch` (batch.py) do the rest. A feature whose
results are not one file per input, such as a clip store, uses the parts: workers, shards, failures.
"""
