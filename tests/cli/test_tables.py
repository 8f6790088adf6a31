"""Tables with paths longer than a line: no path is cut or broken into pieces."""

import shutil

import pytest

from tests.command import run_command
from vitruve.motion.clips import bundled_clip_path


@pytest.fixture
def long_path(tmp_path):
    folder = tmp_path.joinpath(*["a folder of a long name, with more words"] * 4)
    folder.mkdir(parents=True)
    return folder


def test_info_of_many_and_of_one(long_path, capsys):
    files = [long_path / f"walk {i}.npz" for i in range(2)]
    for file in files:
        shutil.copy(bundled_clip_path(), file)
    (long_path / "bad.npz").write_bytes(b"PK")
    assert run_command("info", *files, long_path / "bad.npz") == 4
    printed = capsys.readouterr().out.splitlines()
    assert all(any(str(file) in line for line in printed) for file in (*files, long_path / "bad.npz"))
    assert run_command("info", files[0]) == 0
    assert str(files[0]) in capsys.readouterr().out


def test_lists_and_checks_of_bodies(long_path, capsys):
    assert run_command("bodies", "export", "--layout", "mano", "--gender", "left", "--out", long_path) == 0
    written = long_path / "mano" / "MANO_LEFT.pkl"
    assert str(written) in capsys.readouterr().out
    assert run_command("bodies", "list", "--folder", long_path) == 0
    printed = capsys.readouterr().out.splitlines()
    assert any(str(written) in line for line in printed) and any(f" {long_path} " in line for line in printed)
    assert run_command("bodies", "check", written) == 0
    assert f"{written}: " in capsys.readouterr().out
