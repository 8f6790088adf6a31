"""An expression is kept, and the fit knows of it; also in clips longer than what is worked on at once."""

from __future__ import annotations

import torch

from vitruve.bodies import load_body
from vitruve.convert import convert_motion
from vitruve.motion import Motion


def test_a_talking_head_on_the_same_body_stays_as_it_is():
    body, frames = load_body("open-smplx-neutral"), 300
    generator = torch.Generator().manual_seed(0)
    expression = torch.randn(frames, body.num_expressions, generator=generator)
    motion = Motion(
        rotations=body.rest_rotations(frames),
        translation=torch.zeros(frames, 3),
        fps=30,
        skeleton=body.skeleton,
        body="open-smplx",
        betas=torch.tensor([0.5, -0.5]),
        expression=expression,
    )
    found = convert_motion(motion, "open-smplx")
    assert torch.equal(found.motion.expression, expression)
    assert found.trusted and found.error.mean < 0.05 and found.error.max < 0.5
