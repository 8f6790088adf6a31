"""The README tells the truth: its commands and its Python run, in order, beside files like those it names, and print
what it says they print."""

from __future__ import annotations

import glob
import re
import shlex
from pathlib import Path

import pytest

import vitruve
from tests.command import run_command
from vitruve.motion.clips import bundled_clip_path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
    return [text for name, text in fenced if name == language]


def run(line: str) -> None:
    words = shlex.split(line, comments=True)
    if words[1] == "view":  # it would serve its page until it is stopped
        words += ["--no-open", "--seconds", "1"]
    if "--minutes" in words:  # enough to see that it runs, too little to learn
        words[words.index("--minutes") + 1] = "0.1"
    arguments = [path for word in words[1:] for path in (sorted(glob.glob(word)) if "*" in word else [word])]
    assert run_command(*arguments) == 0, line


@pytest.fixture
def files_named(tmp_path, monkeypatch):
    """A folder with the files that the README talks about, written by the package itself."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    clip = vitruve.load_motion(bundled_clip_path())
    clip[:60].save("walk_poses.npz")
    vitruve.save_motion(clip[:40], "take.bvh", body=vitruve.load_body("open-smplh-neutral"))
    Path("cmu-asfamc").mkdir()
    for i in range(0, 600, 10):
        clip[i : i + 10].save(f"cmu-asfamc/take_{i:03d}_poses.npz")


def test_its_commands_run(files_named, capsys):
    lines = [line for line in "\n".join(blocks("")).splitlines() if line.startswith(("vitruve ", "  "))]
    assert sum(line.startswith("vitruve ") for line in lines) >= 6
    printed = ""
    for line in lines:
        if line.startswith("vitruve "):
            run(line)
            printed = capsys.readouterr().out
        else:  # a result: the number is of another clip, what it is called must be there
            assert re.split(r"\s{2,}", line.strip())[0] in printed, line


def test_conversion_and_comparison_of_one_pair_say_the_same():
    """Both are measured by one rule (tests/compare holds that they agree), so the two examples must not differ."""
    converted = [
        re.search(rf"{what} +([\d.]+) mm", README) for what in ("mean error", "95th percentile", "largest error")
    ]
    compared = re.search(r"surfaces apart +([\d.]+) mm on average, 95 % below ([\d.]+), at most ([\d.]+)", README)
    assert compared is not None and all(converted)
    assert compared.groups() == tuple(found[1] for found in converted if found)


def test_its_python_runs(files_named):
    namespace: dict[str, object] = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), namespace)
    assert Path("walk_30.npz").is_file()


def test_its_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target
