"""The pages of the documentation keep up with the code: links lead somewhere, each page is in the index, commands are
taken by the command line, every option is explained, and the Python of the pages that no other test runs works."""

from __future__ import annotations

import json
import pkgutil
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from cyclopts import App

import vitruve
from tests.material import shared_data
from vitruve.bodies.export import export_body
from vitruve.cli import _VERBS, build_app
from vitruve.data.prepare import prepare
from vitruve.formats.readers.mesh_sequence import write_mesh_sequence
from vitruve.motion import bundled_clip_path

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("docs/*.md")), *(ROOT / f"{name}.md" for name in ("README", "ARCHITECTURE", "CONTRIBUTING"))]
# Their help is enough.
PLAIN = {"--help", "--version", "--count", "--samples", "--steps", "--batch", "--device"}
# Options of other programs that pages speak of.
FOREIGN = {"--python-expr", "--nthreads", "--no-save", "--debug"}
# The pages whose Python no other test runs, and what is shortened in them.
PYTHON = {
    "convert.md": {},
    "convert-inputs.md": {},
    "correspondence.md": {"smplh-female": "smplh-neutral", "smplx-male": "smplx-neutral"},
    "retarget.md": {},
    "compare.md": {},
    "smplx.md": {},
    "demo.md": {"frames=10": "frames=2"},
    "training.md": {"steps=200": "steps=20", "validate_steps=50": "validate_steps=10"},
    "data.md": {"workers=8": "workers=1"},
    "windows.md": {},
    "render.md": {'"0:100"': '"0:4"', "strip(scene, 16)": "strip(scene, 2)", "frame(scene, 30)": "frame(scene, 3)"},
    "view.md": {"go_to(120)": "go_to(20)", "wait()": "wait(0.1)"},
}


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", text_of(page), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def commands() -> list[tuple[str, str]]:
    """Every line of a code block that calls the command: (page, line), continued lines joined."""
    found = []
    for page in PAGES:
        for block in re.findall(r"^```(?:console)?\n(.*?)^```", text_of(page), re.M | re.S):
            lines = block.replace("\\\n", " ").splitlines()
            found += [
                (page.name, line.removeprefix("$ ")) for line in lines if line.removeprefix("$ ")[:8] == "vitruve "
            ]
    return found


def leaves(app: App, name: str) -> list[tuple[str, App]]:
    """The verbs with their own verbs: (what is typed, app)."""
    inner = [each for each in app if not each.startswith("-")]
    return [leaf for each in inner for leaf in leaves(app[each], f"{name} {each}".strip())] or [(name, app)]


@pytest.fixture(scope="module")
def options() -> dict[str, set[str]]:
    """Of each verb, the long names of its options."""
    found = {}
    for verb in _VERBS:
        for name, app in leaves(build_app(verb)[verb], verb):
            arguments = app.assemble_argument_collection()
            found[name] = {each for argument in arguments for each in argument.names if each.startswith("--")}
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path) if path else page
        assert there.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(there), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_of_files_and_modules_are_right(page: Path):
    files = re.findall(r"(?<![\w/])(?:bench|tests|scripts|src/vitruve)/[\w/]+\.\w+", text_of(page))
    assert [file for file in files if not (ROOT / file).exists()] == []
    for name in re.findall(r"`(vitruve(?:\.\w+)+)", text_of(page)):
        pkgutil.resolve_name(name)


def test_the_index_lists_every_page():
    listed = set(re.findall(r"\]\((\w[\w-]*\.md)\)", text_of(ROOT / "docs" / "README.md")))
    assert {page.name for page in ROOT.glob("docs/*.md")} - {"README.md"} == {
        name for name in listed if name[0].islower()
    }


@pytest.mark.parametrize(("page", "line"), commands())
def test_commands_are_taken(page: str, line: str):
    words = [word for word in shlex.split(line, comments=True) if word != "..."]
    command, _, _ = build_app(words[1]).parse_args(words[1:], print_error=False, exit_on_error=False)
    assert command is not None


def test_every_option_is_explained(options):
    said = {name for page in PAGES for name in re.findall(r"--[a-z][a-z-]+", text_of(page))}
    said |= {name.replace("--no-", "--") for name in said}
    missing = {
        f"{verb} {name}"
        for verb, names in options.items()
        for name in names - PLAIN - said
        if not name.startswith(("--no-", "--empty-"))
    }
    # What is given without its name needs no page.
    unnamed = re.compile(r"--(store|prior|file|path|motion|annotations)$")
    assert sorted(each for each in missing if not unnamed.search(each)) == []


def test_every_option_that_pages_name_is_there(options):
    known = set().union(*options.values()) | PLAIN | FOREIGN | {"--debug"}
    for page in PAGES:
        for line in text_of(page).splitlines():
            if "vitruve" not in line and re.search(r"\b(python|pip|npm|pytest|apt|accelerate)\b", line):
                continue  # of another program
            assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", line)) <= known, f"{page.name}: {line}"


@pytest.mark.parametrize("page", PYTHON)
def test_the_python_of_a_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    write_files_of(page)
    text, names = text_of(ROOT / "docs" / page), {}
    for told, shorter in PYTHON[page].items():
        assert told in text, f"{page} has no {told} any more"
        text = text.replace(told, shorter)
    for block in re.finditer(r"```python\n(.*?)```", text, re.S):
        # Empty lines before the block, so that an error names the line of the page.
        exec(compile("\n" * text.count("\n", 0, block.start(1)) + block[1], page, "exec"), names)


def write_files_of(page: str) -> None:
    """The files that a page speaks of, short ones."""
    clip, body = vitruve.load_motion(bundled_clip_path())[100:130], vitruve.load_body("open-smplh-neutral")
    if page in ("retarget.md", "data.md"):
        names = sorted(shared_data("bandai-namco-2").glob("*_walk_normal_*.bvh"))[:2]
        for path, name in zip(names, ("walk.bvh", "run.bvh")):
            shutil.copy(path, name)
    if page == "convert-inputs.md":
        write_mesh_sequence(clip[:4].vertices(body), body.faces, "walk_meshes")
        poses = np.load(bundled_clip_path())["poses"][:3]
        np.savez("poses.npz", ids=["a", "b", "c"], poses=poses)
    if page == "data.md":
        Path("bandai-namco-2").mkdir()
        shutil.move("walk.bvh", "bandai-namco-2/dataset-2_walk_normal_001.bvh")
        Path("AMASS/CMU/01").mkdir(parents=True)
        vitruve.load_motion(bundled_clip_path())[:120].save("AMASS/CMU/01/01_01_poses.npz")
        Path("split.json").write_text(json.dumps({"parts": {"train": ["CMU/01/01_01"], "val": []}}))
    if page == "smplx.md":
        pytest.importorskip("smplx", reason="the page is about the smplx package: pip install 'vitruve[dev]'")
        export_body(vitruve.load_body("open-smplx-neutral"), "body_models")
    if page == "windows.md":
        walk = vitruve.load_motion(bundled_clip_path()).replace(body="open-smplh")
        walk.save("recordings/someone/walk.safetensors")
        prepare(["recordings"], "motions")
        Path("labels.csv").write_text("clip,start,end,style,action\nrecordings/*,,,calm,\nrecordings/*,3,9,,walk\n")
        Path("split.json").write_text(json.dumps({"parts": {"train": ["recordings/someone/walk"]}}))
    if page in ("compare.md", "view.md", "render.md", "smplx.md"):
        clip.save("walk_poses.npz")
        vitruve.convert_motion(clip, "open-smplx", source="open-smplh").motion.save("walk_smplx.npz")
