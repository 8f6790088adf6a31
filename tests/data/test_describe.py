"""`vitruve info` of a folder, of poses keyed by id, of a clip store."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.command import run_command
from tests.formats.files import amass_smplh, amass_smplx, transfer_frame, turning, write_npz, write_pickle
from tests.material import small_body, small_motion
from vitruve.data.describe import describe
from vitruve.data.prepare import prepare
from vitruve.formats import load_motion, save_motion
from vitruve.formats.headers import read_header
from vitruve.formats.readers.poses_by_id import read_poses, write_poses
from vitruve.motion.clips import bundled_clip_path

BVH = """HIERARCHY
ROOT Hips
{ OFFSET 0 0 0
CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
JOINT Head
{ OFFSET 0 80 0
CHANNELS 3 Zrotation Xrotation Yrotation
End Site
{ OFFSET 0 20 0 } } }
MOTION
Frames: 2
Frame Time: 0.0333333
0 90 0 0 0 0 0 0 0
0 90 0 0 0 0 0 0 0
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """AMASS-shaped, with what lies about in such folders."""
    root = tmp_path / "AMASS"
    for folder in ("CMU/01", "BMLrub/rub001", "frames", "models"):
        (root / folder).mkdir(parents=True)
    for i in range(3):
        write_npz(root / "CMU" / "01" / f"01_0{i}_poses.npz", amass_smplh(120))
    write_npz(root / "CMU" / "01" / "shape.npz", {"betas": np.zeros(16), "gender": np.array("male")})
    write_npz(root / "BMLrub" / "rub001" / "a_stageii.npz", amass_smplx(100))
    for i in range(4):
        write_pickle(root / "frames" / f"{i}.pkl", transfer_frame(i))
    (root / "take.bvh").write_text(BVH)
    np.savez(root / "poses.npz", ids=np.array(["a", "b"]), poses=turning(2, 52))
    return root


def test_a_tree_of_npz_files_is_told(tree: Path) -> None:
    facts = describe(tree).facts
    assert facts["motions"] == 6 and facts["frames"] == 3 * 120 + 100 + 4 + 2
    assert facts["sets"] == {"CMU": 3, "BMLrub": 1}
    assert facts["bodies"] == {"smplh-male": 3, "smplx-female": 1, "smplx": 1, "a skeleton of its own": 1}
    assert facts["rates"] == {"120 fps": 3, "100 fps": 1, "not told": 1, "30 fps": 1}
    assert facts["hours"] == pytest.approx((3 + 1 + 2 / 30) / 3600, abs=6e-4)
    assert sorted(facts["licences"].values()) == [2, 4] and facts["licences"]["not stated"] == 2
    assert facts["others"] == {"files of poses by id": 1, "files without a motion": 1}
    # A rate that is given counts for all.
    assert describe(tree, fps=60).facts["rates"] == {"60 fps": 6}


def test_what_is_odd_in_a_tree(tree: Path) -> None:
    write_npz(tree / "CMU" / "01" / "bare_poses.npz", amass_smplh(gender=None, trans=None, mocap_framerate=None))
    whole = (tree / "BMLrub" / "rub001" / "a_stageii.npz").read_bytes()
    (tree / "cut_poses.npz").write_bytes(whole[: len(whole) // 2])
    (tree / "KIT.tar.bz2").write_bytes(b"BZh")
    described = describe(tree)
    told = {finding.what: finding for finding in described.findings}
    assert described.facts["unreadable"] == 1 and described.findings[0].severity == "error"
    assert described.findings[0].where.endswith("cut_poses.npz") and "cannot be read" in described.findings[0].what
    for words in ("2 files do not say the frame rate", "do not say the gender", "1 file does not say the translation"):
        assert any(words in what for what in told), words
    packed = next(finding for what, finding in told.items() if "still packed" in what)
    assert "KIT.tar.bz2" in packed.where and "unpack" in packed.hint
    assert any("the toes never bend" in what and "read in full" in what for what in told)


def test_the_command_on_a_tree(capsys: pytest.CaptureFixture[str], tree: Path) -> None:
    assert run_command("info", tree) == 0
    out, err = capsys.readouterr()
    flat = " ".join(out.split())
    assert "CMU (3), BMLrub (1)" in flat and "120 fps (3)" in flat
    assert run_command("info", "--json", tree) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)[0]["motions"] == 6 and not err
    (tree / "bad.npz").write_bytes(b"PK no")
    assert run_command("info", tree) == 4
    capsys.readouterr()
    assert run_command("info", tree / "frames", tree) == 4
    assert "folder" in capsys.readouterr().out


def test_progress_counts_up_to_the_end(tree: Path) -> None:
    told: list[tuple[int, int]] = []
    describe(tree, progress=lambda done, total: told.append((done, total)))
    assert told == sorted(told) and told[-1][0] == told[-1][1] and len({total for _, total in told}) == 1


def test_folders_without_motions(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "no motion was found" in describe(tmp_path / "empty").findings[0].what
    body = small_body("smpl")
    values = {
        "v_template": body.template.numpy(),
        "shapedirs": body.shape_basis.numpy(),
        "J_regressor": body.joint_regressor.numpy(),
        "weights": body.skin_weights.numpy(),
        "f": body.faces.numpy().astype(np.uint32),
        "kintree_table": np.stack([np.array(body.skeleton.parents), np.arange(24)]).astype(np.int64),
    }
    write_pickle(tmp_path / "models" / "SMPL_MALE.pkl", values)
    assert describe(tmp_path / "models").facts["others"] == {"body models": 1}
    (tmp_path / "models" / "loop").symlink_to(tmp_path / "models")
    assert describe(tmp_path / "models").facts["others"] == {"body models": 1}


@pytest.mark.parametrize("ending", ["npz", "json", "pkl"])
def test_poses_by_id_are_no_clip(capsys: pytest.CaptureFixture[str], tmp_path: Path, ending: str) -> None:
    """Vitruve's own file of poses has no rate to miss, and its poses do not follow each other."""
    random = np.random.default_rng(0)
    np.savez(
        tmp_path / "given.npz",
        ids=np.array(["p1", "p2", "p3"]),
        poses=random.normal(size=(3, 156)),
        gender=np.array(["male", "female", "male"]),
        betas=random.normal(size=(3, 10)),
    )
    path = write_poses(read_poses(tmp_path / "given.npz"), tmp_path / f"poses.{ending}")
    described = describe(path)
    assert described.kind == "poses" and described.findings == []
    facts = described.facts
    assert (facts["poses"], facts["ids"], facts["body"]) == (3, "p1 to p3", "smplh")
    assert facts["genders"] == {"male": 2, "female": 1} and facts["betas"] == 10
    assert ("columns" in facts["keys"]) == (ending == "npz")
    assert run_command("info", path) == 0
    assert "p1 to p3" in capsys.readouterr().out
    json.dumps(described.as_json())


def test_poses_that_are_not_numbers(tmp_path: Path) -> None:
    poses = turning(3, 52)
    poses[1, 5] = np.nan
    np.savez(tmp_path / "poses.npz", ids=np.array(["a", "b", "c"]), poses=poses)
    finding = describe(tmp_path / "poses.npz").findings[0]
    assert finding.severity == "warning" and finding.where == "b"


def test_a_clip_store(tmp_path: Path) -> None:
    (tmp_path / "CMU").mkdir()
    shutil.copy(bundled_clip_path(), tmp_path / "CMU" / "walk_poses.npz")
    prepare([tmp_path / "CMU"], tmp_path / "store")
    described = describe(tmp_path / "store")
    assert described.kind == "store" and described.facts["clips"] == 1 and described.facts["frames"] == 600
    assert "data show" in described.findings[0].what


@pytest.mark.parametrize("name", ["smplh.npz", "smplx.npz", "own.safetensors", "take.bvh", "merged.pkl", "frames"])
def test_a_header_says_what_the_whole_file_says(tmp_path: Path, name: str) -> None:
    path, given = tmp_path / name, None
    if name == "take.bvh":
        path.write_text(BVH)
    elif name == "frames":
        path, given = write_pickle(path / "0.pkl", transfer_frame()).parent, 30.0
    elif name == "merged.pkl":
        save_motion(small_motion("smplx"), path)
        given = 30.0
    elif name == "own.safetensors":
        save_motion(small_motion("smplx"), path)
    else:
        write_npz(path, amass_smplh() if name == "smplh.npz" else amass_smplx())
    header, motion = read_header(path), load_motion(path, fps=given)
    assert header.frames == len(motion) and header.body == motion.body
    assert header.skeleton == motion.skeleton.name or (not header.skeleton and not motion.body)
    assert header.fps == (None if given else motion.fps)
    assert header.gender in ("", motion.gender) and (header.gender or "gender" in header.lacks or not motion.body)
