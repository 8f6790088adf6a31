"""Progress: a line per tenth of long work in a log, nothing when quiet, a bar on a terminal."""

import io

import pytest

from vitruve.runs import progress, progress_bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_log_gets_a_line_per_tenth_of_long_work(clock):
    log = io.StringIO()
    with progress_bar("posing", "frames", stream=log) as tell:
        for done in range(1, 501):
            clock[0] += 1
            tell(done, 500)
    lines = log.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[0] == "posing: 50/500 frames, 1 frames/s, 450 s left"
    assert lines[-1].startswith("posing: 500/500 frames") and "left" not in lines[-1]


def test_a_log_gets_nothing_of_work_that_is_soon_done(clock):
    log = io.StringIO()
    with progress_bar("posing", "frames", stream=log) as tell:
        for done in range(1, 401):
            clock[0] += 0.01
            tell(done, 400)
    assert log.getvalue() == ""


def test_work_that_turns_out_long_begins_to_tell(clock):
    log = io.StringIO()
    with progress_bar("drawing", stream=log) as tell:
        for seconds in (1, 3, 7):
            clock[0] += seconds
            tell(seconds, 7)
        tell(0, 0)
    assert [line.split(",")[0] for line in log.getvalue().splitlines()] == ["drawing: 7/7"]


def test_quiet_is_silent(clock):
    for stream in (io.StringIO(), Terminal()):
        with progress_bar("posing", quiet=True, stream=stream) as tell:
            clock[0] += 60
            tell(1, 2)
        assert stream.getvalue() == ""


def test_a_terminal_gets_a_bar():
    terminal = Terminal()
    with progress_bar("posing", "frames", stream=terminal) as tell:
        tell(1, 2)
        tell(2, 2)
    assert "posing" in terminal.getvalue() and "2/2" in terminal.getvalue()
