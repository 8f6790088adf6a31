"""Files name the body that their motion is on: it comes back from every format, and no other is put in its place."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.bodies.official_files import random_values, write_npz
from tests.formats.gltf_reader import Glb
from tests.material import small_motion
from vitruve.bodies import load_body
from vitruve.bodies.catalogue import shape_hash
from vitruve.bodies.find_body import find_body
from vitruve.convert.poses import read_poses, write_poses
from vitruve.errors import BadData, MissingAsset
from vitruve.formats import load_motion, save_motion
from vitruve.formats.exporters.export_motion import export_motion
from vitruve.motion.body_of import body_of
from vitruve.motion.checks import inspect_with_notes
from vitruve.priors.files import poses_of

OUTPUTS = [
    ("smplx", "walk.npz", None),
    ("smplh", "walk.npz", None),
    ("smpl", "walk.npz", None),
    ("smplx", "frames", "transfer"),
    ("smplh", "merged.pkl", "transfer-merged"),
    ("smpl", "merged.pkl", "transfer-merged"),
    ("smplh", "walk.safetensors", None),
]


@pytest.fixture
def official(tmp_path: Path) -> Path:
    """A folder with a licensed SMPL-X of each gender, of random content in the official layout."""
    for seed, gender in enumerate(("NEUTRAL", "FEMALE", "MALE")):
        path = tmp_path / "bodies" / "smplx" / f"SMPLX_{gender}.npz"
        write_npz(path, random_values("smplx", 60, 10, 10, seed=seed))
    return tmp_path / "bodies"


@pytest.mark.parametrize("body", ["{}", "open-{}", "mine#1f3a9c02"])
@pytest.mark.parametrize(("layout", "name", "format"), OUTPUTS)
def test_the_body_comes_back(tmp_path: Path, layout: str, name: str, format: str | None, body: str):
    motion = small_motion(layout, 4).replace(body=body.format(layout))
    save_motion(motion, tmp_path / name, format=format)
    back = load_motion(tmp_path / name, fps=30)
    assert (back.body, back.gender, back.body_name) == (motion.body, "female", motion.body_name)
    # And once more, from what was read.
    save_motion(back, tmp_path / f"again-{name}", format=format)
    assert load_motion(tmp_path / f"again-{name}", fps=30).body_name == motion.body_name


@pytest.mark.parametrize("ending", ["npz", "json", "pkl"])
@pytest.mark.parametrize("body", ["smplh", "open-smplh", "mine#1f3a9c02"])
def test_the_body_of_poses_comes_back(tmp_path: Path, ending: str, body: str):
    poses = poses_of(torch.eye(3).expand(3, 21, 3, 3), "abc", load_body("open-smplh-male"))
    poses = replace(poses, body=body)
    back = read_poses(write_poses(poses, tmp_path / f"poses.{ending}"))
    assert (back.body, back.genders, back.layout) == (body, ("male",) * 3, "smplh")


def test_exports_say_the_body(tmp_path: Path):
    body = load_body("open-smplx-female")
    motion = small_motion("smplx", 3).replace(body="open-smplx")
    export_motion(motion, tmp_path / "walk.glb", body=body)
    document = Glb(tmp_path / "walk.glb").json
    assert document["asset"]["extras"]["body"] == "open-smplx-female"
    export_motion(motion, tmp_path / "meshes", format="obj", body=body)
    assert "open-smplx-female" in next((tmp_path / "meshes").iterdir()).read_text()[:200]
    npz = export_motion(motion, tmp_path / "walk.npz")
    assert str(np.load(tmp_path / "walk.npz")["vitruve_body"]) == "open-smplx-female"
    assert any("another shape" in note and "open-smplx-female" in note for note in npz.notes)
    assert any("another shape" in note for note in json.loads(json.dumps(npz.as_json()))["notes"])
    # The official body is what others take it for.
    assert not export_motion(motion.replace(body="smplx"), tmp_path / "official.npz").notes


def test_usd_says_the_body(tmp_path: Path):
    pxr = pytest.importorskip("pxr", reason="no usd-core: pip install 'vitruve[usd]'")
    from pxr import Sdf  # noqa: F401 (becomes an attribute)

    export_motion(small_motion("smplx", 3), tmp_path / "walk.usda", body=load_body("open-smplx-female"))
    layer = pxr.Sdf.Layer.FindOrOpen(str(tmp_path / "walk.usda"))
    assert layer.customLayerData["vitruve"]["body"] == "open-smplx-female"


def test_a_licensed_body_is_not_put_in_the_place_of_the_open_one(tmp_path: Path, official: Path):
    save_motion(small_motion("smplx", 3).replace(body="open-smplx"), tmp_path / "walk.npz")
    motion = load_motion(tmp_path / "walk.npz")
    assert str(np.load(tmp_path / "walk.npz")["surface_model_type"]) == "smplx"  # what all readers look at
    body, notes = body_of(motion, None, official)
    assert body.name == "open-smplx-female" and not notes
    body, notes = body_of(motion, "smplx", official)
    assert body.name == "smplx-female" and "open-smplx-female" in notes[0] and "another shape" in notes[0]


def test_the_open_body_is_not_put_in_the_place_of_a_licensed_one(tmp_path: Path, official: Path):
    save_motion(small_motion("smplx", 3), tmp_path / "walk.npz")
    motion = load_motion(tmp_path / "walk.npz")
    body, notes = body_of(motion, None, official)
    assert body.name == "smplx-female" and not notes
    body, notes = body_of(motion, None, tmp_path)
    assert body.name == "open-smplx-female" and "other shapes" in notes[0]


def test_a_file_without_our_key_is_read_as_before(tmp_path: Path):
    save_motion(small_motion("smplx", 3), tmp_path / "walk.npz")
    with np.load(tmp_path / "walk.npz") as file:
        np.savez(tmp_path / "old.npz", **{key: file[key] for key in file if key != "vitruve_body"})
    assert load_motion(tmp_path / "old.npz").body_name == "smplx-female"


def test_the_named_body_says_its_gender(tmp_path: Path):
    save_motion(small_motion("smplx", 3).replace(body="open-smplx"), tmp_path / "walk.npz")
    with np.load(tmp_path / "walk.npz") as file:
        np.savez(tmp_path / "bare.npz", **{key: file[key] for key in file if key != "gender"})
    motion = load_motion(tmp_path / "bare.npz")
    assert motion.body_name == "open-smplx-female" and not motion.source.notes


@pytest.mark.parametrize(("gender", "odd"), [("male", True), (3, True), (b"F", False), ("unknown", False)])
def test_another_gender_than_that_of_the_named_body_is_not_trusted(tmp_path: Path, gender: object, odd: bool):
    save_motion(small_motion("smplx", 3).replace(body="open-smplx"), tmp_path / "walk.npz")
    with np.load(tmp_path / "walk.npz") as file:
        np.savez(tmp_path / "changed.npz", **{**file, "gender": np.array(gender)})
    motion = load_motion(tmp_path / "changed.npz")
    assert motion.body_name == "open-smplx-female"
    found = [finding for finding in inspect_with_notes(motion) if "is not that of the body" in finding.what]
    assert [finding.trusted for finding in found] == [False] * odd


@pytest.mark.parametrize("named", ["open-smplh-neutral", "smplx", "smplx-tall", "open-mano-left"])
def test_a_name_that_does_not_fit_is_an_error(tmp_path: Path, named: str):
    save_motion(small_motion("smplx", 3), tmp_path / "walk.npz")
    with np.load(tmp_path / "walk.npz") as file:
        np.savez(tmp_path / "wrong.npz", **{**file, "vitruve_body": named})
    with pytest.raises(BadData, match="does not fit") as raised:
        load_motion(tmp_path / "wrong.npz")
    assert "vitruve_body" in raised.value.where and named in raised.value.where


def test_a_users_own_file_is_known_by_its_shape_space(tmp_path: Path):
    values = random_values("smplx", 60, 12, 10)
    path = write_npz(tmp_path / "mine.npz", values)
    body = load_body(path)
    assert body.name == f"mine#{shape_hash(body)}" == load_body(path, num_betas=2, dtype=torch.float64).name
    assert body.make == body.name
    moved = {**values, "v_template": values["v_template"] + 0.01}
    assert load_body(write_npz(tmp_path / "other" / "mine.npz", moved)).name != body.name
    # By its name it is found where bodies are looked for, and only the one that is meant.
    assert load_body(body.name, folder=tmp_path).name == body.name
    assert load_body(body.name, folder=tmp_path, num_betas=3).num_betas == 3
    with pytest.raises(MissingAsset, match="mine") as raised:
        load_body(body.name, folder=tmp_path / "other")
    assert "another shape space" in raised.value.where and "--bodies" in raised.value.fix
    with pytest.raises(MissingAsset, match="mine"):
        find_body(body.name, "female", tmp_path / "nowhere")


def test_an_official_file_has_the_name_of_the_catalogue(official: Path):
    path = official / "smplx" / "SMPLX_MALE.npz"
    assert load_body(path, folder=official).name == "smplx-male"
    assert load_body(path).name.startswith("SMPLX_MALE#")
    assert load_body(load_body(path).name, folder=official).num_vertices == 60


def test_an_exported_open_body_is_no_licensed_one(tmp_path: Path):
    from vitruve.bodies.export import export_body

    path = export_body(load_body("open-smpl-male"), tmp_path)[0]
    assert load_body(path).name == load_body("smpl-male", folder=tmp_path).name == "open-smpl-male"
    for asked in ("smpl", "smpl-male"):
        body, notes = find_body(asked, "male", tmp_path)
        assert body.name == "open-smpl-male" and "other shapes" in notes[0]
