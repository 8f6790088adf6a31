"""Meshes without parameters: the motion they were made from comes back; what is no mesh of a body is told apart."""

from __future__ import annotations

import functools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vitruve.bodies import BodyModel, load_body
from vitruve.bodies.recognise import check_order, recognise, torn_share
from vitruve.convert.fit_surface import Surface, rotations_from_surface
from vitruve.convert.meshes import convert_meshes
from vitruve.correspondence.body_maps import correspondence
from vitruve.errors import BadData, MissingAsset
from vitruve.formats import load_motion
from vitruve.formats.readers.mesh_sequence import MeshSequence, read_mesh_sequence, write_mesh_sequence
from vitruve.geometry.rotations import geodesic_distance, rotation_about
from vitruve.motion import Motion, bundled_clip_path

FRAMES = 10


@functools.cache
def moving(name: str) -> tuple[BodyModel, Motion]:
    """A body of some shape and frames of the bundled clip on it."""
    body, clip = load_body(name), load_motion(bundled_clip_path(), dtype=torch.float32)
    rows = torch.linspace(0, len(clip) - 1, FRAMES).long()
    rotations = body.rest_rotations(FRAMES)
    for joint, joint_name in enumerate(body.skeleton.names):
        if joint_name in clip.skeleton.names:
            rotations[:, joint] = clip.rotations[rows, clip.skeleton.names.index(joint_name)]
    betas = torch.tensor([1.0, -1.5, 0.5, 1.0, -0.5])
    motion = Motion(
        rotations=rotations, translation=clip.translation[rows], fps=30, skeleton=body.skeleton, betas=betas
    )
    return body, motion


@functools.cache
def meshes(name: str) -> MeshSequence:
    body, motion = moving(name)
    return MeshSequence(motion.vertices(body), body.faces, ())


@pytest.mark.parametrize("name", ["open-smplh-neutral", "open-smplx-neutral"])
def test_the_motion_that_made_the_meshes_comes_back(name: str):
    body, motion = moving(name)
    found = convert_meshes(meshes(name), name.removesuffix("-neutral"), fps=30)
    assert not any("no frame rate" in warning for warning in found.warnings)
    assert found.trusted and not found.warnings
    assert found.error.max < 0.5
    assert found.motion.body_name == name
    assert (found.motion.betas[:5] - motion.betas).abs().max() < 0.01
    assert (found.motion.vertices(body) - meshes(name).vertices).norm(dim=-1).max() < 5e-4
    joints = [j for j, part in enumerate(body.skeleton.names) if "eye" not in part]
    turned = geodesic_distance(found.motion.rotations, motion.rotations)[:, joints]
    assert torch.rad2deg(turned).max() < 0.5


def test_the_face_comes_back():
    body, motion = moving("open-smplx-neutral")
    generator = torch.Generator().manual_seed(0)
    expression = torch.randn(FRAMES, body.num_expressions, generator=generator)
    rotations = motion.rotations.clone()
    jaw = body.skeleton.index("jaw")
    rotations[:, jaw] = rotation_about("X", torch.linspace(0, 0.3, FRAMES))
    vertices = body.shaped(motion.betas, expression).vertices(rotations, motion.translation)
    sequence = MeshSequence(vertices, body.faces, ())
    found = convert_meshes(sequence, "open-smplx")
    assert found.motion.expression is not None
    assert (found.motion.expression - expression).abs().max() < 0.05
    assert torch.rad2deg(geodesic_distance(found.motion.rotations, rotations)[:, jaw]).max() < 0.5
    assert found.error.max < 0.5
    again = convert_meshes(MeshSequence(vertices.repeat(25, 1, 1), body.faces, ()), "open-smplx", betas=motion.betas)
    assert again.error.max < 0.5  # more frames than are worked on at once
    without = convert_meshes(sequence, "open-smplx", expression=False)
    assert without.motion.expression is None and without.error.max > 2.0


@pytest.mark.parametrize(
    ("name", "to", "most"),
    [
        ("open-smplh-neutral", "open-smplx", 2.0),
        ("open-smplx-neutral", "open-smplh", 2.0),
    ],
)
def test_meshes_of_one_topology_go_to_a_body_of_another(name: str, to: str, most: float):
    found = convert_meshes(meshes(name), to)
    assert sum("no frame rate" in warning for warning in found.warnings) == 1
    assert found.trusted
    assert found.error.mean < most
    body, motion = moving(name)
    target = load_body(to)
    shared = [j for j, part in enumerate(body.skeleton.names[:22]) if part in target.skeleton.names[:22]]
    away = found.motion.joints(target)[:, shared] - motion.joints(body)[:, shared]
    assert away.norm(dim=-1).mean() < 0.02


def test_meshes_of_a_hand_become_a_motion_of_the_hand():
    hand = load_body("open-mano-right")
    rotations = hand.rest_rotations(3)
    rotations[:, 1:] = moving("open-smplh-neutral")[1].rotations[3:6, 37:52]
    vertices = hand.shaped().vertices(rotations, torch.tensor([0.1, 0.2, 1.0]))
    found = convert_meshes(MeshSequence(vertices, hand.faces, ()), "open-mano-right", betas="zero")
    assert found.motion.body_name == "open-mano-right"
    assert found.error.max < 0.5


def test_the_start_is_near_the_rotations():
    body, motion = moving("open-smplx-neutral")
    begin = rotations_from_surface(_surface(body, meshes("open-smplx-neutral").vertices))
    assert torch.rad2deg(geodesic_distance(begin, motion.rotations)).median() < 5


def test_a_joint_of_few_points_goes_with_its_parent():
    body, _ = moving("open-smplh-neutral")
    surface = _surface(body, meshes("open-smplh-neutral").vertices)
    foot = body.skeleton.index("left_foot")
    surface.map.valid[(body.skin_weights.argmax(1) == foot).nonzero()[3:, 0]] = False
    begin = rotations_from_surface(surface)
    other = body.skeleton.index("right_foot")
    assert (begin[:, foot] - torch.eye(3)).abs().max() < 1e-6 < (begin[:, other] - torch.eye(3)).abs().max()


def test_each_mesh_is_found_by_itself_where_the_shape_is_known():
    _, motion = moving("open-smplh-neutral")
    order = torch.randperm(FRAMES, generator=torch.Generator().manual_seed(3))
    given_meshes = meshes("open-smplh-neutral")
    shuffled = MeshSequence(given_meshes.vertices[order], given_meshes.faces, ())
    one = convert_meshes(given_meshes, "open-smplh", betas=motion.betas).motion
    other = convert_meshes(shuffled, "open-smplh", betas=motion.betas).motion
    assert (one.translation[order] - other.translation).abs().max() < 1e-4
    body = load_body("open-smplh-neutral")
    assert (one.joints(body)[order] - other.joints(body)).abs().max() < 1e-4


def test_vertices_that_are_not_finite_do_not_count_and_lost_frames_are_masked():
    body, _ = moving("open-smplh-neutral")
    vertices = meshes("open-smplh-neutral").vertices.clone()
    vertices[2] = torch.nan
    vertices[:, 5::7] = torch.nan
    vertices[4, ::3, 1] = torch.inf
    vertices[5, body.skin_weights.argmax(1) == body.skeleton.index("left_knee")] = torch.nan
    found = convert_meshes(MeshSequence(vertices, body.faces, ()), "open-smplh")
    assert found.motion.mask is not None
    assert found.motion.mask.tolist() == [frame not in (2, 5) for frame in range(FRAMES)]
    assert any("masked" in warning for warning in found.warnings)
    assert not found.failed.any()
    good = found.motion.mask
    away = (found.motion.vertices(body) - meshes("open-smplh-neutral").vertices)[good].norm(dim=-1)
    assert away.max() < 2e-3
    assert found.motion.rotations.isfinite().all() and found.motion.translation.isfinite().all()


def test_meshes_without_any_finite_vertex_are_an_error():
    body, _ = moving("open-smplh-neutral")
    nothing = torch.full((2, body.num_vertices, 3), torch.nan)
    with pytest.raises(BadData, match="nothing to fit"):
        convert_meshes(MeshSequence(nothing, body.faces, ()), "open-smplh")


@pytest.mark.parametrize("name", ["open-smplh-neutral", "open-smplx-neutral", "open-mano-left", "open-mano-right"])
def test_bodies_are_recognised_by_their_faces(name: str):
    body = load_body(name)
    order = torch.randperm(len(body.faces), generator=torch.Generator().manual_seed(0))
    for faces in (body.faces, body.faces[order], body.faces[order].flip(1)):
        assert recognise(body.template[None], faces).name == name


def test_a_point_cloud_is_recognised_by_the_lengths_of_the_edges():
    vertices = meshes("open-smplx-neutral").vertices
    assert recognise(vertices, torch.zeros(0, 3, dtype=torch.long)).name == "open-smplx-neutral"


def test_an_unknown_number_of_vertices_says_which_are_known():
    with pytest.raises(BadData, match="no known body has 5000 vertices") as error:
        recognise(torch.zeros(1, 5000, 3), torch.zeros(10, 3, dtype=torch.long), where="a.obj")
    assert all(part in str(error.value) for part in ("6890", "10475", "778", "a.obj"))


def test_a_licensed_mesh_without_its_body_says_what_is_missing():
    generator = torch.Generator().manual_seed(0)
    vertices = torch.rand(1, 6890, 3, generator=generator)
    faces = torch.randint(6890, (13776, 3), generator=generator)
    with pytest.raises(MissingAsset, match="SMPL"):
        recognise(vertices, faces)


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**31), share=st.floats(0.1, 1.0))
def test_mangled_vertices_are_detected(seed: int, share: float):
    body, _ = moving("open-smplh-neutral")
    generator = torch.Generator().manual_seed(seed)
    moved = torch.randperm(body.num_vertices, generator=generator)[: int(share * body.num_vertices)]
    order = torch.arange(body.num_vertices)
    order[moved] = moved[torch.randperm(len(moved), generator=generator)]
    vertices = meshes("open-smplh-neutral").vertices[:2, order]
    faces = order.argsort()[body.faces]  # as a tool writes them that sorts the vertices and keeps the surface
    with pytest.raises(BadData, match="in another order"):
        convert_meshes(MeshSequence(vertices, faces, ()), "open-smplh")
    with pytest.raises(BadData, match="in another order"):
        convert_meshes(MeshSequence(vertices, body.faces, ()), "open-smplh")


def test_one_mangled_mesh_in_a_folder_is_named(tmp_path):
    body, _ = moving("open-smplh-neutral")
    vertices = meshes("open-smplh-neutral").vertices[:3].clone()
    vertices[1] = vertices[1].flip(0)
    sequence = read_mesh_sequence(write_mesh_sequence(vertices, body.faces, tmp_path / "walk"))
    with pytest.raises(BadData, match=r"frame_000001\.obj"):
        convert_meshes(sequence, "open-smplh")


def test_two_topologies_in_a_folder_are_an_error(tmp_path):
    for name in ("open-smplh-neutral", "open-smplx-neutral"):
        sequence = meshes(name)
        write_mesh_sequence(sequence.vertices[:1], sequence.faces, tmp_path / name, stem=name)
        (tmp_path / "all").mkdir(exist_ok=True)
        for file in (tmp_path / name).iterdir():
            file.rename(tmp_path / "all" / file.name)
    with pytest.raises(BadData, match="number of vertices"):
        read_mesh_sequence(tmp_path / "all")


def test_poses_tear_no_edges():
    for name in ("open-smplh-neutral", "open-smplx-neutral"):
        assert torn_share(meshes(name).vertices, moving(name)[0]).max() == 0


@pytest.mark.parametrize("factor", [100.0, 1000.0])
def test_other_units_are_detected(factor: float):
    body, _ = moving("open-smplh-neutral")
    with pytest.raises(BadData, match="times as large"):
        check_order(meshes("open-smplh-neutral").vertices * factor, body)


def test_the_wrong_topology_by_name_is_an_error():
    with pytest.raises(BadData, match="not of"):
        convert_meshes(meshes("open-smplh-neutral"), "open-smplx", topology="open-smplx-neutral")


def _surface(body: BodyModel, vertices: torch.Tensor) -> Surface:
    free = torch.ones(body.num_joints, dtype=torch.bool)
    return Surface(
        body, lambda ids: lambda rows: vertices[rows][:, ids], len(vertices), correspondence(body, body), free
    )
