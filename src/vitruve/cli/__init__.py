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
from vitruve.errors import NotWritten, UsageError, VitruveError, is_unwritable, not_written

# verb -> where its function or app lives, and its line in the root help: that must not import torch, so it stands here.
_VERBS = {
    "demo": (
        "vitruve.cli.demo:demo",
        "Try the main job at once: convert a bundled clip between two bodies, with pictures.",
    ),
    "convert": ("vitruve.cli.convert:convert", "Move motions to another body: one file or a whole data set."),
    "compare": ("vitruve.cli.compare:compare", "Say how far two motions are apart, with a page and figures."),
    "export": ("vitruve.cli.export:export", "Write a motion for other programs: GLB, BVH, meshes, Blender, USD."),
    "data": ("vitruve.cli.data:app", "Make data sets ready once: unpack, prepare, split, show; annotated poses."),
    "view": ("vitruve.cli.view:view", "Show motions in a browser page: play, step, compare."),
    "prior": ("vitruve.cli.prior:app", "Train pose priors, load those of others, and use them."),
    "render": ("vitruve.cli.render:render", "Draw motions as a film, a picture or a strip, without a display."),
    "info": ("vitruve.cli.info:info", "Say what a motion or body file is, and what is odd about it."),
    "bench": ("vitruve.cli.bench:app", "Measure speed and accuracy on this machine, with your own files."),
    "bodies": ("vitruve.cli.bodies:app", "List, check, clean, merge and export body model files."),
    "doctor": ("vitruve.cli.doctor:doctor", "Say what is installed, which bodies were found, and what is missing."),
}

# Letters of a call that an error shows.
_CALL = 160
# What goes on where it was stopped, and how. All others leave nothing half done.
_GOES_ON = {
    "convert": "run the same again: what is done is kept",
    "data unpack": "run the same again: archives that are done are kept",
    "data prepare": "run the same again: what is done is kept",
    "prior train": "run the same again with --resume",
}
_UNKNOWN = (UnknownCommandError, UnknownOptionError)


def build_app(called: str = "") -> App:
    """The root command with its verbs unloaded; the verb that is called brings the help of its own docstring."""
    app = App(
        name="vitruve",
        help="Human motion on SMPL-family bodies.\n\nBegin with `vitruve demo`; then `vitruve info YOUR_FILE`.",
        version=vitruve.__version__,
        # A flag has no opposite, but for those that are on where left out: they name theirs.
        default_parameter=Parameter(negative=()),
        # What ends a command is said and counted in one place, `main`.
        print_error=False,
        exit_on_error=False,
        suppress_keyboard_interrupt=False,
        result_action="return_value",
    )
    for verb, (target, line) in _VERBS.items():
        app.command(target, name=verb, help=None if verb == called else line)
    return app


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; errors the user can mend are printed without a traceback and set the exit status."""
    alone = arguments is None
    process.begin(alone)
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    _open_streams()
    warnings.showwarning = _pass_over if "--quiet" in arguments else _say
    try:
        with _unwinding():
            _stand_somewhere()
            _refuse_fps(arguments)
            result = build_app(arguments[0] if arguments else "")(arguments)
            sys.stdout.flush()
    except KeyboardInterrupt:
        _leave(130, f"vitruve: interrupted\n  do:    {_to_go_on(arguments)}")
    except _Ended as asked:
        _leave(int(asked.code or 0), f"vitruve: asked to end\n  do:    {_to_go_on(arguments)}")
    except BrokenPipeError:
        _leave(141)  # whoever read the output, `head` say, has seen enough
    except (VitruveError, CycloptsError, OSError, MemoryError) as error:
        if debug:
            raise
        told = _told(error, arguments)
        _leave(told.exit_code, f"vitruve: {told}")
    status = result if isinstance(result, int) else 0
    if alone:
        process.end(status)
    sys.exit(status)


class _Ended(SystemExit):
    """A request to end that has come from outside."""


def _to_go_on(arguments: list[str]) -> str:
    """What someone can do who has stopped a command."""
    ways = (_GOES_ON.get(" ".join(arguments[:count])) for count in (1, 2))
    return next(filter(None, ways), "run it again: nothing half done is left")


def _open_streams() -> None:
    """Make the standard streams safe to write to, whatever the caller has made of them."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        # One that is closed leads nowhere; else the next file that is opened would get its number.
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 (until the process ends)
    for stream in (sys.stdout, sys.stderr):
        # Names of files need not be text, and a terminal need not have their letters.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _stand_somewhere() -> None:
    """In a folder that was deleted, libraries fail in words that mislead."""
    try:
        os.getcwd()
    except OSError:
        raise UsageError("the folder this runs in is gone", where="the working folder", fix="cd to another") from None


@contextmanager
def _unwinding() -> Iterator[None]:
    """A request to end (SIGTERM) leaves nothing half written, as Ctrl+C does not."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def unwind(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_DFL)  # who asks twice does not wait
        raise _Ended(128 + number)

    before = signal.signal(signal.SIGTERM, unwind)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave(status: int, words: str = "") -> NoReturn:
    """Say why, and end."""
    with suppress(OSError):
        print(words, end="\n" if words else "", file=sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # what it still holds has nowhere to go, at exit neither
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(status)


def _told(error: Exception, arguments: list[str]) -> VitruveError:
    """An error as it is said to the user; its place is the call where it names none."""
    called = shlex.join(("vitruve", *arguments))
    called = called if len(called) <= _CALL else f"{called[:_CALL]}..."
    if isinstance(error, VitruveError):
        error.where = error.where or called
        return error
    if isinstance(error, CycloptsError):
        return _misread(error, arguments, called)
    if isinstance(error, OSError):
        if is_unwritable(error) and error.filename:
            return not_written(error, error.filename)
        kind = NotWritten if is_unwritable(error) else VitruveError
        where = str(error.filename or f"what it reads or writes: {called}")
        fix = "check the path, its permissions, and the space that is left; then run it again"
        return kind((error.strerror or str(error)).lower(), where=where, fix=fix)
    return VitruveError(
        "memory has run out", where=f"{called}: {error}", fix="give it less at a time, or fewer --workers"
    )


def _refuse_fps(arguments: list[str]) -> None:
    """`--fps` is the rate of what is written, everywhere; say so in the verbs that keep that of the motion."""
    verb, *rest = arguments or [""]
    if verb in ("convert", "compare", "view", "info") and any(word.split("=")[0] == "--fps" for word in rest):
        raise UsageError(
            f"{verb} keeps the frame rate of a motion",
            where="--fps",
            fix="--source-fps gives the rate of a file that does not say it; resample in vitruve.motion changes a rate",
        )


def _misread(error: CycloptsError, arguments: list[str], called: str) -> UsageError:
    """What the parser refuses, as an error of ours."""
    what, _, hint = (_small(part) for part in str(error).strip().removesuffix(".").partition(". "))
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        names, place = error.argument.names, error.argument.index
        name = names[0] if place is None else names[0].lstrip("-").upper()
        what, hint = f"{name} {'has no value' if {*names} & {*arguments} else 'is missing'}", ""
    elif isinstance(error, UnusedCliTokensError):
        what = f"more was given than is taken: {' '.join(error.unused_tokens or ())}"
    elif isinstance(error, UnknownOptionError):
        option = error.token.keyword or error.token.value
        if any(option in argument.names for argument in error.argument_collection):
            what = f"{option} has no value"  # behind a list of files the parser takes it for unknown
    verb = " ".join(("vitruve", *(error.command_chain or ())))
    hint = hint.partition(" Available commands")[0] if "id you mean" in hint or not isinstance(error, _UNKNOWN) else ""
    return UsageError(what, where=called, fix=hint or f"see {verb} --help")


def _small(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _say(message: Warning | str, *_: object, **__: object) -> None:
    """A warning as one line for the user, without the code it came from."""
    print(f"vitruve: note: {message}", file=sys.stderr)


def _pass_over(*_: object, **__: object) -> None:
    """A warning where `--quiet` asks for none."""
