"""Whatever moves says where its surface and its joints are: a motion, meshes, keypoints."""

import math
from dataclasses import replace

import pytest
import torch

from tests.material import small_body, small_motion
from vitruve.bodies import load_body
from vitruve.errors import BadData, UsageError
from vitruve.formats import save_motion
from vitruve.formats.performers import load_performers
from vitruve.formats.readers.mesh_sequence import MeshSequence, read_mesh_sequence, write_mesh_sequence
from vitruve.motion import Keypoints
from vitruve.motion.performer import at_rate, keypoint_performer, mesh_performer, motion_performer


def tree(motion, body):
    skeleton = replace(motion.skeleton, rest=body.shaped(motion.betas).rest_joints)
    return motion.replace(skeleton=skeleton, body="", betas=motion.betas[:0])


def keypoints(motion, body):
    positions = motion.joints(body).clone()
    positions[3, 5] = math.nan
    positions[7] = math.nan
    return Keypoints(positions, motion.fps, motion.skeleton)


@pytest.mark.parametrize("layout", ["smpl", "smplh", "smplx", "mano"])
def test_that_of_a_motion_is_the_motion(layout):
    motion, body = small_motion(layout), small_body(layout)
    performer = motion_performer(motion, body)
    frames = [7, 0, 7, 11]
    torch.testing.assert_close(performer.vertices(frames), motion.vertices(body)[frames])
    torch.testing.assert_close(performer.joints(frames), motion.joints(body)[frames].double())
    assert performer.kind == "motion" and len(performer) == len(motion) and performer.fps == motion.fps
    assert performer.faces is body.faces and performer.skeleton is motion.skeleton
    low, high = body.shaped(motion.betas).rest_vertices[:, 1].aminmax()
    assert performer.height == pytest.approx(float(high - low))


def test_that_of_a_joint_tree_has_joints_alone():
    motion, body = small_motion("smplh"), small_body("smplh")
    plain = tree(motion, body)
    performer = motion_performer(plain, None, "tree")
    torch.testing.assert_close(performer.joints([2, 5]), plain.joints()[[2, 5]].double())
    assert performer.kind == "joint tree" and performer.faces is None and not performer.has_surface
    with pytest.raises(UsageError, match="--body") as error:
        performer.vertices([0])
    assert error.value.where == "tree"


def test_that_of_meshes_is_the_files(tmp_path):
    body, motion = small_body("smplh"), small_motion("smplh", 5)
    write_mesh_sequence(motion.vertices(body), body.faces, tmp_path / "scan", format="ply")
    read = read_mesh_sequence(tmp_path / "scan")
    (performer,) = load_performers([tmp_path / "scan"], source_fps=25)
    assert torch.equal(performer.vertices([4, 0]), read.vertices[[4, 0]])
    assert torch.equal(performer.faces, body.faces) and performer.joints([1]).shape == (1, 0, 3)
    assert (performer.kind, performer.name, performer.fps, performer.body) == ("meshes", "scan", 25, None)


def test_that_of_keypoints_has_what_was_seen():
    motion, body = small_motion("smplh"), small_body("smplh")
    points = keypoints(motion, body)
    performer = keypoint_performer(points)
    torch.testing.assert_close(performer.joints([3, 7]), points.positions[[3, 7]].double(), equal_nan=True)
    assert performer.kind == "keypoints" and performer.joint_names == motion.skeleton.names
    assert performer.holds(3) and not performer.holds(7) and not performer.holds(12)
    with pytest.raises(UsageError, match="3D"):
        keypoint_performer(replace(points, positions=points.positions[..., :2], confidence=None))


def test_frames_without_data_are_nan():
    motion, body = small_motion("smplh"), small_body("smplh")
    translation = motion.translation.clone()
    translation[2] = math.nan
    mask = torch.arange(12) != 5
    performer = motion_performer(motion.replace(translation=translation, mask=mask), body)
    assert performer.valid_frames().tolist() == [0, 1, 3, 4, 6, 7, 8, 9, 10, 11]
    for found in (performer.vertices(range(12)), performer.joints(range(12))):
        assert found[[2, 5]].isnan().all() and found[performer.valid].isfinite().all()
    with pytest.raises(BadData, match="shape"):
        motion_performer(motion.replace(betas=motion.betas * math.nan), body)


@pytest.mark.parametrize("kind", ["motion", "joint tree", "meshes", "keypoints"])
def test_a_part_is_that_of_the_part(kind):
    motion, body = small_motion("smplh"), small_body("smplh")
    performer = {
        "motion": lambda: motion_performer(motion, body),
        "joint tree": lambda: motion_performer(tree(motion, body)),
        "meshes": lambda: mesh_performer(motion.vertices(body), body.faces, 30.0),
        "keypoints": lambda: keypoint_performer(keypoints(motion, body)),
    }[kind]()
    assert performer.kind == kind
    part = performer[2:10:2]
    assert len(part) == 4 and part.fps == 15
    torch.testing.assert_close(part.joints([0, 3]), performer.joints([2, 8]), equal_nan=True)
    if performer.has_surface:
        torch.testing.assert_close(part.vertices([1, 3]), performer.vertices([4, 8]))
    if kind == "meshes":
        with pytest.raises(UsageError, match="--source-fps"):
            at_rate(performer, 10.0)
    else:
        slow = at_rate(performer, 10.0)
        torch.testing.assert_close(slow.joints([0, 2]), performer.joints([0, 6]), equal_nan=True)
        assert slow.fps == 10 and len(slow) == 4


def test_meshes_take_body_and_rate_of_what_is_beside_them():
    body, motion = small_body("smplh"), small_motion("smplh", fps=24.0)
    meshes = MeshSequence(motion.vertices(body), body.faces, ())
    first = load_performers([meshes, motion], [None, body])[0]
    assert first.body is body and first.fps == 24 and first.kind == "meshes"
    with pytest.raises(UsageError, match="--source-fps"):
        load_performers([meshes])
    assert load_performers([meshes], mesh_fps=30.0)[0].body is None
    with pytest.raises(UsageError, match="6890"):
        load_performers([meshes], ["open-smplh"], source_fps=30.0)


def test_meshes_of_a_known_body_are_recognised(tmp_path):
    body, motion = load_body("open-smplh-neutral"), small_motion("smplh", 2)
    write_mesh_sequence(motion.vertices(body), body.faces, tmp_path / "scan")
    save_motion(motion, tmp_path / "walk.npz")
    walk, scan = load_performers([tmp_path / "walk.npz", tmp_path / "scan"], ["open-smplh-neutral", ""])
    assert scan.body is not None and scan.body.name == "open-smplh-neutral" and scan.fps == walk.fps == 30
    assert any("30 fps" in note for note in scan.notes)
    again = load_performers([scan], names=["again"])[0]
    assert again.name == "again" and again.meshes is scan.meshes
