"""The examples of docs/fit.md run, one after the other, as they stand."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "fit.md"


def test_the_examples_run(capsys):
    text = PAGE.read_text(encoding="utf-8")
    names: dict[str, object] = {}
    blocks = list(re.finditer(r"```python\n(.*?)```", text, re.DOTALL))
    assert len(blocks) == 2
    for block in blocks:
        # Empty lines before the block, so that an error names the line of the page.
        lines_before = text.count("\n", 0, block.start(1))
        exec(compile("\n" * lines_before + block[1], str(PAGE), "exec"), names)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("0.0") and first.endswith(f"betas {[1.0] * 10}, failed 0")
    assert float(second.split()[0]) < 1e-3
