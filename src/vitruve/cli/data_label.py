"""`vitruve data label`: styles, actions and texts for the clips of a store."""

from __future__ import annotations

import sys

from vitruve.cli.options import DryRun, Quiet, StorePath


def label(store: StorePath, *, by: str, overwrite: bool = False, dry_run: DryRun = False, quiet: Quiet = False) -> None:
    """Label the clips of a store, or parts of them: style, action, text. Labels are stored beside its frames.

    Existing labels stay, and none is stored twice, so running the same command again changes nothing.

    Examples: `vitruve data label motions --by labels.csv`, `vitruve data label motions --by bandai-namco`.

    Args:
        by: a .csv, .json or .jsonl file with clip, start, end (seconds) and a column for each kind of label; BABEL's
            .json; or bandai-namco or 100style, for labels from file names.
        overwrite: remove the labels that the store has.
    """
    from vitruve.cli.output import print_table
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
