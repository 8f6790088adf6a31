"""What is kept of two bodies: found once, read as the map says, forgotten with the bodies and when they change."""

import gc
import weakref

import torch

from tests.material import small_motion
from vitruve.bodies import load_body
from vitruve.convert.body_pair import pair_of


def test_points_are_read_as_the_map_says():
    source, target = load_body("open-smplh-neutral"), load_body("open-smplx-neutral")
    pair = pair_of(source, target, 200)
    motion = small_motion("smplh", frames=2).to(dtype=torch.float32)
    shaped = source.shaped()
    expected = pair.surface.apply(shaped.vertices(motion.rotations))[:, pair.fitted.ids]
    found = pair.fitted.read(pair.fitted.on_source(shaped).vertices(motion.rotations))
    assert torch.allclose(found, expected, atol=1e-6)
    assert len(pair.fitted.ids) == len(pair.weights) == len(pair.points) and abs(float(pair.weights.mean()) - 1) < 1e-5


def test_a_pair_is_made_once_and_anew_when_a_body_has_changed():
    source, target = load_body("open-smplh-neutral"), load_body("open-smplh-female")
    first = pair_of(source, target, 100)
    assert pair_of(source, target, 100) is first
    assert pair_of(source, target, 120) is not first
    target.template.add_(0.0)
    second = pair_of(source, target, 100)
    assert second is not first and pair_of(source, target, 100) is second
    target.double()
    assert pair_of(source, target, 100).points.rest.dtype == torch.float64


def test_a_pair_does_not_keep_its_bodies():
    source, target = load_body("open-smplh-neutral"), load_body("open-smplh-male")
    pair_of(source, target, 100)
    watched = weakref.ref(source), weakref.ref(target)
    del source, target
    gc.collect()
    assert [body() for body in watched] == [None, None]
