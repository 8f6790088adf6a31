"""The Python on the page docs/bodies.md runs, and the numbers in its comments are right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "bodies.md"


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    names: dict = {}
    for block in blocks:
        exec(block, names)
    assert len(blocks) >= 4
    assert names["joints"].shape == (30, 55, 3) and names["vertices"].shape == (30, 10475, 3)
    assert names["points"].shape == (30, 127, 3) and names["regressor"].shape[0] == 72
    assert names["paths"][0] == Path("body_models/smplx/SMPLX_NEUTRAL.npz")
