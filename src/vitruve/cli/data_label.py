"""`vitruve data label`: styles, actions and texts for the clips of a store."""

from __future__ import annotations

import sys
from pathlib import Path

_SHOWN = 10


def label(store: Path, *, by: str, overwrite: bool = False, dry_run: bool = False, quiet: bool = False) -> None:
    """Label the clips of a store, or parts of them: style, action, text. Labels are kept beside its frames.

    What the store has already stays, and the same label stands once, so the same call twice changes nothing.

    Examples: `vitruve data label motions --by labels.csv`, `vitruve data label motions --by bandai-namco`.

    Args:
        store: of `vitruve data prepare`.
        by: a .csv, .json or .jsonl file with clip, start, end (seconds) and a column for each kind of label; BABEL's
            .json; or bandai-namco or 100style, whose file names tell.
        overwrite: remove the labels that the store has.
        dry_run: show the table, and write nothing.
        quiet: show no table.
    """
    from vitruve.cli.plain_table import print_table
    from vitruve.data import open_store
    from vitruve.data.labels import add_labels, find_labels, label_figures, read_labels
    from vitruve.report.data_page import LABEL_HEADER, label_rows
    from vitruve.words import counted

    opened = open_store(store)
    labels, unknown = find_labels(opened, by)
    if unknown:
        names = ", ".join(unknown[:3]) + (", ..." if len(unknown) > 3 else "")
        print(f"vitruve: no clip of the store for {counted(len(unknown), 'label')}: {names}", file=sys.stderr)
    if not quiet:
        print_table(LABEL_HEADER, label_rows(label_figures(opened, labels)))
    if dry_run:
        print("nothing was written")
        return
    before = 0 if overwrite else len(read_labels(opened))
    now = add_labels(opened, labels, overwrite)
    if not quiet:
        print(f"{counted(now - before, 'label')} added; the store has {now:,}")
