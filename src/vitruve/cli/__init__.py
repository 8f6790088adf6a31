"""The command `vitruve`: one thin file per verb, loaded only when that verb is called."""

from __future__ import annotations

import os
import sys
import warnings

from cyclopts import App

import vitruve
from vitruve.errors import VitruveError

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


def build_app(called: str = "") -> App:
    """The root command with its verbs unloaded; the verb that is called brings the help of its own docstring."""
    app = App(
        name="vitruve",
        help="Human motion on SMPL-family bodies.\n\nBegin with `vitruve demo`; then `vitruve info YOUR_FILE`.",
        version=vitruve.__version__,
    )
    for verb, (target, line) in _VERBS.items():
        app.command(target, name=verb, help=None if verb == called else line)
    return app


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; errors the user can mend are printed without a traceback and set the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    warnings.showwarning = _say
    try:
        result = build_app(arguments[0] if arguments else "")(arguments)
        sys.stdout.flush()
    except VitruveError as error:
        if debug:
            raise
        print(f"vitruve: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("vitruve: interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read the output, `head` say, has seen enough; the rest has nowhere to go, at exit neither.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    sys.exit(result if isinstance(result, int) else 0)


def _say(message: Warning | str, *_: object, **__: object) -> None:
    """A warning as one line for the user, without the code it came from."""
    print(f"vitruve: note: {message}", file=sys.stderr)
