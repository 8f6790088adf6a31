"""Readers, one file format per module: `read_*`, and `write_*` if motions can be saved in it."""
