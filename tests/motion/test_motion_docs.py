"""The examples of docs/motion.md run, one after the other, as they stand."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "motion.md"


def test_the_examples_run(capsys):
    text = PAGE.read_text(encoding="utf-8")
    blocks = list(re.finditer(r"```python\n(.*?)```", text, re.DOTALL))
    assert len(blocks) >= 4
    names: dict[str, object] = {}
    for block in blocks:
        # Empty lines before the block, so that an error names the line of the page.
        lines_before = text.count("\n", 0, block.start(1))
        exec(compile("\n" * lines_before + block[1], str(PAGE), "exec"), names)
    assert "filled 3 invalid frames" in capsys.readouterr().out
