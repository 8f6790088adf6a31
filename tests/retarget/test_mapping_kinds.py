"""Skeletons of many kinds find their mapping, or a guess: written here with their names, and the open files of four."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.command import run_command
from tests.material import shared_data
from tests.retarget.test_retarget import body, clip, disguised, random_frames
from vitruve import load_motion
from vitruve.bodies.kinematics import forward_kinematics
from vitruve.errors import UsageError
from vitruve.formats.readers.bvh import write_bvh
from vitruve.geometry.rotations import geodesic_distance, rotation_about
from vitruve.motion import Motion
from vitruve.retarget.choose_mapping import find_mapping
from vitruve.retarget.mapping import load_mapping, mapping_from_toml, mapping_to_toml
from vitruve.retarget.mapping_guess import guess_mapping
from vitruve.retarget.retarget import retarget_motion
from vitruve.skeletons import Skeleton

# Joints along the back, each with the body's joint; one without moves with the joint above it. Then a side's limbs.
TRUNK = {
    "mixamo": {"Hips": "pelvis", "Spine": "spine1", "Spine1": "spine2", "Spine2": "spine3", "Neck": "neck",
               "Head": "head"},
    "xsens": {"Hips": "pelvis", "Chest": "spine1", "Chest2": "spine2", "Chest3": "", "Chest4": "spine3", "Neck": "neck",
              "Head": "head"},
    "rokoko": {"Hips": "pelvis", "Spine1": "spine1", "Spine2": "spine2", "Spine3": "", "Spine4": "spine3",
               "Neck": "neck", "Head": "head"},
    "biped": {"Pelvis": "pelvis", "Spine": "spine1", "Spine1": "spine2", "Spine2": "spine3", "Neck": "neck",
              "Head": "head"},
}  # fmt: skip
LIMBS = {
    "mixamo": ("UpLeg", "Leg", "Foot", "ToeBase", "Shoulder", "Arm", "ForeArm", "Hand"),
    "xsens": ("Hip", "Knee", "Ankle", "Toe", "Collar", "Shoulder", "Elbow", "Wrist"),
    "rokoko": ("Thigh", "Shin", "Foot", "Toe", "Shoulder", "Arm", "ForeArm", "Hand"),
    "biped": ("Thigh", "Calf", "Foot", "Toe0", "Clavicle", "UpperArm", "Forearm", "Hand"),
}
PARTS = ("hip", "knee", "ankle", "foot", "collar", "shoulder", "elbow", "wrist")


def names_of(kind: str, prefix: str) -> dict[str, str]:
    """Names of the kind, parents first, each with the body's joint, or none."""
    sides = {"left": "L ", "right": "R "} if kind == "biped" else {"left": "Left", "right": "Right"}
    limbs = {side: [f"{spelled}{part}" for part in LIMBS[kind]] for side, spelled in sides.items()}
    joints = dict(TRUNK[kind])
    for side, names in limbs.items():
        joints |= {name: f"{side}_{part}" for name, part in zip(names, PARTS)}
    return {prefix + name: joint for name, joint in joints.items()}


def of_kind(kind: str, prefix: str = "", arms_down: float = 0.0, twist_bones: bool = False) -> Motion:
    """The clip on a skeleton of a kind that rests in T-pose, or with the arms so many degrees down."""
    names, skeleton = names_of(kind, prefix), body().skeleton
    posed = clip()
    shaped = body().shaped(posed.betas)
    rest = shaped.rest_joints.double()
    world, _ = forward_kinematics(posed.rotations.double(), rest, skeleton.parents)
    places: dict[str, int] = {}
    by_joint = {joint: name for name, joint in names.items() if joint}
    order, above, turned, offsets = [], [], [], []
    frames: list[Tensor] = []
    for name, joint in names.items():
        back = list(names)[list(names).index(name) - 1] if joint == "" else ""
        parent = back or parent_name(names, by_joint, joint)
        side = -1.0 if joint.startswith("left") else 1.0
        hangs = joint.partition("_")[2] in ("shoulder", "elbow", "wrist")
        frames.append(rotation_about("Z", torch.tensor(-side * arms_down * hangs).double().deg2rad()))
        at = order.index(parent) if parent else -1
        order.append(name)
        above.append(at)
        place = places[name] = skeleton.index(joint) if joint else places[parent]
        turned.append(world[:, place] @ frames[-1])
        start = rest[places[parent]] if parent else torch.zeros(3).double()
        own = frames[at] if parent else torch.eye(3).double()
        offsets.append(own.T @ (rest[place] - start))
        if twist_bones and joint.endswith("elbow"):
            order.append(f"{name}Twist")
            above.append(len(order) - 2)
            turned.append(turned[-1])
            frames.append(frames[-1])
            offsets.append(torch.tensor([0.05, 0.0, 0.0]).double())
    local = [turned[i] if p < 0 else turned[p].mT @ turned[i] for i, p in enumerate(above)]
    resting: list[Tensor] = []
    for offset, p in zip(offsets, above):
        resting.append(offset + (resting[p] if p >= 0 else 0.0))
    tree = Skeleton(kind, tuple(order), tuple(above), rest=torch.stack(resting))
    return Motion(torch.stack(local, 1), posed.translation.double() + rest[0] - resting[0], posed.fps, tree)


def parent_name(names: dict[str, str], by_joint: dict[str, str], joint: str) -> str:
    """What a joint hangs on; a joint of the trunk that the body lacks is not passed by."""
    if joint == "pelvis":
        return ""
    index = body().skeleton.index(joint)
    above = by_joint[body().skeleton.names[body().skeleton.parents[index]]]
    before = list(names)[list(names).index(by_joint[joint]) - 1]
    return before if names[before] == "" else above


def furthest(result: Motion) -> dict[str, float]:
    """Degrees between the result and the clip, the median by joint."""
    ours, theirs = result.rotations.double(), clip().rotations.double()
    away = geodesic_distance(ours, theirs).median(0).values.rad2deg()
    return dict(zip(body().skeleton.names[:22], away.tolist()))


@pytest.mark.parametrize(
    ("kind", "prefix", "arms_down"),
    [
        ("mixamo", "mixamorig:", 0.0),
        ("mixamo", "", 0.0),
        ("mixamo", "Character1_", 45.0),
        ("mixamo", "mixamorig", 30.0),
        ("xsens", "", 0.0),
        ("rokoko", "", 0.0),
        ("rokoko", "actor:", 45.0),
    ],
)
def test_a_kind_finds_its_mapping_with_any_prefix_and_rest(tmp_path: Path, kind: str, prefix: str, arms_down: float):
    write_bvh(of_kind(kind, prefix, arms_down, twist_bones=True), tmp_path / "clip.bvh", unit="cm")
    motion = load_motion(tmp_path / "clip.bvh")
    assert find_mapping(motion.skeleton).name == kind
    result = retarget_motion(motion, body(), betas=clip().betas, scale=1.0)
    assert result.trusted and result.error.mean < 5
    away = furthest(result.motion)
    assert max(away.values()) < 12, away


def test_names_of_a_kind_that_rest_otherwise_are_not_taken_for_it():
    names = {f"J{i}": name for i, name in enumerate(names_of("mixamo", ""))}
    motion = disguised(clip(), random_frames(22, 5), 1.0)
    order = [body().skeleton.names.index(joint) for joint in names_of("mixamo", "").values()]
    new = dict(zip(order, names.values()))
    tree = Skeleton("odd", tuple(new[i] for i in range(22)), motion.skeleton.parents, rest=motion.skeleton.rest)
    with pytest.raises(UsageError, match="not its rest pose") as caught:
        find_mapping(tree, "odd.bvh")
    assert "left_hip = LeftUpLeg" in caught.value.where
    assert "vitruve convert odd.bvh" in caught.value.fix and "--mapping guess" in caught.value.fix
    # The guess takes the frames from the clip, whatever the rest: near to what is right, in every joint.
    result = retarget_motion(motion.replace(skeleton=tree), body(), mapping="guess", betas=clip().betas, scale=1.0)
    away = furthest(result.motion)
    assert result.error.mean < 15 and max(away.values()) < 50, away
    assert any(text.startswith("the mapping was guessed") for text in result.warnings)


@pytest.mark.parametrize("up", ["y", "z"])
def test_a_guess_from_names_and_rest(tmp_path: Path, up: str):
    motion = of_kind("biped", "Bip01 ", arms_down=45.0)
    if up == "z":
        # As programs write it whose own world is z up: every joint's own axes are turned with it.
        turn = rotation_about("X", torch.tensor(torch.pi / 2).double())
        rest = motion.skeleton.rest @ turn.T
        rotations = turn @ motion.rotations @ turn.T
        rotations[:, 0] = motion.rotations[:, 0] @ turn.T
        tree = Skeleton("z", motion.skeleton.names, motion.skeleton.parents, rest=rest)
        place = motion.translation + motion.skeleton.rest[0] - rest[0]
        motion = Motion(rotations, place, motion.fps, tree)
    mapping = guess_mapping(motion)
    assert "standing rest pose" in mapping.note
    result = retarget_motion(motion, body(), mapping=mapping, betas=clip().betas, scale=1.0)
    away = furthest(result.motion)
    assert result.error.mean < 5 and max(away.values()) < 12, away


def test_a_guess_is_written_as_a_file_that_says_the_same():
    mapping = guess_mapping(of_kind("biped", "Bip01 ", arms_down=45.0))
    again = mapping_from_toml(mapping_to_toml(mapping), "guess.toml")
    assert again.joints == mapping.joints and again.scale == mapping.scale and again.note == mapping.note
    for name, frame in mapping.frames.items():
        assert torch.allclose(again.frames[name], frame.double(), atol=0.002)
    for name in ("cmu31", "mixamo", "accad"):
        shipped = load_mapping(name)
        assert mapping_from_toml(mapping_to_toml(shipped), "x").joints == shipped.joints


def test_the_command_accepts_a_guess_only_when_asked_and_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    write_bvh(of_kind("biped", "Bip01 ", arms_down=45.0), tmp_path / "my dance.bvh")
    asked = ("convert", "my dance.bvh", "--to", "open-smplh-neutral", "--out", "dance.npz")
    assert run_command(*asked) == 2
    said = capsys.readouterr().err
    assert "left_hip = Bip01 L Thigh" in said and "--mapping guess" in said and "my dance.bvh'" in said
    assert run_command(*asked, "--mapping", "guess") == 0
    shown = capsys.readouterr()
    assert "left_hip = Bip01 L Thigh" in shown.out + shown.err
    # What was written is a mapping file: it does the same, and can be corrected.
    assert load_mapping("dance.mapping.toml").name == "guess"
    assert run_command(*asked, "--mapping", "dance.mapping.toml", "--overwrite") == 0


def test_names_that_tell_nothing_are_said():
    motion = disguised(clip(), random_frames(22, 6), 1.0)
    with pytest.raises(UsageError, match="too unclear to guess") as caught:
        find_mapping(motion.skeleton)
    assert "left_hip" in caught.value.where
    with pytest.raises(UsageError, match="too unclear to guess"):
        retarget_motion(motion, body(), mapping="guess")


@pytest.mark.parametrize(
    ("file", "mapping", "most"),
    [
        ("cgspeed_02_01.bvh", "cgspeed", 14.0),
        ("cmu_daz_salsa_10.bvh", "daz", 10.0),
        ("cmu_iclone_007_01.bvh", "reallusion_cc", 15.0),
        ("accad_Male1_B3_Walk.bvh", "accad", 11.0),
    ],
)
def test_the_open_files_keep_the_bars(file: str, mapping: str, most: float):
    motion = load_motion(shared_data("bvh") / file)
    motion = motion[:: max(1, len(motion) // 60)]
    assert find_mapping(motion.skeleton).name == mapping
    shipped, guessed = (retarget_motion(motion, body(), mapping=which) for which in (None, "guess"))
    assert shipped.trusted and shipped.error.mean < most
    assert guessed.trusted and guessed.error.mean < most + 2


def test_the_same_walk_as_bvh_and_as_amc_is_the_same():
    bvh = load_motion(shared_data("bvh") / "cgspeed_02_01.bvh")
    amc = load_motion(shared_data("cmu-asfamc") / "02_01.amc")
    assert len(bvh) == len(amc)
    some = slice(0, len(amc), 20)
    ours, theirs = (retarget_motion(motion[some], body()).motion for motion in (bvh, amc))
    # The BVH file has lost the bone between thorax and shoulders: the back must not be bent for it.
    away = geodesic_distance(ours.rotations[:, :22], theirs.rotations[:, :22]).rad2deg()
    assert float(away.median(0).values.max()) < 12
