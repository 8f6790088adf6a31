"""One actor in the viewer: the surface that the browser skins, exact vertices, heat map, joints and bones."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from vitruve.bodies import BodyModel
from vitruve.draw.framing import rgb
from vitruve.draw.heat import heat_colours
from vitruve.draw.scene import Actor
from vitruve.draw.sticks import bones_of
from vitruve.geometry.rotations import matrix_to_quaternion_wxyz
from vitruve.motion import Motion
from vitruve.viewer.heat_glb import coloured_glb

if TYPE_CHECKING:
    import viser

Floats = NDArray[np.float32]

# Frames that are posed at a time (a clip is mostly shown in order), and how many such blocks are cached.
_BLOCK, _CACHED = 32, 64
Surface = Literal["exact when still", "exact", "skinned"]
SURFACES: tuple[Surface, ...] = ("exact when still", "exact", "skinned")

# viser and the browser use this many joints for each vertex.
_INFLUENCES = 4
_SEE_THROUGH = 0.35


@dataclass(frozen=True)
class Look:
    """What is drawn of an actor.

    Attributes:
        joints: draw joints and bones; the surface is then transparent.
        heat: draw the errors, if known, on the surface.
        exact: draw the vertices of the body model; otherwise the browser skins the surface.
        top_mm: the error with the darkest colour.
    """

    shown: bool = True
    joints: bool = False
    heat: bool = False
    exact: bool = False
    top_mm: float = 10.0


def skinned(body: BodyModel, rest: NDArray[Any], joints: NDArray[Any]) -> tuple[Floats, Floats, NDArray[Any]]:
    """Rest vertices, rest joints, and weights [vertices, joints] of at most four joints, for the browser to skin."""
    weights = body.skin_weights.detach().cpu().numpy().astype(np.float64)
    if weights.shape[1] > _INFLUENCES:
        limit = np.partition(weights, -_INFLUENCES, axis=1)[:, -_INFLUENCES][:, None]
        weights = np.where(weights >= limit, weights, 0.0)
    weights /= weights.sum(1, keepdims=True)
    return rest.astype(np.float32), joints.astype(np.float32), weights


class ActorNodes:
    """The nodes of one actor in a viser scene.

    Attributes:
        name: the path of its nodes in the scene tree.
        drawn: indices of the joints that are drawn.
        errors_mm: [vertices] errors of the heat map that is shown, or None.
    """

    def __init__(self, server: viser.ViserServer, actor: Actor, name: str) -> None:
        self.actor, self.name, self.errors_mm = actor, name, None
        self._api = server.scene
        self._posed = functools.lru_cache(_CACHED)(self._pose_block)
        self._root = self._api.add_frame(name, show_axes=False)
        self._skin = self._exact = None
        self._add_surface()
        self._heat: viser.GlbHandle | None = None
        self._add_joints()

    def _add_surface(self) -> None:
        performer, colour = self.actor.performer, rgb(self.actor.colour)
        if not performer.has_surface or performer.faces is None:
            return
        faces = performer.faces.cpu().numpy()
        if performer.motion is not None and performer.body is not None:
            rest = self._add_skin(performer.motion, performer.body, faces)
        else:
            rest = self.vertices(int(performer.valid_frames()[0]))
        self._exact = self._api.add_mesh_simple(f"{self.name}/exact", rest, faces, color=colour, visible=False)

    def _add_skin(self, motion: Motion, body: BodyModel, faces: NDArray[Any]) -> Floats:
        """Add the surface that the browser skins; returns the vertices at rest."""
        shaped = body.shaped(motion.betas)
        self._rest_joints = shaped.rest_joints.detach().cpu()
        rest, joints, weights = skinned(body, shaped.rest_vertices.detach().cpu().numpy(), self._rest_joints.numpy())
        self._skin = self._api.add_mesh_skinned(
            f"{self.name}/skin",
            rest,
            faces,
            bone_wxyzs=np.tile([1.0, 0.0, 0.0, 0.0], (len(joints), 1)),
            bone_positions=joints,
            skin_weights=weights,
            color=rgb(self.actor.colour),
            visible=False,
        )
        return rest

    def _add_joints(self) -> None:
        performer, skeleton = self.actor.performer, self.actor.performer.skeleton
        edges, count = ((), 0) if skeleton is None else (skeleton.edges, len(skeleton))
        self._edges, self.drawn = np.array(edges, np.int64).reshape(-1, 2), np.arange(count)
        if skeleton is not None and performer.body is None and len(self._edges):
            # A root that stays behind is no part of the body.
            self._edges = bones_of(self.actor)
            self.drawn = np.unique(self._edges)
        size = 0.013 if self.has_surface else 0.03
        dark = rgb(0.55 * part for part in self.actor.colour)
        self._joints = self._api.add_point_cloud(
            f"{self.name}/joints",
            np.zeros((len(self.drawn), 3), np.float32),
            dark,
            point_size=size,
            point_shape="circle",
            precision="float32",
            visible=False,
        )
        lines = np.zeros((len(self._edges), 2, 3), np.float32)
        self._bones = self._api.add_line_segments(
            f"{self.name}/bones", lines, dark, thickness=0.4 * size, visible=False
        )

    @property
    def has_surface(self) -> bool:
        """Whether it has a surface: not a plain joint tree, not keypoints."""
        return self._exact is not None

    def show(self, frame: int, look: Look) -> bool:
        """Draw the actor's own frame, or nothing if it has no data; returns whether it has."""
        valid = self.actor.performer.holds(frame)
        _visible(self._root, valid and look.shown)
        if not (valid and look.shown):
            self.errors_mm = None
            return valid
        self._hide_heat()
        self._show_surface(frame, look)
        self._show_joints(frame, look.joints or not self.has_surface)
        return True

    def send_heat(self, frame: int, look: Look) -> bool:
        """Send the heat map of the frame that is shown; returns whether there is one.

        It stays hidden until `show_heat`: the browser needs a moment to read it.
        """
        actor = self.actor
        wanted, faces = look.heat and look.shown and actor.performer.holds(frame), actor.performer.faces
        if not wanted or actor.errors is None or faces is None:
            return False
        self.errors_mm = actor.errors([frame])[0]
        colours = heat_colours(self.errors_mm, look.top_mm)
        opacity = _SEE_THROUGH if look.joints else 1.0
        glb = coloured_glb(self.vertices(frame), faces.cpu().numpy(), colours, opacity)
        if self._heat is None:
            self._heat = self._api.add_glb(f"{self.name}/heat", glb, visible=False)
        else:
            self._heat.glb_data = glb
        return True

    def show_heat(self) -> None:
        """Show the heat map that was sent instead of the surface."""
        if self._heat is not None and self.errors_mm is not None:
            _visible(self._heat, True)
            for node in (self._skin, self._exact):
                if node is not None:
                    _visible(node, False)

    def _hide_heat(self) -> None:
        self.errors_mm = None
        if self._heat is not None:
            _visible(self._heat, False)

    def _show_surface(self, frame: int, look: Look) -> None:
        if self._exact is None:
            return
        exact = look.exact or self._skin is None
        if exact:
            self._exact.vertices = self.vertices(frame)
        elif self._skin is not None:
            for bone, quaternion, position in zip(self._skin.bones, *self.bones(frame)):
                bone.wxyz, bone.position = quaternion, position
        opacity = _SEE_THROUGH if look.joints and len(self.drawn) else None
        for node, wanted in ((self._skin, not exact), (self._exact, exact)):
            if node is None:
                continue
            if node.opacity != opacity:
                node.opacity = opacity
            _visible(node, wanted)

    def _show_joints(self, frame: int, wanted: bool) -> None:
        wanted = wanted and len(self.drawn) > 0
        edges = self._edges
        if wanted:
            points = self.joints(frame)
            drawn = points[self.drawn]
            edges = edges[np.isfinite(points[edges]).all((1, 2))]  # keypoints may be missing
            self._joints.points, self._bones.points = drawn[np.isfinite(drawn).all(1)], points[edges]
        _visible(self._joints, wanted)
        _visible(self._bones, wanted and len(edges) > 0)

    def joints(self, frame: int) -> Floats:
        """[joints, 3] positions of the joints in the scene, metres."""
        return self._posed(frame // _BLOCK)[0][frame % _BLOCK] + self._offset

    def points(self, frame: int) -> Floats:
        """[points, 3] joints that are drawn, or some vertices of meshes, metres."""
        if not len(self.drawn):
            return _floats(self.actor.points([frame])[0])
        points = self.joints(frame)[self.drawn]
        return points[np.isfinite(points).all(1)]

    def bones(self, frame: int) -> tuple[Floats, Floats]:
        """Unit quaternions [joints, 4], scalar first, and positions [joints, 3] that skin the rest surface."""
        _, quaternions, positions = self._posed(frame // _BLOCK)
        return quaternions[frame % _BLOCK], positions[frame % _BLOCK] + self._offset

    def vertices(self, frame: int) -> Floats:
        """[vertices, 3] of the body model, metres."""
        return _floats(self.actor.vertices([frame])[0])

    def retire(self) -> None:
        """Hide it for good. The nodes stay: pages of viser 1.1 stop when a skinned surface is removed."""
        self._root.visible = False

    @property
    def _offset(self) -> Floats:
        return np.array([*self.actor.offset, 0.0], np.float32)

    def _pose_block(self, block: int) -> tuple[Floats, ...]:
        """Joints, bone quaternions and bone positions of a block of frames, without the actor's offset."""
        performer, some = self.actor.performer, slice(block * _BLOCK, (block + 1) * _BLOCK)
        if performer.motion is None or performer.shaped is None:
            return (_floats(performer.joints(range(len(performer))[some])),)
        shaped = performer.shaped.of_frames(some)
        world, positions = shaped.world_joints(performer.motion.rotations[some], performer.motion.translation[some])
        # A rest point x of joint i moves to R x + o with o = p - R J. The browser knows the joints J0 without
        # expression, so the bone that rests at J0 moves to R J0 + o.
        moved = self._rest_joints.to(world) - shaped.rest_joints
        bones = positions + torch.einsum("fjab,fjb->fja", world, moved.expand(*positions.shape))
        return _floats(positions), _floats(matrix_to_quaternion_wxyz(world)), _floats(bones)


def _floats(values: torch.Tensor) -> Floats:
    return values.detach().cpu().numpy().astype(np.float32)


def _visible(node: Any, wanted: bool) -> None:
    if node.visible != wanted:
        node.visible = wanted
