"""The viewer: its clock, what it sends to the browser, and its server."""

import io
import socket
import sys
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.material import small_body, small_motion
from vitruve.draw.heat import heat_colours
from vitruve.draw.scene import Actor, Scene, load_scene, side_by_side
from vitruve.errors import BadData, MissingAsset, UsageError
from vitruve.viewer import timeline as viewer_player
from vitruve.viewer.heat_glb import coloured_glb
from vitruve.viewer.server import open_server
from vitruve.viewer.timeline import Player

pytest.importorskip("viser", reason="no viser: pip install 'vitruve[view]'")

import msgspec
import zstandard

from vitruve.draw.framing import on_picture
from vitruve.draw.scene import limbs_facing_deg
from vitruve.geometry.camera import camera_axes, look_at
from vitruve.motion import Keypoints
from vitruve.motion.performer import keypoint_performer, mesh_performer, motion_performer
from vitruve.viewer.actor import ActorNodes, Look, skinned
from vitruve.viewer.aim import FOV_DEG, PRESETS, abreast, aim, followed_path
from vitruve.viewer.controls import fitting_bodies
from vitruve.viewer.recording import _mean_errors, check_recording, save_recording
from vitruve.viewer.viewer import Viewer

GAP = (5, 6)
PATIENCE = 120.0  # seconds for what takes a fraction of one: other tests run beside it


def actor(layout="smplh", frames=12, correctives=False, gap=(), **changes):
    motion = small_motion(layout, frames)
    mask = torch.ones(frames, dtype=torch.bool)
    mask[list(gap)] = False
    motion = motion.replace(mask=mask if len(gap) else None)
    body = small_body(layout, correctives=correctives)
    return replace(Actor(motion_performer(motion, body, f"a {layout}")), **changes)


def changed(one, name="", **fields):
    """An actor whose motion has other fields."""
    motion, body = one.performer.motion.replace(**fields), one.performer.body
    return replace(one, performer=motion_performer(motion, body, name or one.name))


class Stage:
    """A stage that remembers what it was asked to do, and takes its time: until `open` is set, and some seconds."""

    def __init__(self, seconds=0.0):
        self.seconds, self.drawn, self.rounds, self.said = seconds, [], [], []
        self.open = threading.Event()
        self.open.set()

    def draw(self, frame):
        self.open.wait(PATIENCE)
        time.sleep(self.seconds)
        self.drawn.append(frame)

    def settle(self, round):
        self.rounds.append(round)
        return round < 1

    def moved(self, frame, playing):
        self.last = (frame, playing)

    def say(self, title, text):
        self.said.append(title)


def player(stage, frames=100, fps=50.0):
    made = Player(stage, frames, fps)
    made.start()
    return made


def test_of_many_wishes_only_the_last_is_drawn():
    stage = Stage()
    stage.open.clear()
    clock = player(stage, frames=10_000)
    for frame in range(0, 9_000, 10):
        clock.go_to(frame)
    stage.open.set()
    assert clock.wait_until_drawn(PATIENCE)
    clock.close()
    assert stage.drawn[-1] == 8_990
    assert len(stage.drawn) <= 2  # the other is what was wished for when drawing began
    assert stage.rounds[-2:] == [0, 1]


@settings(max_examples=10)
@given(st.lists(st.integers(-300, 300), min_size=1, max_size=6))
def test_steps_stay_within_the_clip(steps):
    stage = Stage()
    clock = Player(stage, 100, 50.0)
    expected = 0
    for step in steps:
        clock.step(step)
        expected = min(max(expected + step, 0), 99)
        assert clock.frame == expected
        assert stage.last == (expected, False)


def test_time_runs_at_the_speed_that_was_set_and_leaves_frames_out_where_drawing_is_slow():
    stage = Stage(seconds=0.1)
    clock = player(stage, frames=1_000_000_000, fps=1000.0)
    clock.set_speed(2.0)
    start = time.monotonic()
    clock.play()
    while len(stage.drawn) < 4:
        time.sleep(0.01)
    frame, seconds = clock.frame, time.monotonic() - start
    clock.close()
    assert 0.05 * 2000 < frame <= 2000 * seconds
    assert min(np.diff(stage.drawn)) > 50


def test_time_stops_at_the_end_where_it_does_not_loop():
    clock = player(Stage(), frames=5, fps=200.0)
    clock.loop = False
    clock.play()
    assert clock.wait_until_drawn(PATIENCE)
    assert clock.frame == 4 and not clock.playing
    clock.set_speed(1e-6)
    clock.play()
    assert clock.frame == 0
    clock.close()


def test_a_step_in_the_moment_in_which_time_goes_on_is_not_lost(monkeypatch):
    clock, now, others = Player(Stage(), 100, 50.0), [0.0], []

    def monotonic():
        if now[0] and not others:
            others.append(threading.Thread(target=clock.step, args=(10,)))
            others[0].start()
            others[0].join(0.3)  # it must wait until the clock has been read
        return now[0]

    monkeypatch.setattr(viewer_player, "time", SimpleNamespace(monotonic=monotonic))
    clock.play()
    now[0] = 1.0
    clock._advance()
    others[0].join()
    assert clock.frame == 60 and not clock.playing
    clock._advance()
    assert clock.frame == 60


def test_a_single_frame_stands_still():
    stage = Stage()
    clock = player(stage, frames=1)
    clock.play()
    assert clock.wait_until_drawn(PATIENCE)
    clock.close()
    assert stage.rounds == [0, 1] and stage.last == (0, False)


def test_a_wish_that_cannot_be_is_said_and_no_fault_ends_the_thread(caplog):
    stage = Stage()
    clock = player(stage)

    def impossible():
        raise BadData("no such body", fix="take another")

    def broken():
        raise ZeroDivisionError

    clock.do(impossible)
    assert clock.wait_until_drawn(PATIENCE)
    assert stage.said == ["no such body"]
    clock.do(broken)
    clock.do(lambda: stage.rounds.append("next"))
    assert clock.wait_until_drawn(PATIENCE)
    assert isinstance(clock.error, ZeroDivisionError) and "ZeroDivisionError" in caplog.text
    assert len(stage.said) == 2 and "next" in stage.rounds

    stage.draw = lambda frame: 1 / (frame - 7)
    clock.go_to(7)
    assert clock.wait_until_drawn(PATIENCE)
    assert len(stage.said) == 3
    clock.go_to(8)
    assert clock.wait_until_drawn(PATIENCE) and clock.frame == 8
    assert len(stage.said) == 3
    clock.close()


@pytest.mark.parametrize("layout", ["smpl", "smplh"])
def test_what_the_browser_skins_is_the_body_where_it_has_no_correctives(server, layout):
    mine = actor(layout, offset=(0.5, -0.25))
    nodes, shaped = ActorNodes(server, mine, "/world/a"), mine.performer.shaped
    rest, joints, weights = skinned(shaped.body, shaped.rest_vertices.numpy(), shaped.rest_joints.numpy())
    assert ((weights > 0).sum(1) <= 4).all()
    for frame in (0, 7):
        quaternions, positions = nodes.bones(frame)
        turned = rotations(quaternions)
        world = np.einsum("jab,vjb->vja", turned, rest[:, None] - joints) + positions
        np.testing.assert_allclose((weights[..., None] * world).sum(1), nodes.vertices(frame), atol=2e-5)


def test_bones_carry_the_joints_where_an_expression_moves_them(server):
    mine = actor("smplx")
    nodes = ActorNodes(server, mine, "/world/a")
    body, motion = mine.performer.body, mine.performer.motion
    moved = body.shaped(motion.betas, motion.expression).rest_joints[3].numpy()
    quaternions, positions = nodes.bones(3)
    offset = moved - body.shaped(motion.betas).rest_joints.numpy()
    there = np.einsum("jab,jb->ja", rotations(quaternions), offset) + positions
    assert np.abs(offset).max() > 1e-4
    np.testing.assert_allclose(there, mine.joint_positions([3])[0].numpy(), atol=2e-6)
    np.testing.assert_allclose(nodes.joints(3), mine.joint_positions([3])[0].numpy(), atol=2e-6)


def rotations(quaternions):
    w, x, y, z = quaternions.T.astype(np.float64)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), -1, 0)


def test_a_frame_without_data_is_not_drawn(server):
    mine = actor(gap=GAP)
    nodes = ActorNodes(server, mine, "/world/a")
    seen = {frame: nodes.show(frame, Look()) for frame in range(14)}
    assert [frame for frame, here in seen.items() if not here] == [*GAP, 12, 13]
    nodes.show(4, Look())
    assert nodes._root.visible and nodes._skin.visible
    nodes.show(5, Look())
    assert not nodes._root.visible


def test_a_plain_tree_is_drawn_as_joints_and_bones(server):
    motion = small_motion("smplh")
    plain = motion.replace(body="", skeleton=replace(motion.skeleton, rest=small_body("smplh").template[:52]))
    nodes = ActorNodes(server, Actor(motion_performer(plain)), "/world/a")
    assert nodes.show(3, Look())
    assert not nodes.has_surface and nodes._joints.visible
    np.testing.assert_allclose(nodes._joints.points, plain.joints()[3].numpy(), atol=1e-6)
    np.testing.assert_allclose(
        nodes._bones.points, plain.joints()[3].numpy()[np.array(plain.skeleton.edges)], atol=1e-6
    )


def test_meshes_are_shown_as_they_are_in_every_frame(server):
    body, motion = small_body("smplh"), small_motion("smplh")
    moving = mesh_performer(motion.vertices(body), body.faces, 30.0, body, "scan")
    mine = Actor(moving, offset=(0.5, 0.0), errors=lambda frames: np.ones((len(frames), body.num_vertices), np.float32))
    nodes = ActorNodes(server, mine, "/world/a")
    for frame in (3, 8):
        assert nodes.show(frame, Look(joints=True))
        expected = motion.vertices(body)[frame].numpy() + np.array([0.5, 0, 0])
        np.testing.assert_allclose(nodes._exact.vertices, expected, atol=1e-6)
        assert nodes._exact.visible and not nodes._joints.visible and nodes._exact.opacity is None
    assert nodes.send_heat(8, Look(heat=True))
    nodes.show_heat()
    assert nodes._heat.visible and not nodes._exact.visible
    assert not nodes.show(12, Look()) and fitting_bodies(mine) == []
    scene = Scene((mine,), 30.0)
    assert followed_path(scene).shape == (12, 2) and np.isfinite(followed_path(scene)).all()


def test_keypoints_that_are_missing_are_not_drawn(server):
    motion = small_motion("smplh")
    positions = motion.joints(small_body("smplh")).clone()
    positions[4, 7] = torch.nan
    positions[6] = torch.nan
    mine = Actor(keypoint_performer(Keypoints(positions, 30.0, motion.skeleton)))
    nodes = ActorNodes(server, mine, "/world/a")
    for frame, missing in ((3, 0), (4, 1), (5, 0)):
        assert nodes.show(frame, Look())
        assert len(nodes._joints.points) == 52 - missing and np.isfinite(nodes._bones.points).all()
        assert (len(nodes._bones.points) < 51) == bool(missing)
    assert not nodes.show(6, Look()) and not nodes.has_surface
    assert np.isfinite(followed_path(Scene((mine,), 30.0))).all()


@pytest.mark.parametrize("kind", ["meshes", "keypoints"])
def test_a_page_is_opened_for_what_is_no_motion(server, kind):
    motion, body = small_motion("smplh"), small_body("smplh")
    performers = {
        "meshes": mesh_performer(motion.vertices(body), body.faces, 30.0, None, "scan"),
        "keypoints": keypoint_performer(Keypoints(motion.joints(body), 30.0, motion.skeleton)),
    }
    scene = load_scene([performers[kind], performers[kind]], layout="side", heat=kind == "meshes")
    with Viewer(server, scene, heat=kind == "meshes") as viewer:
        viewer.player.go_to(5)
        assert viewer.player.wait_until_drawn(PATIENCE) and viewer.player.error is None
        viewer.set_body(0, "open-smplh-neutral")
        assert viewer.player.wait_until_drawn(PATIENCE) and viewer.player.error is None
        assert [nodes.actor.performer.kind for nodes in viewer.nodes] == [kind, kind]


def test_coloured_glb_says_what_it_was_given():
    body = small_body("smpl")
    colours = heat_colours(np.r_[np.nan, np.linspace(0, 20, body.num_vertices - 1)], 10.0)
    glb = coloured_glb(body.template, body.faces, colours)
    mesh = trimesh.load(io.BytesIO(glb), file_type="glb", process=False, force="mesh")
    np.testing.assert_allclose(mesh.vertices, body.template.numpy(), atol=1e-6)
    np.testing.assert_array_equal(mesh.faces, body.faces.numpy())
    shades = np.frombuffer(glb[-8 * body.num_vertices :], np.uint16).reshape(-1, 4) / 65535
    np.testing.assert_allclose(shades, np.c_[colours**2.2, np.ones(len(colours))], atol=1e-4)
    glass = coloured_glb(body.template, body.faces, colours, opacity=0.4)
    assert b'"BLEND"' in glass and b'"BLEND"' not in glb
    shades = np.frombuffer(glass[-8 * body.num_vertices :], np.uint16).reshape(-1, 4) / 65535
    np.testing.assert_allclose(shades[:, 3], 0.4, atol=1e-4)


def test_the_followed_path_bridges_gaps_and_smooths():
    mine = actor(frames=60)
    straight = mine.performer.motion.translation.clone()
    straight[:, 0], straight[:, 1] = torch.linspace(0, 2, 60), 0.0
    mine = changed(mine, translation=straight)
    scene = Scene((mine,), mine.performer.fps)
    whole = followed_path(scene)
    broken = straight.clone()
    broken[20:30] = torch.nan
    mask = torch.ones(60, dtype=torch.bool)
    mask[20:30] = False
    gappy = changed(mine, translation=broken, mask=mask)
    np.testing.assert_allclose(followed_path(Scene((gappy,), 30.0)), whole, atol=1e-6)
    root = mine.joint_positions(range(60))[:, 0, :2].numpy()
    np.testing.assert_allclose(whole[40], root[40], atol=0.05)


def test_the_camera_stands_in_front_and_has_all_in_the_picture():
    mine = actor("smplh")
    points = mine.joint_positions([4])[0].numpy()
    position, target = aim(points, 90.0, (0.0, 0.0), 1.5)
    assert position[0] > points[:, 0].max()
    pixels, depth = on_picture(look_at(position, target, (1500, 1000), FOV_DEG), points, (1500, 1000))
    assert (depth > 0).all() and (pixels > 0).all() and (pixels < (1500, 1000)).all()


@pytest.mark.parametrize("turn", [0.0, 1.2, 3.0])
def test_side_by_side_the_first_stands_on_the_left_from_the_front_whichever_way_it_faces(turn):
    mine = actor("smplh")
    cos, sin = np.cos(turn), np.sin(turn)
    about_z = torch.tensor([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], dtype=torch.float64)
    rotations = mine.performer.motion.rotations.clone()
    rotations[:, 0] = about_z @ rotations[:, 0]
    mine = changed(mine, rotations=rotations)
    scene = Scene((mine, changed(mine, "another")), 30.0)
    assert abreast(scene) is scene
    placed = abreast(side_by_side(scene)).actors
    middles = np.stack([one.joint_positions([0])[0, 0].numpy() for one in placed])
    np.testing.assert_allclose(np.linalg.norm(middles[1] - middles[0]), 1.0)
    position, target = aim(middles, limbs_facing_deg(mine, [0]), PRESETS["Front"], 1.0)
    right = camera_axes(torch.from_numpy(target - position))[0].numpy()
    np.testing.assert_allclose((middles[1] - middles[0]) @ right, 1.0, atol=1e-6)


def test_bodies_to_choose_from_fit_the_skeleton():
    names = fitting_bodies(actor("smplx"))
    assert "open-smplx-neutral" in names and not any("smplh" in name for name in names)


def test_ports(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} is taken") as error:
            open_server(port=port)
        assert "--port" in error.value.fix
    with pytest.raises(UsageError, match="not an address"):
        open_server("203.0.113.1")
    monkeypatch.setitem(sys.modules, "viser", None)
    with pytest.raises(MissingAsset, match="viser"):
        open_server()


def test_a_recording_needs_a_known_ending(tmp_path):
    with pytest.raises(UsageError, match="cannot be written as"):
        check_recording(tmp_path / "walk.mp4")


def recorded(path):
    """The messages of a recording: (seconds, content)."""
    inner = zstandard.ZstdDecompressor().decompress(path.read_bytes()[8:])
    size = int.from_bytes(inner[:8], "little")
    return msgspec.msgpack.decode(inner[8 : 8 + size])["messages"]


def test_a_recording_shows_the_mean_error_on_a_body_that_stands_beside(tmp_path):
    first = actor(frames=6)
    moved = changed(first, "moved", translation=first.performer.motion.translation + 0.003)
    np.testing.assert_allclose(_mean_errors(first, moved), np.sqrt(3 * 3.0**2), rtol=1e-3)
    scene = Scene((first, moved), 30.0, 0.0)
    plain, heat = (
        {content.get("name") for _, content in recorded(save_recording(scene, tmp_path / name, heat=heat))}
        for name, heat in (("plain.viser", False), ("heat.viser", True))
    )
    assert heat - plain == {"/heat1", "/scale1"}
    with pytest.raises(UsageError, match="heat map"):
        save_recording(Scene((first,), 30.0, 0.0), tmp_path / "one.viser", heat=True)
    assert not (tmp_path / "one.viser").exists()
