"""The map between two bodies on a GPU lies there, and is that of the CPU."""

from __future__ import annotations

import torch

from tests.fake_device import GPU, fake_gpu
from vitruve.bodies import load_body
from vitruve.bodies.find_body import body_on
from vitruve.correspondence import correspondence


def test_a_map_lies_where_its_target_is():
    source, target = load_body("open-smplh-neutral"), load_body("open-smplx-neutral")
    expected, ids = correspondence(source, target), torch.arange(0, target.num_vertices, 100)
    with fake_gpu():
        found = correspondence(body_on(source, GPU), body_on(target, GPU))
        vertices = body_on(source, GPU).template
        assert found.vertices.device == found.valid.device == found.residual.device == vertices.device
        assert torch.equal(found.apply(vertices).cpu(), expected.apply(source.template))
        used, part = found.subset(ids).compact()
        assert torch.equal(part.apply(vertices[used]).cpu(), expected.subset(ids).apply(source.template))
        assert found.residual_mm == expected.residual_mm and repr(found) == repr(expected)
        assert torch.equal(found.to("cpu").weights, expected.weights)
