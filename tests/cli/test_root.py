"""The root command: help without torch, errors in three lines, notes without code, exit statuses."""

from __future__ import annotations

import subprocess
import sys
import warnings

import pytest

import vitruve
from tests.command import run_command
from vitruve.cli import _VERBS, main
from vitruve.errors import BadData, MissingAsset, UsageError, VitruveError, nearest


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


def test_an_unknown_verb_or_option_names_the_nearest(capsys):
    assert run_command("inof") != 0
    assert 'Did you mean "info"' in capsys.readouterr().err
    assert run_command("demo", "--otu", "x") != 0
    assert "--out" in capsys.readouterr().err


def test_errors_have_three_lines_and_no_traceback(capsys):
    assert run_command("info", "there_is_no_such_file.npz") == MissingAsset.exit_code
    shown = capsys.readouterr().err.strip().splitlines()
    assert len(shown) == 3 and shown[0].startswith("vitruve: ") and shown[2].startswith("  do:")


def test_a_reader_that_has_seen_enough_is_no_error():
    command = [sys.executable, "-m", "vitruve", "doctor"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None and running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 141


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
