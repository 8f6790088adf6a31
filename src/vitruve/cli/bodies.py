"""`vitruve bodies`: list, check, clean, merge and export body model files."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from cyclopts import App
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vitruve.cli.options import DryRun, Out, Overwrite
from vitruve.cli.output import print_full_width
from vitruve.errors import UsageError, VitruveError

app = App(
    name="bodies",
    help="List, check, clean, merge and export body model files.\n\n"
    "Examples: `vitruve bodies list`, `vitruve bodies check body_models/smplx/SMPLX_NEUTRAL.npz`.",
)
_COLOURS = {"ok": "green", "warning": "yellow", "error": "red"}


@app.command(name="list")
def list_bodies(*, folder: tuple[Path, ...] = ()) -> None:
    """List the bodies that were found, and the folders that were searched.

    Examples: `vitruve bodies list`, `vitruve bodies list --folder /data/body_models`.

    Args:
        folder: search here first.
    """
    from vitruve.bodies.catalogue import LICENSED, body_names, config_file, find_bodies, search_folders

    console, found = Console(), find_bodies(folder)
    table = Table("name", "file", title="Bodies", title_justify="left")
    for name in body_names():
        if name.startswith("open-"):
            table.add_row(name, "[dim]ships with Vitruve (CC0)[/]")
    for name, path in found.items():
        table.add_row(name, str(path))
    print_full_width(console, table)
    folders = Table("searched", "because of", "", title="Folders", title_justify="left")
    for path, reason in search_folders(folder).items():
        folders.add_row(str(path), reason, "" if path.is_dir() else "[dim]does not exist[/]")
    print_full_width(console, folders)
    missing = [layout for layout in LICENSED if not any(name.startswith(f"{layout}-") for name in found)]
    for layout in missing:
        print(f"No {layout} file was found. It is licensed: register at {LICENSED[layout].site}.")
    if missing:
        print(f"Put files into one of the folders, set VITRUVE_BODIES, or write bodies = [...] in {config_file()}.")


@app.command
def check(*files: Path) -> int:
    """Check model files: shapes, NaN, joint tree, skin weights, joint regressor, faces, size.

    The exit status is 4 where any file has an error; warnings do not change it.

    Examples: `vitruve bodies check SMPLX_FEMALE.npz`, `vitruve bodies check models/*/*.pkl`.

    Args:
        files: model files: .pkl, .npz or .safetensors.
    """
    from vitruve.bodies.check import check_body

    _refuse_none(files)
    console, bad = Console(), 0
    for path in files:
        findings = check_body(path)
        severities = {finding.severity for finding in findings}
        worst = next((severity for severity in ("error", "warning") if severity in severities), "ok")
        bad += worst == "error"
        console.print(f"[{_COLOURS[worst]}]{escape(str(path))}: {worst}[/]", soft_wrap=True, highlight=False)
        table = Table("", "key", "found")
        for finding in findings:
            table.add_row(f"[{_COLOURS[finding.severity]}]{finding.severity}[/]", finding.key, finding.text)
        console.print(table)
    if len(files) > 1:
        print(f"{len(files) - bad} of {len(files)} files are usable")
    return 4 if bad else 0


@app.command
def clean(
    *files: Path,
    out: Out,
    suffix: Literal[".safetensors", ".npz", ".pkl"] = ".safetensors",
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
) -> int:
    """Copy model files without chumpy or Python 2 objects: the same keys, the same numbers.

    A file that cannot be read is reported and skipped, and the exit status is that of the error.

    Examples: `vitruve bodies clean models/mano/MANO_LEFT.pkl --out clean`, `vitruve bodies clean models/smplx/*.npz
    --out clean --suffix .npz`, `vitruve bodies clean SMPL_MALE.pkl --out body_models/smpl --suffix .pkl`.

    Args:
        files: model files: .pkl, .npz or .safetensors.
        out: folder for the copies.
        suffix: format of the copies; .pkl, of plain arrays, for software that reads nothing else.
    """
    from vitruve.bodies.check import clean_body

    _refuse_none(files)
    targets = [_clean_name(path, out, suffix) for path in files]
    if len(set(targets)) < len(targets):
        double = next(target for target in targets if targets.count(target) > 1)
        raise UsageError("two files would get the same name", str(double), "clean them into different folders")
    if dry_run:
        return _would_write(targets)
    status = 0
    for path, target in zip(files, targets, strict=True):
        try:
            print(f"wrote {clean_body(path, target, overwrite)}")
        except VitruveError as error:
            print(f"vitruve: {path} skipped: {error}", file=sys.stderr)
            status = error.exit_code
    return status


@app.command
def merge(
    *,
    smplh: Path,
    mano_left: Path,
    mano_right: Path,
    out: Out,
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
) -> int:
    """Join SMPL+H with the hand pose spaces of MANO into one file, as the smplx package needs it.

    Examples: `vitruve bodies merge --smplh smplh/male/model.npz --mano-left MANO_LEFT.pkl --mano-right MANO_RIGHT.pkl
    --out smplh/SMPLH_MALE.pkl`, `vitruve bodies merge --smplh SMPLH_female.pkl --mano-left MANO_LEFT.pkl --mano-right
    MANO_RIGHT.pkl --out SMPLH_FEMALE.npz`.

    Args:
        smplh: the SMPL+H file; those of AMASS have no hand pose spaces.
        mano_left: MANO_LEFT.pkl
        mano_right: MANO_RIGHT.pkl
        out: .pkl or .npz; the smplx package looks for smplh/SMPLH_{GENDER}.pkl.
    """
    from vitruve.bodies.check import merge_hands

    if dry_run:
        return _would_write([out])
    print(f"wrote {merge_hands(smplh, mano_left, mano_right, out, overwrite)}")
    return 0


@app.command
def export(
    *,
    layout: Literal["smpl", "smplh", "smplx", "mano"],
    gender: Literal["neutral", "female", "male", "left", "right"] | None = None,
    out: Out,
    num_betas: int | None = None,
    short: bool = False,
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
) -> int:
    """Write the open body in an official file layout, for other software that reads those files.

    Examples: `vitruve bodies export --layout smplx --gender female --out body_models`, `vitruve bodies export --layout
    mano --gender left --out body_models`.

    Args:
        layout: the official layout.
        gender: which body or hand; by default all of the layout.
        out: a folder, which gets the sub-folders that the smplx package looks for.
        num_betas: how many shape columns to write; by default all of the body.
        short: SMPL-X with 10 + 10 columns (v1.0) instead of 300 + 100 (v1.1).
    """
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
    for path in dict.fromkeys(written):  # files of several genders share one licence file
        print(f"wrote {path}")
    print("These files hold Vitruve's open body (CC0), not SMPL.")
    return 0


def _refuse_none(files: tuple[Path, ...]) -> None:
    if not files:
        raise UsageError("no files given", fix="name one or more model files")


def _clean_name(path: Path, out: Path, suffix: str) -> Path:
    """The path of the copy, with the folder of a `female/model.npz`, which alone tells the gender."""
    folder = out / path.absolute().parent.name if path.stem.lower() == "model" else out
    return folder / f"{path.stem}{suffix}"


def _would_write(paths: Iterable[Path]) -> int:
    for path in paths:
        print(f"would write {path}" + (" (exists)" if path.exists() else ""))
    return 0
