"""The table of formats: recognition by content, writing without harm, and a round trip for every row."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.formats.files import amass_smplh, amass_smplx, assert_tells, transfer_frame, turning, write_npz, write_pickle
from tests.material import LAYOUT_SKELETONS, small_motion
from vitruve.errors import NotWritten, UsageError
from vitruve.formats import FORMATS, load_motion, save_motion
from vitruve.formats.glimpse import glimpse
from vitruve.geometry.rotations import geodesic_distance
from vitruve.motion import Motion
from vitruve.skeletons import Skeleton

PATHS = {"/": "frames", ".npz": "a.npz", ".pkl": "a.pkl", ".safetensors": "a.safetensors", ".bvh": "a.bvh"}
WRITABLE = [
    (name, layout)
    for name, row in FORMATS.items()
    for layout, skeleton in LAYOUT_SKELETONS.items()
    if row.write and layout != "mano" and (not row.skeletons or skeleton in row.skeletons)
]


def on_tree(motion: Motion) -> Motion:
    """The motion on a skeleton with rest positions, which a format without a body needs."""
    rest = torch.randn(len(motion.skeleton), 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    skeleton = Skeleton(**{**vars(motion.skeleton), "rest": rest})
    return Motion(motion.rotations, motion.translation, motion.fps, skeleton)


@pytest.mark.parametrize(("name", "layout"), WRITABLE)
def test_write_then_read_is_the_identity(name, layout, tmp_path: Path) -> None:
    row = FORMATS[name]
    motion = small_motion(layout)
    motion = on_tree(motion) if name == "bvh" else motion
    path = save_motion(motion, tmp_path / PATHS[row.endings[0]], format=name)
    options = {"bvh": {"unit": "cm"}, "transfer": {"fps": 30}, "transfer-merged": {"fps": 30}}.get(name, {})
    again = load_motion(path, **options)
    assert again.skeleton.names == motion.skeleton.names
    assert again.fps == pytest.approx(motion.fps) and again.dtype == torch.float64
    limit = 1e-12 if name != "bvh" else 1e-6  # BVH is text with a limited number of digits
    assert geodesic_distance(again.rotations, motion.rotations).max() < limit
    assert (again.translation - motion.translation).abs().max() < limit


def test_every_row_is_complete_and_its_functions_exist() -> None:
    import importlib

    for name, row in FORMATS.items():
        assert re.fullmatch(r"[a-z-]+", name) and row.line and row.endings
        for target in filter(None, (row.read, row.write)):
            module, function = target.split(":")
            assert callable(getattr(importlib.import_module(module), function))


def test_the_table_is_light() -> None:
    code = "import sys, vitruve.formats; assert not {'torch', 'numpy', 'safetensors'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("ending", [".npz", ".dat", ""])
def test_content_counts_not_the_ending(ending, tmp_path: Path) -> None:
    with open(tmp_path / f"clip{ending}", "wb") as file:
        np.savez(file, **amass_smplh())
    assert load_motion(tmp_path / f"clip{ending}").source.format == "amass-smplh"
    shutil.copy(save_motion(small_motion("smplx"), tmp_path / "own.safetensors"), tmp_path / f"own{ending}")
    assert load_motion(tmp_path / f"own{ending}").body == "smplx"


def test_each_file_is_recognised(tmp_path: Path) -> None:
    files = {
        "amass-smplh": write_npz(tmp_path / "h.npz", amass_smplh()),
        "amass-smplx": write_npz(tmp_path / "x.npz", amass_smplx()),
        "smpl-npz": write_npz(tmp_path / "s.npz", amass_smplh(poses=turning(20, 24))),
        "transfer": write_pickle(tmp_path / "frames" / "0.pkl", transfer_frame()).parent,
        "transfer-merged": write_pickle(tmp_path / "merged.pkl", transfer_frame()),
        "vitruve": save_motion(small_motion(), tmp_path / "a.safetensors"),
        "bvh": save_motion(on_tree(small_motion()), tmp_path / "a.bvh"),
    }
    (tmp_path / "a.amc").write_text("# a comment\n:FULLY-SPECIFIED\n:DEGREES\n1\nroot 0 0 0 0 0 0\n")
    files["asf-amc"] = tmp_path / "a.amc"
    (tmp_path / "meshes").mkdir()
    (tmp_path / "meshes" / "0.obj").write_text("v 0 0 0\n")
    files["mesh-sequence"] = tmp_path / "meshes"
    assert files.keys() == FORMATS.keys()
    for name, path in files.items():
        assert [other for other, row in FORMATS.items() if row.sniff(glimpse(path))] == [name]


@pytest.mark.parametrize(("layout", "name"), [("smpl", "smpl-npz"), ("smplh", "amass-smplh"), ("smplx", "amass-smplx")])
def test_npz_is_written_for_the_skeleton_of_the_motion(layout, name, tmp_path: Path) -> None:
    path = save_motion(small_motion(layout), tmp_path / "a.npz")
    assert load_motion(path).source.format == name


def test_the_motion_saves_itself(tmp_path: Path) -> None:
    path = small_motion().save(str(tmp_path / "new" / "folder" / "a.npz"))
    assert path.is_file() and [file.name for file in path.parent.iterdir()] == ["a.npz"]


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    motion = small_motion()
    path = save_motion(motion, tmp_path / "a.npz")
    before = path.read_bytes()
    with pytest.raises(UsageError) as error:
        save_motion(motion[:3], path)
    assert_tells(error, "exists already")
    assert path.read_bytes() == before
    save_motion(motion[:3], path, overwrite=True)
    assert len(load_motion(path)) == 3


def test_a_folder_is_replaced_only_if_it_holds_frames_alone(tmp_path: Path) -> None:
    motion, folder = small_motion(), tmp_path / "frames"
    save_motion(motion, folder, format="transfer")
    with pytest.raises(UsageError, match="exists already"):
        save_motion(motion[:3], folder, format="transfer")
    save_motion(motion[:3], folder, format="transfer", overwrite=True)
    assert len(list(folder.iterdir())) == 3
    (folder / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError) as error:
        save_motion(motion, folder, format="transfer", overwrite=True)
    assert_tells(error, "other files", "thesis.tex")
    assert (folder / "thesis.tex").exists()
    empty = tmp_path / "empty"
    empty.mkdir()
    save_motion(motion, empty, format="transfer")


def test_a_failed_write_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_motion(small_motion(), tmp_path / "a.npz")
    before = path.read_bytes()

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", full)
    with pytest.raises(NotWritten) as error:
        save_motion(small_motion(), path, overwrite=True)
    assert_tells(error, "cannot be written", "no space left")
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["a.npz"]


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError) as error:
        save_motion(small_motion(), tmp_path / "file" / "a.npz")
    assert_tells(error, "cannot be written")
    with pytest.raises(UsageError) as error:
        save_motion(small_motion(), tmp_path, format="amass-smplh")
    assert_tells(error, "is a folder")


def test_wrong_wishes_are_usage_errors(tmp_path: Path) -> None:
    motion, path = small_motion(), write_npz(tmp_path / "a.npz", amass_smplh())
    stretching = motion.replace(offsets=torch.zeros(12, 52, 3, dtype=torch.float64))
    for call, words in [
        (lambda: save_motion(motion, tmp_path / "a.xyz"), ".npz"),
        (lambda: save_motion(motion, tmp_path / "a"), "no format"),
        (lambda: save_motion(motion, tmp_path / "b.npz", format="amass-smplx"), "smplx55, not smplh52"),
        (lambda: save_motion(motion, tmp_path / "b.npz", format="amas-smplh"), "did you mean 'amass-smplh'"),
        (lambda: save_motion(motion, tmp_path / "b.amc", format="asf-amc"), "cannot be written"),
        (lambda: save_motion(on_tree(motion), tmp_path / "b.bvh", unitt="m"), "did you mean 'unit'"),
        (lambda: save_motion(stretching, tmp_path / "b.npz"), "change length"),
        (lambda: load_motion(path, format="amass"), "amass-smplh"),
        (lambda: load_motion(path, speed=3), "'speed' is not an option"),
    ]:
        with pytest.raises(UsageError, match=re.escape(words)):
            call()
    assert os.listdir(tmp_path) == ["a.npz"]


def test_options_reach_reader_and_writer(tmp_path: Path) -> None:
    motion = on_tree(small_motion())
    path = save_motion(motion, tmp_path / "a.bvh", unit="m", up="z")
    again = load_motion(path, unit="m", up="z", dtype=torch.float32)
    assert again.dtype == torch.float32 and (again.translation - motion.translation).abs().max() < 1e-5
    other = load_motion(path, unit="m", up="z", fps=25)
    assert other.fps == 25 and "replaced by 25" in other.source.notes[-1]
