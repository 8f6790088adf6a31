"""`vitruve bodies`: list, check, clean, merge and export body model files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vitruve.cli.plain_table import print_whole
from vitruve.errors import UsageError, VitruveError

app = App(
    name="bodies",
    help="List, check, clean, merge and export body model files.",
    help_epilogue="Examples:\n\nvitruve bodies list\n\nvitruve bodies check body_models/smplx/SMPLX_NEUTRAL.npz",
)

_COLOURS = {"ok": "green", "warning": "yellow", "error": "red"}
Overwrite = Annotated[bool, Parameter(help="Replace files that are there.")]
DryRun = Annotated[bool, Parameter(help="Say what would be written, and write nothing.")]


def _examples(*lines: str) -> str:
    return "\n\n".join(["Examples:", *(f"`{line}`" for line in lines)])  # as code, so that stars stay stars


@app.command(
    name="list",
    help_epilogue=_examples("vitruve bodies list", "vitruve bodies list --folder /data/body_models"),
)
def list_bodies(*, folder: Annotated[tuple[Path, ...], Parameter(help="Look here first.")] = ()) -> None:
    """Say which bodies were found where, and where they were looked for."""
    from vitruve.bodies.catalogue import LICENSED, body_names, config_file, find_bodies, search_folders

    console, found = Console(), find_bodies(folder)
    table = Table("name", "file", title="Bodies", title_justify="left")
    for name in body_names():
        if name.startswith("open-"):
            table.add_row(name, "[dim]ships with Vitruve (CC0)[/]")
    for name, path in found.items():
        table.add_row(name, str(path))
    print_whole(console, table)
    folders = Table("looked in", "because of", "", title="Folders", title_justify="left")
    for path, reason in search_folders(folder).items():
        folders.add_row(str(path), reason, "" if path.is_dir() else "[dim]does not exist[/]")
    print_whole(console, folders)
    missing = [layout for layout in LICENSED if not any(name.startswith(f"{layout}-") for name in found)]
    for layout in missing:
        print(f"No {layout} file was found. It is licensed: register at {LICENSED[layout].site}.")
    if missing:
        print(f"Put files into one of the folders, set VITRUVE_BODIES, or write bodies = [...] in {config_file()}.")


@app.command(help_epilogue=_examples("vitruve bodies check SMPLX_FEMALE.npz", "vitruve bodies check models/*/*.pkl"))
def check(*files: Annotated[Path, Parameter(help="Model files: .pkl, .npz or .safetensors.")]) -> int:
    """Check the health of model files: shapes, NaN, joint tree, skin weights, joint regressor, faces, size.

    The exit status is 4 where any file has an error; warnings do not change it.
    """
    from vitruve.bodies.check import check_body

    _refuse_none(files)
    console, bad = Console(), 0
    for path in files:
        findings = check_body(path)
        worst = "error" if any(f.severity == "error" for f in findings) else "warning"
        worst = worst if any(f.severity == worst for f in findings) else "ok"
        bad += worst == "error"
        console.print(f"[{_COLOURS[worst]}]{escape(str(path))}: {worst}[/]", soft_wrap=True, highlight=False)
        table = Table("", "key", "found")
        for finding in findings:
            table.add_row(f"[{_COLOURS[finding.severity]}]{finding.severity}[/]", finding.key, finding.text)
        console.print(table)
    if len(files) > 1:
        print(f"{len(files) - bad} of {len(files)} files are usable")
    return 4 if bad else 0


@app.command(
    help_epilogue=_examples(
        "vitruve bodies clean models/mano/MANO_LEFT.pkl --out clean",
        "vitruve bodies clean models/smplx/*.npz --out clean --suffix .npz",
        "vitruve bodies clean SMPL_MALE.pkl --out body_models/smpl --suffix .pkl",
    )
)
def clean(
    *files: Annotated[Path, Parameter(help="Model files: .pkl, .npz or .safetensors.")],
    out: Annotated[Path, Parameter(name=("--out", "-o"), help="Folder for the copies.")],
    suffix: Annotated[
        Literal[".safetensors", ".npz", ".pkl"],
        Parameter(help="Form of the copies; .pkl, of plain arrays, where other software reads nothing else."),
    ] = ".safetensors",
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
) -> int:
    """Copy model files without chumpy or Python 2 in them: the same keys, the same numbers.

    A file that cannot be read is reported and skipped, the rest is done, and the exit status says so.
    """
    from vitruve.bodies.check import clean_body

    _refuse_none(files)
    targets = [_clean_name(path, out, suffix) for path in files]
    if len(set(targets)) < len(targets):
        twice = next(target for target in targets if targets.count(target) > 1)
        raise UsageError("two files would get the same name", where=str(twice), fix="clean them into different folders")
    if dry_run:
        return _would_write(targets)
    return _each(zip(files, targets, strict=True), lambda path, target: clean_body(path, target, overwrite))


@app.command(
    help_epilogue=_examples(
        "vitruve bodies merge --smplh smplh/male/model.npz --mano-left MANO_LEFT.pkl --mano-right MANO_RIGHT.pkl "
        "--out smplh/SMPLH_MALE.pkl",
        "vitruve bodies merge --smplh SMPLH_female.pkl --mano-left MANO_LEFT.pkl --mano-right MANO_RIGHT.pkl "
        "--out SMPLH_FEMALE.npz",
    )
)
def merge(
    *,
    smplh: Annotated[Path, Parameter(help="The SMPL+H file; those of AMASS have no hand pose spaces.")],
    mano_left: Annotated[Path, Parameter(help="MANO_LEFT.pkl")],
    mano_right: Annotated[Path, Parameter(help="MANO_RIGHT.pkl")],
    out: Annotated[
        Path,
        Parameter(name=("--out", "-o"), help=".pkl or .npz; the smplx package looks for smplh/SMPLH_{GENDER}.pkl."),
    ],
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
) -> int:
    """Join SMPL+H with the hand pose spaces of MANO into one file, as the smplx package needs it."""
    from vitruve.bodies.check import merge_hands

    if dry_run:
        return _would_write([out])
    print(f"wrote {merge_hands(smplh, mano_left, mano_right, out, overwrite)}")
    return 0


@app.command(
    help_epilogue=_examples(
        "vitruve bodies export --layout smplx --gender female --out body_models",
        "vitruve bodies export --layout mano --gender left --out body_models",
    )
)
def export(
    *,
    layout: Annotated[Literal["smpl", "smplh", "smplx", "mano"], Parameter(help="Which official layout.")],
    gender: Annotated[
        Literal["neutral", "female", "male", "left", "right"] | None,
        Parameter(help="Which body or hand; all of the layout where left out."),
    ] = None,
    out: Annotated[
        Path, Parameter(name=("--out", "-o"), help="Folder; gets the sub-folders that the smplx package looks for.")
    ],
    num_betas: Annotated[
        int | None, Parameter(help="How many shape columns to write; all that the body has where left out.")
    ] = None,
    short: Annotated[bool, Parameter(help="SMPL-X with 10 + 10 columns (v1.0) instead of 300 + 100 (v1.1).")] = False,
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
) -> int:
    """Write the open body in an official file layout, for other software that reads those files."""
    from vitruve.bodies.export import export_body, export_paths
    from vitruve.bodies.open_body import load_open_body, open_genders

    genders = open_genders(layout) if gender is None else (gender,)
    if not set(genders) <= set(open_genders(layout)):
        raise UsageError(f"layout {layout} has no '{gender}'", fix=f"choose one of: {', '.join(open_genders(layout))}")
    if dry_run:
        return _would_write([path for each in genders for path in export_paths(layout, each, out)])
    written = [
        path
        for each in genders
        for path in export_body(load_open_body(layout, each, num_betas), out, short=short, overwrite=overwrite)
    ]
    for path in dict.fromkeys(written):  # the licence is beside them once
        print(f"wrote {path}")
    print("These files hold Vitruve's open body (CC0), not SMPL.")
    return 0


def _refuse_none(files: tuple[Path, ...]) -> None:
    if not files:
        raise UsageError("no files given", fix="name one or more model files")


def _clean_name(path: Path, out: Path, suffix: str) -> Path:
    """`female/model.npz` says its gender by its folder only, so the copy keeps the folder."""
    folder = out / path.absolute().parent.name if path.stem.lower() == "model" else out
    return folder / f"{path.stem}{suffix}"


def _would_write(paths: Iterable[Path]) -> int:
    for path in paths:
        print(f"would write {path}" + (" (exists)" if path.exists() else ""))
    return 0


def _each(pairs: Iterable[tuple[Path, Path]], action: Callable[[Path, Path], Path]) -> int:
    """Do one file after another; report those that fail, and give the exit status of the last failure."""
    status = 0
    for path, target in pairs:
        try:
            print(f"wrote {action(path, target)}")
        except VitruveError as error:
            print(f"vitruve: {path} skipped: {error}", file=sys.stderr)
            status = error.exit_code
    return status
