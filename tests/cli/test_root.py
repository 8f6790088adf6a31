"""The root command: help without torch, errors in three lines, notes without code, exit statuses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings

import pytest

import vitruve
from tests.command import run_command
from vitruve.cli import _VERBS, main
from vitruve.errors import BadData, MissingAsset, NotWritten, UsageError, VitruveError, nearest
from vitruve.motion.clips import bundled_clip_path


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_help_and_version_import_no_torch():
    code = (
        "import sys\nfrom vitruve.cli import main\n"
        "try: main([{0!r}])\nexcept SystemExit: pass\n"
        "print('heavy:', sorted({{'torch', 'numpy', 'scipy'}} & set(sys.modules)))"
    )
    shown = python(code.format("--help"))
    assert "heavy: []" in shown
    assert all(verb in shown for verb in _VERBS)
    assert vitruve.__version__ in python(code.format("--version"))


def test_importing_the_package_is_light():
    assert python("import sys, vitruve; print('torch' in sys.modules)").strip() == "False"


@pytest.mark.parametrize("verb", sorted(_VERBS))
def test_every_verb_has_help_of_its_own_with_examples(verb, capsys):
    assert run_command(verb, "--help") == 0
    shown = capsys.readouterr().out
    assert f"Usage: vitruve {verb}" in shown and "Example" in shown


def test_errors_have_three_lines_and_no_traceback(capsys):
    assert run_command("info", "there_is_no_such_file.npz") == MissingAsset.exit_code
    shown = capsys.readouterr().err.strip().splitlines()
    assert len(shown) == 3 and shown[0].startswith("vitruve: ") and shown[2].startswith("  do:")


def test_a_reader_that_has_seen_enough_is_no_error():
    command = [sys.executable, "-m", "vitruve", "doctor"]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize(
    ("typed", "what", "do"),
    [
        ("inof", 'unknown command "inof"', 'did you mean "info"?'),
        ("data prepar", 'unknown command "prepar"', 'did you mean "prepare"?'),
        ("--versoin", 'unknown command "--versoin"', "see vitruve --help"),
        ("info a.npz --jsn", "unknown option: --jsn", "did you mean --json?"),
        ("convert a.npz", "--to is missing", "see vitruve convert --help"),
        ("convert a.npz --to", "--to has no value", "see vitruve convert --help"),
        ("info a.npz --source-fps", "--source-fps has no value", "see vitruve info --help"),
        ("prior show", "PATH is missing", "see vitruve prior show --help"),
        ("compare a b c", "too many arguments: c", "see vitruve compare --help"),
        ("convert a --to b --workers 0", 'invalid value "0" for --workers', "must be >= 1"),
        ("demo --frames x", 'unable to convert "x" into int', "see vitruve demo --help"),
    ],
)
def test_what_the_parser_refuses_is_reported_as_every_error(typed, what, do, capsys):
    assert run_command(*typed.split()) == UsageError.exit_code
    first, where, last = capsys.readouterr().err.splitlines()
    assert first.startswith("vitruve: ") and what in first
    assert where.startswith("  where: vitruve") and last == f"  do:    {do}"


def ended(code: str, shell: str) -> subprocess.CompletedProcess[str]:
    """The command line with a verb of this code, in a shell that does something to its streams."""
    program = (
        f"import vitruve.cli as cli\ndef run(words):\n    {code}\ncli.build_app = lambda called: run\ncli.main([])"
    )
    call = ["sh", "-c", f'exec "$0" -c "$1" {shell}', sys.executable, program]
    return subprocess.run(call, capture_output=True, text=True, check=False)


def test_closed_streams_are_no_error(tmp_path):
    """A file that is opened does not become the standard error, which others write to."""
    code = f"open({str(tmp_path / 'x')!r}, 'w').write('x'); print(1); import os; os.write(2, b'y')"
    assert ended(code, "<&- >&- 2>&-").returncode == 0
    assert (tmp_path / "x").read_text() == "x"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no such device here")
@pytest.mark.parametrize("code", ["print(1)", "print(1, flush=True)"])
def test_a_full_disk_is_reported_in_three_lines(code):
    done = ended(code, "> /dev/full")
    assert done.returncode == NotWritten.exit_code
    assert done.stderr.startswith("vitruve: no space left on device\n  where: ") and len(done.stderr.splitlines()) == 3
    assert ended(code, "> /dev/full 2>&1").returncode == NotWritten.exit_code


def test_an_error_without_a_place_is_in_the_call(capsys, monkeypatch):
    def wrong(arguments: list[str]) -> None:
        raise UsageError("no such recipe", fix="choose another")

    monkeypatch.setattr("vitruve.cli.build_app", lambda called: wrong)
    assert run_command("prior", "train", "my store", *"x" * 200) == 2
    _, where, _ = capsys.readouterr().err.splitlines()
    assert where.startswith("  where: vitruve prior train 'my store' x x") and len(where) < 200


def test_names_that_are_no_text_are_shown_all_the_same(tmp_path):
    """A file name of other bytes than UTF-8, and a terminal that knows no arrow."""
    done = ended("print('\\udcff', '\u2192')", "")
    assert done.returncode == 0 and "udcff" in done.stdout
    error = str(BadData("a\nb", where="\x1b[2J", fix="\udcff é"))
    assert error.splitlines() == ["a\\nb", "  where: \\x1b[2J", "  do:    \\udcff é"]


def test_a_working_folder_that_is_gone_is_reported(tmp_path, monkeypatch, capsys):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert run_command("info", "/walk.npz") == 2
    assert "the folder this runs in is gone" in capsys.readouterr().err


def test_examples_keep_their_stars(capsys):
    assert run_command("bodies", "check", "--help") == 0
    assert "models/*/*.pkl" in capsys.readouterr().out


def test_memory_that_runs_out_is_reported_in_three_lines():
    done = ended("raise MemoryError('Unable to allocate 149 GiB')", "")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 3 and "149 GiB" in done.stderr


@pytest.fixture
def interruptible():
    """Interrupted as in a terminal: the background jobs of a shell begin with that ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_who_is_asked_to_end_tidies_up(number, status, monkeypatch, interruptible):
    tidied = []

    def waiting(arguments: list[str]) -> None:
        try:
            signal.raise_signal(number)
            time.sleep(5)
        finally:
            tidied.append(arguments)

    monkeypatch.setattr("vitruve.cli.build_app", lambda called: waiting)
    before = signal.getsignal(signal.SIGTERM)
    assert run_command("compare") == status
    assert tidied == [["compare"]] and signal.getsignal(signal.SIGTERM) == before


def test_debug_shows_where_it_was_raised():
    with pytest.raises(VitruveError):
        main(["--debug", "info", "there_is_no_such_file.npz"])


def test_notes_are_one_line(capsys, monkeypatch):
    def noting(arguments: list[str]) -> None:
        warnings.warn("fewer betas", stacklevel=2)

    monkeypatch.setattr("vitruve.cli.build_app", lambda called: noting)
    run_command("info")
    assert capsys.readouterr().err.splitlines()[0] == "vitruve: note: fewer betas"


@pytest.mark.parametrize(("kind", "code"), [(UsageError, 2), (MissingAsset, 3), (BadData, 4)])
def test_each_kind_of_error_has_its_exit_status(kind, code):
    error = kind("what", where="where", fix="fix")
    assert error.exit_code == code
    assert str(error) == "what\n  where: where\n  do:    fix"


def test_the_nearest_names_are_offered():
    assert nearest("left_hpi", ["left_hip", "right_hip", "jaw"]).startswith("did you mean 'left_hip'")
    assert nearest("xyz", ["a", "b"]) == "choose one of: a, b"


@pytest.mark.parametrize("verb", ["convert", "compare", "view", "info"])
def test_a_verb_that_keeps_the_frame_rate_names_the_option_that_is_meant(verb, capsys):
    for given in (("--fps", "30"), ("--fps=30",)):
        assert run_command(verb, "walk.npz", *given) == 2
        assert "--source-fps" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["convert", "view", "render", "export", "compare"])
def test_a_folder_of_bodies_that_is_not_there_is_reported(verb, tmp_path, capsys):
    """It was ignored, and the open body used."""
    clip = str(bundled_clip_path())
    files = [clip, clip] if verb == "compare" else [clip]
    more = [] if verb == "view" else ["--out", tmp_path / "out.npz"]
    more += ["--to", "open-smplx"] if verb == "convert" else []
    assert run_command(verb, *files, *more, "--bodies", tmp_path / "nowhere") == 2
    assert "nowhere" in (printed := capsys.readouterr().err) and "--bodies" in printed
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("call", [["demo"], ["data", "split"], ["bodies", "list"], ["prior", "train"]])
def test_flags_have_no_opposites_and_lists_no_empty(call, capsys):
    assert run_command(*call, "--help") == 0
    printed = capsys.readouterr().out
    assert "--no-" not in printed and "--empty-" not in printed
