"""One foreign file format per file: `read_*`, and `write_*` where motions are saved in it."""
