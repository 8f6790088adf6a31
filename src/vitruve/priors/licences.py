"""What the licences of data allow for a network trained on them."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Words by which a licence says that it does not allow commercial use.
_NOT_COMMERCIAL = re.compile(r"non.?commercial|\bnc\b|[-_ ]nc[-_ ]|research (use|purpose)|not for commercial", re.I)


def may_be_used_commercially(licences: Sequence[str]) -> str:
    """ "yes", "no", or "unknown" where the licence of some data is not known."""
    if any(_NOT_COMMERCIAL.search(licence) for licence in licences):
        return "no"
    return "yes" if licences and all(licence.strip() for licence in licences) else "unknown"
