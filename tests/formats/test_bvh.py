"""BVH: what is read agrees with a naive reading of the text, what is written comes back, and bad files say why."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.material import shared_data, small_body, small_motion
from vitruve.errors import BadData, MissingAsset, UsageError, VitruveError
from vitruve.formats.readers.bvh import read_bvh, write_bvh
from vitruve.formats.readers.euler_curves import ORDERS, matrices_to_curves
from vitruve.geometry.rotations import axis_angle_to_matrix, euler_to_matrix
from vitruve.motion import Motion, Source
from vitruve.skeletons import Skeleton

SMALL = """HIERARCHY
ROOT Hips
{
	OFFSET 1.0 90.0 2.0
	CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
	JOINT Chest
	{
		OFFSET 0.0 50.0 0.0
		CHANNELS 3 Yrotation Zrotation Xrotation
		End Site
		{
			OFFSET 0.0 25.0 1.0
		}
	}
	JOINT Leg
	{
		OFFSET 10.0 -45.0 0.0
		CHANNELS 1 Xrotation
		End Site
		{
			OFFSET 0.0 -45.0 0.0
		}
	}
}
MOTION
Frames: 2
Frame Time: 0.0333333
1 90 2 0 0 0 0 0 0 0
1.5 91 3 10 20 30 40 50 60 70
"""


def write(tmp_path: Path, text: str | bytes, name: str = "clip.bvh") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def naive_joints(path: Path) -> dict[str, np.ndarray]:
    """Joint and end positions [frames, 3] by name, in the file's units and axes: one joint and one frame at a time."""
    header, motion = path.read_text().split("MOTION")
    rows = [[float(word) for word in line.split()] for line in motion.strip().splitlines()[2:]]
    positions: dict[str, list[np.ndarray]] = {}
    for row in rows:
        values = list(row)
        stack: list[np.ndarray] = []
        name, offset, pending = "", np.zeros(3), ""
        for line in header.splitlines():
            words = line.split()
            if words[:1] in (["ROOT"], ["JOINT"]):
                name = words[1]
            elif words[:1] == ["End"]:
                name, pending = name + " end", "end"
            elif words[:1] == ["OFFSET"]:
                offset = np.array([float(word) for word in words[1:]])
                if pending == "end":
                    stack.append(stack[-1] @ translated(offset))
                    positions.setdefault(name, []).append(stack[-1][:3, 3])
                    pending = ""
            elif words[:1] == ["CHANNELS"]:
                local = np.eye(4)
                for channel in words[2:]:
                    value = values.pop(0)
                    if channel.endswith("position"):
                        offset["XYZ".index(channel[0])] = value
                    else:
                        local = local @ turned(channel[0], math.radians(value))
                above = stack[-1] if stack else np.eye(4)
                stack.append(above @ translated(offset) @ local)
                positions.setdefault(name, []).append(stack[-1][:3, 3])
            elif words == ["}"]:
                stack.pop()
    return {name: np.array(found) for name, found in positions.items()}


def translated(offset: np.ndarray) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = offset
    return matrix


def turned(axis: str, angle: float) -> np.ndarray:
    matrix = np.eye(4)
    j, k = ("XYZ".index(axis) + 1) % 3, ("XYZ".index(axis) + 2) % 3
    matrix[j, j] = matrix[k, k] = math.cos(angle)
    matrix[j, k], matrix[k, j] = -math.sin(angle), math.sin(angle)
    return matrix


def assert_agrees_with_the_text(motion: Motion, path: Path, metres: float) -> None:
    naive = naive_joints(path)
    joints = motion.joints().numpy()
    for i, name in enumerate(motion.skeleton.names):
        x, y, z = metres * naive[name].T
        np.testing.assert_allclose(joints[:, i], np.stack([x, -z, y], -1), atol=1e-9, err_msg=name)


def random_motion(seed: int, joints: int, frames: int, moving_bones: bool = False) -> Motion:
    """A random tree in random rotations, its joints not in the order of a file."""
    generator = torch.Generator().manual_seed(seed)
    parents = [-1, *(int(torch.randint(i, (1,), generator=generator)) for i in range(1, joints))]
    rest = torch.randn(joints, 3, generator=generator, dtype=torch.float64) * 0.2
    axis_angle = torch.randn(frames, joints, 3, generator=generator, dtype=torch.float64)
    offsets = None
    if moving_bones:
        bones = rest - torch.where(torch.tensor(parents)[:, None] >= 0, rest[parents], 0.0)
        offsets = bones + 0.05 * torch.randn(frames, joints, 3, generator=generator, dtype=torch.float64)
    return Motion(
        rotations=axis_angle_to_matrix(axis_angle),
        translation=torch.randn(frames, 3, generator=generator, dtype=torch.float64),
        fps=float(torch.randint(1, 241, (1,), generator=generator)),
        skeleton=Skeleton("random", tuple(f"joint {i}" for i in range(joints)), tuple(parents), rest=rest),
        offsets=offsets,
    )


def by_name(motion: Motion, names: tuple[str, ...]) -> list[int]:
    return [motion.skeleton.index(name) for name in names]


# Laws


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    joints=st.integers(1, 7),
    frames=st.integers(1, 6),
    order=st.sampled_from(ORDERS),
    unit=st.sampled_from(["m", "cm", "mm", "inch", "cmu", 0.0123]),
    up=st.sampled_from(["y", "z"]),
    moving_bones=st.booleans(),
)
def test_what_is_written_is_read_back(tmp_path_factory, seed, joints, frames, order, unit, up, moving_bones):
    motion = random_motion(seed, joints, frames, moving_bones)
    path = tmp_path_factory.mktemp("bvh") / "clip.bvh"
    write_bvh(motion, path, order=order, unit=unit, up=up)
    back = read_bvh(path, unit=unit, up=up)
    same = by_name(back, motion.skeleton.names)
    assert back.fps == motion.fps
    assert (back.rotations[:, same] - motion.rotations).abs().max() < math.radians(1e-5)
    assert (back.translation - motion.translation).abs().max() < 1e-6
    assert (back.joints()[:, same] - motion.joints()).abs().max() < 1e-6


@pytest.mark.parametrize("order", ORDERS)
def test_curves_give_the_rotations_and_run_on(order: str):
    # Three full turns, through the lock of the first and third axis.
    time = torch.linspace(0, 6 * math.pi, 400, dtype=torch.float64)
    spins = [axis_angle_to_matrix(time[:, None] * torch.eye(3, dtype=torch.float64)[axis]) for axis in range(3)]
    tumble = spins[0] @ axis_angle_to_matrix(0.3 * time[:, None] * torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64))
    matrices = torch.stack([*spins, tumble], 1)
    curves = matrices_to_curves(matrices.numpy(), order)
    assert (euler_to_matrix(torch.from_numpy(curves), order) - matrices).abs().max() < 1e-12
    steps = np.abs(np.diff(curves[:, :3], axis=0)).max()
    assert steps < 0.1, f"a pure spin jumps by {steps} rad"
    assert np.abs(np.diff(curves, axis=0)).max() < math.pi + 1e-9


@settings(max_examples=60, deadline=None)
@given(
    order=st.sampled_from(ORDERS),
    first=st.floats(-3, 3),
    away=st.sampled_from([0.0, 1e-15, 1e-12, 1e-9, 1e-7, 1e-4]),
    sign=st.sampled_from([-1, 1]),
    third=st.floats(-3, 3),
)
def test_no_digit_is_lost_near_the_lock(order, first, away, sign, third):
    angles = torch.tensor([[[0.1, 0.2, 0.3]], [[first, sign * (math.pi / 2 - away), third]]], dtype=torch.float64)
    matrices = euler_to_matrix(angles, order)
    curves = torch.from_numpy(matrices_to_curves(matrices.numpy(), order))
    assert (euler_to_matrix(curves, order) - matrices).abs().max() < 1e-9


@pytest.mark.parametrize("fps", [24, 25, 30, 60, 90, 100, 120, 240, 29.97, 59.94, 23.976, 33.3, 7, 1, 0.5, 1000, 1e5])
def test_the_frame_rate_is_kept_exactly(tmp_path: Path, fps: float):
    path = tmp_path / "clip.bvh"
    write_bvh(random_motion(0, 2, 2).replace(fps=float(fps)), path)
    assert read_bvh(path).fps == fps


@pytest.mark.parametrize(
    ("text", "fps"),
    [
        ("0.0333333", 30.0),
        ("0.033333", 30.0),
        ("0.033", 30.0),
        ("0.017", 60.0),
        ("0.0166667", 60.0),
        ("0.008333", 120.0),
        (".00833333", 120.0),
        ("0,0333333", 30.0),
        ("8.33333e-3", 120.0),
        ("4E-2", 25.0),
        ("0.04", 25.0),
        ("0.05", 20.0),
        ("0.3", 1 / 0.3),
        ("0.06", 1 / 0.06),
        ("0.035", 1 / 0.035),
        ("0.01", 100.0),
        ("1", 1.0),
        ("0.0333667", 29.97),
        ("0.016683", 59.94),
    ],
)
def test_short_frame_times_mean_the_usual_rates(tmp_path: Path, text: str, fps: float):
    assert read_bvh(write(tmp_path, SMALL.replace("0.0333333", text))).fps == pytest.approx(fps, rel=1e-12)


# Reading


def test_joints_stand_where_a_naive_reading_puts_them(tmp_path: Path):
    path = write(tmp_path, SMALL)
    motion = read_bvh(path)
    assert_agrees_with_the_text(motion, path, 0.01)
    assert motion.skeleton.names == ("Hips", "Chest", "Leg")
    assert motion.skeleton.parents == (-1, 0, 0)
    assert motion.source.extras["end_sites"] == (("Chest", (0.0, 0.25, 0.01)), ("Leg", (0.0, -0.45, 0.0)))
    assert any("cm" in note for note in motion.source.notes)
    assert any("30 fps" in note for note in motion.source.notes)


@pytest.mark.parametrize(
    "channels",
    [
        "3 Xrotation Yrotation Zrotation",
        "3 Zrotation Yrotation Xrotation",
        "2 Zrotation Xrotation",
        "1 Yrotation",
        "4 Zrotation Yposition Xrotation Yrotation",
        "6 Yrotation Xrotation Zrotation Zposition Yposition Xposition",
        "1 Zposition",
        "0",
    ],
)
def test_channels_in_any_order_and_number(tmp_path: Path, channels: str):
    count = int(channels.split()[0])
    text = SMALL.replace("3 Yrotation Zrotation Xrotation", channels)
    head, rows = text[: text.index("1 90 2")], ["1 90 2 5 6 7", "1.5 91 3 10 20 30"]
    extra = [" ".join(str(10 * frame + 3 * i + 20) for i in range(count)) for frame in range(2)]
    path = write(tmp_path, head + "".join(f"{row} {more} 70\n" for row, more in zip(rows, extra, strict=True)))
    motion = read_bvh(path, unit="cm", up="y")
    assert_agrees_with_the_text(motion, path, 0.01)
    assert (motion.offsets is not None) == ("position" in channels)


def test_position_channels_that_stand_still_are_the_bones_at_rest(tmp_path: Path):
    text = SMALL.replace("3 Yrotation Zrotation Xrotation", "3 Xposition Yposition Zposition")
    text = text.replace("0 0 0 0\n", "3 40 5 0\n").replace("40 50 60 70", "3 40 5 70")
    path = write(tmp_path, text)
    motion = read_bvh(path)
    assert motion.offsets is None
    assert torch.allclose(motion.skeleton.rest[1] - motion.skeleton.rest[0], torch.tensor([0.03, 0.4, 0.05]).double())
    assert_agrees_with_the_text(motion, path, 0.01)


SPELLINGS = {
    "carriage returns": SMALL.replace("\n", "\r\n"),
    "old line ends": SMALL.replace("\n", "\r"),
    "byte order mark": "\ufeff" + SMALL,
    "spaces": SMALL.replace("\t", "    "),
    "lower case": SMALL.lower().replace("hips", "Hips").replace("chest", "Chest").replace("leg", "Leg"),
    "upper case": SMALL.upper().replace("HIPS", "Hips").replace("CHEST", "Chest").replace("LEG", "Leg"),
    "braces on the line": SMALL.replace("Chest\n\t{", "Chest {").replace("Site\n\t\t{", "Site {"),
    "tabs after colons": SMALL.replace("Frames: ", "Frames:\t").replace("Time: ", "Time:\t"),
    "no colons": SMALL.replace("Frames:", "Frames").replace("Time:", "Time"),
    "comma decimals": SMALL.replace(".", ","),
    "exponents": SMALL.replace("1.5 91", "0.15e1 9.1E+01"),
    "blank lines": SMALL.replace("MOTION", "\nMOTION").replace("1.5 91", "\n1.5 91") + "\n\n",
    "no last line end": SMALL.rstrip("\n"),
    "frames over several lines": SMALL.replace("10 20", "10\n20"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_other_spellings_of_the_same(tmp_path: Path, spelling: str):
    plain = read_bvh(write(tmp_path, SMALL))
    other = read_bvh(write(tmp_path, SPELLINGS[spelling], "other.bvh"))
    assert other.skeleton.names == plain.skeleton.names
    assert torch.equal(other.rotations, plain.rotations)
    assert torch.equal(other.translation, plain.translation)


def test_names_with_spaces_come_back(tmp_path: Path):
    motion = read_bvh(write(tmp_path, SMALL.replace("JOINT Chest", "JOINT  Upper chest (left) ")))
    assert motion.skeleton.names[1] == "Upper chest (left)"
    write_bvh(motion, tmp_path / "again.bvh")
    assert read_bvh(tmp_path / "again.bvh").skeleton.names == motion.skeleton.names


@pytest.mark.parametrize("unit", ["m", "cm", "mm"])
def test_the_unit_is_guessed_from_the_size_and_said(tmp_path: Path, unit: str):
    motion = read_bvh(write(tmp_path, SMALL))
    write_bvh(motion, tmp_path / "other.bvh", unit=unit)
    other = read_bvh(tmp_path / "other.bvh")
    assert (other.joints() - motion.joints()).abs().max() < 1e-6
    assert any(f"guessed to be {unit} " in note for note in other.source.notes)


def test_inches_are_seen_where_no_other_unit_makes_an_adult(tmp_path: Path):
    text = (
        SMALL.replace("0.0 50.0 0.0", "0.0 25.0 0.0").replace("0.0 25.0 1.0", "0.0 20.0 1.0").replace("-45.0", "-22.0")
    )
    motion = read_bvh(write(tmp_path, text))
    assert any("guessed to be inch " in note for note in motion.source.notes)
    assert motion.skeleton.rest is not None
    assert abs(float(motion.skeleton.rest[1, 1] - motion.skeleton.rest[0, 1]) - 25 * 0.0254) < 1e-9


def at_rest_first(jump: float) -> str:
    """SMALL with a first frame at rest, and a motion that goes on slowly from a pose `jump` degrees away."""
    rows = ["0 90 0 0 0 0 0 0 0 0"] + [f"{i} 90 0 0 0 0 {jump + i} 0 0 {jump}" for i in range(9)]
    head = SMALL.partition("Frames:")[0]
    return head + f"Frames: {len(rows)}\nFrame Time: 0.0333333\n" + "\n".join(rows) + "\n"


def test_a_first_frame_at_rest_is_left_out_and_said(tmp_path: Path):
    path = write(tmp_path, at_rest_first(60))
    motion, whole = read_bvh(path), read_bvh(path, rest_frame="keep")
    assert len(whole) == 10 and len(motion) == 9
    assert torch.equal(motion.joints(), whole[1:].joints())
    assert any("dropped" in note for note in motion.source.notes)
    assert not any("dropped" in note for note in whole.source.notes)
    # A motion that only begins near its rest keeps all its frames.
    assert len(read_bvh(write(tmp_path, at_rest_first(1), "slow.bvh"))) == 10


def test_the_unit_is_guessed_even_where_every_bone_trembles(tmp_path: Path):
    still = read_bvh(write(tmp_path, SMALL))
    assert still.skeleton.rest is not None
    bones = still.skeleton.rest - torch.tensor([[0.0, 0, 0], *[still.skeleton.rest[0].tolist()] * 2]).double()
    trembling = still.replace(offsets=bones + torch.tensor([[[0.0]], [[1e-4]]]).double() * torch.ones(3, 1).double())
    write_bvh(trembling, tmp_path / "trembling.bvh", unit="mm")
    back = read_bvh(tmp_path / "trembling.bvh")
    assert any("guessed to be mm " in note for note in back.source.notes)
    assert (back.joints() - trembling.joints()).abs().max() < 1e-6


def test_a_file_that_stands_along_z_is_taken_as_z_up_and_it_is_said(tmp_path: Path):
    motion = read_bvh(write(tmp_path, SMALL))
    still = motion.replace(rotations=torch.eye(3).double().expand_as(motion.rotations))
    rest = still.skeleton.rest @ torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]).double()
    standing = Skeleton("z up", still.skeleton.names, still.skeleton.parents, rest=rest)
    still = still.replace(skeleton=standing, source=Source())
    write_bvh(still, tmp_path / "z.bvh", up="z")
    back = read_bvh(tmp_path / "z.bvh")
    assert (back.joints() - still.joints()).abs().max() < 1e-6
    assert any("z up, because" in note for note in back.source.notes)


def test_someone_lying_in_a_y_up_file_stays_lying(tmp_path: Path):
    lying = SMALL.replace("1 90 2 0 0 0", "1 9 2 0 90 0").replace("1.5 91 3 10 20 30", "1 9 2 0 90 0")
    lying = lying.replace("40 50 60 70", "0 0 0 0")
    joints = read_bvh(write(tmp_path, lying)).joints()
    assert np.ptp(joints[0, :, 2].numpy()) < 0.11 < 0.9 < np.ptp(joints[0, :, 1].numpy())


def test_precision_can_be_chosen(tmp_path: Path):
    path = write(tmp_path, SMALL)
    assert read_bvh(path).dtype == torch.float64
    assert read_bvh(path, dtype=torch.float32).dtype == torch.float32


def test_left_and_right_are_found_in_the_names(tmp_path: Path):
    text = SMALL.replace("Chest", "LeftArm").replace("Leg", "RightArm")
    assert read_bvh(write(tmp_path, text)).skeleton.pairs == ((1, 2),)


# Writing


@pytest.mark.parametrize("layout", ["smplh", "smplx"])
def test_a_body_motion_stands_in_the_file_as_on_the_body(tmp_path: Path, layout: str):
    body, motion = small_body(layout), small_motion(layout)
    write_bvh(motion, tmp_path / "body.bvh", body=body)
    back = read_bvh(tmp_path / "body.bvh", unit="cm", up="y")
    assert back.skeleton.names == motion.skeleton.names, "the order of the shipped tree is restored"
    assert back.skeleton.name == motion.skeleton.name
    expected = body.shaped(motion.betas).joints(motion.rotations, motion.translation)
    assert (back.joints() - expected).abs().max() < 1e-6
    assert (back.translation - motion.translation).abs().max() < 1e-6


def test_changing_bones_follow_the_order_of_the_shipped_tree(tmp_path: Path):
    motion = small_motion("smplh", frames=4)
    rest = torch.randn(52, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 0.1
    bones = rest - torch.where(torch.arange(52)[:, None] > 0, rest[list(motion.skeleton.parents)], 0.0)
    growing = torch.linspace(1, 1.5, 4, dtype=torch.float64)[:, None, None] * bones
    tree = replace(motion.skeleton, rest=rest)
    motion = motion.replace(skeleton=tree, body="", offsets=growing)
    write_bvh(motion, tmp_path / "growing.bvh")
    back = read_bvh(tmp_path / "growing.bvh", unit="cm", up="y")
    assert back.skeleton.names == motion.skeleton.names
    assert (back.joints() - motion.joints()).abs().max() < 1e-6
    assert back.offsets is not None
    assert (back.offsets - growing)[:, 1:].abs().max() < 1e-7


def test_end_sites_come_back_and_open_ends_get_one(tmp_path: Path):
    motion = read_bvh(write(tmp_path, SMALL))
    write_bvh(motion, tmp_path / "again.bvh")
    assert read_bvh(tmp_path / "again.bvh").source.extras["end_sites"] == motion.source.extras["end_sites"]
    write_bvh(motion.replace(source=Source()), tmp_path / "open.bvh")
    ends = dict(read_bvh(tmp_path / "open.bvh").source.extras["end_sites"])
    assert ends == {"Chest": (0.0, 0.25, 0.0), "Leg": (0.05, -0.225, 0.0)}


def test_extras_survive_cutting(tmp_path: Path):
    motion = read_bvh(write(tmp_path, SMALL))
    assert motion[:1].source.extras["end_sites"] == motion.source.extras["end_sites"]


def test_only_bones_that_move_get_position_channels(tmp_path: Path):
    write_bvh(random_motion(3, 4, 5), tmp_path / "still.bvh")
    assert (tmp_path / "still.bvh").read_text().count("CHANNELS 6") == 1
    write_bvh(random_motion(3, 4, 5, moving_bones=True), tmp_path / "moving.bvh")
    assert (tmp_path / "moving.bvh").read_text().count("CHANNELS 6") == 4


def test_what_cannot_be_written_says_why(tmp_path: Path):
    motion, path = random_motion(1, 3, 4), tmp_path / "no.bvh"
    broken = motion.rotations.clone()
    broken[2, 1, 0, 0] = float("nan")
    with pytest.raises(BadData, match="frame 2"):
        write_bvh(motion.replace(rotations=broken), path)
    with pytest.raises(UsageError, match="the body"):
        write_bvh(small_motion("smplh"), path)
    with pytest.raises(UsageError, match="order"):
        write_bvh(motion, path, order="ZXZ")
    with pytest.raises(UsageError, match="unit"):
        write_bvh(motion, path, unit="furlong")
    with pytest.raises(UsageError, match="upward"):
        write_bvh(motion, path, up="x")
    points = Skeleton("points", motion.skeleton.names, rest=motion.skeleton.rest)
    with pytest.raises(UsageError, match="not a tree"):
        write_bvh(motion.replace(skeleton=points), path)
    named = Skeleton("odd", ("a", "b\n", "c"), motion.skeleton.parents, rest=motion.skeleton.rest)
    with pytest.raises(UsageError, match="cannot hold the joint name"):
        write_bvh(motion.replace(skeleton=named), path)
    assert not path.exists()


# Bad files

BAD = {
    "empty": ("", "not a BVH file"),
    "garbage": (bytes(range(256)) * 20, "not a BVH file"),
    "no motion": (SMALL[: SMALL.index("MOTION")], "no MOTION"),
    "cut in the hierarchy": (SMALL[:150], "no MOTION"),
    "brace missing": (SMALL.replace("}\nMOTION", "MOTION"), "line 24"),
    "brace too many": (SMALL.replace("MOTION", "}\nMOTION"), "line 25"),
    "two roots": (SMALL.replace("MOTION", "ROOT Two\n{\nOFFSET 0 0 0\nCHANNELS 0\n}\nMOTION"), "several roots"),
    "name twice": (SMALL.replace("Leg", "Chest"), "two joints are called 'Chest'"),
    "no name": (SMALL.replace("JOINT Leg", "JOINT"), "no name"),
    "joint outside": (SMALL.replace("ROOT", "JOINT"), "has no parent"),
    "channel unknown": (SMALL.replace("1 Xrotation", "1 Wrotation"), "unknown channel 'Wrotation'"),
    "channel twice": (SMALL.replace("3 Yrotation Z", "3 Xrotation Z"), "duplicate channel"),
    "channel count": (SMALL.replace("3 Yrotation", "4 Yrotation"), "declares 4 and lists 3"),
    "no channels": ("\n".join(line for line in SMALL.splitlines() if "CHANNELS" not in line), "no joint has channels"),
    "offset short": (SMALL.replace("OFFSET 0.0 50.0 0.0", "OFFSET 0.0 50.0"), "line 8"),
    "offset text": (SMALL.replace("OFFSET 0.0 50.0", "OFFSET 0.0 fifty"), "'fifty' is no number"),
    "offset missing": (SMALL.replace("\t\tOFFSET 0.0 50.0 0.0\n", ""), "no OFFSET"),
    "keyword": (SMALL.replace("CHANNELS 1", "CANALS 1"), "'CANALS' does not belong here"),
    "no frames line": (SMALL.replace("Frames: 2\n", ""), "'Frames:'"),
    "frames zero": (SMALL.replace("Frames: 2", "Frames: 0"), "'0' is no number of frames"),
    "frames negative": (SMALL.replace("Frames: 2", "Frames: -2"), "'-2' is no number of frames"),
    "frames too many": (SMALL.replace("Frames: 2", "Frames: 3"), "declares 3 frames and has 2"),
    "frames too few": (SMALL.replace("Frames: 2", "Frames: 1"), "declares 1 frames and has 2"),
    "frames huge": (SMALL.replace("Frames: 2", "Frames: 999999999999999999"), "and has 2"),
    "time zero": (SMALL.replace("0.0333333", "0"), "not positive"),
    "time negative": (SMALL.replace("0.0333333", "-0.03"), "not positive"),
    "time text": (SMALL.replace("0.0333333", "soon"), "'soon' is no number"),
    "time infinite": (SMALL.replace("0.0333333", "inf"), "'inf' is no number"),
    "cut in a frame": (SMALL[:-10], "line 29"),
    "value too many": (SMALL.replace("60 70", "60 70 80"), "line 29"),
    "value text": (SMALL.replace("60 70", "60 oops"), "'oops' is no number"),
    "value nan": (SMALL.replace("60 70", "60 nan"), "line 29"),
    "value infinite": (SMALL.replace("60 70", "60 -inf"), "line 29"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_says_what_and_where(tmp_path: Path, case: str):
    content, message = BAD[case]
    path = write(tmp_path, content)
    with pytest.raises(BadData) as error:
        read_bvh(path)
    assert message in str(error.value)
    assert str(path) in error.value.where
    assert error.value.fix


def test_no_file_and_a_folder_in_its_place(tmp_path: Path):
    with pytest.raises(MissingAsset):
        read_bvh(tmp_path / "none.bvh")
    with pytest.raises(BadData, match="folder"):
        read_bvh(tmp_path)
    with pytest.raises(UsageError, match="unit"):
        read_bvh(write(tmp_path, SMALL), unit="parsec")
    with pytest.raises(UsageError, match="positive"):
        read_bvh(write(tmp_path, SMALL), unit=-1.0)
    with pytest.raises(UsageError, match="upward"):
        read_bvh(write(tmp_path, SMALL), up="x")


@settings(max_examples=150, deadline=None)
@given(cut=st.integers(0, len(SMALL)), place=st.integers(0, len(SMALL) - 1), byte=st.binary(min_size=0, max_size=3))
def test_no_damage_ends_in_anything_but_a_clear_error(tmp_path_factory, cut: int, place: int, byte: bytes):
    data = SMALL.encode()
    path = tmp_path_factory.mktemp("bvh") / "damaged.bvh"
    path.write_bytes((data[:place] + byte + data[place + 1 :])[: max(cut, place)])
    try:
        motion = read_bvh(path)
    except VitruveError as error:
        assert error.what
    else:
        assert motion.rotations.isfinite().all()
        assert motion.translation.isfinite().all()


# Real files


def test_bandai_namco_files_agree_with_a_naive_reading_and_come_back(tmp_path: Path):
    files = sorted(shared_data("bandai-namco-2").glob("*_001.bvh"))
    assert len(files) >= 20
    for i, file in enumerate(files):
        motion = read_bvh(file)
        assert motion.skeleton.name == "bandai_namco22"
        assert motion.fps == 30
        assert motion.offsets is not None, "the hips move under a root that stands still"
        if i % 7 == 0:
            cut = tmp_path / "cut.bvh"
            head, rows = file.read_text().split("Frames:")
            cut.write_text(head + "Frames: 3\n" + "\n".join(rows.splitlines()[1:5]) + "\n")
            assert_agrees_with_the_text(read_bvh(cut), cut, 0.01)
        path = tmp_path / file.name
        write_bvh(motion, path)
        back = read_bvh(path)
        assert (back.rotations - motion.rotations).abs().max() < math.radians(1e-5)
        assert (back.joints() - motion.joints()).abs().max() < 1e-6
        joints = motion.joints()[:, 1:]
        height = (joints[..., 2].amax(1) - joints[..., 2].amin(1)).median()
        assert 0.9 < height < 1.9
        assert joints[..., 2].min() > -0.15
