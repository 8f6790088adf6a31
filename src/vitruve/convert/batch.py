"""A conversion of many files: planned, done, recorded; it can be stopped at any time.

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
from typing import Any

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
        inputs: files, folders, patterns and lists, as `find_inputs` takes them.
        options: what the results depend on.
        out: a folder, or a motion file for one input.
        folder: where licensed bodies lie, before the usual places.
        shard: (i, n): only the i-th of n parts.
        overwrite: replace files that no earlier run has made.
        progress: called with inputs looked at and inputs in all.
    """
    asked = place_of(out, 1)
    found, passed = find_inputs(inputs, MOTION_FILES, skip=None if asked.file else asked.folder)
    place = place_of(out, len(found))
    if len(found) == 1 and str(found[0].path) == os.path.abspath(Path(inputs[0]).expanduser()):
        refuse_misspelt(place, out)
    work = conversion_work(options, None if folder is None else str(Path(folder).expanduser().absolute()))
    outputs = outputs_of(found, place, options)
    more: dict[str, Any] = {"passed": passed, "shard": shard, "overwrite": overwrite, "progress": progress}
    return plan_batch(work, found, outputs, place.folder, out=place.file, **more)


def conversion_work(options: Options, folder: str | None = None) -> Work:
    """Conversion, as the engine for many files takes it."""
    asked = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(options).items()}
    return Work(
        verb="convert",
        unit="frames",
        options=asked,
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
    """Whether what stands there was changed by someone, rather than cut short by a crash or a full disk."""
    try:
        return len(load_motion(output, fps=options.fps, gender=options.gender or None)) > 0
    except VitruveError:
        with suppress(VitruveError):
            return len(read_poses(output, gender=options.gender or None)) > 0
        return False


def _find_maps(tasks: Sequence[Task]) -> None:
    """Work out the surface maps once, before every worker does; a task whose bodies have none will say so."""
    for task in tasks:
        with suppress(VitruveError):
            find_map(task)
