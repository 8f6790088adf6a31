"""Anchors: corrections that change little are interpolated, and where they do not, the frames are fitted."""

from itertools import pairwise

import pytest
import torch

from tests.fit.fit_material import balanced_vertices, smooth_motion
from vitruve.bodies import load_body
from vitruve.fit import Effort, fit_clip
from vitruve.fit.anchors import fit_by_anchors
from vitruve.fit.moments import Fitted
from vitruve.geometry.rotations import axis_angle_to_matrix, geodesic_distance, rotation_about

FRAMES = 41


@pytest.fixture(scope="module")
def hand():
    body = load_body("open-mano-right")
    vertices = balanced_vertices(body, 16)
    rotations, translation = smooth_motion(body.num_joints, FRAMES, torch.float32)
    offset = axis_angle_to_matrix(0.1 * torch.randn(body.num_joints, 3, generator=torch.Generator().manual_seed(3)))
    return body, vertices, rotations, translation, offset


def fitted(hand, rotations, start, apart):
    body, vertices, _, translation, _ = hand
    targets = body.shaped().vertices(rotations, translation)[:, vertices]
    effort = Effort(rounds=30, apart=apart)
    return fit_clip(body, vertices, targets, start, translation - 0.01, betas=torch.zeros(10), effort=effort)


@pytest.mark.parametrize("apart", [2, 4, 7, 40, 100])
def test_a_constant_correction_reaches_every_frame(hand, apart):
    _, _, rotations, translation, offset = hand
    fit = fitted(hand, rotations, rotations @ offset.mT, apart)
    assert geodesic_distance(fit.rotations, rotations).rad2deg().max() < 0.5
    assert (fit.translation - translation).norm(dim=-1).max() < 2e-4
    assert fit.error.max() < 1e-4 and not fit.failed.any()


def test_frames_that_do_not_follow_are_fitted(hand):
    _, _, rotations, _, offset = hand
    # The start leaves the movement between two anchors for a few frames: 6 is the middle of the gap from 4 to 8.
    start = (rotations @ offset.mT).clone()
    start[5:8] = start[5:8] @ axis_angle_to_matrix(torch.tensor([0.0, 0.0, 0.3]))
    fit = fitted(hand, rotations, start, 4)
    assert geodesic_distance(fit.rotations, rotations).rad2deg().max() < 0.5
    assert fit.error.max() < 1e-4


def test_the_number_of_threads_changes_nothing(hand):
    _, _, rotations, _, offset = hand
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            found.append(fitted(hand, rotations, rotations @ offset.mT, 4).rotations)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*found)


def test_a_gap_just_too_bad_counts_little():
    """Frames of a gap are interpolated, fitted or in between: the fitted turn comes in by as much as the gap is bad."""
    rest, shift = torch.eye(3).expand(9, 1, 3, 3), torch.zeros(9, 3)
    turned = rotation_about("X", torch.tensor(0.2)).expand(9, 1, 3, 3)

    def turn_of_frame_2(middle: float) -> float:
        def fit(rows, rotations, translation, rounds):
            error = torch.full((len(rows),), 0.01 if rounds != 0 else middle)
            return Fitted(rotations if rounds == 0 or len(rows) == 3 else turned[rows], translation, error)

        out = fit_by_anchors(fit, rest, shift, 4)
        return float(geodesic_distance(out.rotations[2, 0], rest[2, 0]))

    turns = [turn_of_frame_2(0.01 * by) for by in (1.0, 1.15, 1.17, 1.2, 1.25, 1.31, 1.5)]
    assert turns[:2] == [0.0, 0.0] and turns == sorted(turns)
    assert max(b - a for a, b in pairwise(turns)) < 0.12
    assert abs(turns[-1] - 0.2) < 1e-5
