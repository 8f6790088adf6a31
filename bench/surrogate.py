"""A pair of bodies that differ as licensed SMPL+H and SMPL-X files differ, made from the open body by code.

The open body's two meshes share one shape space and nearly one skin, so a conversion between them is easier than one
between licensed files. Here source and target have the same 10475 vertices, so that no surface map adds an error, and
differ in all that a fit has to overcome:

| | source | target |
|---|---|---|
| joints, betas | 52 (jaw and eyes folded into the head), 16 | 55, 10 |
| template | the open body's | moved along three components |
| shape space | 16 components, rotated among themselves | 10 mixtures of 14 components |
| skin weights | smoothed once | smoothed three times |
| joint regressor | ring of the joint's and its parent's skin | the same, 15 % of it spread at random |
| pose correctives | random, dense round the joints | others, as strong |
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import KDTree

from vitruve.bodies import BodyModel, load_body
from vitruve.skeletons import load_skeleton

_HEAD, _FACE = 15, (22, 23, 24)


def surrogate_pair(seed: int = 0) -> tuple[BodyModel, BodyModel]:
    """(source, target)"""
    open_body = load_body("open-smplx-neutral")
    random = np.random.default_rng(seed)
    template, space = _numpy(open_body.template), _numpy(open_body.shape_basis)
    skin = _numpy(open_body.skin_weights)
    neighbours = KDTree(template).query(template, k=12)[1]

    rotation = np.linalg.qr(random.normal(size=(16, 16)))[0]
    mixture = np.eye(14, 10) + 0.1 * random.normal(size=(14, 10))
    folded = np.delete(skin, _FACE, axis=1)
    folded[:, _HEAD] += skin[:, _FACE].sum(1)
    source = _body(
        open_body,
        "smplh",
        template,
        space[..., :16] @ rotation,
        _smoothed(folded, neighbours, 1),
        _ring_regressor(folded, load_skeleton("smplh52").parents),
        random,
    )
    moved = template + 0.5 * space[..., 0] - 0.3 * space[..., 1] + 0.4 * space[..., 3]
    ring = _ring_regressor(skin, open_body.skeleton.parents)
    target = _body(
        open_body,
        "smplx",
        moved,
        space[..., :14] @ mixture,
        _smoothed(skin, neighbours, 3),
        0.85 * ring + 0.15 * _spread_regressor(ring @ template, template, random),
        random,
    )
    return source, target


def _body(
    open_body: BodyModel,
    layout: str,
    template: np.ndarray,
    space: np.ndarray,
    skin: np.ndarray,
    regressor: np.ndarray,
    random: np.random.Generator,
) -> BodyModel:
    def tensor(values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).float()

    skin = skin / skin.sum(1, keepdims=True)
    return BodyModel(
        name=f"surrogate-{layout}-neutral",
        layout=layout,
        gender="neutral",
        skeleton=load_skeleton({"smplh": "smplh52", "smplx": "smplx55"}[layout]),
        template=tensor(template),
        shape_basis=tensor(space),
        expression_basis=open_body.expression_basis if layout == "smplx" else None,
        pose_basis=tensor(_correctives(template, skin, random)),
        joint_regressor=tensor(regressor),
        skin_weights=tensor(skin),
        faces=open_body.faces,
        licence=open_body.licence,
    )


def _smoothed(skin: np.ndarray, neighbours: np.ndarray, times: int) -> np.ndarray:
    """Means over the nearest vertices, the four largest weights kept."""
    for _ in range(times):
        skin = skin[neighbours].mean(1)
        skin[skin < 1e-3] = 0
        skin[skin < np.sort(skin, axis=1)[:, -4:-3]] = 0
        skin /= skin.sum(1, keepdims=True)
    return skin


def _ring_regressor(skin: np.ndarray, parents: tuple[int, ...]) -> np.ndarray:
    """A joint is the mean of the skin that it shares with its parent; the root's with its children."""
    rows = [skin[:, 0] * skin[:, 1:4].sum(1)]
    rows += [skin[:, joint] * skin[:, parent] for joint, parent in enumerate(parents) if parent >= 0]
    for joint, row in enumerate(rows):
        if (row > 0).sum() < 8:
            rows[joint] = (skin[:, joint] > 0.5).astype(float)
    regressor = np.stack(rows)
    return regressor / regressor.sum(1, keepdims=True)


def _spread_regressor(joints: np.ndarray, template: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Random shares of the 60 vertices nearest to each joint."""
    nearest = KDTree(template).query(joints, k=60)[1]
    out = np.zeros((len(joints), len(template)))
    for joint, vertices in enumerate(nearest):
        out[joint, vertices] = random.dirichlet(np.ones(60))
    return out


def _correctives(template: np.ndarray, skin: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """[9 (joints - 1), 3 vertices]: up to 8 mm where the skin bends, outward and along a direction of each column."""
    vertices, joints = skin.shape
    basis = np.zeros((joints - 1, 9, vertices, 3), np.float32)
    for joint in range(1, joints):
        bend = 4 * skin[:, joint] * (1 - skin[:, joint])
        near = np.flatnonzero(bend > 0.02)
        if not len(near):
            continue
        outward = template[near] - np.average(template[near], axis=0, weights=bend[near])
        outward /= np.linalg.norm(outward, axis=1, keepdims=True) + 1e-9
        for column in range(9):
            along = 0.3 * random.normal(scale=0.5, size=3)
            basis[joint - 1, column, near] = 0.008 * bend[near, None] * (outward * random.normal() + along)
    return basis.reshape(9 * (joints - 1), 3 * vertices)


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.double().numpy()
