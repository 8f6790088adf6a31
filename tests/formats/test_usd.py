"""USD: what Pixar's own library makes of the file is what we have."""

from __future__ import annotations

import numpy as np
import pytest

from tests.formats.test_glb import tree_motion, y_up
from tests.material import small_body, small_motion
from vitruve.formats.exporters.export_motion import export_motion

pxr = pytest.importorskip("pxr", reason="no usd-core: pip install 'vitruve[usd]'")
from pxr import Gf, Usd, UsdGeom, UsdSkel, Vt  # noqa: E402 (only where it is installed)


def played(path, frame):
    """(joint positions [joints, 3], vertices [vertices, 3]) that UsdSkel computes at a frame."""
    stage = Usd.Stage.Open(str(path))
    root = UsdSkel.Root(stage.GetDefaultPrim())
    cache = UsdSkel.Cache()
    cache.Populate(root, Usd.PrimDefaultPredicate)
    skeleton = cache.GetSkelQuery(UsdSkel.Skeleton(stage.GetPrimAtPath("/motion/skeleton")))
    assert skeleton.HasBindPose()
    joints = np.array([matrix.ExtractTranslation() for matrix in skeleton.ComputeJointSkelTransforms(frame)])
    mesh = UsdGeom.Mesh(stage.GetPrimAtPath("/motion/surface"))
    skin = cache.GetSkinningQuery(mesh.GetPrim())
    points = Vt.Vec3fArray(mesh.GetPointsAttr().Get())
    if skin.HasBlendShapes():
        weights = skeleton.GetAnimQuery().ComputeBlendShapeWeights(frame)
        shapes = UsdSkel.BlendShapeQuery(UsdSkel.BindingAPI(mesh.GetPrim()))
        sub = shapes.ComputeSubShapeWeights(weights)
        shapes.ComputeDeformedPoints(
            *sub, shapes.ComputeBlendShapePointIndices(), shapes.ComputeSubShapePointOffsets(), points
        )
    assert skin.ComputeSkinnedPoints(skeleton.ComputeSkinningTransforms(frame), points, frame)
    return joints, np.array(points)


@pytest.mark.parametrize("ending", ["usda", "usdc"])
@pytest.mark.parametrize("up", ["y", "z"])
def test_joints_and_vertices_are_those_of_the_body(tmp_path, ending, up):
    body, motion = small_body("smplh", correctives=False), small_motion("smplh", 5, 24)
    done = export_motion(motion, tmp_path / f"a.{ending}", body=body, up=up)
    stage = Usd.Stage.Open(str(tmp_path / f"a.{ending}"))
    assert UsdGeom.GetStageUpAxis(stage) == up.upper() and UsdGeom.GetStageMetersPerUnit(stage) == 1
    assert (stage.GetTimeCodesPerSecond(), stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (24, 0, 4)
    facts = stage.GetRootLayer().customLayerData["vitruve"]
    assert (facts["fps"], facts["body"]) == (24, "small-smplh")
    true = [motion.joints(body), motion.vertices(body)]
    joints, vertices = (y_up(points) if up == "y" else points.numpy() for points in true)
    for frame in (0, 3):
        found, skinned = played(tmp_path / f"a.{ending}", frame)
        assert np.abs(found - joints[frame]).max() < 1e-5
        assert np.abs(skinned - vertices[frame]).max() < 1e-5
    assert done.difference is not None and done.difference.max_mm < 1e-2
    names = UsdSkel.Skeleton(stage.GetPrimAtPath("/motion/skeleton")).GetJointNamesAttr().Get()
    assert tuple(names) == body.skeleton.names == done.joints


def test_expressions_are_blend_shapes(tmp_path):
    body, motion = small_body("smplx", correctives=False), small_motion("smplx", 3)
    done = export_motion(motion, tmp_path / "a.usdc", body=body, morphs="expression")
    assert done.difference is not None and len(done.morphs) == 10
    _, skinned = played(tmp_path / "a.usdc", 2)
    apart = np.linalg.norm(skinned - y_up(motion.vertices(body))[2], axis=-1).max()
    assert apart <= 1e-3 * done.difference.max_mm + 1e-5
    blank = y_up(motion.replace(expression=None).vertices(body))[2]
    assert apart < np.linalg.norm(blank - y_up(motion.vertices(body))[2], axis=-1).max()


def test_a_tree_whose_bones_change(tmp_path):
    motion = tree_motion(moving=True)
    export_motion(motion, tmp_path / "a.usda")
    for frame in range(5):
        assert np.abs(played(tmp_path / "a.usda", frame)[0] - y_up(motion.joints())[frame]).max() < 1e-5


def test_pixars_quaternions_are_ours():
    """The memory of a quaternion begins with its imaginary part, on which the writer relies."""
    quaternion = Vt.QuatfArray.FromNumpy(np.array([[1, 2, 3, 4]], np.float32))[0]
    assert quaternion == Gf.Quatf(4, 1, 2, 3)
