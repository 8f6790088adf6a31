"""The command `vitruve`: one thin file per verb, loaded only when that verb is called."""

from __future__ import annotations

import io
import os
import shlex
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from cyclopts import App, CycloptsError, Parameter
from cyclopts.exceptions import MissingArgumentError, UnknownCommandError, UnknownOptionError, UnusedCliTokensError

import vitruve
from vitruve.cli import process
from vitruve.cli.output import print_notes
from vitruve.errors import NotWritten, UsageError, VitruveError, is_unwritable, not_written

# verb -> its function or app, and its line in the root help, which must not import torch.
_VERBS = {
    "demo": ("vitruve.cli.demo:demo", "Convert a bundled clip between two bodies, with pictures: a first try."),
    "convert": ("vitruve.cli.convert:convert", "Move motions to another body: one file or a whole data set."),
    "compare": ("vitruve.cli.compare:compare", "Measure how far two motions are apart, with a page and figures."),
    "export": ("vitruve.cli.export:export", "Write a motion for other programs: GLB, BVH, meshes, Blender, USD."),
    "data": ("vitruve.cli.data:app", "Prepare data sets: unpack, prepare, split, label, show; annotated poses."),
    "view": ("vitruve.cli.view:view", "Show motions in a browser page: play, step, compare."),
    "prior": ("vitruve.cli.prior:app", "Train pose priors, load published ones, and use them."),
    "render": ("vitruve.cli.render:render", "Draw motions as a film, a picture or a strip, without a display."),
    "info": ("vitruve.cli.info:info", "Describe a motion or body file, and what is odd about it."),
    "bench": ("vitruve.cli.bench:app", "Measure speed and accuracy on this machine, with your own files."),
    "bodies": ("vitruve.cli.bodies:app", "List, check, clean, merge and export body model files."),
    "doctor": ("vitruve.cli.doctor:doctor", "Show what is installed, which bodies were found, and what is missing."),
}

# How to resume a command that was stopped. All others leave nothing half done.
_RESUME = {
    "convert": "run the same again: what is done is kept",
    "data unpack": "run the same again: archives that are done are kept",
    "data prepare": "run the same again: what is done is kept",
    "prior train": "run the same again with --resume",
}
# How many characters of the command line an error shows.
_MOST_CHARACTERS = 160


class _Terminated(SystemExit):
    """SIGTERM was received."""


def build_app(called: str = "") -> App:
    """The root command with its verbs unloaded; the verb that is called shows the help of its own docstring."""
    app = App(
        name="vitruve",
        help="Human motion on SMPL-family bodies.\n\nBegin with `vitruve demo`; then `vitruve info YOUR_FILE`.",
        version=vitruve.__version__,
        # Only flags that are on by default have a --no- form, and they name it.
        default_parameter=Parameter(negative=()),
        # `main` prints all errors and sets the exit status.
        print_error=False,
        exit_on_error=False,
        suppress_keyboard_interrupt=False,
        result_action="return_value",
    )
    for verb, (target, line) in _VERBS.items():
        app.command(target, name=verb, help=None if verb == called else line)
    return app


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; errors the user can fix are printed without a traceback and set the exit status."""
    is_script = arguments is None
    process.begin(is_script)
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    _open_streams()
    _show_warnings_as_notes(quiet="--quiet" in arguments)
    try:
        with _sigterm_raises():
            _check_working_folder()
            _refuse_fps(arguments)
            result = build_app(arguments[0] if arguments else "")(arguments)
            sys.stdout.flush()
    except KeyboardInterrupt:
        _exit(130, f"vitruve: interrupted\n  do:    {_how_to_resume(arguments)}")
    except _Terminated as signalled:
        _exit(int(signalled.code or 0), f"vitruve: terminated\n  do:    {_how_to_resume(arguments)}")
    except BrokenPipeError:
        _exit(141)  # the reader of the output, such as `head`, has closed it
    except (VitruveError, CycloptsError, OSError, MemoryError) as error:
        if debug:
            raise
        shown = _as_vitruve_error(error, arguments)
        _exit(shown.exit_code, f"vitruve: {shown}")
    status = result if isinstance(result, int) else 0
    if is_script:
        process.end(status)
    sys.exit(status)


def _how_to_resume(arguments: list[str]) -> str:
    known = _RESUME.get(" ".join(arguments[:1])) or _RESUME.get(" ".join(arguments[:2]))
    return known or "run it again: nothing half done is left"


def _open_streams() -> None:
    """Make the standard streams safe to write to, whatever the caller has done to them."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        # A closed stream is replaced; otherwise the next file that is opened would get its number.
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 (until the process ends)
    for stream in (sys.stdout, sys.stderr):
        # File names need not be valid text, and a terminal need not support their characters.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _show_warnings_as_notes(quiet: bool) -> None:
    """Print warnings as one line, without the code they came from; not at all where `quiet`."""

    def show(message: Warning | str, *_: object, **__: object) -> None:
        print_notes([] if quiet else [str(message)])

    warnings.showwarning = show


def _check_working_folder() -> None:
    """In a folder that was deleted, libraries fail with misleading errors."""
    try:
        os.getcwd()
    except OSError:
        raise UsageError("the folder this runs in is gone", where="the working folder", fix="cd to another") from None


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Turn SIGTERM into an exception, so that nothing half written is left."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_DFL)  # a second SIGTERM ends at once
        raise _Terminated(128 + number)

    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _exit(status: int, message: str = "") -> NoReturn:
    with suppress(OSError):
        print(message, end="\n" if message else "", file=sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # its buffer cannot be written at exit either
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(status)


def _as_vitruve_error(error: Exception, arguments: list[str]) -> VitruveError:
    """The error to print; its place is the command line where it names none."""
    call = shlex.join(("vitruve", *arguments))
    call = call if len(call) <= _MOST_CHARACTERS else f"{call[:_MOST_CHARACTERS]}..."
    if isinstance(error, VitruveError):
        error.where = error.where or call
        return error
    if isinstance(error, CycloptsError):
        return _as_usage_error(error, arguments, call)
    if isinstance(error, OSError):
        if is_unwritable(error) and error.filename:
            return not_written(error, error.filename)
        kind = NotWritten if is_unwritable(error) else VitruveError
        where = str(error.filename or f"what it reads or writes: {call}")
        fix = "check the path, its permissions, and the space that is left; then run it again"
        return kind((error.strerror or str(error)).lower(), where=where, fix=fix)
    return VitruveError("out of memory", where=f"{call}: {error}", fix="give it less at a time, or fewer --workers")


def _refuse_fps(arguments: list[str]) -> None:
    """Explain the rejection: `--fps` is the rate of the output, and these verbs keep that of the motion."""
    verb, *rest = arguments or [""]
    if verb in ("convert", "compare", "view", "info") and any(word.split("=")[0] == "--fps" for word in rest):
        raise UsageError(
            f"{verb} keeps the frame rate of a motion",
            where="--fps",
            fix="--source-fps gives the rate of a file that does not state it; vitruve.motion.resample changes a rate",
        )


def _as_usage_error(error: CycloptsError, arguments: list[str], call: str) -> UsageError:
    """An error of the command line parser as one of ours."""
    what, _, hint = (part[:1].lower() + part[1:] for part in str(error).strip().removesuffix(".").partition(". "))
    is_unknown = isinstance(error, UnknownCommandError | UnknownOptionError)
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        names, place = error.argument.names, error.argument.index
        name = names[0] if place is None else names[0].lstrip("-").upper()
        what, hint = f"{name} {'has no value' if {*names} & {*arguments} else 'is missing'}", ""
    elif isinstance(error, UnusedCliTokensError):
        what = f"too many arguments: {' '.join(error.unused_tokens or ())}"
    elif isinstance(error, UnknownOptionError):
        option = error.token.keyword or error.token.value
        if any(option in argument.names for argument in error.argument_collection):
            what = f"{option} has no value"  # after a list of files the parser takes it for unknown
    verb = " ".join(("vitruve", *(error.command_chain or ())))
    hint = hint.partition(" Available commands")[0] if "id you mean" in hint or not is_unknown else ""
    return UsageError(what, where=call, fix=hint or f"see {verb} --help")
