"""Benchmark conversions, ours and smplfitter's, on the same files and with the same surface map.

    case = write_case(folder, "my bodies", source, target, motion)
    rows = run_case(case, methods(), rounds=5, threads=2)

Each method has its own process, for its own import time and peak memory. The processes take turns, so that a busy
moment slows all of them. Conversions are timed from file to file, and errors are measured on the whole mesh.
"""

from __future__ import annotations

import importlib.util
import pickle
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
import torch

from vitruve.bodies import BodyModel
from vitruve.bodies.export import official_values
from vitruve.convert.bench_workers import PEER_BATCH, PEER_FILES, Case, Method, Worker, load_bodies
from vitruve.correspondence.body_maps import Correspondence, correspondence
from vitruve.errors import UsageError
from vitruve.fit.quality import ErrorReport, error_report
from vitruve.fit.surface_points import vertex_groups
from vitruve.formats import load_motion, save_motion
from vitruve.geometry.rotations import axis_angle_to_matrix
from vitruve.metrics import SurfaceMeter, measured_frames
from vitruve.motion import Motion

OURS = "vitruve"
INSTALL_PEER = "pip install smplfitter numba"
# The transfer tool of the smplx package, seconds per frame, as reported by its users.
TRANSFER_TOOL_SECONDS = 82.0

_BACKENDS = {"pt": "torch", "nb": "numba"}


@dataclass
class Row:
    """The figures of one method on one case."""

    case: str
    method: str
    frames: int
    before: dict[str, float] = field(default_factory=dict)  # seconds before the first round, by stage
    wall: list[float] = field(default_factory=list)  # seconds of each round
    cpu: list[float] = field(default_factory=list)
    memory_mb: float = 0.0
    error: ErrorReport | None = None

    @property
    def seconds(self) -> float:
        """Median wall seconds of a conversion."""
        return statistics.median(self.wall)

    @property
    def cpu_seconds(self) -> float:
        """Median CPU seconds of a conversion."""
        return statistics.median(self.cpu)

    @property
    def frames_per_second(self) -> float:
        """Frames over the median wall seconds."""
        return self.frames / self.seconds

    def as_dict(self) -> dict[str, Any]:
        """For a JSON file."""
        figures = {} if self.error is None else self.error.as_dict()
        return {
            "case": self.case,
            "method": self.method,
            "frames": self.frames,
            "frames_per_second": self.frames_per_second,
            "seconds": self.wall,
            "cpu_seconds": self.cpu,
            "before_seconds": self.before,
            "memory_mb": self.memory_mb,
            **figures,
        }


def compare(
    folder: Path,
    name: str,
    source: BodyModel,
    target: BodyModel,
    motion: Motion,
    *,
    rounds: int = 5,
    threads: int = 2,
    progress: Callable[[str], None] | None = None,
) -> tuple[list[Row], list[str]]:
    """Write the files of a case, choose smplfitter's backend, and run all methods; (rows, notes). See `run_case`."""
    case = write_case(folder, name, source, target, motion)
    backend, rates = peer_backend(case, threads, progress=progress)
    notes = [] if rates else [f"smplfitter: not installed ({INSTALL_PEER})"]
    for which, rate in rates.items():
        notes.append(f"smplfitter with {_BACKENDS[which]}: {rate:.0f} frames/s on the first frames, 1 iteration")
    return run_case(case, methods(backend), rounds=rounds, threads=threads, progress=progress), notes


def against_peers(rows: Sequence[Row]) -> list[tuple[str, float, float, float]]:
    """(method, frames per second, mean error, jitter) for each other method of the same case: ratios of ours to it."""
    ours = {row.case: row for row in rows if row.method == OURS}
    ratios = []
    for row in rows:
        one, other = ours[row.case].error, row.error
        if row.method != OURS and one is not None and other is not None:
            speed = row.seconds / row.frames * ours[row.case].frames_per_second
            ratios.append((row.method, speed, one.mean / other.mean, one.jitter / other.jitter))
    return ratios


def write_case(folder: Path, name: str, source: BodyModel, target: BodyModel, motion: Motion) -> Case:
    """Write the files of a case into an empty folder; the motion is on the source body.

    The surface map is ours, in the layout of the official file.
    """
    for body in (source, target):
        if body.layout not in PEER_FILES:
            layouts = ", ".join(PEER_FILES)
            raise UsageError(f"the layout of '{body.name}' cannot be compared", fix=f"use one of {layouts}")
    if motion.skeleton.name != source.skeleton.name:
        raise UsageError(
            "the motion is not on the source body",
            where=f"the motion is on {motion.skeleton.name}, '{source.name}' has {source.skeleton.name}",
            fix="name the body it was made on",
        )
    models = folder / "body_models"
    files = [_write_body(body, models) for body in (source, target)]
    surface = correspondence(source, target)
    if source.num_vertices != target.num_vertices:
        entries = surface.matrix()
        shape = (target.num_vertices, 2 * source.num_vertices)  # the second half acts on normals and stays empty
        matrix = scipy.sparse.csr_matrix((entries.values().numpy(), tuple(entries.indices().numpy())), shape=shape)
        names = ["smplx" if body.num_vertices == 10475 else "smpl" for body in (source, target)]
        with (models / f"{names[0]}2{names[1]}_deftrafo_setup.pkl").open("wb") as stream:
            pickle.dump({"mtx": matrix}, stream)
    clip = save_motion(motion.replace(betas=motion.betas[: source.num_betas]), folder / "motion.npz")
    genders, columns = (source.gender, target.gender), (source.num_betas, target.num_betas)
    return Case(name, folder, files[0], files[1], genders, columns, clip)


def _write_body(body: BodyModel, models: Path) -> Path:
    """Write a body as plain arrays to the path that smplfitter expects."""
    kind, pattern = PEER_FILES[body.layout]
    letter = body.gender if body.gender == "neutral" else body.gender[0]
    file = models / kind / pattern.format(gender=body.gender, GENDER=body.gender.upper(), g=letter)
    file.parent.mkdir(parents=True, exist_ok=True)
    values = official_values(body, short=body.layout == "smplx" and body.num_betas <= 10)
    kept = ("v_template", "f", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table")
    arrays = {key: values[key].toarray() if hasattr(values[key], "toarray") else values[key] for key in kept}
    if file.suffix == ".npz":
        np.savez(file, **arrays)
    else:
        with file.open("wb") as stream:
            pickle.dump(arrays, stream)
    # The converter requires a child's template, but gives it a weight of zero.
    np.save(models / kind / "kid_template.npy", values["v_template"] * 0.6)
    return file


def methods(backend: str | None, iterations: Sequence[int] = (1, 3)) -> list[Method]:
    """Ours, and smplfitter's on a backend ("pt" or "nb", see `peer_backend`), timed once since it is slow."""
    peers = () if backend is None else iterations
    word = _BACKENDS.get(backend or "")
    return [Method(OURS), *(Method(f"smplfitter ({word}), {n} it.", backend or "", n, rounds=1) for n in peers)]


def has_peer() -> bool:
    """Whether smplfitter is installed."""
    return importlib.util.find_spec("smplfitter") is not None


def peer_backend(
    case: Case, threads: int, frames: int = 2 * PEER_BATCH, progress: Callable[[str], None] | None = None
) -> tuple[str | None, dict[str, float]]:
    """smplfitter's fastest backend, and the frames per second of each on the first frames of a case."""
    if not has_peer():
        return None, {}
    rates = {}
    for backend, word in _BACKENDS.items():
        if progress is not None:
            progress(f"{case.name}: smplfitter with {word}, a trial")
        with Worker(case, Method("trial", backend), threads) as worker:
            wall, _, _ = worker.run(case.folder / f"trial_{backend}.npz", frames)
        rates[backend] = min(frames, len(load_motion(case.motion))) / wall
    return max(rates, key=lambda backend: rates[backend]), rates


def run_case(
    case: Case,
    compared: Sequence[Method],
    *,
    rounds: int = 5,
    threads: int = 2,
    progress: Callable[[str], None] | None = None,
) -> list[Row]:
    """Time the methods in turns, and measure the error of each result.

    Args:
        case: the files.
        compared: the methods.
        rounds: timed conversions of each method, unless it has fewer itself; the warm-up is extra.
        threads: for every method.
        progress: called with a line before each conversion.
    """
    judge = Judge(case)
    rows, workers = [], []
    try:
        for method in compared:
            workers.append(Worker(case, method, threads))
            rows.append(Row(case.name, method.name, len(judge.motion), before=workers[-1].before))
        for turn in range(rounds):
            for method, worker, row in zip(compared, workers, rows):
                if method.rounds is not None and turn >= method.rounds:
                    continue
                if progress is not None:
                    progress(f"{case.name}: {method.name}, round {turn + 1}")
                wall, cpu, row.memory_mb = worker.run(_result(case, method))
                row.wall.append(wall)
                row.cpu.append(cpu)
    finally:
        for worker in workers:
            worker.close()
    for method, row in zip(compared, rows):
        row.error = judge.error_of(_result(case, method))
    return rows


def _result(case: Case, method: Method) -> Path:
    return case.folder / f"result_{method.backend or 'ours'}_{method.iterations}.npz"


class Judge:
    """Measures the error of result files, at every vertex that has a counterpart."""

    def __init__(self, case: Case) -> None:
        self.source, self.target = load_bodies(case)
        self.motion: Motion = load_motion(case.motion)
        self.surface: Correspondence = correspondence(self.source, self.target)

    def error_of(self, result: Path) -> ErrorReport:
        """The error of a result file, which may have betas per frame."""
        with np.load(result) as file:
            betas, vectors = torch.from_numpy(file["betas"]).float(), torch.from_numpy(file["poses"])
            translation = torch.from_numpy(file["trans"]).float()
        ids = self.surface.valid.nonzero()[:, 0]
        part, posed = self.surface.subset(ids), self.source.shaped(self.motion.betas)
        meter = SurfaceMeter(vertex_groups(self.target, ids), len(ids))
        rotations = axis_angle_to_matrix(vectors.unflatten(1, (-1, 3))).float()
        for block in measured_frames(len(self.motion), most=2000):
            wanted = part.apply(posed.vertices(self.motion.rotations[block], self.motion.translation[block]))
            shaped = self.target.shaped(betas[block] if betas.dim() == 2 else betas)
            reached = shaped.vertices(rotations[block], translation[block])[:, ids]
            meter.add(block, reached - wanted.to(reached))
        return error_report(meter, self.surface.residual_mm["mean"])
