"""USD: a skinned mesh with its skeleton and animation (UsdSkel). Needs the extra `usd`.

Units are metres; one time code is one frame. The rest pose is the body's template in the clip's shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np
import torch

from vitruve.bodies import BodyModel
from vitruve.errors import MissingAsset
from vitruve.formats.animated_tree import AnimatedTree, Array, animated_tree
from vitruve.formats.exporters.gltf_skin import (
    INFLUENCES,
    SkinnedMesh,
    body_mesh,
    bone_mesh,
    continuous_quaternions,
    smooth_normals,
)
from vitruve.motion import Motion

_COLOUR = (0.30, 0.45, 0.70)


def write_usd(
    motion: Motion,
    path: str | PathLike[str],
    *,
    body: BodyModel | None = None,
    up: str = "y",
    shapes: int = 0,
    expressions: int = 0,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write a USD file; the suffix chooses the encoding: .usda is text, .usdc and .usd are binary.

    Args:
        motion: what to write; every frame must be valid.
        path: the file, which must not exist.
        body: the body whose surface is skinned, in the motion's shape; None for a mesh of the bones.
        up: the up axis of the file, "y" or "z".
        shapes: how many columns of the shape basis become blend shapes. The joints do not follow them.
        expressions: how many expressions become blend shapes, animated by the motion's expression.
        facts: texts, numbers and lists to store in the file's metadata.
    """
    pxr = _pxr()
    tree = animated_tree(motion, body, up)
    if body is not None:
        influences = max(INFLUENCES, int(body.skin_weights.ne(0).sum(1).max()))
        surface = body_mesh(motion, body, shapes, expressions, influences)
    else:
        surface = bone_mesh(motion, tree.rest)
    stage = pxr.Usd.Stage.CreateNew(str(path))
    pxr.UsdGeom.SetStageUpAxis(stage, pxr.UsdGeom.Tokens.y if up == "y" else pxr.UsdGeom.Tokens.z)
    pxr.UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    stage.SetTimeCodesPerSecond(motion.fps)
    stage.SetFramesPerSecond(motion.fps)
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(len(motion) - 1)
    root = pxr.UsdSkel.Root.Define(stage, "/motion")
    stage.SetDefaultPrim(root.GetPrim())
    plain = {key: repr(value) if isinstance(value, list) else value for key, value in (facts or {}).items()}
    stage.GetRootLayer().customLayerData = {"vitruve": plain}
    joints = _joint_paths(motion)
    skeleton = pxr.UsdSkel.Skeleton.Define(stage, "/motion/skeleton")
    skeleton.CreateJointsAttr(joints)
    skeleton.CreateJointNamesAttr(list(motion.skeleton.names))
    skeleton.CreateBindTransformsAttr(_transforms(tree.rest))
    skeleton.CreateRestTransformsAttr(_transforms(tree.bones))
    animation = pxr.UsdSkel.Animation.Define(stage, "/motion/skeleton/animation")
    animation.CreateJointsAttr(joints)
    _animate(animation, tree)
    binding = pxr.UsdSkel.BindingAPI.Apply(skeleton.GetPrim())
    binding.CreateAnimationSourceRel().SetTargets([pxr.Sdf.Path("/motion/skeleton/animation")])
    if surface is not None:
        mesh = _mesh(stage, surface)
        if surface.morphs:
            _blend_shapes(stage, mesh, animation, surface)
    stage.GetRootLayer().Save()


def _pxr() -> Any:
    """USD's Python modules."""
    try:
        import pxr
        from pxr import Gf, Sdf, Tf, Usd, UsdGeom, UsdSkel, Vt  # noqa: F401 (each becomes an attribute of pxr)
    except ImportError:
        raise MissingAsset(
            "USD files need the package usd-core", where="pxr is not installed", fix="pip install 'vitruve[usd]'"
        ) from None
    return pxr


def _joint_paths(motion: Motion) -> list[str]:
    """USD joint paths: from the root, with valid USD names."""
    pxr = _pxr()
    names = [pxr.Tf.MakeValidIdentifier(name) for name in motion.skeleton.names]
    paths: list[str] = []
    for name, parent in zip(names, motion.skeleton.parents):
        path = f"{paths[parent]}/{name}" if parent >= 0 else name
        paths.append(path if path not in paths else f"{path}_{len(paths)}")
    return paths


def _transforms(positions: Array) -> Any:
    pxr = _pxr()
    return pxr.Vt.Matrix4dArray([pxr.Gf.Matrix4d(1).SetTranslate(pxr.Gf.Vec3d(*row)) for row in positions.tolist()])


def _animate(animation: Any, tree: AnimatedTree) -> None:
    pxr = _pxr()
    quaternions = continuous_quaternions(torch.from_numpy(tree.rotations)).transpose(1, 0, 2)
    turning, moving = animation.CreateRotationsAttr(), animation.CreateTranslationsAttr()
    animation.CreateScalesAttr(pxr.Vt.Vec3hArray(len(tree.bones), pxr.Gf.Vec3h(1, 1, 1)))
    bones = tree.bones.astype(np.float32)
    for frame, rotations in enumerate(quaternions):
        for joint, path in tree.paths.items():
            bones[joint] = path[frame]
        # In memory USD quaternions have the scalar last, as ours.
        turning.Set(pxr.Vt.QuatfArray.FromNumpy(np.ascontiguousarray(rotations)), frame)
        moving.Set(pxr.Vt.Vec3fArray.FromNumpy(bones), frame)


def _mesh(stage: Any, surface: SkinnedMesh) -> Any:
    pxr = _pxr()
    mesh = pxr.UsdGeom.Mesh.Define(stage, "/motion/surface")
    mesh.CreatePointsAttr(pxr.Vt.Vec3fArray.FromNumpy(surface.vertices))
    mesh.CreateFaceVertexCountsAttr(pxr.Vt.IntArray(len(surface.faces), 3))
    mesh.CreateFaceVertexIndicesAttr(pxr.Vt.IntArray.FromNumpy(surface.faces.astype(np.int32).ravel()))
    mesh.CreateNormalsAttr(pxr.Vt.Vec3fArray.FromNumpy(smooth_normals(surface.vertices, surface.faces)))
    mesh.SetNormalsInterpolation(pxr.UsdGeom.Tokens.vertex)
    mesh.CreateSubdivisionSchemeAttr(pxr.UsdGeom.Tokens.none)
    mesh.CreateDisplayColorAttr([pxr.Gf.Vec3f(*_COLOUR)])
    mesh.CreateExtentAttr(pxr.Vt.Vec3fArray.FromNumpy(np.stack([surface.vertices.min(0), surface.vertices.max(0)])))
    binding = pxr.UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateSkeletonRel().SetTargets([pxr.Sdf.Path("/motion/skeleton")])
    binding.CreateGeomBindTransformAttr(pxr.Gf.Matrix4d(1))
    count = surface.joints.shape[1]
    indices = pxr.Vt.IntArray.FromNumpy(surface.joints.astype(np.int32).ravel())
    binding.CreateJointIndicesPrimvar(False, count).Set(indices)
    binding.CreateJointWeightsPrimvar(False, count).Set(pxr.Vt.FloatArray.FromNumpy(surface.weights.ravel()))
    return mesh


def _blend_shapes(stage: Any, mesh: Any, animation: Any, surface: SkinnedMesh) -> None:
    pxr = _pxr()
    names, targets = list(surface.morphs), []
    for name, shift in surface.morphs.items():
        shape = pxr.UsdSkel.BlendShape.Define(stage, mesh.GetPath().AppendChild(name))
        shape.CreateOffsetsAttr(pxr.Vt.Vec3fArray.FromNumpy(shift))
        targets.append(shape.GetPath())
    binding = pxr.UsdSkel.BindingAPI(mesh.GetPrim())
    binding.CreateBlendShapesAttr(names)
    binding.CreateBlendShapeTargetsRel().SetTargets(targets)
    animation.CreateBlendShapesAttr(names)
    weights = animation.CreateBlendShapeWeightsAttr()
    values = surface.morph_weights
    for frame, row in enumerate(np.zeros((1, len(names)), np.float32) if values is None else values):
        weights.Set(pxr.Vt.FloatArray.FromNumpy(np.ascontiguousarray(row)), frame)
