"""Two motions whose difference is known by construction: moved, turned, noisy, late, mirrored, cut, at another rate."""

import json
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.material import small_body, small_motion
from vitruve import convert_motion, load_body, load_motion
from vitruve.bodies.body_model import BodyModel
from vitruve.compare import ALIGNMENTS, compare_motions
from vitruve.compare.matching import name_joints, shared_joints
from vitruve.compare.tables import frames_csv, joint_rows, part_rows, side_rows, summary
from vitruve.errors import BadData, UsageError
from vitruve.files.atomic import write_json
from vitruve.formats.performers import load_performers
from vitruve.formats.readers.mesh_sequence import MeshSequence, read_mesh_sequence, write_mesh_sequence
from vitruve.geometry.rotations import axis_angle_to_matrix
from vitruve.metrics import measured_frames
from vitruve.motion import (
    Keypoints,
    Source,
    bundled_clip_path,
    mirror,
    put_on_ground,
    resample,
    rotate_world,
    translate_world,
)

seeds = st.integers(0, 1000)


@pytest.fixture(scope="module")
def body():
    return small_body("smplh")


@pytest.fixture(scope="module")
def motion():
    return small_motion("smplh", 40)


def compared(a, b, body, **options):
    return compare_motions(a, b, body, body, **options)


def numbers(value, key=""):
    """All numbers of nested tables, with their path."""
    if isinstance(value, dict):
        return [found for name, inner in value.items() for found in numbers(inner, f"{key}.{name}")]
    return [(key, value)] if isinstance(value, int | float) and not isinstance(value, bool) else []


def test_a_motion_against_itself_is_zero_everywhere(motion, body):
    figures = compared(motion, motion, body).figures
    apart = ("joint_mm", "joint_mm_by_alignment", "rotation_deg", "bone_length_mm", "vertex_mm", "way", "difference")
    for key in apart:
        for path, value in numbers(figures[key], key):
            assert path.endswith((".vertices", ".frames")) or abs(value) < 1e-6, path
    for key in ("jitter_m_s3", "acceleration_m_s2", "height_m"):
        assert figures["first"][key] == figures["second"][key] > 0
    assert figures["warnings"] == []


def test_a_clip_moved_by_10_mm_is_10_mm_apart(motion, body):
    shift = torch.tensor([0.006, 0.0, 0.008], dtype=torch.float64)
    comparison = compared(motion, translate_world(motion, shift), body)
    figures = comparison.figures
    for measure in ("joint_mm", "vertex_mm", "every_vertex_mm"):
        for path, value in numbers(figures[measure], measure):
            assert path.endswith((".vertices", ".frames")) or value == pytest.approx(10), path
    assert comparison.mean_mm == pytest.approx(10) and comparison.measure == "vertex_mm"
    assert figures["joint_mm_by_alignment"]["none"] == pytest.approx(10)
    assert all(figures["joint_mm_by_alignment"][how] < 1e-6 for how in ALIGNMENTS if how != "none")
    assert figures["way"]["drift_max_mm"] < 1e-6 and figures["rotation_deg"]["max"] == 0
    lowest = [figures[word]["floor"]["lowest_mm"] for word in ("first", "second")]
    assert lowest[1] - lowest[0] == pytest.approx(8)


@given(seeds)
@settings(max_examples=5, deadline=None)
def test_swapping_the_two_changes_only_the_sides(seed):
    body, a, b = small_body("smplh"), small_motion("smplh", 8, seed=seed), small_motion("smplh", 8, seed=seed + 1)
    there, back = (compared(*pair, body).figures for pair in ((a, b), (b, a)))
    for key in ("joint_mm", "vertex_mm", "rotation_deg", "difference"):
        for (path, one), (_, other) in zip(numbers(there[key]), numbers(back[key])):
            assert one == pytest.approx(other, rel=1e-6), path
    assert there["first"]["jitter_m_s3"] == pytest.approx(back["second"]["jitter_m_s3"])


@pytest.mark.parametrize("align", ["first-frame", "clip"])
def test_a_turned_world_is_seen_and_undone(motion, body, align):
    turn = axis_angle_to_matrix(torch.tensor([0.3, -0.2, 2.0], dtype=torch.float64))
    turned = translate_world(rotate_world(motion, turn, body), torch.tensor([3.0, 1, 0], dtype=torch.float64))
    plain = compared(motion, turned, body)
    assert plain.mean_mm > 100 and "different world frames" in plain.warnings[0]
    laid = compared(motion, turned, body, align=align)
    assert laid.mean_mm < 1e-3 and laid.figures["rotation_deg"]["max"] < 1e-4
    assert laid.figures["way"]["drift_max_mm"] < 1e-3 and laid.warnings == ()


def test_procrustes_takes_the_size_too(motion):
    body = small_body("smplh", correctives=False)
    larger = BodyModel(
        name="larger", layout="smplh", gender="neutral", skeleton=body.skeleton, template=1.1 * body.template,
        shape_basis=1.1 * body.shape_basis, joint_regressor=body.joint_regressor, skin_weights=body.skin_weights,
        faces=body.faces,
    )  # fmt: skip
    comparison = compare_motions(motion, motion, body, larger, align="procrustes")
    assert comparison.figures["joint_mm"]["max"] < 1e-6 and comparison.figures["vertex_mm"]["max"] < 1e-3
    assert comparison.figures["bone_length_mm"] > 1
    taller = comparison.figures["shape"]["height_difference_mm"]
    assert taller == pytest.approx(100 * comparison.figures["first"]["height_m"])


def test_noise_on_the_translation_has_the_jitter_it_must_have(motion, body):
    generator = torch.Generator().manual_seed(1)
    noise = 0.001 * torch.randn(len(motion), 3, generator=generator, dtype=torch.float64)
    figures = compared(motion, motion.replace(translation=motion.translation + noise), body).figures
    third = (torch.diff(noise, n=3, dim=0) * motion.fps**3).norm(dim=-1).mean()
    assert figures["difference"]["jitter_m_s3"] == pytest.approx(float(third))
    assert figures["joint_mm"]["mean"] == pytest.approx(1000 * float(noise.norm(dim=-1).mean()))
    assert figures["second"]["jitter_m_s3"] > figures["first"]["jitter_m_s3"]


def test_one_joint_turned_by_20_degrees(motion, body):
    turn = axis_angle_to_matrix(torch.tensor([0, 0, math.radians(20)], dtype=torch.float64))
    rotations = motion.rotations.clone()
    elbow = motion.skeleton.index("left_elbow")
    rotations[:, elbow] = rotations[:, elbow] @ turn
    figures = compared(motion, motion.replace(rotations=rotations), body).figures
    off = {name: value for name, value in figures["rotation_deg"]["joints"].items() if value > 1e-6}
    assert off == {"left_elbow": pytest.approx(20)}
    moved = {name for name, value in figures["joint_mm"]["joints"].items() if value > 1e-6}
    assert moved == {motion.skeleton.names[joint] for joint in motion.skeleton.below(elbow)} - {"left_elbow"}


@given(st.integers(-12, 12), seeds)
@settings(max_examples=8, deadline=None)
def test_a_late_clip_is_found_and_compared(late, seed):
    body, whole = small_body("smplh"), small_motion("smplh", 60, seed=seed)
    a, b = whole[12:48], whole[12 - late : 48 - late]
    found = compared(a, b, body, shift="auto")
    assert found.figures["shift_estimate_frames"] == found.figures["shift_frames"] == late
    assert found.mean_mm < 1e-6 and found.figures["frames"] == 36 - abs(late)
    assert found.starts == (max(0, -late), max(0, late))
    if late:
        plain = compared(a, b, body)
        assert plain.mean_mm > 1 and f"give the shift {late} or auto" in plain.warnings[0]


def test_a_mirrored_clip_is_far_but_its_smoothness_is_the_same(motion, body):
    figures = compared(motion, mirror(motion, body), body).figures
    assert figures["joint_mm_by_alignment"]["procrustes"] > 20
    assert figures["rotation_deg"]["mean"] > 5


def test_rates_are_matched_by_time(motion, body):
    comparison = compared(motion, resample(motion, 15), body)
    assert comparison.figures["fps"] == 15 and comparison.mean_mm < 1e-6
    assert any("from 30 to 15 fps" in note for note in comparison.notes)
    back = compared(resample(motion, 15), motion, body)
    assert back.figures["fps"] == 15 and back.mean_mm < 1e-6


def test_lengths_and_masks_are_counted(motion, body):
    mask = torch.ones(30, dtype=torch.bool)
    mask[4:7] = False
    translation = motion.translation[:30].clone()
    translation[4:7] = math.nan
    comparison = compared(motion, motion[:30].replace(translation=translation, mask=mask), body)
    figures = comparison.figures
    assert (figures["frames"], figures["frames_compared"]) == (30, 27)
    assert (figures["frames_only_first"], figures["frames_masked_second"]) == (10, 3)
    assert comparison.mean_mm == pytest.approx(0, abs=1e-6) and "3 of 30 frames" in comparison.warnings[0]
    assert comparison.per_frame["joint_mm"][4:7].isnan().all()
    for key in ("jitter_m_s3", "acceleration_m_s2", "foot_sliding_mm_s", "floor"):  # both in the frames that both know
        assert figures["first"][key] == figures["second"][key]
    rows = frames_csv(comparison).splitlines()
    assert len(rows) == 31 and rows[5].startswith("4,0.133333,0.133333,,") and rows[0].startswith("frame,time_first_s")


def test_joints_are_matched_by_name_between_layouts(motion):
    names = small_body("smplx").skeleton.names
    shared = [motion.skeleton.names.index(name) for name in names if name in motion.skeleton.names]
    rotations = torch.eye(3, dtype=torch.float64).expand(40, 55, 3, 3).clone()
    rotations[:, [names.index(motion.skeleton.names[i]) for i in shared]] = motion.rotations[:, shared]
    other = small_motion("smplx", 40).replace(rotations=rotations, expression=None)
    sides = load_performers((motion, other), (small_body("smplh"), small_body("smplx")))
    found = shared_joints(*name_joints(*sides))
    assert len(found.names) == 52 and found.only_first == ()
    assert found.only_second == ("jaw", "left_eye_smplhf", "right_eye_smplhf")


def plain_tree(motion, body, names=None):
    """The same movement without a body: joints and bones alone."""
    skeleton = motion.skeleton
    rest = body.shaped(motion.betas).rest_joints
    tree = replace(skeleton, rest=rest, names=names or skeleton.names, name="tree")
    return motion.replace(skeleton=tree, body="", betas=torch.zeros(0))


def test_a_plain_tree_against_its_body_is_joints_alone(motion, body):
    comparison = compare_motions(motion, plain_tree(motion, body), body)
    assert comparison.measure == "joint_mm" and comparison.mean_mm < 1e-9
    assert comparison.figures["vertex_mm"] is None and comparison.per_vertex is None
    assert comparison.figures["rotation_deg"] is None  # a tree may rest in any pose
    assert comparison.figures["second"]["floor"]["measured_on"] == "joints"
    both = compare_motions(plain_tree(motion, body), plain_tree(motion, body))
    assert both.figures["rotation_deg"]["max"] == 0


def test_feet_that_slide_by_a_known_speed():
    body = load_body("open-smplh-neutral")
    upright = axis_angle_to_matrix(torch.tensor([math.pi / 2, 0, 0]))
    rotations = body.rest_rotations(20)
    rotations[:, 0] = upright
    still = small_motion("smplh", 20).replace(
        rotations=rotations, translation=torch.zeros(20, 3), betas=torch.zeros(10)
    )
    still = put_on_ground(still, body)
    pushed = still.translation.clone()
    pushed[:, 0] += 0.05 / 30 * torch.arange(20)
    figures = compared(still, still.replace(translation=pushed), body).figures
    assert figures["first"]["foot_sliding_mm_s"] == pytest.approx(0, abs=1e-3)
    assert figures["second"]["foot_sliding_mm_s"] == pytest.approx(50, rel=1e-3)
    assert figures["second"]["foot_sliding_where_first_stands_mm_s"] == pytest.approx(50, rel=1e-3)
    assert figures["way"]["drift_end_mm"] == pytest.approx(0.05 / 30 * 19 * 1000, rel=1e-4)
    sunk = compared(still, translate_world(still, torch.tensor([0, 0, -0.03])), body).figures
    depth = sunk["second"]["floor"]["penetration_max_mm"] - sunk["first"]["floor"]["penetration_max_mm"]
    assert depth == pytest.approx(30, abs=1) and sunk["second"]["floor"]["penetration_percent"] == 100


def test_foreign_names_need_a_mapping(motion, body, tmp_path):
    names = tuple(f"j{i}" for i in range(52))
    foreign = plain_tree(motion, body, names)
    with pytest.raises(UsageError, match="names that the other motion does not have"):
        compare_motions(motion, foreign, body)
    kept = ["pelvis", "left_hip", "right_hip", "left_knee", "left_ankle", "neck"]
    rows = [f'{name} = "j{motion.skeleton.names.index(name)}"' for name in kept]
    file = tmp_path / "own.toml"
    file.write_text("\n".join(['name = "own"', "[joints]", *rows]))
    comparison = compare_motions(motion, foreign, body, mapping=str(file))
    assert comparison.figures["joints_shared"] == 6 and comparison.mean_mm < 1e-9
    assert any("mapping 'own'" in note for note in comparison.notes)
    with pytest.raises(UsageError, match="fits neither"):
        compare_motions(motion, motion, body, body, mapping="cmu31")


def test_meshes_against_the_motion_that_made_them(motion, body):
    meshes = MeshSequence(motion.vertices(body)[:20], body.faces, ())
    comparison = compare_motions(motion, meshes, body)
    assert comparison.mean_mm == pytest.approx(0, abs=1e-6) and comparison.figures["joint_mm"] is None
    assert comparison.figures["shift_estimate_frames"] == 0 and comparison.figures["fps"] == 30
    moved = MeshSequence(meshes.vertices + torch.tensor([0, 0.005, 0]), body.faces, ())
    assert compare_motions(meshes, moved, fps=30).mean_mm == pytest.approx(5)
    assert compare_motions(moved, motion, None, body, align="clip").mean_mm < 1e-3
    with pytest.raises(UsageError, match="frame rate"):
        compare_motions(meshes, moved)
    with pytest.raises(UsageError, match="no root"):
        compare_motions(meshes, moved, fps=30, align="root")
    with pytest.raises(UsageError, match="surface without joints"):
        compare_motions(plain_tree(motion, body), meshes, None, body)


def test_what_cannot_be_compared(motion, body):
    nowhere = motion.replace(mask=torch.zeros(40, dtype=torch.bool))
    with pytest.raises(BadData, match="no frame has data"):
        compared(motion, nowhere, body)
    with pytest.raises(BadData, match="no time in common"):
        compared(motion, motion, body, shift=40)
    with pytest.raises(UsageError, match="no alignment 'clips'"):
        compared(motion, motion, body, align="clips")
    with pytest.raises(UsageError, match="not made on"):
        compare_motions(motion, motion, body, small_body("smplx"))
    with pytest.raises(UsageError, match="not a shift"):
        compared(motion, motion, body, shift="soon")


def test_one_frame_and_no_feet_leave_gaps_not_nan(motion, body, tmp_path):
    figures = compared(motion[:1], motion[1:2], body).figures
    assert figures["first"]["jitter_m_s3"] is None and figures["shift_estimate_frames"] is None
    write_json(tmp_path / "results.json", figures)  # refuses NaN
    assert json.loads((tmp_path / "results.json").read_text())["frames"] == 1


def test_tables_hold_the_figures(motion, body):
    comparison = compared(motion, translate_world(motion, torch.tensor([0.01, 0, 0])), body)
    rows = dict(summary(comparison.figures))
    assert rows["surfaces apart"].startswith("10.00 mm") and rows["frames compared"] == "40 at 30 fps"
    assert {row[0] for row in part_rows(comparison.figures)} == set(comparison.figures["vertex_mm"]["parts"])
    assert len(joint_rows(comparison.figures)) == 52
    assert len({len(row) for row in side_rows(comparison.figures)}) == 1


def test_it_agrees_with_what_a_conversion_says_of_itself():
    clip = load_motion(bundled_clip_path())[200:260]
    bodies = load_body("open-smplh-neutral"), load_body("open-smplx-neutral")
    conversion = convert_motion(clip, bodies[1], source=bodies[0], points=200)
    comparison = compare_motions(clip, conversion.motion, *bodies)
    # Both by the same vertices and frames; the comparison also by all.
    surface, every = comparison.figures["vertex_mm"], comparison.figures["every_vertex_mm"]
    for key in ("mean", "p95", "max"):
        assert surface[key] == pytest.approx(getattr(conversion.error, key), rel=1e-4)
    assert every["mean"] == pytest.approx(surface["mean"], rel=0.1) and every["max"] >= surface["max"]
    assert comparison.figures["surface_map"]["residual_mm"]["mean"] == pytest.approx(conversion.error.map_residual)
    parts = comparison.figures["vertex_mm"]["parts"]
    assert parts == {name: pytest.approx(value, rel=1e-4) for name, value in conversion.error.groups.items()}
    assert comparison.figures["joint_mm"]["mean"] < 3
    assert int((~comparison.per_vertex.isnan()).sum()) < bodies[1].num_vertices  # the mouth has no counterpart


def test_what_a_reader_decided_is_said() -> None:
    motion = small_motion("smplh", 6).replace(gender="neutral", body="open-smplh")
    told = motion.replace(source=Source(file="a.npz", notes=("a unit was guessed", "NO TRANSLATION in the file")))
    comparison = compare_motions(told, motion)
    assert "a.npz: a unit was guessed" in comparison.notes
    assert "a.npz: NO TRANSLATION in the file" in comparison.warnings


def test_a_motion_against_its_own_mesh_folder_is_zero(motion, body, tmp_path):
    write_mesh_sequence(motion.vertices(body), body.faces, tmp_path / "scan")
    meshes = read_mesh_sequence(tmp_path / "scan", dtype=torch.float64)
    for pair, bodies in (((motion, meshes), (body, None)), ((meshes, motion), (None, body))):
        comparison = compare_motions(*pair, *bodies)
        assert comparison.figures["vertex_mm"]["max"] < 1e-6 and comparison.figures["every_vertex_mm"]["max"] < 1e-6
        assert {comparison.figures[side]["kind"] for side in ("first", "second")} == {"motion", "meshes"}


def test_a_long_clip_is_measured_in_triples_and_everywhere(body):
    motion = small_motion("smplh", 300)
    noise = 0.01 * torch.randn(300, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    figures = compared(motion, motion.replace(translation=motion.translation + noise), body).figures
    length = 1000 * noise.norm(dim=-1)
    chosen = torch.cat(measured_frames(300))
    assert len(chosen) < 300 and (chosen[1::3] - chosen[::3] == 1).all()
    assert figures["vertex_mm"]["mean"] == pytest.approx(float(length[chosen].mean()))
    assert figures["every_vertex_mm"]["mean"] == pytest.approx(float(length.mean()))
    assert (figures["vertex_mm"]["frames"], figures["every_vertex_mm"]["frames"]) == (len(chosen), 300)
    assert figures["vertex_mm"]["vertices"] == body.num_vertices


def test_keypoints_are_compared_by_the_names_of_their_joints(motion, body):
    positions = motion.joints(body).clone() + torch.tensor([0.0, 0.004, 0.0])
    positions[3, 5] = math.nan
    points = Keypoints(positions, 30.0, motion.skeleton)
    comparison = compare_motions(motion, points, body)
    figures = comparison.figures
    assert comparison.measure == "joint_mm" and figures["joint_mm"]["mean"] == pytest.approx(4)
    assert figures["joints_shared"] == len(motion.skeleton) and figures["second"]["kind"] == "keypoints"
    assert figures["rotation_deg"] is None and comparison.per_frame["joint_mm"].isfinite().all()
    assert compare_motions(points, points).figures["joint_mm"]["max"] == 0
