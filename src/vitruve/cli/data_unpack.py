"""`vitruve data unpack`: the archives of AMASS become folders, checked, several at once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vitruve.cli.options import Count, Out
from vitruve.cli.plain_table import print_table
from vitruve.errors import NotWritten

if TYPE_CHECKING:
    from vitruve.amass.unpack import UnpackReport


def unpack(
    *archives: Path,
    out: Out,
    workers: Count = 1,
    dry_run: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
) -> int:
    """Unpack archives of AMASS into one folder, and compare what came out with the release.

    Each archive is unpacked whole or not at all. What an earlier run into the same folder has done is not done again.
    The exit status is 4 where an archive failed or holds a clip that cannot be read.

    Examples: `vitruve data unpack downloads --out AMASS --workers 4`, `vitruve data unpack CMU.tar.bz2 --out AMASS`.

    Args:
        archives: .tar.bz2, .tar.gz, .tar.xz, .tar or .zip files, or folders that hold them.
        out: the folder; SMPL+H and SMPL-X releases need one each.
        workers: archives at a time.
        dry_run: say what would be done, and write nothing.
        overwrite: unpack again, and replace the folders that are there.
        quiet: show no progress and no table.
    """
    from vitruve.amass import unpack as library
    from vitruve.runs import progress_bar

    with progress_bar("unpacking", "MB", quiet or dry_run) as progress:
        report = library.unpack(archives, out, workers=workers, overwrite=overwrite, dry_run=dry_run, progress=progress)
    for row in report.failed:
        print(f"vitruve: {row.archive} skipped: {row.error}", file=sys.stderr)
    if not quiet or dry_run:
        _show(report)
        print("nothing was written" if dry_run else f"The sets are in {out}.")
    if any(isinstance(row.error, NotWritten) for row in report.failed):
        return NotWritten.exit_code
    return 4 if report.failed or any(row.bad for row in report.rows) else 0


def _show(report: UnpackReport) -> None:
    rows = []
    for row in report.rows:
        known = row.state in ("unpacked", "done before")
        counts = (f"{row.clips:,}", f"{row.frames:,}") if known else ("", "")
        rows.append((row.archive.name, row.set, row.state, ", ".join(row.folders), *counts))
    print_table(("archive", "set", "state", "folder", "clips", "frames"), rows)
    for row in report.rows:
        for note in row.notes:
            print(f"note: {row.archive.name}: {note}")
    if report.found is not None:
        for note in report.found.notes():
            print(f"note: {note}")
    there = {found.set for found in report.found.folders} if report.found else set()
    coming = {row.set for row in report.rows if row.state == "to do"}
    missing = [name for name in (report.found.missing if report.found else _all()) if name not in there | coming]
    if missing:
        print(f"{len(missing)} of the {len(_all())} sets are not there: {', '.join(missing)}")


def _all() -> tuple[str, ...]:
    from vitruve.amass.sets import SETS

    return tuple(name for name, row in SETS.items() if row.files)
