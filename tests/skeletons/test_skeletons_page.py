"""The page docs/skeletons.md: its Python runs, and its table lists the skeletons that ship."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import pytest

from vitruve.skeletons import load_skeleton, skeleton_names

PAGE = Path(__file__).parents[2] / "docs" / "skeletons.md"


def table() -> str:
    """The listing, made from the files."""
    lines = ["| name | what it is | points | lines | pairs | root | tree |", "|---|---|---|---|---|---|---|"]
    for name in skeleton_names():
        skeleton = load_skeleton(name)
        file = resources.files("vitruve.skeletons") / "data" / f"{name}.toml"
        title = file.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        roots = [skeleton.names[i] for i in skeleton.root]
        root = roots[0] if len(roots) == 1 else f"middle of {' and '.join(roots)}"
        counts = f"{len(skeleton)} | {len(skeleton.edges)} | {len(skeleton.pairs)}"
        lines.append(f"| `{name}` | {title} | {counts} | {root} | {'yes' if skeleton.parents else ''} |")
    return "\n".join(lines)


def test_the_table_lists_the_skeletons_that_ship():
    found = PAGE.read_text(encoding="utf-8").split("<!-- table -->\n")[1].split("\n<!-- end of table -->")[0]
    assert found == table(), "put this between the two comments:\n" + table()


def test_the_examples_run_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    blocks = re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    monkeypatch.chdir(tmp_path)
    values: dict[str, object] = {}
    for language, text in blocks:
        if language == "toml":
            (tmp_path / "forklift_driver.toml").write_text(text, encoding="utf-8")
        else:
            exec(text, values)
    assert values["wrist"] == 20
    assert values["parent"] == "left_elbow"
    assert values["driver"].name == "forklift_driver"  # type: ignore[attr-defined]
    assert len(values["hand"]) == 16  # type: ignore[arg-type]
