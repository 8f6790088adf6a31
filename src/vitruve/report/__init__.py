"""Pages that tell the result of a run: blocks, plots, credits, and one page for each command."""

from typing import TYPE_CHECKING

from vitruve.lazy_names import lazy_names

__all__ = ["Figure", "Heading", "Note", "Table"]

if TYPE_CHECKING:
    from vitruve.report.blocks import Figure, Heading, Note, Table

__getattr__ = lazy_names(globals(), dict.fromkeys(__all__, "vitruve.report.blocks"))
