"""The viewer's page in Chromium: controls and keys do what they say, and nothing that is clicked ends the server."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.browser import browser_page
from tests.material import small_body, small_motion
from vitruve.draw.scene import COLOURS, Actor, Scene, load_scene
from vitruve.errors import MissingAsset, UsageError
from vitruve.motion.performer import motion_performer
from vitruve.viewer.server import address

pytest.importorskip("viser", reason="no viser: pip install 'vitruve[view]'")

from vitruve.viewer import viewer as module
from vitruve.viewer.recording import save_recording
from vitruve.viewer.viewer import Viewer

GAP = (5, 6)
PATIENCE = 120.0  # seconds: software draws slowly, and other tests run beside it


# Photographs of a page that software draws take long; what the page asks its graphics library to draw is as telling.
SPY = """(() => { window.drawn = {}; const kind = WebGL2RenderingContext.prototype, draw = kind.drawElements;
kind.drawElements = function(mode, count, type, offset) {
  window.drawn[count] = (window.drawn[count] || 0) + 1; return draw.call(this, mode, count, type, offset); }; })()"""


def times_drawn(page, body):
    """How often the page has drawn the triangles of a body."""
    return page.evaluate(f"window.drawn[{body.faces.numel()}] || 0")


def until(wanted):
    end = time.monotonic() + PATIENCE
    while not wanted():
        assert time.monotonic() < end, "the page did not follow"
        time.sleep(0.05)


def keys_move_time_alone(page, client, frame):
    eye, start = client.camera.position.copy(), frame()
    page.mouse.click(20, 380)
    for key, then in (("n", start + 1), ("p", start)):
        page.keyboard.press(key)
        until(lambda then=then: frame() == then)
    np.testing.assert_array_equal(client.camera.position, eye)


def test_the_page_does_what_its_controls_say(server, tmp_path):
    first, second = (load_scene([small_motion("smplh", 40)], ["open-smplh"]).actors[0] for _ in range(2))
    shifted = second.performer.motion.replace(translation=second.performer.motion.translation + 0.003)
    mask = torch.ones(40, dtype=torch.bool)
    mask[list(GAP)] = False
    second = Actor(motion_performer(shifted.replace(mask=mask), second.performer.body, "moved"), COLOURS[1])
    scene = Scene((first, second), 30.0, 0.0, ("a note",))
    errors = []
    with Viewer(server, scene) as viewer, browser_page(720, 400, errors=errors) as page:
        clock = viewer.player
        page.add_init_script(SPY)
        page.goto(address(server))
        shown = page.locator("#vitruve-frame")
        shown.wait_for()

        def frame():
            return int(shown.get_attribute("data-frame"))

        assert frame() == 0
        viewer.place(True)
        until(lambda: times_drawn(page, first.performer.body) > 1)

        page.get_by_role("button", name="+1", exact=True).click()
        until(lambda: frame() == 1)
        page.get_by_role("button", name="+10", exact=True).click()
        until(lambda: frame() == 11)
        assert clock.wait_until_drawn(PATIENCE)
        own = viewer.nodes[0]
        np.testing.assert_allclose(own._exact.vertices, own.actor.vertices([11])[0].numpy(), atol=1e-5)
        np.testing.assert_allclose(own._skin.bones[4].position, own.bones(11)[1][4], atol=1e-5)

        client = next(iter(server.get_clients().values()))
        keys_move_time_alone(page, client, frame)
        page.get_by_role("button", name="Play", exact=True).click()
        until(lambda: frame() not in (11, 12))
        page.get_by_role("button", name="Pause", exact=True).click()
        assert clock.wait_until_drawn(PATIENCE)
        until(lambda: frame() == clock.frame)

        page.get_by_role("textbox").first.fill("5")
        page.keyboard.press("Enter")
        until(lambda: frame() == 5)
        assert "no data here: moved" in shown.inner_text()
        page.keyboard.press("Escape")

        clock.go_to(20)
        page.get_by_label("Heat map").check()
        until(lambda: "mean 5.20 mm, worst 5.20 mm" in page.locator("#vitruve-errors").inner_text())
        assert clock.wait_until_drawn(PATIENCE)
        assert viewer.nodes[1]._heat.visible and not viewer.nodes[1]._exact.visible
        page.get_by_label("Joints, bones").check()
        until(lambda: viewer.nodes[0]._joints.visible)
        assert clock.wait_until_drawn(PATIENCE)
        assert b'"BLEND"' in viewer.nodes[1]._heat.glb_data

        page.get_by_role("button", name="Top", exact=True).click()
        until(lambda: client.camera.position[2] > 3 * abs(client.camera.position[:2] - client.camera.look_at[:2]).max())
        assert clock.error is None
        assert errors == []


def test_another_body_is_picked_on_the_page(server, monkeypatch):
    scene = load_scene([small_motion("smplh", 8)], ["open-smplh"])
    errors = []
    with Viewer(server, scene) as viewer, browser_page(720, 400, errors=errors) as page:
        page.goto(address(server))
        page.locator("#vitruve-frame").wait_for()
        # The panel is beside the scene, not over it.
        until(lambda: page.locator("canvas").first.evaluate("it => it.clientWidth") < 450)
        picker = page.locator("input.mantine-Select-input").last

        def pick(name):
            picker.click()
            page.get_by_role("option", name=name).click()

        pick("open-smplh-male")
        until(lambda: viewer.nodes[0].actor.performer.body.name == "open-smplh-male")
        until(lambda: page.get_by_text("open-smplh-male").count() > 0)
        assert page.get_by_role("option", name="joints only").count() == 0
        page.get_by_role("button", name="+1", exact=True).click()
        until(lambda: page.locator("#vitruve-frame").get_attribute("data-frame") == "1")
        assert viewer.player.wait_until_drawn(PATIENCE)

        # A body that knows fewer betas takes none from the motion.
        short = []
        for one in scene.actors:
            fewer = one.performer.motion.replace(betas=one.performer.motion.betas[:2])
            short.append(replace(one, performer=motion_performer(fewer, one.performer.body, one.name)))
        given = []

        def cut(motions, *_, **__):
            given.append(len(motions[0].betas))
            return Scene(tuple(short), 30.0)

        monkeypatch.setattr(module, "load_scene", cut)
        for times, name in enumerate(("open-smplh-neutral", "open-smplh-male"), 1):
            pick(name)
            until(lambda times=times: len(given) == times and picker.input_value() == "open-smplh-female")
        assert given == [10, 10]
        assert viewer.player.wait_until_drawn(PATIENCE) and viewer.player.error is None

        def missing(*_, **__):
            raise MissingAsset("the file is gone", fix="put it there again")

        monkeypatch.setattr(module, "load_scene", missing)
        pick("open-smplh-neutral")
        page.get_by_text("put it there again").wait_for()
        until(lambda: picker.input_value() == "open-smplh-female")

        monkeypatch.setattr(module, "load_scene", lambda *_, **__: 1 / 0)
        pick("open-smplh-neutral")
        page.get_by_text("ZeroDivisionError").wait_for()
        until(lambda: picker.input_value() == "open-smplh-female")
        page.get_by_role("button", name="+1", exact=True).click()
        until(lambda: page.locator("#vitruve-frame").get_attribute("data-frame") == "2")
        assert errors == []


def test_a_recording_plays_by_itself(tmp_path):
    mine = Actor(motion_performer(small_motion("smpl", 8, fps=60.0), small_body("smpl"), "walk"))
    scene = Scene((mine,), 60.0, 0.0)
    done, threads = [], threading.active_count()
    path = save_recording(scene, tmp_path / "walk.html", progress=lambda now, total: done.append((now, total)))
    assert done == [(1, 4), (2, 4), (3, 4), (4, 4)]
    with pytest.raises(UsageError, match="walk"):
        save_recording(scene, path)
    assert save_recording(scene, tmp_path / "walk.viser").stat().st_size < path.stat().st_size
    assert [file.name for file in sorted(tmp_path.iterdir())] == ["walk.html", "walk.viser"]
    until(lambda: threading.active_count() <= threads)
    errors = []
    with browser_page(400, 300, errors=errors) as page:
        page.add_init_script(SPY)
        page.goto(path.as_uri())
        page.locator("[role=slider]").wait_for(state="attached")
        until(lambda: times_drawn(page, mine.performer.body) > 0)
        assert errors == []
