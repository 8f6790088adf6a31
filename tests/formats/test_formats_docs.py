"""The examples of docs/formats.md run, and its table is the table of formats."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.formats.files import amass_smplh, amass_smplx, transfer_frame, write_npz, write_pickle
from vitruve.formats import FORMATS

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_example(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_npz(tmp_path / "walk_poses.npz", amass_smplh(90))
    write_npz(tmp_path / "walk_stageii.npz", amass_smplx(90))
    write_pickle(tmp_path / "frames" / "0.pkl", transfer_frame())
    monkeypatch.chdir(tmp_path)
    exec(compile(EXAMPLES[number], f"example {number}", "exec"), {})


def test_the_table_of_the_page_is_that_of_the_code() -> None:
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| [^|]+ \| [^|]+ \| ([^|]+) \|", PAGE, flags=re.MULTILINE))
    assert rows.keys() == FORMATS.keys()
    for name, written in rows.items():
        assert (written == "yes") == bool(FORMATS[name].write), name
