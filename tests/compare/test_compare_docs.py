"""docs/compare.md names every option, every alignment and every figure, and nothing that is not there."""

import inspect
import re
from pathlib import Path

from tests.material import small_body, small_motion
from vitruve import metrics
from vitruve.cli.compare import compare
from vitruve.compare import ALIGNMENTS, compare_motions

PAGE = (Path(__file__).parents[2] / "docs" / "compare.md").read_text(encoding="utf-8")


def test_every_option_stands_in_the_page():
    names = {name.replace("_", "-") for name in inspect.signature(compare).parameters} - {"first", "second", "as-json"}
    said = set(re.findall(r"--([a-z][a-z-]+)", PAGE)) - {"json"}
    assert said == names


def test_every_alignment_stands_in_the_page():
    assert all(f"| `{name}` |" in PAGE for name in ALIGNMENTS)


def test_every_figure_stands_in_the_page():
    figures = compare_motions(small_motion(), small_motion(seed=1), small_body("smplh"), small_body("smplh")).figures
    described = [key for key, value in figures.items() if isinstance(value, dict)] + list(figures["first"])
    missing = [key for key in described if f"`{key}`" not in PAGE and key not in ("name", "kind", "body", "height_m")]
    assert missing == []


def test_every_score_stands_in_the_page():
    scores = [name for name in metrics.__all__ if name[0].islower()]
    assert [name for name in scores if f"`{name}`" not in PAGE] == []
