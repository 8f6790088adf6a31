"""Pictures without a display, a page in the browser, and reports."""

from typing import TYPE_CHECKING

from vitruve.lazy_names import lazy_names

__all__ = ["Figure", "Heading", "Note", "Table", "picture", "save_picture", "strip"]

if TYPE_CHECKING:
    from vitruve.view.page import Figure, Heading, Note, Table
    from vitruve.view.pictures import picture, save_picture, strip

_BLOCKS = ("Figure", "Heading", "Note", "Table")
# The viewer's server must start before torch has loaded.
__getattr__ = lazy_names(
    globals(), {name: "vitruve.view.page" if name in _BLOCKS else "vitruve.view.pictures" for name in __all__}
)
