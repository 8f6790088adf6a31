"""Pictures without a display, and pages made of them."""

from vitruve.view.page import Figure, Heading, Note, Table, page
from vitruve.view.pictures import picture, save_picture, strip

__all__ = ["Figure", "Heading", "Note", "Table", "page", "picture", "save_picture", "strip"]
