"""What is loaded to be seen: bodies, gaps, ground, errors."""

import dataclasses
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.material import small_body, small_motion
from vitruve.draw.film import Look, film
from vitruve.draw.scene import Actor, Scene, limbs_facing_deg, load_scene, side_by_side
from vitruve.draw.views import CameraChoice, place_camera
from vitruve.errors import BadData, MissingAsset, UsageError
from vitruve.formats import save_motion
from vitruve.formats.readers.mesh_sequence import MeshSequence, write_mesh_sequence
from vitruve.geometry.rotations import rotation_about
from vitruve.motion import Keypoints, rotate_world
from vitruve.motion.clips import bundled_clip_path
from vitruve.motion.performer import motion_performer
from vitruve.skeletons import load_skeleton


def test_a_file_is_drawn_on_the_body_that_it_names(tmp_path):
    scene = load_scene([bundled_clip_path()], ["open-smplh"])
    (actor,) = scene.actors
    assert actor.performer.body is not None and actor.performer.body.name == "open-smplh-neutral"
    assert actor.name == "vitruve_walk_poses" and len(scene) == len(actor.performer) == 600
    assert scene.ground == pytest.approx(0, abs=0.01)


def test_motions_of_one_file_name_are_told_apart(tmp_path):
    body, paths = small_body("smplh"), []
    for folder in ("before", "after"):
        (tmp_path / folder).mkdir()
        paths.append(save_motion(small_motion("smplh"), tmp_path / folder / "walk.npz"))
    other = save_motion(small_motion("smplh"), tmp_path / "run.npz")
    names = [actor.name for actor in load_scene([*paths, paths[0], other], [body]).actors]
    assert names == ["before/walk (1)", "after/walk", "before/walk (3)", "run"]


def test_a_plain_tree_has_no_surface(tmp_path):
    motion, rest = small_motion("smplh"), small_body("smplh").shaped().rest_joints
    plain = motion.replace(body="", betas=motion.betas[:0], skeleton=dataclasses.replace(motion.skeleton, rest=rest))
    path = save_motion(plain, tmp_path / "walk.bvh")
    (actor,) = load_scene([path]).actors
    assert actor.performer.kind == "joint tree"
    assert actor.joint_positions([0, 4]).shape == (2, len(actor.performer.skeleton), 3)
    with pytest.raises(UsageError, match="--body"):
        actor.vertices([0])


def test_the_ground_is_the_lowest_point():
    body, motion = small_body("smplh"), small_motion("smplh")
    scene = load_scene([motion], [body])
    assert scene.ground == pytest.approx(float(scene.actors[0].vertices(range(len(motion)))[..., 2].min()))


def with_gap(motion, frames=(2, 3)):
    translation = motion.translation.clone()
    translation[list(frames)] = torch.nan
    return dataclasses.replace(motion, translation=translation)


def test_frames_with_nan_are_gaps_that_are_counted():
    body, motion = small_body("smplh"), small_motion("smplh")
    scene = load_scene([with_gap(motion)], [body])
    (actor,) = scene.actors
    assert [actor.performer.holds(i) for i in range(5)] == [True, True, False, False, True]
    assert not actor.performer.holds(len(motion))
    assert actor.performer.valid_frames().tolist() == [0, 1, *range(4, 12)]
    assert "2 of 12 frames" in scene.notes[0]
    masked = motion.replace(mask=torch.arange(12) > 4)
    assert "5 of 12 frames" in load_scene([masked], [body]).notes[0]
    assert not load_scene([motion], [body]).notes
    with pytest.raises(BadData, match="no frame has data"):
        load_scene([with_gap(motion, range(12))], [body])


def test_errors_of_bodies_are_clear(monkeypatch, tmp_path):
    body, motion = small_body("smplh"), small_motion("smplh")
    with pytest.raises(UsageError, match="nothing to see"):
        load_scene([])
    with pytest.raises(UsageError, match="3 bodies for 2 motions"):
        load_scene([motion, motion], [body] * 3)
    with pytest.raises(UsageError, match=r"52 joints(.|\n)*small-smplx(.|\n)*--body"):
        load_scene([motion], [small_body("smplx")])
    with pytest.raises(UsageError, match=r"unknown body 'star(.|\n)*--body"):
        load_scene([motion], ["star"])
    unknown = motion.replace(body="star")
    with pytest.raises(UsageError, match="--body"):
        load_scene([unknown])
    monkeypatch.setenv("VITRUVE_BODIES", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(MissingAsset, match="smplh-male"):
        load_scene([motion], ["smplh-male"])


def test_betas_beyond_those_of_the_body_are_left_out():
    body, motion = small_body("smplh"), small_motion("smplh")
    longer = motion.replace(betas=torch.cat([motion.betas, torch.ones(6).double()]))
    scene = load_scene([longer], [body])
    assert "10" in scene.notes[0]
    assert torch.equal(scene.actors[0].vertices([3]), load_scene([motion], [body]).actors[0].vertices([3]))


def test_vertices_are_those_of_the_motion():
    body, motion = small_body("smplx"), small_motion("smplx")
    (actor,) = load_scene([motion], [body]).actors
    torch.testing.assert_close(actor.vertices([7, 2]), motion.vertices(body)[[7, 2]])


def test_error_between_equal_meshes_is_the_distance_in_millimetres():
    body, motion = small_body("smplh"), small_motion("smplh")
    moved = motion.replace(translation=motion.translation + torch.tensor([0.003, 0.0, 0.004]))
    scene = load_scene([with_gap(motion, [1]), moved], [body], heat=True)
    assert scene.actors[0].errors is None and scene.actors[1].errors is not None
    errors = scene.actors[1].errors([0, 1, 5])
    assert errors.shape == (3, body.num_vertices)
    np.testing.assert_allclose(errors[[0, 2]], 5.0, rtol=1e-5)
    assert np.isnan(errors[1]).all()  # nothing to compare with in the gap
    aside = side_by_side(scene).actors[1].errors
    assert aside is not None
    np.testing.assert_allclose(aside([5]), 5.0, rtol=1e-5)


def test_error_matches_frames_by_time():
    body, motion = small_body("smplh"), small_motion("smplh")
    half = motion[::2]
    errors = load_scene([motion, half], [body], heat=True).actors[1].errors
    assert errors is not None
    np.testing.assert_allclose(errors([0, 2, 5]), 0, atol=1e-4)


def test_an_error_needs_two_surfaces():
    body, motion = small_body("smplh"), small_motion("smplh")
    with pytest.raises(UsageError, match="two motions"):
        load_scene([motion], [body], heat=True)


def test_the_time_line_is_as_long_as_the_longest_and_matches_by_time():
    body, motion = small_body("smplh"), small_motion("smplh")
    slow = motion.replace(fps=10.0)
    scene = load_scene([motion, slow], [body])
    assert scene.fps == 30 and len(scene) == 36
    assert [scene.frame_of(scene.actors[1], i) for i in (0, 3, 30)] == [0, 1, 10]
    assert not scene.actors[0].performer.holds(scene.frame_of(scene.actors[0], 12))


@pytest.mark.parametrize("fps", [24.0, 29.97, 30.0, 50.0, 60.0, 120.0])
def test_a_slower_clip_is_seen_to_the_end_of_its_time(fps):
    slow = Actor(motion_performer(small_motion("smpl", 10).replace(fps=30.0)))
    scene = Scene((slow,), fps)
    own = [scene.frame_of(slow, frame) for frame in range(len(scene) + 3)]
    assert own == sorted(own)
    assert [slow.performer.holds(frame) for frame in own] == [i / fps < 10 / 30.0 - 1e-9 for i in range(len(own))]


def test_a_rate_is_for_files_that_do_not_say_theirs(tmp_path):
    with np.load(bundled_clip_path()) as file:
        values = {key: file[key] for key in file if "rate" not in key and key != "fps"}
    np.savez(tmp_path / "silent.npz", **values)
    scene = load_scene([tmp_path / "silent.npz", bundled_clip_path()], ["open-smplh"], source_fps=25.0)
    assert [actor.performer.fps for actor in scene.actors] == [25, 30]
    with pytest.raises(BadData, match="frame rate"):
        load_scene([tmp_path / "silent.npz"], ["open-smplh"])


def test_side_by_side_is_along_the_way_asked_for():
    body, motion = small_body("smplh"), small_motion("smplh")
    scene = side_by_side(load_scene([motion] * 3, [body]), 2.0, (0.0, 1.0))
    assert [actor.offset for actor in scene.actors] == [(0, -2), (0, 0), (0, 2)]
    shifted = scene.actors[2].vertices([0]) - scene.actors[1].vertices([0])
    np.testing.assert_allclose(shifted[0], np.broadcast_to([0, 2, 0], shifted[0].shape), atol=1e-9)


def test_a_folder_of_meshes_is_drawn_like_the_motion_that_made_it(tmp_path):
    body, motion = small_body("smplh"), small_motion("smplh", 6)
    write_mesh_sequence(motion.vertices(body), body.faces, tmp_path / "scan", up="y")
    alone, given = load_scene([tmp_path / "scan"], up="y"), load_scene([tmp_path / "scan"], up="y", source_fps=25.0)
    assert "30 fps" in alone.notes[0] and alone.fps == 30
    assert given.notes == () and given.fps == 25
    scene = load_scene([motion, tmp_path / "scan"], [body, ""], up="y", heat=True)
    assert [actor.name for actor in scene.actors] == ["motion 1", "scan"] and scene.notes[0].startswith("scan: ")
    np.testing.assert_allclose(scene.actors[1].errors([0, 5]), 0, atol=1e-3)
    size, frames = (160, 120), [0, 5]
    look = Look(grid=False)
    pictures = []
    for shown in (load_scene([motion], [body]), alone):
        camera = place_camera(scene, frames, CameraChoice(), size)
        pictures.append(np.stack(list(film(shown, frames, camera, size, look))))
    apart = np.abs(pictures[0].astype(int) - pictures[1].astype(int)).max(-1)
    assert (apart > 8).mean() < 0.002 and np.ptp(pictures[1]) > 60


def test_meshes_that_nobody_knows_are_compared_vertex_by_vertex():
    body, motion = small_body("smplh"), small_motion("smplh", 4)
    meshes = MeshSequence(motion.vertices(body).float(), body.faces, ())
    moved = replace(meshes, vertices=meshes.vertices + torch.tensor([0.0, 0.0, 0.002]))
    scene = load_scene([meshes, moved], heat=True)
    np.testing.assert_allclose(scene.actors[1].errors([1]), 2.0, atol=1e-3)
    with pytest.raises(BadData, match="two unknown bodies"):
        load_scene([meshes, MeshSequence(meshes.vertices[:, :60], torch.tensor([[0, 1, 2]]), ())], heat=True)
    with pytest.raises(BadData, match="without faces"):
        load_scene([replace(meshes, faces=torch.zeros(0, 3, dtype=torch.long))])


@pytest.mark.parametrize("turn", [0.0, 1.5])
def test_meshes_of_a_known_body_show_where_they_face(turn):
    body, motion = small_body("smplh"), small_motion("smplh", 4)
    turned = rotate_world(motion, rotation_about("Z", torch.tensor(turn).double()), body)
    meshes = MeshSequence(turned.vertices(body), body.faces, ())
    actor = load_scene([meshes], [body]).actors[0]
    plain = load_scene([MeshSequence(motion.vertices(body), body.faces, ())], [body]).actors[0]
    frames = [0, 1, 2, 3]
    change = limbs_facing_deg(actor, frames) - limbs_facing_deg(plain, frames)
    assert (change - np.degrees(turn) + 180) % 360 - 180 == pytest.approx(0, abs=1e-3)


def test_keypoints_are_drawn_as_joints_and_bones():
    motion, body = small_motion("smplh", 6), small_body("smplh")
    positions = motion.joints(body).clone()
    positions[:, 5] = torch.nan
    positions[3] = torch.nan
    scene = load_scene([Keypoints(positions, 30.0, motion.skeleton)])
    assert scene.notes == ("motion 1: 1 of 6 frames have no data and stay empty",)
    size, frames = (160, 120), [0, 2, 3]
    camera = place_camera(scene, frames, CameraChoice(follow=True), size)
    seen = list(film(scene, frames, camera, size, Look(grid=False)))
    assert np.ptp(seen[0]) > 60 and np.ptp(seen[1]) > 60 > np.ptp(seen[2])
    coco = Keypoints(positions[:, :17], 30.0, load_skeleton("coco17"))  # edges, but no parents
    assert np.ptp(next(film(load_scene([coco]), [0], camera[:1], size, Look(grid=False)))) > 60
    with pytest.raises(UsageError, match="has none"):
        load_scene([motion, Keypoints(positions, 30.0, motion.skeleton)], [body, ""], heat=True)
