"""What the licences of data allow for a network trained on them."""

from __future__ import annotations

from collections.abc import Sequence

from vitruve.data.show import is_non_commercial


def may_be_used_commercially(licences: Sequence[str]) -> str:
    """ "yes", "no", or "unknown" where the licence of some data is not known and none of the others forbids it."""
    stated = [licence for licence in licences if licence.strip()]
    if any(is_non_commercial(licence) for licence in stated):
        return "no"
    return "yes" if stated and len(stated) == len(licences) else "unknown"
