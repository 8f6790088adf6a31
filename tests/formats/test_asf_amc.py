"""ASF and AMC: agreement with a naive reading, plausible people in CMU's captures, and bad files that say why."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.material import shared_data
from vitruve.errors import BadData, MissingAsset, UsageError, VitruveError
from vitruve.formats import load_motion_at
from vitruve.formats.readers.asf_amc import read_asf_amc
from vitruve.formats.readers.bvh import read_bvh, write_bvh
from vitruve.formats.readers.cmu_rates import cmu_rate

ASF = """# a made-up figure
:version 1.10
:name TEST
:units
  mass 1.0
  length 0.45
  angle deg
:documentation
   begin nothing: this is free text (with brackets)
:root
   order TX TY TZ RX RY RZ
   axis XYZ
   position 0 1 0
   orientation 0 0 0
:bonedata
  begin
     id 1
     name spine
     direction 0 2 0
     length 8
     axis 10 20 30 XYZ
     dof rx ry rz
     limits (-20.0 45.0)
            (-30.0 30.0)
            (-inf inf)
  end
  begin
     id 2
     name leg
     direction 0.3 -0.9 0.1
     length 16.5
     axis -90 7e-016 20 ZXY
     dof rz rx
     limits (-45.0 90.0) (-70.0 20.0)
  end
  begin
     id 3
     name foot
     direction 0 0 1
     length 3
     axis 0 0 0 XYZ
  end
:hierarchy
  begin
    root spine leg
    leg foot
  end
"""
AMC = """#!OML:ASF somewhere
:FULLY-SPECIFIED
:DEGREES
1
root 1 17 2 10 20 30
spine 1 2 3
leg 40 50
2
root 2 18 3 15 25 35
spine 4 5 6
leg -20 10
3
root 3 19 4 20 30 40
spine 7 8 9
leg 5 1.5e1
"""
METRES = 0.0254 / 0.45


def write(tmp_path: Path, amc: str = AMC, asf: str | None = ASF) -> Path:
    if asf is not None:
        (tmp_path / "07.asf").write_bytes(asf.encode("latin-1"))
    (tmp_path / "07_01.amc").write_bytes(amc.encode("latin-1"))
    return tmp_path / "07_01.amc"


def about(axis: str, degrees: float) -> np.ndarray:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array(
        {
            "x": [[1, 0, 0], [0, c, -s], [0, s, c]],
            "y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
            "z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
        }[axis.lower()]
    )


def naive_ends(asf: str, amc: str, frame: int) -> dict[str, np.ndarray]:
    """Ends of all bones in one frame, in the file's units and axes, from the raw texts, bone by bone."""
    bones = {}
    for block in re.findall(r"begin(.*?)end\n", asf[asf.index(":bonedata") : asf.index(":hierarchy")], re.S):
        entries = {line.split()[0]: line.split()[1:] for line in block.strip().splitlines() if "(" not in line[:20]}
        bones[entries["name"][0]] = entries
    parents = {}
    for line in asf[asf.index(":hierarchy") :].splitlines():
        words = line.split()
        parents.update({child: words[0] for child in words[1:]})
    blocks = re.split(r"^\d+\s*$", amc, flags=re.M)
    values = {
        line.split()[0]: [float(word) for word in line.split()[1:]] for line in blocks[frame + 1].splitlines() if line
    }
    position = [float(word) for word in re.search(r"position (.*)", asf)[1].split()]  # type: ignore[index]
    root = values["root"]
    turn = about("z", root[5]) @ about("y", root[4]) @ about("x", root[3])
    ends, turns = {"root": np.array(root[:3]) + position}, {"root": turn}
    while len(ends) <= len(bones):
        for name, entries in bones.items():
            if name in ends or parents[name] not in ends:
                continue
            *angles, order = entries["axis"]
            own = np.eye(3)
            for axis, angle in zip(order, angles, strict=True):
                own = about(axis, float(angle)) @ own
            local = np.eye(3)
            for channel, value in zip(entries.get("dof", []), values.get(name, []), strict=True):
                local = about(channel[1], value) @ local
            turns[name] = turns[parents[name]] @ own @ local @ np.linalg.inv(own)
            direction = np.array([float(word) for word in entries["direction"]])
            length = float(entries["length"][0])
            ends[name] = ends[parents[name]] + turns[name] @ direction / np.linalg.norm(direction) * length
    return ends


def all_ends(path: Path, **options) -> tuple[list[str], torch.Tensor]:
    """Ends of all bones [frames, bones, 3] in the world: those of inner bones are the starts of the next."""
    motion = read_asf_amc(path, **options)
    skeleton, joints = motion.skeleton, motion.joints()
    turns = [motion.rotations[:, 0]]
    for i, parent in enumerate(skeleton.parents[1:], start=1):
        turns.append(turns[parent] @ motion.rotations[:, i])
    tips = dict(motion.source.extras["end_sites"])
    out = []
    for i, name in enumerate(skeleton.names):
        if name in tips:
            out.append(joints[:, i] + turns[i] @ torch.tensor(tips[name], dtype=joints.dtype))
        else:
            out.append(joints[:, skeleton.children(i)[0]])
    return list(skeleton.names), torch.stack(out, 1)


def assert_agrees(names: list[str], ends: torch.Tensor, naive: dict[str, np.ndarray], frame: int) -> None:
    assert set(names) == set(naive)
    for i, name in enumerate(names):
        x, y, z = METRES * naive[name]
        np.testing.assert_allclose(ends[frame, i].numpy(), [x, -z, y], atol=1e-9, err_msg=name)


# Reading


def test_bones_end_where_a_naive_reading_puts_them(tmp_path: Path):
    names, ends = all_ends(write(tmp_path))
    assert names == ["root", "spine", "leg", "foot"]
    for frame in range(3):
        assert_agrees(names, ends, naive_ends(ASF, AMC, frame), frame)


def test_joints_sit_at_the_start_of_their_bones(tmp_path: Path):
    motion = read_asf_amc(write(tmp_path))
    joints = motion.joints()
    assert motion.skeleton.parents == (-1, 0, 0, 2)
    assert torch.allclose(joints[:, 1], joints[:, 0])
    assert torch.allclose(joints[:, 2], joints[:, 0])
    lengths = (joints[:, 3] - joints[:, 2]).norm(dim=-1)
    assert torch.allclose(lengths, torch.full_like(lengths, 16.5 * METRES))
    ends = dict(motion.source.extras["end_sites"])
    assert set(ends) == {"spine", "foot"}
    assert ends["spine"] == pytest.approx((0, 8 * METRES, 0))


def test_the_root_stands_and_turns_in_the_z_up_world(tmp_path: Path):
    motion = read_asf_amc(write(tmp_path))
    assert torch.allclose(motion.joints()[0, 0], METRES * torch.tensor([1.0, -2.0, 18.0]).double())
    up = motion.rotations[0, 0] @ torch.tensor([0.0, 1, 0]).double()
    x, y, z = about("z", 30) @ about("y", 20) @ about("x", 10) @ [0, 1, 0]
    assert torch.allclose(up, torch.tensor([x, -z, y]).double())


def test_what_was_assumed_is_said_and_can_be_changed(tmp_path: Path):
    path = write(tmp_path)
    motion = read_asf_amc(path)
    notes = " ".join(motion.source.notes)
    assert "0.056444 m" in notes
    assert "120 fps" in notes
    assert "z up" in notes
    assert motion.fps == 120
    assert motion.dtype == torch.float64
    other = read_asf_amc(path, fps=60, unit=0.01, dtype=torch.float32)
    assert other.fps == 60
    assert other.dtype == torch.float32
    assert float(other.joints()[0, 0, 2]) == pytest.approx(0.18)


def test_a_rate_for_files_that_do_not_say_theirs_is_for_these(tmp_path: Path):
    path = write(tmp_path)
    assert (load_motion_at(path, None).fps, load_motion_at(path, 60.0).fps) == (120, 60)


def test_limits_are_kept_in_radians(tmp_path: Path):
    limits = read_asf_amc(write(tmp_path)).source.extras["limits"]
    assert set(limits) == {"spine", "leg"}
    assert limits["leg"][0] == ("rz", pytest.approx(-math.pi / 4), pytest.approx(math.pi / 2))
    assert limits["spine"][2] == ("rz", -math.inf, math.inf)


def test_radians_in_either_file(tmp_path: Path):
    degrees = read_asf_amc(write(tmp_path))

    def in_radians(words: str) -> str:
        return " ".join(repr(math.radians(float(word))) for word in words.split())

    radians = re.sub(
        r"(?m)^(root \S+ \S+ \S+|spine|leg) (.*)$",
        lambda match: f"{match[1]} {in_radians(match[2])}",
        AMC.replace("DEGREES", "RADIANS"),
    )
    assert torch.allclose(read_asf_amc(write(tmp_path, radians)).rotations, degrees.rotations)
    silent = AMC.replace(":DEGREES\n", "")
    assert torch.equal(read_asf_amc(write(tmp_path, silent)).rotations, degrees.rotations)
    asf = re.sub(
        r"axis (\S+ \S+ \S+) ", lambda match: f"axis {in_radians(match[1])} ", ASF.replace("angle deg", "angle rad")
    )
    assert torch.allclose(read_asf_amc(write(tmp_path, AMC, asf)).rotations, degrees.rotations)


def test_the_order_of_bones_in_the_frames_does_not_matter(tmp_path: Path):
    plain = read_asf_amc(write(tmp_path))
    mixed = AMC.replace("spine 4 5 6\nleg -20 10\n", "leg -20 10\nspine 4 5 6\n")
    assert torch.equal(read_asf_amc(write(tmp_path, mixed)).rotations, plain.rotations)
    assert torch.equal(read_asf_amc(write(tmp_path, AMC.replace("\n", "\r\n"))).rotations, plain.rotations)
    assert torch.equal(
        read_asf_amc(write(tmp_path, AMC.replace("\n2\n", "\n# comment\n\n2\n"))).rotations, plain.rotations
    )
    assert torch.equal(read_asf_amc(write(tmp_path, re.sub(r"(?m)^([123])$", r"10\1", AMC))).rotations, plain.rotations)


def test_the_root_can_list_its_channels_in_another_order(tmp_path: Path):
    plain = read_asf_amc(write(tmp_path))
    asf = ASF.replace("order TX TY TZ RX RY RZ", "order RX RY RZ TZ TX TY")
    amc = re.sub(r"root (\S+) (\S+) (\S+) (.*)", r"root \4 \3 \1 \2", AMC)
    other = read_asf_amc(write(tmp_path, amc, asf))
    assert torch.allclose(other.joints(), plain.joints())


def test_bones_may_stand_after_their_children_in_the_file(tmp_path: Path):
    blocks = re.findall(r"  begin\n     id.*?end\n", ASF, re.S)
    swapped = ASF.replace(blocks[1], "@").replace(blocks[2], blocks[1]).replace("@", blocks[2])
    plain, other = read_asf_amc(write(tmp_path)), read_asf_amc(write(tmp_path, AMC, swapped))
    assert other.skeleton.names == plain.skeleton.names
    assert torch.equal(other.joints(), plain.joints())


def test_finding_the_skeleton(tmp_path: Path):
    path = write(tmp_path)
    (tmp_path / "07.asf").rename(tmp_path / "07.ASF")
    assert len(read_asf_amc(path)) == 3
    (tmp_path / "07.ASF").rename(tmp_path / "07_01.asf")
    assert len(read_asf_amc(path)) == 3
    (tmp_path / "07_01.asf").rename(tmp_path / "other.asf")
    with pytest.raises(MissingAsset, match=r"skeleton of 07_01\.amc") as error:
        read_asf_amc(path)
    assert "other.asf" in str(error.value)
    assert "asf=" in error.value.fix
    assert len(read_asf_amc(path, asf=tmp_path / "other.asf")) == 3


def test_written_as_bvh_it_moves_the_same(tmp_path: Path):
    motion = read_asf_amc(write(tmp_path))
    write_bvh(motion, tmp_path / "clip.bvh")
    back = read_bvh(tmp_path / "clip.bvh", unit="cm")
    assert (back.joints() - motion.joints()).abs().max() < 1e-6
    ends, expected = (dict(m.source.extras["end_sites"]) for m in (back, motion))
    assert set(ends) == set(expected)
    assert all(ends[name] == pytest.approx(expected[name], abs=1e-8) for name in ends)


# Bad files

BAD_ASF = {
    "empty": ("", "not an ASF file"),
    "garbage": ("".join(map(chr, range(256))) * 9, "ASF file"),
    "bones that change length": (ASF.replace(":bonedata", ":bones"), "no section ':bonedata'"),
    "cut": (ASF[: ASF.index("name foot")], "no section ':hierarchy'"),
    "bone cut": (ASF.replace("axis 0 0 0 XYZ\n  end", "axis 0 0 0 XYZ"), "ends early"),
    "unit zero": (ASF.replace("length 0.45", "length 0"), "unit of length"),
    "unit of angle": (ASF.replace("angle deg", "angle gon"), "unit of angle 'gon'"),
    "root order": (ASF.replace("TX TY TZ", "TX TX TZ"), "no list of channels"),
    "no name": (ASF.replace("name spine", "nome spine"), "no 'name'"),
    "no length": (ASF.replace("length 16.5", ""), "no 'length'"),
    "length text": (ASF.replace("length 16.5", "length long"), "is not numbers"),
    "direction short": (ASF.replace("direction 0 2 0", "direction 0 2"), "2 numbers where 3"),
    "no direction": (ASF.replace("direction 0 2 0", "direction 0 0 0"), "no direction"),
    "not finite": (ASF.replace("length 16.5", "length nan"), "finite"),
    "axis order": (ASF.replace("20 ZXY", "20 ZZY"), "no order of axes"),
    "dof": (ASF.replace("dof rz rx", "dof rz ra"), "no list of channels"),
    "sliding bone": (ASF.replace("dof rz rx", "dof rz tx"), "slides or stretches"),
    "limits": (ASF.replace("(-45.0 90.0) ", ""), "2 numbers where 4"),
    "bone twice": (ASF.replace("name foot", "name leg"), "two bones"),
    "unknown bone": (ASF.replace("leg foot", "leg toe"), "has no data"),
    "two parents": (ASF.replace("leg foot", "leg foot\n spine foot"), "two bones"),
    "loose": (ASF.replace("    leg foot\n", ""), "does not hang on the root"),
    "ring": (
        ASF.replace("root spine leg", "root spine").replace("leg foot", "leg foot\n foot leg"),
        "hang on the root",
    ),
}
BAD_AMC = {
    "empty": ("", "no frames"),
    "header alone": (AMC[: AMC.index("1\n")], "no frames"),
    "garbage": ("".join(map(chr, range(1, 256))) * 9, ""),
    "cut in a frame": (AMC[:-12], "no values for 'leg'"),
    "cut in a line": (AMC[:-6], "line 15"),
    "bone missing": (AMC.replace("spine 4 5 6\n", ""), "no values for 'spine'"),
    "bone unknown": (AMC.replace("spine 4 5 6", "spyne 4 5 6"), "no bone 'spyne'"),
    "bone twice": (AMC.replace("spine 4 5 6", "spine 4 5 6\nspine 4 5 6"), "twice"),
    "value missing": (AMC.replace("spine 4 5 6", "spine 4 5"), "2 numbers where 3"),
    "value too many": (AMC.replace("spine 4 5 6", "spine 4 5 6 7"), "4 numbers where 3"),
    "value text": (AMC.replace("spine 4 5 6", "spine 4 5 six"), "is not numbers"),
    "value nan": (AMC.replace("spine 4 5 6", "spine 4 5 nan"), "not finite"),
    "frame missing": (AMC.replace("\n2\n", "\n5\n"), "follows frame"),
    "before the first": (AMC.replace("\n1\n", "\nroot 1 2 3 4 5 6\n1\n"), "before the first frame"),
}


@pytest.mark.parametrize("case", BAD_ASF)
def test_a_bad_skeleton_says_what_and_where(tmp_path: Path, case: str):
    content, message = BAD_ASF[case]
    with pytest.raises(BadData) as error:
        read_asf_amc(write(tmp_path, AMC, content))
    assert message in str(error.value)
    assert "07.asf" in error.value.where
    assert error.value.fix


@pytest.mark.parametrize("case", BAD_AMC)
def test_a_bad_motion_says_what_and_where(tmp_path: Path, case: str):
    content, message = BAD_AMC[case]
    with pytest.raises(BadData) as error:
        read_asf_amc(write(tmp_path, content))
    assert message in str(error.value)
    assert "07_01.amc" in error.value.where
    assert error.value.fix


def test_no_file_and_a_folder_in_its_place(tmp_path: Path):
    with pytest.raises(MissingAsset):
        read_asf_amc(tmp_path / "none.amc")
    with pytest.raises(BadData, match="folder"):
        read_asf_amc(tmp_path)
    with pytest.raises(UsageError, match="invalid unit"):
        read_asf_amc(write(tmp_path), unit=0.0)
    with pytest.raises(BadData, match="frame rate"):
        read_asf_amc(write(tmp_path), fps=0)


@settings(max_examples=120, deadline=None)
@given(
    in_asf=st.booleans(), place=st.floats(0, 1, exclude_max=True), byte=st.binary(max_size=3), cut=st.floats(0.3, 1.5)
)
def test_no_damage_ends_in_anything_but_a_clear_error(
    tmp_path_factory, in_asf: bool, place: float, byte: bytes, cut: float
):
    text = ASF if in_asf else AMC
    at = int(place * len(text))
    damaged = (text[:at] + byte.decode("latin-1") + text[at + 1 :])[: int(cut * len(text))]
    folder = tmp_path_factory.mktemp("asf")
    path = write(folder, AMC if in_asf else damaged, damaged if in_asf else ASF)
    try:
        motion = read_asf_amc(path)
    except VitruveError as error:
        assert error.what
    else:
        assert motion.rotations.isfinite().all()


# Real files


def test_cmu_captures_agree_with_a_naive_reading_and_show_people():
    folder = shared_data("cmu-asfamc")
    for take in ("01_14", "02_01", "03_01"):
        path = folder / f"{take}.amc"
        asf, amc = (folder / f"{take[:2]}.asf").read_text(), path.read_text()
        names, ends = all_ends(path)
        for frame in (0, len(ends) // 2):
            assert_agrees(names, ends, naive_ends(asf, amc, frame), frame)
        assert read_asf_amc(path).skeleton.name == "cmu31"


def test_people_in_cmu_captures_stand_upright_on_the_ground():
    folder = shared_data("cmu-asfamc")
    names, ends = all_ends(folder / "02_01.amc")  # a walk
    head, feet = names.index("head"), [names.index(name) for name in ("ltoes", "rtoes", "lfoot", "rfoot")]
    lowest = ends[:, feet, 2].amin(1)
    height = ends[:, head, 2] - lowest
    assert 1.5 < float(height.median()) < 2.0
    assert float(lowest.abs().max()) < 0.1
    left, right = (ends[:, names.index(f"{side}humerus")] for side in "lr")
    pelvis, neck = ends[:, names.index("root")], ends[:, names.index("lowerneck")]
    forward = torch.linalg.cross(left - right, neck - pelvis)
    travelled = pelvis[-1] - pelvis[0]
    assert float(forward[0] @ travelled) > 0, "the person walks forwards, so left and right are not swapped"


@pytest.mark.parametrize(
    ("name", "rate"), [("60_08", 60), ("74_01", 60), ("74_05", 120), ("02_01", 120), ("walk", 120)]
)
def test_the_rate_of_cmus_trials_is_looked_up(tmp_path: Path, name: str, rate: float) -> None:
    (tmp_path / f"{name}.asf").write_text(ASF)
    (tmp_path / f"{name}.amc").write_text(AMC)
    motion = read_asf_amc(tmp_path / f"{name}.amc")
    assert motion.fps == rate
    assert any(f"{rate} fps" in note for note in motion.source.notes)
    assert read_asf_amc(tmp_path / f"{name}.amc", fps=30).fps == 30


def test_the_table_of_rates_names_no_trial_of_the_open_test_data() -> None:
    """These are known to be 120."""
    for folder in ("cmu-more", "cmu-asfamc"):
        names = [path.stem for path in shared_data(folder).glob("*.amc")]
        assert names and not any(map(cmu_rate, names))
    assert cmu_rate("060_8") == cmu_rate("60_08") == 60 and cmu_rate("60_08_walk") is None


def test_bvh_of_a_cmu_trial_that_claims_another_rate(tmp_path: Path) -> None:
    (tmp_path / "figure.asf").write_text(ASF.replace("leg", "lhipjoint"))
    (tmp_path / "figure.amc").write_text(AMC.replace("leg", "lhipjoint"))
    motion = read_asf_amc(tmp_path / "figure.amc")
    for name, warned in (("60_08", True), ("02_01", False)):
        write_bvh(motion, tmp_path / f"{name}.bvh")
        notes = read_bvh(tmp_path / f"{name}.bvh").source.notes
        assert any("recorded at 60" in note for note in notes) == warned
