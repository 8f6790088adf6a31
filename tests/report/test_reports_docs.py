"""The page docs/reports.md: its Python leaves the folder it speaks of, and its tables name what there is."""

import os
import re
from pathlib import Path
from typing import get_args

from tests.report.test_blocks import Checker
from vitruve.report import blocks

PAGE = Path(__file__).parents[2] / "docs" / "reports.md"


def test_its_python_leaves_a_run_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    exec(compile(code, str(PAGE), "exec"), {})
    assert sorted(os.listdir("head-height")) == ["report.html", "results.json", "run.toml"]
    checked = Checker(Path("head-height/report.html").read_text())
    assert checked.tags.count("svg") == 2 * 2 and "Licences and citations" in checked.texts


def test_its_table_names_every_block():
    named = set(re.findall(r"^\| `(\w+)\(", PAGE.read_text(), re.MULTILINE))
    names = {getattr(kind, "__name__", None) or kind.__forward_arg__ for kind in get_args(blocks.Block)}
    assert named == names
