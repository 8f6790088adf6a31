"""Convert many files, with a plan and records; it can be stopped and resumed at any time.

batch = prepare(["AMASS"], Options(to="smplx"), "converted")
print(len(batch.plan.tasks), "to do,", len(batch.plan.done), "done")
outcome = carry_out(batch, workers=8)
print(outcome.results["error_mm"]["mean"], outcome.failed)
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path

from vitruve.convert.convert_file import convert_file, find_map
from vitruve.convert.look_at_input import look, recall
from vitruve.convert.options import Options
from vitruve.convert.outputs import outputs_of, place_of, refuse_misspelt
from vitruve.convert.poses import read_poses
from vitruve.convert.settle import settle
from vitruve.convert.summary import summarise
from vitruve.errors import VitruveError
from vitruve.formats import load_motion
from vitruve.jobs.batch import Batch, Outcome, plan_batch
from vitruve.jobs.batch import run_batch as carry_out
from vitruve.jobs.inputs import find_inputs
from vitruve.jobs.motion_files import MOTION_FILES
from vitruve.jobs.shards import WHOLE, Shard
from vitruve.jobs.work import Task, Work
from vitruve.runs.progress import Progress

__all__ = ["Batch", "Options", "Outcome", "carry_out", "prepare"]


def prepare(
    inputs: Sequence[str | Path],
    options: Options,
    out: str | Path = "vitruve-convert",
    *,
    folder: str | Path | None = None,
    shard: Shard = WHOLE,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Batch:
    """Find the inputs and plan the work; nothing is written.

    Args:
        inputs: files, folders, patterns and lists, as for `find_inputs`.
        options: what the results depend on.
        out: a folder, or a motion file for one input.
        folder: searched for licensed bodies before the usual places.
        shard: (i, n): only the i-th of n parts.
        overwrite: replace files that no earlier run has made.
        progress: called with (inputs done, inputs).
    """
    place = place_of(out, 1)
    found, passed = find_inputs(inputs, MOTION_FILES, skip=None if place.file else place.folder)
    place = place_of(out, len(found))
    if len(found) == 1 and str(found[0].path) == os.path.abspath(Path(inputs[0]).expanduser()):
        refuse_misspelt(place, out)
    return plan_batch(
        conversion_work(options, None if folder is None else str(Path(folder).expanduser().absolute())),
        found,
        outputs_of(found, place, options),
        place.folder,
        out=place.file,
        passed=passed,
        shard=shard,
        overwrite=overwrite,
        progress=progress,
    )


def conversion_work(options: Options, folder: str | None = None) -> Work:
    """Conversion, for the engine that works on many files."""
    return Work(
        verb="convert",
        unit="frames",
        options={key: list(value) if isinstance(value, tuple) else value for key, value in asdict(options).items()},
        look=partial(look, options=options),
        recall=partial(recall, options=options),
        size=lambda facts: facts.frames,
        settle=partial(settle, options=options, folder=folder),
        do=convert_file,
        is_result=lambda output: _is_readable(output, options),
        summarise=summarise,
        before_workers=_find_maps,
    )


def _is_readable(output: Path, options: Options) -> bool:
    """Whether a file can be read, so that it was edited, and not truncated by a crash or a full disk."""
    try:
        return len(load_motion(output, fps=options.fps, gender=options.gender or None)) > 0
    except VitruveError:
        with suppress(VitruveError):
            return len(read_poses(output, gender=options.gender or None)) > 0
        return False


def _find_maps(tasks: Sequence[Task]) -> None:
    """Compute the surface maps once, before the workers start; errors are reported with the task."""
    for task in tasks:
        with suppress(VitruveError):
            find_map(task)
