"""Pictures of a conversion of single poses: the worst, the median and the best, and where on the body the error is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch

from vitruve.bodies import BodyModel
from vitruve.bodies.catalogue import shared_body
from vitruve.correspondence.surface_pair import SurfacePair, pair_surfaces
from vitruve.draw.heat_views import vertex_means
from vitruve.draw.pictures import spread, stack
from vitruve.errors import VitruveError
from vitruve.formats.readers.poses_by_id import Poses, read_poses
from vitruve.motion.performer import motion_performer
from vitruve.report.blocks import Block, Figure, Heading
from vitruve.report.convert_pictures import OVERLAY_CAPTION, Shown, frames_worst_first, heat_figure, surface_row

# How many poses the mean error of a vertex is taken over.
_HEAT_POSES = 24


def pose_blocks(entry: Mapping[str, Any], folder: Path) -> list[Block]:
    """Pictures of converted poses; none where the input no longer exists.

    Args:
        entry: the ledger line.
        folder: what the output's path is relative to.
    """
    if entry["facts"]["kind"] != "poses" or not entry.get("shown_frames"):
        return []
    try:
        source, result = read_poses(entry["input"]), read_poses(folder / entry["output"])
        pairs = _Pairs(source, result, entry)
        frames = frames_worst_first(entry)
        rows = [surface_row(pairs.shown(row), f"{word}: {_short(source.ids[row])}", 0) for word, row in frames.items()]
        good = (source.mask & result.mask).nonzero()[:, 0].tolist()
        chosen = [good[i] for i in spread(len(good), _HEAT_POSES)]
        errors = vertex_means(pairs.errors_mm(chosen))
    except (VitruveError, OSError):
        return []
    which = "the pose" if len(chosen) == 1 else f"{len(chosen)} poses"
    return [
        Heading("Source and result"),
        Figure(stack(rows), f"{Path(entry['input']).name}, three poses by their ids: {OVERLAY_CAPTION}"),
        Heading("Where on the body the error is"),
        heat_figure(pairs.shown(next(iter(frames.values()))).result, errors, which),
    ]


class _Pairs:
    """Source and result of each pose, on the bodies of its gender."""

    def __init__(self, source: Poses, result: Poses, entry: Mapping[str, Any]) -> None:
        self._source, self._result, self._entry = source, result, entry
        self._body, self._pair = cache(self._load), cache(self._find_pair)

    def shown(self, row: int) -> Shown:
        at, gender = torch.tensor([row]), self._source.genders[row]
        return Shown(
            name=self._source.ids[row],
            source=motion_performer(self._source.as_motion(at), self._body("source", gender)),
            result=motion_performer(self._result.as_motion(at), self._body("target", gender)),
            frames={"pose": 0},
        )

    def errors_mm(self, rows: list[int]) -> Iterator[Any]:
        for row in rows:
            one, pair = self.shown(row), self._pair(self._source.genders[row])
            yield pair.apart_mm(one.source.vertices([0]), one.result.vertices([0])).cpu().numpy()

    def _find_pair(self, gender: str) -> SurfacePair:
        one = self.shown(self._source.genders.index(gender))
        return pair_surfaces(one.source, one.result)

    def _load(self, side: str, gender: str) -> BodyModel:
        """The body of a gender; the ledger joins the names of all with a plus."""
        folder, names = self._entry["folder"], self._entry[side].split("+")
        bodies = [shared_body(name, folder) for name in names]
        return next((body for body in bodies if body.gender == gender), bodies[0])


def _short(text: str) -> str:
    return text if len(text) <= 24 else f"{text[:11]}…{text[-12:]}"
