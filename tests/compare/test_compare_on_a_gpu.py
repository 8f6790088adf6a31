"""Motions and bodies that are on a GPU are compared and drawn as those on the CPU are."""

from __future__ import annotations

import numpy as np
import torch

from tests.fake_device import GPU, fake_gpu
from tests.material import small_body, small_motion
from vitruve.bodies.find_body import body_on
from vitruve.compare import compare_motions
from vitruve.draw.render import render_frame
from vitruve.draw.scene import load_scene
from vitruve.motion import Keypoints
from vitruve.motion.performer import keypoint_performer, mesh_performer, motion_performer

BODY = small_body("smplh")
FIRST, SECOND = (small_motion("smplh", frames=20, seed=seed) for seed in (0, 1))


def test_two_motions_are_compared():
    expected = compare_motions(FIRST, SECOND, BODY, BODY, align="clip", shift="auto")
    with fake_gpu():
        found = compare_motions(FIRST.to(GPU), SECOND, body_on(BODY, GPU), BODY, align="clip", shift="auto")
    assert found.figures == expected.figures and torch.equal(found.per_vertex, expected.per_vertex)


def test_a_scene_is_drawn():
    expected = render_frame(load_scene([FIRST, SECOND], [BODY], heat=True, joints=True), 3, (96, 64))
    with fake_gpu():
        sources, body = [FIRST.to(GPU), SECOND.to(GPU)], body_on(BODY, GPU)
        found = render_frame(load_scene(sources, [body], heat=True, joints=True), 3, (96, 64))
    assert np.array_equal(np.asarray(found), np.asarray(expected))


def test_whatever_is_drawn_lies_on_the_cpu():
    vertices, points = FIRST.vertices(BODY), FIRST.joints(BODY)
    with fake_gpu():
        keypoints = Keypoints(points, FIRST.fps, FIRST.skeleton).to(GPU)
        for performer in (
            motion_performer(FIRST.to(GPU), body_on(BODY, GPU)),
            mesh_performer(vertices.to(GPU), BODY.faces.to(GPU), 30, body_on(BODY, GPU)),
            keypoint_performer(keypoints),
        ):
            places = performer.vertices([0, 3]) if performer.has_surface else performer.joints([0, 3])
            assert places.device == performer.valid.device == torch.device("cpu")
            assert performer.body is None or performer.body.device == torch.device("cpu")
