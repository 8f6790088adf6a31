"""The command line as a user calls it, in this process."""

from __future__ import annotations

import pytest

from vitruve.cli import main


def run_command(*arguments: object) -> int:
    """Run `vitruve ARGUMENTS` and give its exit status."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    code = ended.value.code
    return code if isinstance(code, int) else int(code is not None)
