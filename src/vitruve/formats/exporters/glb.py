"""GLB, the binary form of glTF 2.0: one skinned mesh with its skeleton and animation, y up, in metres.

The rest pose is the body's template in the clip's shape; a motion without a body gets a thin mesh of its bones.
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np
import torch

from vitruve.bodies import BodyModel
from vitruve.formats.animated_tree import AnimatedTree, Array, animated_tree
from vitruve.formats.exporters.gltf_camera import add_camera
from vitruve.formats.exporters.gltf_file import TRIANGLES, VERTICES, GltfFile, add_channel
from vitruve.formats.exporters.gltf_skin import (
    SkinnedMesh,
    body_mesh,
    bone_mesh,
    continuous_quaternions,
    smooth_normals,
)
from vitruve.geometry.camera import Camera
from vitruve.motion import Motion

# A quiet blue that is neither skin nor cloth.
_COLOUR = (0.30, 0.45, 0.70, 1.0)


def write_glb(
    motion: Motion,
    path: str | PathLike[str],
    *,
    body: BodyModel | None = None,
    name: str = "motion",
    shapes: int = 0,
    expressions: int = 0,
    camera: Camera | None = None,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write a GLB.

    A glTF skin has no pose correctives; `gltf_difference.skinning_difference` measures the resulting error.

    Args:
        motion: what to write; every frame must be valid.
        path: the file; it is replaced.
        body: the body whose surface is skinned, in the motion's shape; None for a mesh of the bones.
        name: of the scene and of the animation.
        shapes: how many columns of the shape basis become morph targets. The joints do not follow them.
        expressions: how many expressions become morph targets, animated by the motion's expression.
        camera: the camera that recorded the motion.
        facts: JSON values for `asset.extras` and the scene's extras, which Blender shows as custom properties.
    """
    facts = dict(facts or {})
    licence = {"copyright": facts["licence"]} if facts.get("licence") else {}
    file = GltfFile({"generator": "Vitruve", **licence, "extras": facts})
    tree = animated_tree(motion, body, "y")
    surface = bone_mesh(motion, tree.rest) if body is None else body_mesh(motion, body, shapes, expressions)
    joints = _joint_nodes(file, motion, tree.bones)
    animation = _animation(file, motion.fps, tree, joints)
    nodes = [joints[0]]
    if surface is not None:
        skin = _skin(file, joints, tree.rest)
        nodes.append(file.add("nodes", name=surface.name, mesh=_mesh(file, surface), skin=skin))
        if surface.morph_weights is not None:
            times = animation["samplers"][0]["input"]
            add_channel(animation, nodes[-1], "weights", times, file.accessor(surface.morph_weights.ravel()))
    if camera is not None:
        nodes.append(add_camera(file, camera, animation, motion.fps))
    file.add("animations", name=name, **animation)
    file.add("scenes", name=name, nodes=nodes, extras=facts)
    file.write(path)


def _joint_nodes(file: GltfFile, motion: Motion, bones: Array) -> list[int]:
    """A node for every joint, at rest."""
    skeleton = motion.skeleton
    # Parents come before their children, so the joints' indices are known beforehand.
    first = len(file.entries.get("nodes", ()))
    nodes = []
    for joint, joint_name in enumerate(skeleton.names):
        entry: dict[str, Any] = {"name": joint_name, "translation": bones[joint].astype(np.float32).tolist()}
        children = [first + child for child in skeleton.children(joint)]
        nodes.append(file.add("nodes", **entry, **({"children": children} if children else {})))
    return nodes


def _mesh(file: GltfFile, surface: SkinnedMesh) -> int:
    attributes = {
        "POSITION": file.accessor(surface.vertices, VERTICES, bounds=True),
        "NORMAL": file.accessor(smooth_normals(surface.vertices, surface.faces), VERTICES),
        "JOINTS_0": file.accessor(surface.joints, VERTICES),
        "WEIGHTS_0": file.accessor(surface.weights, VERTICES),
    }
    primitive: dict[str, Any] = {
        "attributes": attributes,
        "indices": file.accessor(surface.faces.ravel(), TRIANGLES),
        "material": file.add(
            "materials",
            name="body",
            pbrMetallicRoughness={"baseColorFactor": _COLOUR, "metallicFactor": 0.0, "roughnessFactor": 0.7},
        ),
    }
    if not surface.morphs:
        return file.add("meshes", name=surface.name, primitives=[primitive])
    shifts = surface.morphs.values()
    primitive["targets"] = [{"POSITION": file.accessor(shift, VERTICES, bounds=True)} for shift in shifts]
    names = {"targetNames": list(surface.morphs)}  # Blender and three.js look for the names here
    return file.add("meshes", name=surface.name, primitives=[primitive], weights=[0.0] * len(shifts), extras=names)


def _skin(file: GltfFile, joints: list[int], rest: Array) -> int:
    inverse = np.tile(np.eye(4, dtype=np.float32), (len(joints), 1, 1))
    inverse[:, 3, :3] = -rest  # columns first: the last row is the translation
    return file.add("skins", inverseBindMatrices=file.accessor(inverse), joints=joints, skeleton=joints[0])


def _animation(file: GltfFile, fps: float, tree: AnimatedTree, joints: list[int]) -> dict[str, Any]:
    """The path of the root, rotations of all joints, and bones that change length."""
    times = file.accessor((np.arange(len(tree.rotations)) / fps).astype(np.float32), bounds=True)
    animation: dict[str, Any] = {"samplers": [], "channels": []}
    paths = {joint: path.astype(np.float32) for joint, path in tree.paths.items()}
    add_channel(animation, joints[0], "translation", times, file.accessor(paths.pop(0)))
    for joint, quaternions in zip(joints, continuous_quaternions(torch.from_numpy(tree.rotations))):
        add_channel(animation, joint, "rotation", times, file.accessor(quaternions))
    for joint, path in paths.items():
        add_channel(animation, joints[joint], "translation", times, file.accessor(path))
    return animation
