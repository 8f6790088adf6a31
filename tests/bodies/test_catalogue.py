"""Bodies by name: the names, the folders, the order of search, and what is said where nothing is found."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import pytest
import torch

import vitruve
from tests.bodies.official_files import random_values, write_npz, write_pkl
from vitruve.bodies import BodyNotice, load_body
from vitruve.bodies.catalogue import body_names, find_bodies, search_folders
from vitruve.errors import BadData, MissingAsset, UsageError


@pytest.fixture(autouse=True)
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An empty home and an empty working folder."""
    for name in ("VITRUVE_BODIES", "SMPLFITTER_BODY_MODELS", "DATA_ROOT", "SMPLX_MODEL_PATH", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")


def smpl(path: Path, seed: int = 0) -> Path:
    return write_pkl(path, random_values("smpl", 30, seed=seed))


@pytest.mark.parametrize("name", [name for name in body_names() if name.startswith("open-")])
def test_every_open_body(name: str):
    body = load_body(name)
    assert body.name == name and name == f"open-{body.layout}-{body.gender}"
    assert body.num_vertices == {"smpl": 6890, "smplh": 6890, "smplx": 10475, "mano": 778}[body.layout]
    assert "CC0" in body.licence
    # Exactly one in either precision, so that a far-away body does not grow.
    assert (body.skin_weights.sum(1) == 1).all() and (body.skin_weights >= 0).all()
    torch.testing.assert_close(body.joint_regressor.sum(1), torch.ones(body.num_joints), atol=1e-6, rtol=0)
    assert set(body.hands) == {"mano": {body.gender}, "smpl": set()}.get(body.layout, {"left", "right"})
    exact = load_body(name, dtype=torch.float64)
    assert torch.equal(exact.shape_basis.float(), body.shape_basis) and exact.dtype == torch.float64


def test_genders_differ_and_stand_upright():
    heights = {}
    for gender in ("female", "neutral", "male"):
        template = load_body(f"open-smplx-{gender}").template
        size = template.max(0).values - template.min(0).values
        heights[gender] = float(size[1])
        assert 1.5 < size[1] < 1.9 and size[2] < 0.5
    assert heights["female"] < heights["neutral"] < heights["male"]


def test_the_hand_is_that_of_the_body():
    """Its vertices are those of the SMPL+H mesh, moved so that the wrist is the origin, in every shape."""
    body, hand = load_body("open-smplh-neutral", dtype=torch.float64), load_body("open-mano-left", dtype=torch.float64)
    for betas in (torch.zeros(32), torch.linspace(-2, 2, 32)):
        joints = body.shaped(betas).joints(body.rest_rotations())[[20, *range(22, 37)]]
        found = hand.shaped(betas).joints(hand.rest_rotations())
        assert found[0].norm() < 1e-7
        assert ((joints[1:] - joints[1]) - (found[1:] - found[1])).norm(dim=-1).max() < 1e-6
        # The wrist itself is found from the hand's vertices alone.
        assert (joints[0] - joints[1] + found[1]).norm() < 1e-2


def test_stiff_fingers_move_with_the_hand():
    """SMPL's hand joint turns all fingers at once, as SMPL+H does where the fingers turn about the same point alike."""
    smpl_body, smplh = load_body("open-smpl-male"), load_body("open-smplh-male")
    assert torch.equal(smpl_body.template, smplh.template)
    assert torch.equal(smpl_body.skin_weights[:, 22], smplh.skin_weights[:, 22:37].sum(1))
    rotations = smplh.rest_rotations()
    rotations[16] = vitruve.geometry.rotations.axis_angle_to_matrix(torch.tensor([0.3, 0.2, 0.9]))
    same = smpl_body.shaped().vertices(rotations[:24])
    torch.testing.assert_close(same, smplh.shaped().vertices(rotations), atol=1e-5, rtol=0)


# (file below a folder of bodies, name of the body)
LAYOUTS = [
    ("smpl/SMPL_FEMALE.pkl", "smpl-female"),
    ("SMPL_NEUTRAL.pkl", "smpl"),
    ("smpl/basicmodel_m_lbs_10_207_0_v1.1.0.pkl", "smpl-male"),
    ("smpl/models/basicModel_f_lbs_10_207_0_v1.0.0.pkl", "smpl-female"),
    ("smpl/basicmodel_neutral_lbs_10_207_0_v1.1.0.pkl", "smpl"),
    ("smplh/male/model.npz", "smplh-male"),
    ("smplh16/female/model.npz", "smplh-female"),
    ("smplh/SMPLH_FEMALE.pkl", "smplh-female"),
    ("mano_v1_2/models/SMPLH_male.pkl", "smplh-male"),
    ("smplx/SMPLX_NEUTRAL.npz", "smplx"),
    ("smplx/SMPLX_MALE.pkl", "smplx-male"),
    ("models/smplx/SMPLX_FEMALE.npz", "smplx-female"),
    ("smplx/neutral/model.npz", "smplx-neutral"),
    ("smplx_locked_head/neutral/model.pkl", "smplx-neutral"),
    ("mano/MANO_LEFT.pkl", "mano-left"),
    ("mano_v1_2/models/MANO_RIGHT.pkl", "mano-right"),
]


@pytest.mark.parametrize(("file", "name"), LAYOUTS)
def test_folder_layouts(tmp_path: Path, file: str, name: str):
    layout = name.split("-")[0]
    values = random_values(layout, 60, 10, 10 if layout == "smplx" else 0)
    write = write_npz if file.endswith("npz") else write_pkl
    path = write(tmp_path / "bodies" / file, values)
    full = name if "-" in name else f"{name}-neutral"
    assert find_bodies(tmp_path / "bodies") == {full: path}
    body = load_body(name, folder=tmp_path / "bodies")
    assert body.name == full and body.num_vertices == 60
    # The folder that the file lies in does as well, and so does the file itself.
    deep = path.parents[1] if path.stem == "model" else path.parent
    assert load_body(name, folder=deep).name == full
    assert load_body(path, folder=deep).name == full
    # Where no name leads to it, it may be any body: it is called by its file and shape space.
    assert load_body(path).name.startswith(f"{path.stem}#")


def test_a_layout_is_not_taken_for_another(tmp_path: Path):
    """female/model.npz says its layout by the folder above only."""
    write_npz(tmp_path / "smplh" / "female" / "model.npz", random_values("smplh", 60, 16))
    assert set(find_bodies(tmp_path / "smplh")) == set(find_bodies(tmp_path)) == {"smplh-female"}


def test_the_order_of_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    places = {name: tmp_path / name for name in ("argument", "variable", "second", "config")}
    for i, place in enumerate(places.values()):
        smpl(place / "smpl" / "SMPL_MALE.pkl", seed=i)
    smpl(Path("body_models/smpl/SMPL_MALE.pkl"), seed=9)

    def template(**words) -> torch.Tensor:
        return load_body("smpl-male", **words).template

    def of(path: Path) -> torch.Tensor:
        return load_body(path / "smpl" / "SMPL_MALE.pkl").template

    assert torch.equal(template(), of(Path("body_models")))
    config = tmp_path / "home" / ".config" / "vitruve" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f'bodies = ["{places["config"]}"]')
    assert torch.equal(template(), of(places["config"]))
    monkeypatch.setenv("VITRUVE_BODIES", os.pathsep.join([str(places["variable"]), str(places["second"])]))
    assert torch.equal(template(), of(places["variable"]))
    assert torch.equal(template(folder=places["argument"]), of(places["argument"]))
    assert torch.equal(template(folder=[tmp_path / "none", places["second"]]), of(places["second"]))
    assert list(search_folders(places["argument"]))[:4] == list(places.values())


def test_another_config_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    config = tmp_path / "elsewhere" / "vitruve" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('bodies = "~/mine"')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "elsewhere"))
    assert tmp_path / "home" / "mine" in search_folders()
    for text in ("bodies = 3", "bodies = [", "bodies = [1]"):
        config.write_text(text)
        with pytest.raises(BadData, match="config file") as raised:
            load_body("smplx")
        assert "config.toml" in raised.value.where


def test_smplx_means_the_open_body_where_there_is_no_other(tmp_path: Path):
    with pytest.warns(BodyNotice, match="open-smplx-neutral"):
        assert load_body("smplx").name == "open-smplx-neutral"
    write_npz(tmp_path / "smplx" / "SMPLX_FEMALE.npz", random_values("smplx", 60, 10, 10))
    with pytest.raises(MissingAsset, match="smplx-neutral"):
        load_body("smplx", folder=tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_body("open-smplx").name == "open-smplx-neutral"


def test_a_missing_body_says_where_it_was_looked_for_and_what_to_do(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VITRUVE_BODIES", "/some/where")
    with pytest.raises(MissingAsset) as raised:
        load_body("smplx-female")
    error = raised.value
    assert "licensed" in error.what
    assert "/some/where" in error.where and "SMPLX_FEMALE.npz" in error.where and "body_models" in error.where
    assert "smpl-x.is.tue.mpg.de" in error.fix and "open-smplx-female" in error.fix


@pytest.mark.parametrize(
    ("name", "hint"), [("smplx-femal", "smplx-female"), ("open-smpx", "open-smpl"), ("mano", "mano-left"), ("", "")]
)
def test_unknown_names(name: str, hint: str):
    with pytest.raises(UsageError) as raised:
        load_body(name)
    assert hint in raised.value.fix


def test_open_betas():
    assert load_body("open-mano-left", num_betas=10).num_betas == 10
    with pytest.raises(UsageError, match="99 betas requested, the open body has 32"):
        load_body("open-smplx", num_betas=99)
