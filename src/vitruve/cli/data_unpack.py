"""`vitruve data unpack`: the archives of AMASS, several at once, checked."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vitruve.cli.options import Count, DryRun, Out, Quiet
from vitruve.cli.output import print_table
from vitruve.errors import NotWritten

if TYPE_CHECKING:
    from vitruve.amass.unpack import UnpackReport


def unpack(
    *archives: Path,
    out: Out,
    workers: Count = 1,
    dry_run: DryRun = False,
    overwrite: bool = False,
    quiet: Quiet = False,
) -> int:
    """Unpack archives of AMASS into one folder, and compare the content with the release.

    Each archive is unpacked completely or not at all. A run into the same folder keeps what an earlier one has done.
    The exit status is 4 where an archive failed or holds a clip that cannot be read.

    Examples: `vitruve data unpack downloads --out AMASS --workers 4`, `vitruve data unpack CMU.tar.bz2 --out AMASS`.

    Args:
        archives: .tar.bz2, .tar.gz, .tar.xz, .tar or .zip files, or folders of them.
        out: the folder; SMPL+H and SMPL-X releases need one each.
        workers: archives at a time.
        overwrite: unpack again, and replace existing folders.
    """
    from vitruve.amass import unpack as library
    from vitruve.runs import progress_bar

    with progress_bar("unpacking", "MB", quiet or dry_run) as progress:
        report = library.unpack(archives, out, workers=workers, overwrite=overwrite, dry_run=dry_run, progress=progress)
    for row in report.failed:
        print(f"vitruve: {row.archive} skipped: {row.error}", file=sys.stderr)
    if not quiet or dry_run:
        _print_report(report)
        print("nothing was written" if dry_run else f"The sets are in {out}.")
    if any(isinstance(row.error, NotWritten) for row in report.failed):
        return NotWritten.exit_code
    return 4 if report.failed or any(row.bad for row in report.rows) else 0


def _print_report(report: UnpackReport) -> None:
    from vitruve.amass.sets import SETS

    rows = []
    for row in report.rows:
        known = row.state in ("unpacked", "done before")
        counts = (f"{row.clips:,}", f"{row.frames:,}") if known else ("", "")
        rows.append((row.archive.name, row.set, row.state, ", ".join(row.folders), *counts))
    print_table(("archive", "set", "state", "folder", "clips", "frames"), rows)
    for row in report.rows:
        for note in row.notes:
            print(f"note: {row.archive.name}: {note}")
    found, present = report.found, {row.set for row in report.rows if row.state == "to do"}
    released = [name for name, row in SETS.items() if row.files]
    if found is not None:
        for note in found.notes():
            print(f"note: {note}")
        present |= {each.set for each in found.folders}
    missing = [name for name in (found.missing if found else released) if name not in present]
    if missing:
        print(f"{len(missing)} of the {len(released)} sets are missing: {', '.join(missing)}")
