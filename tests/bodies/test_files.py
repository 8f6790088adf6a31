"""Model files of all releases become the same kind of body; files that cannot be right are refused with the reason."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.bodies.official_files import random_values, write_npz, write_pkl, write_python2_pkl
from vitruve.bodies import BodyNotice, read_body
from vitruve.bodies.check import check_body, clean_body, merge_hands
from vitruve.bodies.values import read_values, write_values
from vitruve.errors import BadData, MissingAsset, UsageError, VitruveError
from vitruve.skeletons import load_skeleton

COLUMNS = {
    "smpl-10": ("smpl", 10, 0),
    "smpl-300": ("smpl", 300, 0),
    "smplh-16": ("smplh", 16, 0),
    "smplx-v1.0": ("smplx", 10, 10),
    "smplx-v1.1": ("smplx", 300, 100),
    "mano": ("mano", 10, 0),
}


def same_body(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.buffers(), b.buffers(), strict=True))


@pytest.mark.parametrize("case", COLUMNS)
@pytest.mark.parametrize("form", ["pkl", "npz", "python 2"])
def test_every_release_in_every_form(tmp_path: Path, case: str, form: str):
    layout, betas, expressions = COLUMNS[case]
    values = random_values(layout, 40, betas, expressions)
    stem = tmp_path / ("MANO_LEFT" if layout == "mano" else f"{layout.upper()}_FEMALE")
    if form == "npz":
        path = write_npz(stem.with_suffix(".npz"), values)
    elif form == "pkl":
        path = write_pkl(stem.with_suffix(".pkl"), values)
    else:
        values.pop("joint2num", None)
        path = write_python2_pkl(stem.with_suffix(".pkl"), values, ("shapedirs", "weights"))
    body = read_body(path, dtype=torch.float64)
    assert body.layout == layout and body.gender == ("left" if layout == "mano" else "female")
    assert (body.num_betas, body.num_expressions) == (betas, expressions)
    assert body.skeleton is load_skeleton(
        {"smpl": "smpl24", "smplh": "smplh52", "smplx": "smplx55"}.get(layout, "mano16")
    )
    np.testing.assert_array_equal(body.template, values["v_template"])
    np.testing.assert_array_equal(body.shape_basis, values["shapedirs"][..., :betas])
    np.testing.assert_array_equal(body.joint_regressor, values["J_regressor"].toarray())
    assert body.pose_basis is not None
    np.testing.assert_array_equal(body.pose_basis, values["posedirs"].reshape(-1, values["posedirs"].shape[-1]).T)
    assert set(body.hands) == {"mano": {"left"}, "smpl": set()}.get(layout, {"left", "right"})
    assert (body.landmarks is not None) == (layout == "smplx") == (body.uv is not None)


def test_posedirs_in_all_three_forms(tmp_path: Path):
    values = random_values("smpl", 40)
    cube = values["posedirs"]
    flat = cube.reshape(120, 207)
    bodies = [
        read_body(write_pkl(tmp_path / "SMPL_MALE.pkl", values | {"posedirs": form})) for form in (cube, flat, flat.T)
    ]
    assert same_body(bodies[0], bodies[1]) and same_body(bodies[0], bodies[2])


@pytest.mark.parametrize("root", [-1, 4294967295, 2**32 - 1])
def test_the_root_is_written_in_several_ways(tmp_path: Path, root: int):
    values = random_values("smplh", 60)
    values["kintree_table"] = values["kintree_table"].astype(np.int64)
    values["kintree_table"][0, 0] = root
    body = read_body(write_pkl(tmp_path / "SMPLH_MALE.pkl", values))
    assert body.skeleton.parents[0] == -1


def test_a_file_with_another_tree_gets_a_skeleton_of_its_own(tmp_path: Path):
    values = random_values("smpl", 40)
    values["kintree_table"][0, 12] = 6
    body = read_body(write_pkl(tmp_path / "SMPL_MALE.pkl", values))
    assert body.skeleton.parents[12] == 6 and body.skeleton.names == load_skeleton("smpl24").names


def test_no_correctives_and_no_hands_are_fine(tmp_path: Path):
    """The locked-head pickle of the AMASS tools has 13 keys and no hands."""
    values = random_values("smplx", 60, 300, 100, hands=False, face=False)
    del values["posedirs"]
    body = read_body(write_pkl(tmp_path / "neutral" / "model.pkl", values))
    assert body.pose_basis is None and not body.hands and body.landmarks is None and body.gender == "neutral"
    assert same_body(
        body, read_body(write_pkl(tmp_path / "neutral" / "z.pkl", values | {"posedirs": np.zeros((60, 3, 486))}))
    )


@pytest.mark.parametrize(
    ("name", "gender"),
    [
        ("SMPL_FEMALE.pkl", "female"),
        ("basicmodel_m_lbs_10_207_0_v1.1.0.pkl", "male"),
        ("basicModel_f_lbs_10_207_0_v1.0.0.pkl", "female"),
        ("basicmodel_neutral_lbs_10_207_0_v1.1.0.pkl", "neutral"),
        ("female/model.pkl", "female"),
    ],
)
def test_gender_from_file_and_folder_names(tmp_path: Path, name: str, gender: str):
    body = read_body(write_pkl(tmp_path / name, random_values("smpl", 30)))
    assert body.gender == gender and body.name == f"smpl-{gender}"


def test_a_gender_that_is_written_nowhere_is_said(tmp_path: Path):
    path = write_pkl(tmp_path / "nowhere" / "body.pkl", random_values("smpl", 30))
    with pytest.warns(BodyNotice, match="neutral"):
        assert read_body(path).gender == "neutral"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_body(path, gender="male").gender == "male"


def test_the_side_of_a_hand_without_a_name(tmp_path: Path):
    values = random_values("mano", 40)
    joints = values["J_regressor"] @ values["v_template"]
    side = "left" if joints[1:, 0].mean() > joints[0, 0] else "right"
    assert read_body(write_pkl(tmp_path / "hand.pkl", values)).gender == side
    values["v_template"] = values["v_template"] * [-1, 1, 1]
    assert read_body(write_pkl(tmp_path / "hand.pkl", values)).gender == {"left": "right", "right": "left"}[side]


def test_fewer_betas_are_said_and_more_are_refused(tmp_path: Path):
    path = write_pkl(tmp_path / "SMPLX_MALE.pkl", random_values("smplx", 60, 10, 10))
    with pytest.warns(BodyNotice, match="4 of its 10"):
        body = read_body(path, num_betas=4)
    assert body.num_betas == 4 and body.num_expressions == 10
    with pytest.raises(UsageError, match="16 betas requested, the file has 10"):
        read_body(path, num_betas=16)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_body(path, num_betas=10).num_betas == read_body(path).num_betas == 10


# ---- clean and merge ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".pkl"])
@pytest.mark.parametrize("layout", ["smpl", "smplx", "mano"])
def test_a_clean_copy_is_the_same_body(tmp_path: Path, layout: str, suffix: str):
    values = random_values(layout, 60, 10, 10 if layout == "smplx" else 0) | {"allow_pickle": np.array(True)}
    source = (
        write_npz(tmp_path / "x.npz", {}) if not values else write_pkl(tmp_path / f"{layout}_LEFT_MALE.pkl", values)
    )
    copy = clean_body(source, tmp_path / "clean" / f"copy_left_male{suffix}")
    assert same_body(read_body(copy, dtype=torch.float64), read_body(source, dtype=torch.float64))
    assert set(read_values(copy)) == set(values)
    if suffix == ".npz":
        with np.load(copy, allow_pickle=False) as plain:
            assert all(plain[key] is not None for key in plain.files)
    if layout == "smplx" and suffix != ".pkl":
        assert json.loads(str(read_values(copy)["joint2num"])) == {"pelvis": 0}


def test_a_clean_copy_is_the_same_bytes_each_time(tmp_path: Path):
    source = write_pkl(tmp_path / "SMPL_MALE.pkl", random_values("smpl", 30))
    for suffix in (".npz", ".safetensors", ".pkl"):
        copies = [clean_body(source, tmp_path / f"{i}{suffix}").read_bytes() for i in range(2)]
        assert copies[0] == copies[1]


def test_nothing_is_overwritten_unasked_and_nothing_is_left_over(tmp_path: Path):
    source = write_pkl(tmp_path / "SMPL_MALE.pkl", random_values("smpl", 30))
    out = clean_body(source, tmp_path / "out" / "copy.npz")
    with pytest.raises(UsageError, match="exists already"):
        clean_body(source, out)
    clean_body(source, out, overwrite=True)
    with pytest.raises(UsageError, match="cannot write a model file as"):
        clean_body(source, tmp_path / "out" / "copy.txt")
    with pytest.raises(BadData):
        clean_body(write_pkl(tmp_path / "bad.pkl", {"a": 1}), tmp_path / "out" / "bad.npz")
    assert [path.name for path in out.parent.iterdir()] == ["copy.npz"]


@pytest.mark.parametrize("suffix", [".pkl", ".npz"])
def test_merged_hands_are_those_of_mano(tmp_path: Path, suffix: str):
    smplh = write_npz(tmp_path / "male" / "model.npz", random_values("smplh", 60, 16, hands=False))
    hands = [random_values("mano", 40, seed=i) for i in range(2)]
    left = write_python2_pkl(tmp_path / "MANO_LEFT.pkl", hands[0], ("shapedirs", "hands_components"))
    right = write_pkl(tmp_path / "MANO_RIGHT.pkl", hands[1])
    body = read_body(merge_hands(smplh, left, right, tmp_path / f"SMPLH_MALE{suffix}"), dtype=torch.float64)
    assert body.num_betas == 16 and body.gender == "male"
    for values, side in zip(hands, ("left", "right"), strict=True):
        np.testing.assert_array_equal(body.hands[side].mean, values["hands_mean"])
        np.testing.assert_array_equal(body.hands[side].components, values["hands_components"])
    with pytest.raises(BadData, match="not a left hand"):
        merge_hands(smplh, right, left, tmp_path / "swapped.pkl")
    with pytest.raises(BadData, match="not smplh"):
        merge_hands(left, left, right, tmp_path / "wrong.pkl")


# ---- files that cannot be right -------------------------------------------------------------------------------------


def changed(key: str, change: Callable[[np.ndarray], Any], layout: str = "smpl") -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        values = random_values(layout, 40, 10, 10 if layout == "smplx" else 0)
        values[key] = change(values[key])
        return write_pkl(folder / f"{layout.upper()}_MALE.pkl", values)

    return write


def without(key: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        values = random_values("smpl", 40)
        del values[key]
        return write_pkl(folder / "SMPL_MALE.pkl", values)

    return write


def content(data: bytes, name: str = "SMPL_MALE.pkl") -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return write


def with_nan(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flat[7] = np.nan
    return array


def cut_npz(folder: Path) -> Path:
    path = write_npz(folder / "SMPL_MALE.npz", random_values("smpl", 40))
    path.write_bytes(path.read_bytes()[:5000])
    return path


def a_folder(folder: Path) -> Path:
    (folder / "SMPL_MALE.pkl").mkdir()
    return folder / "SMPL_MALE.pkl"


def a_motion(folder: Path) -> Path:
    return write_npz(folder / "walk_poses.npz", {"poses": np.zeros((9, 156)), "trans": np.zeros((9, 3))})


def cut_safetensors(folder: Path) -> Path:
    path = write_values(folder / "SMPL_MALE.safetensors", random_values("smpl", 40))
    path.write_bytes(path.read_bytes()[:-100])
    return path


def hostile_member(folder: Path) -> Path:
    class Run:
        def __reduce__(self) -> tuple:
            return (os.system, ("echo run > ran",))

    values = random_values("smpl", 40) | {"weights": np.array([Run()], dtype=object)}
    return write_npz(folder / "SMPL_MALE.npz", values)


def cycle(table: np.ndarray) -> np.ndarray:
    table = table.copy()
    table[0, 4] = 7
    return table


# what is wrong: (how the file is made, words of the error, words of its place)
BAD = {
    "no file": (lambda folder: folder / "SMPL_MALE.pkl", "does not exist", "SMPL_MALE.pkl"),
    "a folder": (a_folder, "is a folder", "SMPL_MALE.pkl"),
    "a device": (lambda folder: Path(os.devnull), "is not a file", os.devnull),
    "an empty file": (content(b""), "is empty", "0 bytes"),
    "JSON": (content(b'{"v_template": []}'), "JSON", "begins with"),
    "a web page": (content(b"<!DOCTYPE html><html>login</html>"), "web page", "begins with"),
    "noise": (content(bytes(range(128, 256))), "not a pickle", "SMPL_MALE.pkl"),
    "a pickle of a list": (content(b"\x80\x02]q\x00."), "no named values", "list"),
    "a truncated npz": (cut_npz, "not a complete npz", "5000 bytes"),
    "a truncated safetensors": (cut_safetensors, "not a complete safetensors", "SMPL_MALE.safetensors"),
    "a motion": (a_motion, "a motion", "poses"),
    "code in an array": (hostile_member, "system", "weights.npy"),
    "no template": (without("v_template"), "'v_template' is missing", "keys"),
    "no tree": (without("kintree_table"), "'kintree_table' is missing", "keys"),
    "NaN in the template": (changed("v_template", with_nan), "NaN", "v_template"),
    "NaN in the shapes": (changed("shapedirs", with_nan), "NaN", "first at (0, 0, 7)"),
    "NaN in the correctives": (changed("posedirs", with_nan), "NaN", "posedirs"),
    "correctives of another size": (changed("posedirs", lambda a: a[..., :100]), "wrong shape", "(40, 3, 207)"),
    "a flat template": (changed("v_template", lambda a: a.ravel()), "wrong shape", "v_template"),
    "shapes of another mesh": (changed("shapedirs", lambda a: a[:9]), "wrong shape", "shapedirs"),
    "a regressor of another mesh": (changed("J_regressor", lambda a: a[:, :9]), "wrong shape", "expected (24, 40)"),
    "an object array": (changed("v_template", lambda a: a.astype(object)), "not numeric", "v_template"),
    "words for numbers": (changed("weights", lambda a: a.astype(str)), "not numeric", "weights"),
    "weights that do not sum to one": (changed("weights", lambda a: a * 0.5), "do not sum to one", "vertex 0"),
    "weights of other joints": (changed("weights", lambda a: a[:, :20]), "wrong shape", "expected (40, 24)"),
    "a wrong joint count": (changed("kintree_table", lambda a: a[:, :20]), "no known layout", "20 joints"),
    "a cycle in the tree": (changed("kintree_table", cycle), "joint tree", "kintree_table"),
    "faces out of range": (changed("f", lambda a: a + 20), "do not exist", "40 vertices"),
    "negative faces": (changed("f", lambda a: a.astype(int) - 1), "do not exist", "key 'f'"),
    "fractional faces": (changed("f", lambda a: a + 0.5), "do not exist", "float64"),
    "quads": (changed("f", lambda a: np.c_[a, a[:, :1]]), "wrong shape", "key 'f'"),
    "landmarks missing face": (changed("lmk_faces_idx", lambda a: a + 999, "smplx"), "missing face", "lmk_faces_idx"),
    "a hand mean of another size": (changed("hands_meanl", lambda a: a[:9], "smplx"), "wrong shape", "hands_meanl"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_right_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str):
    monkeypatch.chdir(tmp_path)
    make, what, where = BAD[case]
    path = make(tmp_path)
    with pytest.raises((BadData, MissingAsset)) as raised:
        read_body(path)
    error = raised.value
    assert type(error) is (MissingAsset if case == "no file" else BadData)
    assert what in error.what and where in error.where and path.name in error.where and error.fix
    assert len(str(error).splitlines()) == 3
    assert not (tmp_path / "ran").exists()
    # The same file is an error to the health check, which never raises.
    assert any(finding.severity == "error" for finding in check_body(path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_an_unreadable_file(tmp_path: Path):
    path = write_pkl(tmp_path / "SMPL_MALE.pkl", random_values("smpl", 40))
    path.chmod(0)
    with pytest.raises(BadData, match="cannot be read"):
        read_body(path)


def test_a_file_on_a_failing_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = write_pkl(tmp_path / "SMPL_MALE.pkl", random_values("smpl", 40))

    def fail(*words: object, **more: object):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(BadData, match="cannot be read") as raised:
        read_body(path)
    assert "SMPL_MALE.pkl: Input/output error" in raised.value.where and len(str(raised.value).splitlines()) == 3


def test_wrong_words_are_refused(tmp_path: Path):
    path = write_pkl(tmp_path / "SMPL_MALE.pkl", random_values("smpl", 40))
    for words in ({"gender": "mael"}, {"layout": "smpk"}, {"num_betas": -1}):
        with pytest.raises(UsageError):
            read_body(path, **words)
    with pytest.raises(VitruveError, match="a smpl file, not smplx"):
        read_body(path, layout="smplx")


def test_health_of_a_good_file(tmp_path: Path):
    values = random_values("smpl", 400)
    findings = check_body(write_pkl(tmp_path / "SMPL_MALE.pkl", values))
    assert {finding.severity for finding in findings} == {"ok"}
    assert "400 vertices, 24 joints, 10 betas" in findings[-1].text


@pytest.mark.parametrize(
    ("key", "change", "severity", "words"),
    [
        ("v_template", lambda a: 1000 * a, "warning", "metres"),
        ("shapedirs", lambda a: 0 * a, "error", "zero"),
        ("weights", lambda a: a * 1.001, "warning", "rows sum to one"),
        ("weights", lambda a: a + np.r_[-0.5, 0.5, np.zeros(22)], "error", "negative"),
        ("J_regressor", lambda a: a * 1.5, "error", "rows sum to one"),
        ("f", lambda a: np.r_[a, [[3, 3, 4]]], "warning", "degenerate"),
        ("f", lambda a: a[:20], "warning", "in no face"),
        (
            "kintree_table",
            lambda a: a - np.eye(2, 24, 12, dtype=a.dtype) * np.uint32([[1], [0]]),
            "warning",
            "parents differ",
        ),
    ],
)
def test_health_findings(tmp_path: Path, key: str, change: Callable, severity: str, words: str):
    values = random_values("smpl", 400)
    values[key] = change(values[key])
    findings = check_body(write_pkl(tmp_path / "SMPL_MALE.pkl", values))
    assert any(f.severity == severity and f.key == key and words in f.text for f in findings), findings
