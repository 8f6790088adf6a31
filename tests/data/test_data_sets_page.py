"""The page docs/data-sets.md: its tables are those of the package, and its Python runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vitruve.amass.published_splits import named_split, split_names
from vitruve.amass.sets import SETS

PAGE = Path(__file__).parents[2] / "docs" / "data-sets.md"


def sets_table() -> str:
    head = ["name", "SMPL+H folder", "SMPL-X folder", "archive also", "clips", "frames", "clips, SMPL-X", "VPoser"]
    lines = [f"| {' | '.join(head)} |", "|---|---|---|---|---|---|---|---|"]
    known = [row for row in SETS.values() if row.files]
    for row in known:
        counts = [f"{n:,}" if n else "" for n in (row.files, row.frames, row.files_smplx, row.vposer_frames)]
        cells = [f"`{row.name}`", row.smplh, row.smplx, ", ".join(row.archives), *counts]
        lines.append(f"| {' | '.join(cells)} |")
    totals = [
        sum(getattr(row, key) or 0 for row in known) for key in ("files", "frames", "files_smplx", "vposer_frames")
    ]
    lines.append(f"| all | | | | {' | '.join(f'{n:,}' for n in totals)} |")
    return "\n".join(lines)


def splits_table() -> str:
    lines = ["| name | train | val | test | source; what is inferred; note |", "|---|---|---|---|---|"]
    for name in split_names():
        split = named_split(name)
        cells = []
        for part in ("train", "val", "test"):
            content = (split.contents or {}).get(part)
            ranges = [f"{each.set} {each.first} to {each.last}" for each in content.subjects] if content else []
            cells.append(", ".join([*(content.sets if content else ()), *ranges]))
        told = [split.source, f"**inferred:** {split.inferred}" if split.inferred else "", split.note]
        if split.fps:
            told.append(f"{split.fps:g} frames per second, clips of {split.min_seconds:g} s and more")
        lines.append(f"| `{name}` | {' | '.join(cells)} | {'; '.join(filter(None, told))} |")
    return "\n".join(lines)


@pytest.mark.parametrize("name, table", [("sets", sets_table), ("splits", splits_table)])
def test_the_tables_are_those_of_the_package(name: str, table):
    found = PAGE.read_text(encoding="utf-8").split(f"<!-- {name} -->\n")[1].split(f"<!-- end of {name} -->")[0]
    assert found.rstrip("\n") == table(), f"put this between the two comments:\n{table()}"


def test_the_examples_run_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    values: dict[str, object] = {}
    for text in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S):
        exec(text, values)
    assert (values["name"], values["nothing"], values["meant"]) == ("BMLrub", None, "BMLrub")
    assert values["lacking"] == {"train": ("BMLrub",), "val": ("BMLrub",), "test": ("BMLrub",)}


def test_the_options_are_those_of_the_command():
    import inspect

    from vitruve.cli.data_poses import poses

    named = set(re.findall(r"^\| `--([a-z-]+)", PAGE.read_text(encoding="utf-8"), re.M))
    assert {name.replace("-", "_") for name in named} <= set(inspect.signature(poses).parameters)
