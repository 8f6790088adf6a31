"""The solver on a GPU: shape, points of every kind, terms, and frames that are tried again."""

from __future__ import annotations

import torch

from tests.fake_device import GPU, fake_gpu
from tests.fit.fit_material import balanced_vertices, smooth_motion
from vitruve.bodies import load_body
from vitruve.bodies.find_body import body_on
from vitruve.fit import TowardRotations, choose_points, fit_clip, huber
from vitruve.fit.terms import RotationLimits
from vitruve.geometry.rotations import geodesic_distance


def test_a_clip_is_fitted_where_its_body_is():
    body = load_body("open-mano-right")
    betas, joints = torch.linspace(-1, 1, 10), torch.arange(3)
    vertices, finger = balanced_vertices(body, 8), body.joint_regressor[5:6]
    rotations, translation = smooth_motion(body.num_joints, 12, torch.float32)
    shaped = body.shaped(betas)
    posed = shaped.vertices(rotations, translation)
    there = shaped.joints(rotations, translation)
    targets = torch.cat([posed[:, vertices], (finger @ posed), there[:, joints]], 1)
    targets[5] += 0.01 * torch.randn(targets[5].shape, generator=torch.Generator().manual_seed(0))  # no hand's surface
    usual = torch.arange(12) != 5
    limits = torch.full((body.num_joints, 3), 4.0)
    terms = (TowardRotations(rotations[:1], torch.full((16,), 1e-6)), RotationLimits(-limits, limits, limits[:, 0]))
    with fake_gpu():
        on_gpu = body_on(body, GPU)
        points = choose_points(on_gpu, vertices=vertices, regressor=finger, joints=joints)
        found = fit_clip(on_gpu, points, targets.to(GPU), rotations, translation, terms=terms, loss=huber(0.01))
        assert found.rotations.device == found.betas.device == found.failed.device == torch.device(GPU)
    assert torch.equal(found.retried.cpu(), ~usual) and torch.equal(found.failed.cpu(), ~usual)
    assert float(found.error.cpu()[usual].max()) < 1e-3
    assert float(geodesic_distance(found.rotations.cpu(), rotations)[usual].mean().rad2deg()) < 1.0
