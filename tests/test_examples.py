"""The scripts in examples/ run, and a page of the docs leads to each."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from tests.material import shared_data

ROOT = Path(__file__).parents[1]
EXAMPLES = {path.name: path for path in sorted((ROOT / "examples").glob("*.py"))}
# What a script leaves behind; those without an entry only print.
LEAVES = {
    "convert_clip.py": "walk_smplx.npz",
    "draw_picture.py": "walk.png",
    "prepare_store.py": "motions",
    "retarget_bvh.py": "take_smplx.npz",
    "train_prior.py": "prior",
    "write_glb.py": "walk.glb",
}


def run(name: str, monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", [name, *words])
    runpy.run_path(str(EXAMPLES[name]), run_name="__main__")


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    words = []
    if name == "retarget_bvh.py":
        words = [str(min(shared_data("bandai-namco-2").glob("*_walk_normal_*.bvh")))]
    if name == "train_prior.py":
        run("prepare_store.py", monkeypatch)
        words = ["motions"]
    run(name, monkeypatch, *words)
    left = LEAVES.get(name)
    assert (tmp_path / left).exists() if left else capsys.readouterr().out


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_short_and_a_page_leads_to_it(name: str):
    assert 5 <= len(EXAMPLES[name].read_text(encoding="utf-8").splitlines()) <= 40
    pages = [
        page.name for page in ROOT.glob("docs/*.md") if f"](../examples/{name})" in page.read_text(encoding="utf-8")
    ]
    assert pages, f"no page of docs/ links to examples/{name}"
