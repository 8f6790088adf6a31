"""`vitruve info` and the descriptions under it."""

from __future__ import annotations

import json
import math
import shutil
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.command import run_command
from tests.formats.files import amass_smplh, amass_smplx, transfer_frame, turning, write_npz, write_pickle
from tests.material import small_body, small_motion
from vitruve.formats import load_motion, save_motion
from vitruve.formats.describe import describe


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run_command("info", *arguments)
    return code, *capsys.readouterr()


def test_one_clip(capsys, tmp_path: Path) -> None:
    status, out, _ = run(capsys, str(write_npz(tmp_path / "a.npz", amass_smplh())))
    assert status == 0
    for words in ("amass-smplh", "male", "20", "120.0000458", "0.1667", "poses 20x156", "translation min", "toes"):
        assert words in out, words


def test_json_of_several_and_the_status_of_a_bad_one(capsys, tmp_path: Path) -> None:
    good = write_npz(tmp_path / "good.npz", amass_smplx())
    bad = tmp_path / "bad.npz"
    bad.write_text("no")
    status, out, _ = run(capsys, "--json", str(good), str(bad))
    first, second = json.loads(out)
    assert status == 4
    assert first["format"] == "amass-smplx" and first["frames"] == 20 and first["arrays"]["poses"] == [20, 165]
    assert all(finding.keys() == {"severity", "what", "where", "hint"} for finding in first["findings"])
    assert second["error"].keys() == {"what", "where", "do"}


def test_summary_of_several(capsys, tmp_path: Path) -> None:
    good = write_npz(tmp_path / "good.npz", amass_smplh())
    lying = write_npz(tmp_path / "lying.npz", amass_smplh(poses=np.roll(turning(20, 52), 1, axis=1)))
    (tmp_path / "bad.npz").write_text("no")
    status, out, _ = run(capsys, str(good), str(lying), str(tmp_path / "bad.npz"), str(tmp_path / "gone.npz"))
    flat = " ".join(out.split())
    assert status == 4 and "2 of 4 files can be used" in flat
    assert "1 note" in flat and "the body stands along" in flat and "there is no file" in flat
    assert run(capsys, str(good), str(lying))[0] == 0


def test_one_bad_file_is_the_plain_error(capsys, tmp_path: Path) -> None:
    (tmp_path / "bad.npz").write_text("no")
    status, out, err = run(capsys, str(tmp_path / "bad.npz"))
    assert (status, out) == (4, "") and err.startswith("vitruve: bad.npz is a text") and err.count("\n") == 3
    assert run(capsys, str(tmp_path / "gone.npz"))[0] == 3
    assert run(capsys)[0] == 2


def test_a_frame_rate_that_is_not_there_is_no_obstacle(tmp_path: Path) -> None:
    path = write_pickle(tmp_path / "frames" / "0.pkl", transfer_frame()).parent
    described = describe(path)
    assert described.facts["fps"] is None and described.facts["seconds"] is None
    assert any("no frame rate" in finding.what for finding in described.findings)
    assert describe(path, fps=30).facts["fps"] == 30


def test_meshes_beside_the_frames_of_the_transfer_tool_do_not_hide_them(tmp_path: Path) -> None:
    path = write_pickle(tmp_path / "frames" / "0.pkl", transfer_frame()).parent
    (path / "0.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    assert describe(path, fps=30).kind == "motion"
    assert load_motion(path, fps=30).body == "smplx"


def test_notes_of_the_reader_and_loud_ones(tmp_path: Path) -> None:
    poses = turning(20, 52)
    poses[:, :3] *= 1 + 2 * math.pi / np.linalg.norm(poses[:, :3], axis=1, keepdims=True)
    described = describe(write_npz(tmp_path / "a.npz", amass_smplh(poses=poses)))
    assert any("longer than pi in 20" in finding.what for finding in described.findings)
    path = write_pickle(tmp_path / "a.pkl", transfer_frame(transl=None))
    loud = [finding for finding in describe(path, fps=30).findings if "NO TRANSLATION" in finding.what]
    assert loud[0].severity == "warning"


def test_masked_and_broken_values(tmp_path: Path) -> None:
    arrays = amass_smplh()
    arrays["poses"][3:5] = np.nan
    described = describe(write_npz(tmp_path / "a.npz", arrays))
    assert described.facts["masked"] == 2 and described.findings[0].where == "frames 3-4"
    arrays["poses"][:] = np.nan
    assert describe(write_npz(tmp_path / "b.npz", arrays)).facts["masked"] == 20
    json.dumps(described.as_json())


def test_skeleton_meshes_and_own_files(tmp_path: Path) -> None:
    with resources.as_file(resources.files("vitruve.skeletons") / "data" / "coco17.toml") as file:
        shutil.copy(file, tmp_path / "mine.toml")
    skeleton = describe(tmp_path / "mine.toml")
    assert skeleton.kind == "skeleton" and skeleton.facts["joints"] == 17
    (tmp_path / "meshes").mkdir()
    for frame in range(3):
        (tmp_path / "meshes" / f"{frame}.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    meshes = describe(tmp_path / "meshes")
    assert meshes.kind == "meshes" and meshes.facts["frames"] == 3 and meshes.facts["vertices_max"] == [1, 1, 0]
    amass = load_motion(write_npz(tmp_path / "a.npz", amass_smplx()))
    assert describe(save_motion(amass, tmp_path / "from_amass.safetensors")).facts["format"] == "vitruve"
    own = describe(save_motion(small_motion("smplx"), tmp_path / "a.safetensors"))
    assert own.facts["format"] == "vitruve" and own.facts["arrays"]["rotations"] == [12, 55, 3, 3]


@pytest.mark.parametrize("ending", ["npz", "pkl"])
def test_body_files(ending, tmp_path: Path) -> None:
    body = small_body("smplh")
    values = {
        "v_template": body.template.numpy(),
        "shapedirs": body.shape_basis.numpy(),
        "posedirs": torch.zeros(300, 3, 9 * 51).numpy(),
        "J_regressor": body.joint_regressor.numpy(),
        "weights": body.skin_weights.numpy(),
        "f": body.faces.numpy().astype(np.uint32),
        "kintree_table": np.stack([np.array(body.skeleton.parents), np.arange(52)]).astype(np.int64),
    }
    path = tmp_path / f"SMPLH_MALE.{ending}"
    _ = write_npz(path, values) if ending == "npz" else write_pickle(path, values)
    described = describe(path)
    assert described.kind == "body" and described.facts["body"] == "smplh" and described.facts["vertices"] == 300
    assert described.facts["gender"] == "male"
    values["weights"] = values["weights"] * 2
    _ = write_npz(path, values) if ending == "npz" else write_pickle(path, values)
    assert describe(path).findings[0].severity == "error"
