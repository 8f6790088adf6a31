"""What stops a command: a full disk, a place that cannot be written, an interrupt; what is reported, and what stays."""

from __future__ import annotations

import errno
import os
import signal

import pytest

from tests.cli.convert_material import BODIES, results_of, run, write_clips
from tests.command import run_command
from vitruve.errors import NotWritten, UsageError, not_written, writing

resource = pytest.importorskip("resource", reason="limits are a thing of Unix")


@pytest.fixture
def full():
    """A disk that takes nothing beyond so many bytes a file, until `full(None)`."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size: int | None) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, before if size is None else (size, before[1]))

    yield limit
    limit(None)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return write_clips(tmp_path_factory.mktemp("clips"), 3, frames=40)


def three_lines_of(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if "note: " not in line]
    assert len(lines) == 3 and lines[1].startswith("  where: ") and lines[2].startswith("  do:    ")
    return lines


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_ends_a_conversion_of_many_and_the_same_call_resumes(clips, tmp_path, full, capsys, workers):
    call = (clips, *BODIES, "--out", tmp_path / "out", "--workers", workers, "--quiet")
    full(6000)
    assert run(*call) == NotWritten.exit_code
    full(None)
    what, where, do = three_lines_of(capsys.readouterr().err)
    assert "cannot be written" in what and str(tmp_path / "out") in where and ".npz" in where
    assert "make room" in do and "run it again" in do and "kept" in do
    assert not list(tmp_path.rglob("*.npz")) and not list(tmp_path.rglob("*.partial"))
    assert run(*call) == 0
    assert len(results_of(tmp_path / "out")) == 3


def test_a_ledger_that_finds_no_room_ends_it_likewise(clips, tmp_path, full, capsys):
    assert run(clips, *BODIES, "--out", tmp_path / "out", "--shard", "1/40", "--quiet") == 0
    full(300)
    assert run(clips, *BODIES, "--out", tmp_path / "out", "--quiet") == NotWritten.exit_code
    full(None)
    _, where, do = three_lines_of(capsys.readouterr().err)
    assert str(tmp_path / "out") in where and "run" in do
    assert run(clips, *BODIES, "--out", tmp_path / "out", "--quiet") == 0
    assert len(results_of(tmp_path / "out")) == 3


VERBS = {
    "prior sample": ("prior", "sample", "open", "--count", 2, "--out", "{out}"),
    "compare": ("compare", "{clip}", "{clip}", "--body-a", "open-smplh", "--body-b", "open-smplh", "--out", "{out}"),
    "bodies export": ("bodies", "export", "--layout", "mano", "--gender", "left", "--out", "{out}"),
    "export": ("export", "{clip}", "--body", "open-smplh", "--out", "{out}.glb"),
    "render": ("render", "{clip}", "--body", "open-smplh", "--frame", 0, "--out", "{out}.png"),
    "data prepare": ("data", "prepare", "{clip}", "--out", "{out}"),
    "convert one": ("convert", "{clip}", *BODIES, "--out", "{out}.npz"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_full_disk_is_one_thing_in_every_verb(verb, clips, tmp_path, full, capsys):
    def call(out: Path) -> int:
        return run_command(*(str(word).format(clip=clips / "clip1.npz", out=out) for word in VERBS[verb]))

    assert call(tmp_path / "before") == 0  # what is compiled is kept on the disk, too
    capsys.readouterr()
    full(3000)
    status = call(tmp_path / "out")
    full(None)
    assert status == NotWritten.exit_code
    what, where, do = three_lines_of(capsys.readouterr().err)
    assert "cannot be written: file too large" in what and str(tmp_path / "out") in where
    assert "make room" in do and "again" in do
    left = [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_relative_to(tmp_path / "before")]
    left = [path for path in left if not path.name.startswith("before.") and path.parent.name != "before-report"]
    assert all(path.name in {".lock", "store.json", "plan.json"} or path.parent.name == "out-report" for path in left)


@pytest.mark.parametrize(
    ("number", "kind", "do"),
    [
        (errno.ENOSPC, NotWritten, "make room"),
        (errno.EDQUOT, NotWritten, "make room"),
        (errno.EACCES, NotWritten, "permissions"),
        (errno.EROFS, NotWritten, "permissions"),
        (errno.EIO, NotWritten, "check the disk"),
        (errno.ENOTDIR, UsageError, "another place"),
        (errno.ENAMETOOLONG, UsageError, "another place"),
    ],
)
def test_one_rule_for_what_the_system_refuses(number, kind, do):
    with pytest.raises(kind) as caught, writing("out/walk.npz"):
        raise OSError(number, os.strerror(number))
    assert "walk.npz cannot be written" in caught.value.what and caught.value.where == "out/walk.npz"
    assert do in caught.value.fix and (kind is UsageError or "run it again" in caught.value.fix)
    assert caught.value.exit_code == {NotWritten: 6, UsageError: 2}[kind]
    assert type(not_written(OSError(), "x")) is NotWritten


def test_a_place_on_a_file_system_that_is_read_only(clips, tmp_path, capsys, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", "a temporary name")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    assert run_command("export", clips / "clip1.npz", "-o", tmp_path / "x.bvh", "--body", "open-smplh") == 6
    assert str(tmp_path / "x.bvh") in three_lines_of(capsys.readouterr().err)[1]


@pytest.mark.parametrize(
    ("call", "do"),
    [
        ("convert AMASS --to smplx", "run the same again: what is done is kept"),
        ("data unpack a.tar.bz2 --out AMASS", "run the same again"),
        ("data prepare AMASS --out motions", "run the same again"),
        ("prior train motions --out run", "--resume"),
        ("compare a.npz b.npz", "run it again: nothing half done is left"),
        ("data split motions", "run it again"),
    ],
)
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_says_how_to_go_on(call, do, number, status, monkeypatch, capsys):
    monkeypatch.setattr("vitruve.cli.build_app", lambda called: lambda words: signal.raise_signal(number))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert run_command(*call.split()) == status
    finally:
        signal.signal(signal.SIGINT, before)
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("vitruve: ") and last.startswith("  do:    ") and do in last


@pytest.mark.parametrize(
    "call",
    [
        ("convert", "{clip}", "--from", "smplh", "--to", "smplx", "--points", "60", "--out", "{out}.npz"),
        ("export", "{clip}", "--body", "smplh", "--out", "{out}.glb"),
        ("render", "{clip}", "--body", "smplh", "--frame", "0", "--out", "{out}.png"),
    ],
)
def test_quiet_prints_no_notes(call, clips, tmp_path, monkeypatch, capsys):
    """Without licensed bodies each of these has to say which body is taken instead."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for variable in ("VITRUVE_BODIES", "SMPLFITTER_BODY_MODELS", "DATA_ROOT", "SMPLX_MODEL_PATH"):
        monkeypatch.delenv(variable, raising=False)
    words = [word.format(clip=clips / "clip1.npz", out=tmp_path / "out") for word in call]
    assert run_command(*words, "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    assert run_command(*words, "--overwrite") == 0
    assert "note: " in (printed := capsys.readouterr()).err + printed.out
