"""Progress: a line per tenth in a log, nothing when quiet, a bar on a terminal."""

import io

from vitruve.runs import progress_bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_log_gets_a_line_per_tenth():
    log = io.StringIO()
    with progress_bar("posing", "frames", stream=log) as progress:
        for done in range(1, 501):
            progress(done, 500)
    lines = log.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[0].startswith("posing: 50/500 frames, ") and "frames/s" in lines[0] and lines[0].endswith("s left")
    assert lines[-1].startswith("posing: 500/500 frames") and "left" not in lines[-1]


def test_few_steps_and_no_steps():
    log = io.StringIO()
    with progress_bar("drawing", stream=log) as progress:
        for done in range(3):
            progress(done + 1, 3)
        progress(0, 0)
    assert [line.split(",")[0] for line in log.getvalue().splitlines()] == [f"drawing: {i}/3" for i in (1, 2, 3)]


def test_quiet_is_silent():
    for stream in (io.StringIO(), Terminal()):
        with progress_bar("posing", quiet=True, stream=stream) as progress:
            progress(1, 2)
        assert stream.getvalue() == ""


def test_a_terminal_gets_a_bar():
    terminal = Terminal()
    with progress_bar("posing", "frames", stream=terminal) as progress:
        progress(1, 2)
        progress(2, 2)
    assert "posing" in terminal.getvalue() and "2/2" in terminal.getvalue()
