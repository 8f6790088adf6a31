"""The viewer: its clock, what it sends to the browser, its server, and the page with its controls in Chromium."""

import io
import socket
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.browser import browser_page
from tests.material import small_body, small_motion
from vitruve.errors import BadData, MissingAsset, UsageError
from vitruve.view.heat import heat_colours
from vitruve.view.scene import COLOURS, Actor, Scene, load_scene
from vitruve.view.viewer_heat import coloured_glb
from vitruve.view.viewer_player import Player
from vitruve.view.viewer_server import address, close_server, open_server

pytest.importorskip("viser", reason="no viser: pip install 'vitruve[view]'")

from vitruve.view.viewer import Viewer
from vitruve.view.viewer_actor import ActorNodes, Look, skinned
from vitruve.view.viewer_camera import aim, facing_deg, followed_path
from vitruve.view.viewer_controls import fitting_bodies
from vitruve.view.viewer_recording import check_recording, save_recording

GAP = (5, 6)


@pytest.fixture
def server():
    server = open_server(port=0)
    yield server
    close_server(server)


def actor(layout="smplh", frames=12, correctives=False, gap=(), **changes):
    motion = small_motion(layout, frames)
    mask = torch.ones(frames, dtype=torch.bool)
    mask[list(gap)] = False
    motion = motion.replace(mask=mask if len(gap) else None)
    return replace(Actor(f"a {layout}", motion, small_body(layout, correctives=correctives)), **changes)


class Stage:
    """A stage that remembers what it was asked to do, and takes its time."""

    def __init__(self, seconds=0.0):
        self.seconds, self.drawn, self.rounds, self.said = seconds, [], [], []

    def draw(self, frame):
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
    stage = Stage(seconds=0.03)
    clock = player(stage, frames=10_000)
    for frame in range(0, 9_000, 10):
        clock.go_to(frame)
    assert clock.wait_until_drawn()
    clock.close()
    assert stage.drawn[-1] == 8_990
    assert len(stage.drawn) < 20
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
    clock = player(stage, frames=10_000, fps=1000.0)
    clock.set_speed(2.0)
    start = time.monotonic()
    clock.play()
    while len(stage.drawn) < 4:
        time.sleep(0.01)
    seconds, frame = time.monotonic() - start, clock.frame
    clock.close()
    assert 0.05 * 2000 < frame <= 2000 * seconds
    assert min(np.diff(stage.drawn)) > 50


def test_time_stops_at_the_end_where_it_does_not_loop():
    clock = player(Stage(), frames=5, fps=200.0)
    clock.loop = False
    clock.play()
    assert clock.wait_until_drawn()
    assert clock.frame == 4 and not clock.playing
    clock.play()
    assert clock.frame < 4
    clock.close()


def test_a_wish_that_cannot_be_is_said_and_any_other_error_ends_the_wait():
    stage = Stage()
    clock = player(stage)

    def impossible():
        raise BadData("no such body", fix="take another")

    def broken():
        raise ZeroDivisionError

    clock.do(impossible)
    assert clock.wait_until_drawn()
    assert stage.said == ["no such body"]
    clock.do(broken)
    with pytest.raises(ZeroDivisionError):
        clock.wait(10)


@pytest.mark.parametrize("layout", ["smpl", "smplh"])
def test_what_the_browser_skins_is_the_body_where_it_has_no_correctives(server, layout):
    mine = actor(layout, offset=(0.5, -0.25))
    nodes = ActorNodes(server, mine, "/world/a")
    rest, joints, weights = skinned(mine.body, mine.shaped.rest_vertices.numpy(), mine.shaped.rest_joints.numpy())
    assert ((weights > 0).sum(1) <= 4).all()
    for frame in (0, 7):
        quaternions, positions = nodes.bones(frame)
        turned = rotations(quaternions)
        world = np.einsum("jab,vjb->vja", turned, rest[:, None] - joints) + positions
        np.testing.assert_allclose((weights[..., None] * world).sum(1), nodes.vertices(frame), atol=2e-5)


def test_bones_carry_the_joints_where_an_expression_moves_them(server):
    mine = actor("smplx")
    nodes = ActorNodes(server, mine, "/world/a")
    moved = mine.body.shaped(mine.motion.betas, mine.motion.expression).rest_joints[3].numpy()
    quaternions, positions = nodes.bones(3)
    offset = moved - mine.shaped.rest_joints.numpy()
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
    plain = motion.replace(body="", skeleton=replace(motion.skeleton, rest=torch.rand(52, 3, dtype=torch.float64)))
    nodes = ActorNodes(server, Actor("tree", plain, None), "/world/a")
    assert nodes.show(3, Look())
    assert not nodes.has_surface and nodes._joints.visible
    np.testing.assert_allclose(nodes._joints.points, plain.joints()[3].numpy(), atol=1e-6)
    np.testing.assert_allclose(
        nodes._bones.points, plain.joints()[3].numpy()[np.array(plain.skeleton.edges)], atol=1e-6
    )


def test_coloured_glb_says_what_it_was_given():
    body = small_body("smpl")
    colours = heat_colours(np.r_[np.nan, np.linspace(0, 20, body.num_vertices - 1)], 10.0)
    glb = coloured_glb(body.template, body.faces, colours)
    mesh = trimesh.load(io.BytesIO(glb), file_type="glb", process=False, force="mesh")
    np.testing.assert_allclose(mesh.vertices, body.template.numpy(), atol=1e-6)
    np.testing.assert_array_equal(mesh.faces, body.faces.numpy())
    shades = np.frombuffer(glb[-8 * body.num_vertices :], np.uint16).reshape(-1, 4) / 65535
    np.testing.assert_allclose(shades, np.c_[colours**2.2, np.ones(len(colours))], atol=1e-4)


def test_the_followed_path_bridges_gaps_and_smooths():
    mine = actor(frames=60)
    straight = mine.motion.translation.clone()
    straight[:, 0], straight[:, 1] = torch.linspace(0, 2, 60), 0.0
    mine = replace(mine, motion=mine.motion.replace(translation=straight))
    scene = Scene((mine,), mine.motion.fps)
    whole = followed_path(scene)
    broken = straight.clone()
    broken[20:30] = torch.nan
    mask = torch.ones(60, dtype=torch.bool)
    mask[20:30] = False
    gappy = replace(mine, motion=mine.motion.replace(translation=broken, mask=mask))
    np.testing.assert_allclose(followed_path(Scene((gappy,), 30.0)), whole, atol=1e-6)
    root = mine.joint_positions(range(60))[:, 0, :2].numpy()
    np.testing.assert_allclose(whole[40], root[40], atol=0.05)


def test_the_camera_stands_in_front_and_has_all_in_the_picture():
    mine = actor("smplh")
    points = mine.joint_positions([4])[0].numpy()
    viewpoint = aim(points, 90.0, (0.0, 0.0), 1.5)
    assert viewpoint.position[0] > points[:, 0].max()
    pixels, depth = viewpoint.project(points, (1500, 1000))
    assert (depth > 0).all() and (pixels > 0).all() and (pixels < (1500, 1000)).all()
    assert np.isfinite(facing_deg(mine, 4))


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
    with pytest.raises(UsageError, match="no address of this machine"):
        open_server("203.0.113.1")
    monkeypatch.setitem(sys.modules, "viser", None)
    with pytest.raises(MissingAsset, match="viser"):
        open_server()


def test_a_recording_needs_a_known_ending(tmp_path):
    with pytest.raises(UsageError, match="not written as"):
        check_recording(tmp_path / "walk.mp4")


# Photographs of a page that software draws take long; what the page asks its graphics library to draw is as telling.
SPY = """(() => { window.drawn = {}; const kind = WebGL2RenderingContext.prototype, draw = kind.drawElements;
kind.drawElements = function(mode, count, type, offset) {
  window.drawn[count] = (window.drawn[count] || 0) + 1; return draw.call(this, mode, count, type, offset); }; })()"""


def times_drawn(page, body):
    """How often the page has drawn the triangles of a body."""
    return page.evaluate(f"window.drawn[{body.faces.numel()}] || 0")


def until(wanted, seconds=30.0):
    end = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < end, "the page did not follow"
        time.sleep(0.05)


def test_the_page_does_what_its_controls_say(server, tmp_path):
    first, second = (load_scene([small_motion("smplh", 40)], ["open-smplh"]).actors[0] for _ in range(2))
    shifted = second.motion.replace(translation=second.motion.translation + 0.003)
    mask = torch.ones(40, dtype=torch.bool)
    mask[list(GAP)] = False
    second = replace(second, name="moved", motion=shifted.replace(mask=mask), colour=COLOURS[1])
    scene = Scene((first, second), 30.0, 0.0, ("a note",))
    errors = []
    with Viewer(server, scene) as viewer, browser_page(480, 360, errors=errors) as page:
        clock = viewer.player
        page.add_init_script(SPY)
        page.goto(address(server))
        shown = page.locator("#vitruve-frame")
        shown.wait_for(timeout=60_000)

        def frame():
            return int(shown.get_attribute("data-frame"))

        assert frame() == 0
        viewer.place(True)
        until(lambda: times_drawn(page, first.body) > 1)

        page.get_by_role("button", name="+1", exact=True).click()
        until(lambda: frame() == 1)
        page.get_by_role("button", name="+10", exact=True).click()
        until(lambda: frame() == 11)
        assert clock.wait_until_drawn()
        own = viewer.nodes[0]
        np.testing.assert_allclose(own._exact.vertices, own.actor.vertices([11])[0].numpy(), atol=1e-5)
        np.testing.assert_allclose(own._skin.bones[4].position, own.bones(11)[1][4], atol=1e-5)

        page.get_by_role("button", name="Play", exact=True).click()
        until(lambda: frame() not in (11, 12))
        page.get_by_role("button", name="Pause", exact=True).click()
        assert clock.wait_until_drawn()
        until(lambda: frame() == clock.frame)

        page.get_by_role("textbox").first.fill("5")
        page.keyboard.press("Enter")
        until(lambda: frame() == 5)
        assert "no data here: moved" in shown.inner_text()
        page.keyboard.press("Escape")

        clock.go_to(20)
        page.get_by_label("Heat map").check()
        until(lambda: "mean 5.20 mm, worst 5.20 mm" in page.locator("#vitruve-errors").inner_text())
        assert clock.wait_until_drawn()
        assert viewer.nodes[1]._heat.visible and not viewer.nodes[1]._exact.visible
        page.get_by_label("Joints, bones").check()
        until(lambda: viewer.nodes[0]._joints.visible)

        page.get_by_role("button", name="Top", exact=True).click()
        client = next(iter(server.get_clients().values()))
        until(lambda: client.camera.position[2] > 3 * abs(client.camera.position[:2] - client.camera.look_at[:2]).max())
        assert clock.error is None
        assert errors == []


def test_another_body_is_picked_on_the_page(server):
    scene = load_scene([small_motion("smplh", 8)], ["open-smplh"])
    errors = []
    with Viewer(server, scene) as viewer, browser_page(480, 360, errors=errors) as page:
        page.goto(address(server))
        page.locator("#vitruve-frame").wait_for(timeout=60_000)
        page.locator("input.mantine-Select-input").last.click()
        page.get_by_role("option", name="open-smplh-male").click()
        until(lambda: viewer.nodes[0].actor.body.name == "open-smplh-male")
        until(lambda: page.get_by_text("open-smplh-male").count() > 0)
        assert page.get_by_role("option", name="joints only").count() == 0
        page.get_by_role("button", name="+1", exact=True).click()
        until(lambda: page.locator("#vitruve-frame").get_attribute("data-frame") == "1")
        assert viewer.player.wait_until_drawn()
        assert viewer.player.error is None and errors == []


def test_a_recording_plays_by_itself(tmp_path):
    mine = replace(actor("smpl", frames=8), colour=COLOURS[0])
    motion = mine.motion.replace(fps=60.0)
    scene = Scene((replace(mine, motion=motion),), 60.0, 0.0)
    done = []
    path = save_recording(scene, tmp_path / "walk.html", progress=lambda now, total: done.append((now, total)))
    assert done == [(1, 4), (2, 4), (3, 4), (4, 4)]
    with pytest.raises(UsageError, match="walk"):
        save_recording(scene, path)
    assert save_recording(scene, tmp_path / "walk.viser").stat().st_size < path.stat().st_size
    assert [file.name for file in sorted(tmp_path.iterdir())] == ["walk.html", "walk.viser"]
    assert threading.active_count() < 60
    errors = []
    with browser_page(400, 300, errors=errors) as page:
        page.add_init_script(SPY)
        page.goto(path.as_uri())
        page.locator("[role=slider]").wait_for(state="attached", timeout=60_000)
        until(lambda: times_drawn(page, mine.body) > 0)
        assert errors == []
