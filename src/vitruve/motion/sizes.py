"""Implausible sizes: of shapes, meshes, bones, and translations in another unit than metres."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from vitruve.motion.finding import Finding
from vitruve.motion.motion import Motion

# Standard deviations beyond which a shape is implausible on any body.
_NO_SHAPE = 20
# Plausible span of a mesh in metres: from a hand to a person holding something.
_MESH = (0.05, 4.0)


def shape_findings(betas: Tensor) -> Iterator[Finding]:
    """Implausible betas [shapes, betas]; of several shapes, the worst is reported."""
    if not betas.numel() or float(betas.abs().max()) <= 5:
        return
    worst = int(betas.abs().argmax()) % betas.shape[1]
    value = float(betas.flatten()[int(betas.abs().argmax())])
    yield Finding(
        "warning",
        "the shape is far from that of a person",
        f"betas[{worst}] = {value:.2f}; most people lie between -3 and 3",
        "check how the shape was fitted, and that the betas belong to this body",
        trusted=abs(value) < _NO_SHAPE,
    )


def mesh_findings(vertices: Tensor) -> Iterator[Finding]:
    """Findings about meshes [frames, vertices, 3]: non-finite values, implausible size."""
    if not vertices.isfinite().all():
        yield Finding("error", "some vertices are NaN or infinite")
    finite = vertices[vertices.isfinite().flatten(1).all(1)]
    size = float((finite.amax(1) - finite.amin(1)).amax(1).median()) if len(finite) else 1.0
    if not _MESH[0] < size < _MESH[1]:
        hint = "the unit is probably not metres"
        yield Finding("warning", f"a mesh spans {size:.3g} m", "in the median frame", hint, trusted=False)


def unit_findings(motion: Motion) -> Iterator[Finding]:
    """Sizes and speeds that look like centimetres or millimetres."""
    if motion.skeleton.rest is not None and not motion.body:
        size = longest_chain(motion)
        if size > 4 or 0 < size < 0.3:
            yield Finding(
                "warning",
                f"the longest chain of bones measures {size:.3g} m",
                "rest positions",
                "the unit of the file is probably not the one it was read in",
            )
        return
    translation = motion.translation if motion.mask is None else motion.translation[motion.mask]
    if len(translation) < 2:
        return
    speed = float((translation[1:] - translation[:-1]).norm(dim=-1).median()) * motion.fps
    # The root is higher than any jump, or its median speed is above a sprinter's.
    height = float(translation[:, 2].median().abs())
    if height > 20 or speed > 15:
        what = "millimetres" if height > 400 or speed > 700 else "centimetres"
        yield Finding(
            "warning",
            f"the translation looks like {what}, not metres",
            f"median height {height:.1f}, median speed {speed:.1f} per second",
            f"divide the translation by {1000 if what == 'millimetres' else 100} if so",
            trusted=False,
        )


def longest_chain(motion: Motion) -> float:
    """Metres from the root to the farthest joint along the bones, without bones that change length (often the path of
    the hips through the world)."""
    rest, parents = motion.skeleton.rest, motion.skeleton.parents
    if rest is None or not parents:
        return 0.0
    lengths = (rest - rest[[max(parent, 0) for parent in parents]]).norm(dim=-1)
    if motion.offsets is not None:
        over_time = motion.offsets.norm(dim=-1)
        lengths = torch.where(over_time.std(0, correction=0) < 1e-3, over_time.mean(0), 0.0)
    ends: list[float] = []
    for length, parent in zip(lengths.tolist(), parents, strict=True):
        ends.append(0.0 if parent < 0 else ends[parent] + length)
    return max(ends)
