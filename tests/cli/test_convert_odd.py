"""What is odd about an input, or left out of it, is reported by `vitruve convert`, its records and its report."""

import json

import numpy as np
import pytest

import vitruve
from tests.cli.convert_material import BODIES, run
from tests.material import small_motion
from vitruve.geometry.rotations import rotation_about


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The arrays of a file of others that stands upright, with soft tissue, markers and labels."""
    motion = small_motion("smplh", 8).replace(gender="neutral")
    rotations = motion.rotations.clone()
    rotations[:, 0] = rotation_about("X", rotations.new_tensor(np.pi / 2))
    path = tmp_path_factory.mktemp("plain") / "a.npz"
    vitruve.save_motion(motion.replace(rotations=rotations), path)
    beside = {"dmpls": np.ones((8, 8)), "marker_data": np.ones((8, 5, 3)), "labels": np.array(["a"])}
    return {**{key: value for key, value in np.load(path).items() if key != "vitruve_body"}, **beside}


def saved(folder, name, arrays, **changes):
    values = {**arrays, **changes}
    np.savez(folder / f"{name}.npz", **{key: value for key, value in values.items() if value is not None})
    return folder / f"{name}.npz"


def test_nonsense_is_converted_and_not_trusted(plain, tmp_path, capsys):
    poses = plain["poses"].copy()
    poses[3, 60] = 1e8
    clips = tmp_path / "clips"
    clips.mkdir()
    saved(clips, "plain", plain)
    saved(clips, "centimetres", plain, trans=100 * plain["trans"])
    saved(clips, "turns", plain, poses=poses)
    saved(clips, "gender", plain, gender=np.array(3), vitruve_body=None)
    assert run(clips, *BODIES, "--out", tmp_path / "out") == 5
    printed = capsys.readouterr().err
    for name, word in (("centimetres", "centimetres"), ("turns", "rad"), ("gender", "'3'")):
        (line,) = [line for line in printed.splitlines() if f"DO NOT TRUST {name}.npz" in line]
        assert word in line.split(";")[0]
    assert "plain.npz" not in printed
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert (results["files"], results["untrusted"], results["warned"]) == (4, 3, 3)
    assert {row["first"] for row in results["findings"] if not row["trusted"]} == {
        "centimetres.npz",
        "turns.npz",
        "gender.npz",
    }
    page = (tmp_path / "out" / "report.html").read_text()
    assert "What is odd about the inputs" in page and "looks like centimetres" in page


def test_what_a_reader_noticed_is_reported(plain, tmp_path, capsys):
    path = saved(tmp_path, "bare", plain, trans=None, gender=None, vitruve_body=None)
    assert run(path, *BODIES, "--out", tmp_path / "out.npz") == 0
    printed = capsys.readouterr()
    assert "warning: NO TRANSLATION" in printed.err
    for words in ("has no gender", "soft tissue (dmpls)", "markers (marker_data)", "labels (labels)"):
        assert words in printed.out
    ledger = (tmp_path / "out-report" / "ledger.jsonl").read_text().splitlines()
    found = json.loads(ledger[-1])["findings"]
    assert {"warning", "note"} == {row["severity"] for row in found}
    page = (tmp_path / "out-report" / "report.html").read_text()
    assert "NO TRANSLATION" in page and "soft tissue (dmpls)" in page


def test_a_world_that_is_not_z_up_is_warned_of_and_trusted(plain, tmp_path, capsys):
    poses = plain["poses"].copy()
    poses[:, :3] = 0
    path = saved(tmp_path, "lying", plain, poses=poses)
    assert run(path, *BODIES, "--out", tmp_path / "out.npz") == 0
    assert "warning: the body stands along +y" in capsys.readouterr().err
    assert run(path, *BODIES, "--out", tmp_path / "quiet.npz", "--quiet") == 0
    assert capsys.readouterr().err == ""
