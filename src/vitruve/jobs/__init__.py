"""Processing many files: find, plan by content, run in processes or on a cluster, record, resume.

A feature describes itself in a `Work` (work.py); `plan_batch` and `run_batch` (batch.py) do the rest. A feature whose
results are not one file per input, such as a clip store, uses workers, shards and failures directly.
"""
