"""One run at a time in a folder, whoever runs it."""

import subprocess
import sys

import pytest

from vitruve.errors import UsageError
from vitruve.runs.folder import check_out
from vitruve.runs.lock import LOCK_FILE, alone

_HOLD = """
import pathlib, sys
from vitruve.runs.lock import alone
with alone(pathlib.Path(sys.argv[1]), "x"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_run_is_refused_until_the_first_ends_however_it_ends(tmp_path):
    other = subprocess.Popen([sys.executable, "-c", _HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert other.stdout.readline() == b"held\n"
        with (
            pytest.raises(UsageError, match="a training is at work") as raised,
            alone(tmp_path, "a training is at work"),
        ):
            pass
        assert raised.value.where == str(tmp_path) and "wait" in raised.value.fix
    finally:
        other.kill()
        other.communicate()
    with alone(tmp_path, "free again"), pytest.raises(UsageError), alone(tmp_path, "held by this very process"):
        pass


def test_a_folder_that_cannot_be_written(tmp_path):
    with pytest.raises(UsageError, match="cannot be written"), alone(tmp_path / "missing", "x"):
        pass


def test_a_file_system_without_locks_keeps_nobody_out(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl", reason="locks of files are a thing of Unix")

    def none(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", none)
    with alone(tmp_path, "x"), alone(tmp_path, "x"):
        pass


def test_a_lock_alone_makes_no_folder_of_somebody(tmp_path):
    with alone(tmp_path, "x"):
        pass
    assert (tmp_path / LOCK_FILE).exists()
    check_out(tmp_path, "demo")
